//! What the cluster holds of Consul's services, and the moment at which a change is in it.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    time::{Duration, Instant},
};

use consul_sync_testbed::{Client, Watch};
use serde_json::Value;

use crate::{
    catalog::BOUND,
    error::{Error, Result},
};

/// Where imported services are written, unless a flag says otherwise.
pub(crate) const NAMESPACE: &str = "default";
/// Kinds of objects that are written, by their API groups.
const KINDS: [(&str, &str); 2] = [
    ("api/v1", "services"),
    ("apis/discovery.k8s.io/v1", "endpointslices"),
];
const SLICE_OF: &str = "/metadata/labels/kubernetes.io~1service-name";

/// The API server, as somebody sees it who watches Services and EndpointSlices.
#[derive(Clone, Debug)]
pub(crate) struct Imports {
    client: Client,
}

/// What stands in the cluster for one service of Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) service: Option<Kind>,
    /// Whether each address is ready, by slices.
    slices: BTreeMap<String, BTreeMap<String, bool>>,
}

/// What a Service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An alias of this name.
    Alias(String),
    /// It has this address.
    Address(String),
    /// Its name resolves to its endpoints.
    Headless,
}

impl Imports {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// What stands for a service now.
    pub(crate) async fn of(&self, service: &str) -> Result<Import> {
        Ok(self.read(service).await?.0)
    }

    /// Makes a change and waits until a service is as wanted. The answer is how long that took, from sending the change
    /// until a watch, open since before it, told of its effect.
    ///
    /// # Errors
    /// When the change fails, when the service is as wanted before it, and when it is not so within [`BOUND`].
    pub(crate) async fn until(
        &self,
        service: &str,
        change: impl Future<Output = Result<()>>,
        wanted: impl Fn(&Import) -> bool,
    ) -> Result<Duration> {
        let (before, [mut services, mut slices]) = self.read(service).await?;
        if wanted(&before) {
            return Err(Error::wrong(format!(
                "{service} was already as the change was to make it: {before}"
            )));
        }
        let begun = Instant::now();
        let mut last = before;
        let seen = async {
            while !wanted(&last) {
                let event = tokio::select! {
                    event = services.next() => event,
                    event = slices.next() => event,
                };
                let event = event?.ok_or_else(|| Error::wrong("a watch ended"))?;
                last.take(service, &event);
            }
            Ok(begun.elapsed())
        };
        match tokio::time::timeout(BOUND, futures::future::try_join(seen, change)).await {
            Ok(both) => Ok(both?.0),
            Err(_) => Err(Error::wrong(format!(
                "not in Kubernetes within {} s; it has {last}",
                BOUND.as_secs()
            ))),
        }
    }

    /// What there is, and watches for what comes after it.
    async fn read(&self, service: &str) -> Result<(Import, [Watch; 2])> {
        let mut import = Import::default();
        let mut watches = Vec::new();
        for (group, resource) in KINDS {
            let path = format!("/{group}/namespaces/{NAMESPACE}/{resource}");
            let list = self.client.get(&path).await?.json()?;
            for object in list["items"].as_array().into_iter().flatten() {
                import.put(service, object, resource == "endpointslices");
            }
            let version = text(&list, "/metadata/resourceVersion");
            let path = format!("{path}?watch=1&resourceVersion={version}");
            watches.push(self.client.watch(&path).await?);
        }
        let watches = watches.try_into();
        watches
            .map(|watches| (import, watches))
            .map_err(|_| Error::wrong("there are two kinds"))
    }
}

impl Import {
    /// The addresses that are ready.
    pub(crate) fn ready(&self) -> Vec<&str> {
        let endpoints = self.endpoints();
        let ready = endpoints.iter().filter(|(_, ready)| **ready);
        ready.map(|(address, _)| *address).collect()
    }

    /// Every address, and whether it is ready.
    pub(crate) fn endpoints(&self) -> BTreeMap<&str, bool> {
        let endpoints = self.slices.values().flatten();
        endpoints
            .map(|(address, ready)| (address.as_str(), *ready))
            .collect()
    }

    /// Whether nothing is there.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn take(&mut self, service: &str, event: &Value) {
        let object = &event["object"];
        let is_slice = object["kind"] == "EndpointSlice";
        if event["type"] != "DELETED" {
            self.put(service, object, is_slice);
        } else if is_slice {
            self.slices.remove(text(object, "/metadata/name"));
        } else if text(object, "/metadata/name") == service {
            self.service = None;
        }
    }

    fn put(&mut self, service: &str, object: &Value, is_slice: bool) {
        let name = text(object, "/metadata/name");
        if is_slice && text(object, SLICE_OF) == service {
            let endpoints = object["endpoints"].as_array().into_iter().flatten();
            let endpoints = endpoints.map(|endpoint| {
                let ready = endpoint["conditions"]["ready"] == true;
                (text(endpoint, "/addresses/0").to_owned(), ready)
            });
            self.slices.insert(name.to_owned(), endpoints.collect());
        } else if !is_slice && name == service {
            let address = text(object, "/spec/clusterIP");
            self.service = Some(match text(object, "/spec/type") {
                "ExternalName" => Kind::Alias(text(object, "/spec/externalName").to_owned()),
                _ if address == "None" => Kind::Headless,
                _ => Kind::Address(address.to_owned()),
            });
        }
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(kind) => write!(f, "{kind}")?,
            None => f.write_str("no Service")?,
        }
        for (number, (address, ready)) in self.endpoints().into_iter().enumerate() {
            let before = if number > 0 { ", " } else { ": " };
            let not = if ready { "" } else { "not " };
            write!(f, "{before}{address} {not}ready")?;
        }
        Ok(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(name) => write!(f, "an alias of {name}"),
            Self::Address(address) => write!(f, "a Service at {address}"),
            Self::Headless => f.write_str("a headless Service"),
        }
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(name: &str, endpoints: &[(&str, bool)]) -> Value {
        let endpoints = endpoints.iter().map(
            |(address, ready)| json!({"addresses": [address], "conditions": {"ready": ready}}),
        );
        json!({"kind": "EndpointSlice", "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": endpoints.collect::<Vec<_>>()})
    }

    #[test]
    fn events_of_a_service_and_its_slices_are_one_picture() {
        let mut import = Import::default();
        let service =
            json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "None"}});
        let mut take = |kind: &str, object: Value| {
            import.take("web", &json!({"type": kind, "object": object}));
            import.to_string()
        };
        take("ADDED", service.clone());
        take("ADDED", slice("a", &[("10.0.0.1", true)]));
        let both = take("ADDED", slice("b", &[("10.0.0.2", false)]));
        assert_eq!(
            both,
            "a headless Service: 10.0.0.1 ready, 10.0.0.2 not ready"
        );
        take("DELETED", slice("a", &[]));
        take("DELETED", slice("b", &[]));
        assert_eq!(take("DELETED", service), "no Service");
        assert!(import.is_nothing());
    }
}
