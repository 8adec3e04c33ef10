//! Consul's catalog, and the moment at which a change is in it.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    time::{Duration, Instant},
};

use consul_sync_testbed::Client;
use serde_json::{Value, json};

use crate::error::{Error, Result, ensure};

/// The node that consul-sync registers on.
pub(crate) const NODE: &str = "k8s-sync";

/// A node of machines outside of Kubernetes.
const MACHINE: &str = "machine";

/// How long a change may take until Consul has it.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// One registered instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) service: String,
    /// The address and the port, as in `10.0.0.1:80`.
    pub(crate) place: String,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) health: Health,
    pub(crate) versions: Versions,
}

/// Consul's indexes of an instance: every write that changes something moves one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    created: u64,
    modified: u64,
    check_modified: u64,
}

/// What Consul thinks of an instance's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Passing,
    Critical,
    /// Consul takes it for healthy.
    Unchecked,
}

/// A service that runs outside of Kubernetes, on machines of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside {
    pub(crate) name: &'static str,
    /// Part of its addresses.
    subnet: u8,
    /// The mode that its meta chooses in Kubernetes.
    mode: Option<&'static str>,
}

/// Consul's catalog.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    client: Client,
}

impl Catalog {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Everything on consul-sync's node, by service and place.
    pub(crate) async fn all(&self) -> Result<Vec<Instance>> {
        let services = format!("/v1/catalog/node-services/{NODE}?consistent");
        let services = self.client.get(&services).await?.json()?;
        let checks = format!("/v1/health/node/{NODE}?consistent");
        let checks = self.client.get(&checks).await?.json()?;
        let checks = list(&checks);
        let mut instances: Vec<_> = list(&services["Services"])
            .iter()
            .map(|service| Instance::new(service, checks))
            .collect();
        instances.sort_by(|a, b| (&a.service, &a.place).cmp(&(&b.service, &b.place)));
        Ok(instances)
    }

    /// The instances of one service, by place.
    pub(crate) async fn of(&self, service: &str) -> Result<Vec<Instance>> {
        Ok(self.read(service, 0).await?.0)
    }

    /// The instances of one service, of which there is one at least.
    pub(crate) async fn some_of(&self, service: &str) -> Result<Vec<Instance>> {
        let instances = self.of(service).await?;
        ensure(!instances.is_empty(), || {
            format!("{service} is not in Consul")
        })?;
        Ok(instances)
    }

    /// Makes a change and waits until the instances of a service are as wanted. The answer is how long that took, from
    /// sending the change until a blocking query, open since before the change, came back with its effect.
    ///
    /// # Errors
    /// When the change fails, when the instances are as wanted before it, and when they are not so within [`BOUND`].
    pub(crate) async fn until(
        &self,
        service: &str,
        change: impl Future<Output = Result<()>>,
        mut wanted: impl FnMut(&[Instance]) -> bool,
    ) -> Result<Duration> {
        let (before, index) = self.read(service, 0).await?;
        if wanted(&before) {
            return Err(Error::wrong(format!(
                "{service} was already as the change was to make it: {}",
                Places(&before)
            )));
        }
        let begun = Instant::now();
        let mut last = before;
        let seen = async {
            let mut index = index;
            loop {
                let (instances, next) = self.read(service, index).await?;
                if wanted(&instances) {
                    return Ok(begun.elapsed());
                }
                last = instances;
                index = next;
            }
        };
        match tokio::time::timeout(BOUND, futures::future::try_join(seen, change)).await {
            Ok(both) => Ok(both?.0),
            Err(_) => Err(Error::wrong(format!(
                "not in Consul within {} s; it has {}",
                BOUND.as_secs(),
                Places(&last)
            ))),
        }
    }

    /// Registers an instance that is none of consul-sync's on its node.
    pub(crate) async fn register_by_hand(
        &self,
        service: &str,
        id: &str,
        place: (&str, u16),
    ) -> Result<()> {
        let registration = json!({
            "Node": NODE,
            "SkipNodeUpdate": true,
            "Service": { "ID": id, "Service": service, "Address": place.0, "Port": place.1 },
        });
        let answer = self.client.put("/v1/catalog/register", &registration);
        answer.await?.success()?;
        Ok(())
    }

    /// Removes an instance from consul-sync's node.
    pub(crate) async fn deregister(&self, id: &str) -> Result<()> {
        let removal = json!({ "Node": NODE, "ServiceID": id });
        let answer = self.client.put("/v1/catalog/deregister", &removal);
        answer.await?.success()?;
        Ok(())
    }

    /// Registers an instance of a service outside, with its check, or changes it.
    pub(crate) async fn register_outside(
        &self,
        service: Outside,
        number: u8,
        passing: bool,
    ) -> Result<()> {
        let id = service.id(number);
        let mode = service.mode.map(|mode| json!({ "kubernetes-mode": mode }));
        let registration = json!({
            "Node": MACHINE, "Address": "172.16.0.1",
            "Service": {
                "ID": id, "Service": service.name, "Address": service.address(number), "Port": 8080, "Meta": mode,
            },
            "Check": {
                "CheckID": format!("{id}-alive"), "Name": "alive", "ServiceID": id,
                "Status": if passing { "passing" } else { "critical" },
            },
        });
        let answer = self.client.put("/v1/catalog/register", &registration);
        answer.await?.success()?;
        Ok(())
    }

    /// Removes an instance of a service outside.
    pub(crate) async fn deregister_outside(&self, service: Outside, number: u8) -> Result<()> {
        let removal = json!({ "Node": MACHINE, "ServiceID": service.id(number) });
        let answer = self.client.put("/v1/catalog/deregister", &removal);
        answer.await?.success()?;
        Ok(())
    }

    /// The instances of a service and the index to ask with for what comes after them; waits until the index is above
    /// the one given.
    async fn read(&self, service: &str, index: u64) -> Result<(Vec<Instance>, u64)> {
        let path = format!(
            "/v1/health/service/{service}?index={index}&wait={}s",
            BOUND.as_secs() + 1
        );
        let answer = self.client.get(&path).await?.success()?;
        let header = answer.headers.get("x-consul-index");
        let next = header.and_then(|value| value.to_str().ok()?.parse().ok());
        let mut instances: Vec<_> = list(&answer.json()?)
            .iter()
            .map(|entry| Instance::new(&entry["Service"], list(&entry["Checks"])))
            .collect();
        instances.sort_by(|a, b| a.place.cmp(&b.place));
        Ok((instances, next.unwrap_or(0)))
    }
}

impl Outside {
    /// A service whose addresses are in this part of 172.16.0.0/16.
    pub(crate) const fn new(name: &'static str, subnet: u8, mode: Option<&'static str>) -> Self {
        Self { name, subnet, mode }
    }

    /// The address of an instance.
    pub(crate) fn address(self, number: u8) -> String {
        format!("172.16.{}.{number}", self.subnet)
    }

    /// Whether it has endpoints in Kubernetes: an alias has none.
    pub(crate) const fn has_endpoints(self) -> bool {
        self.mode.is_some()
    }

    fn id(self, number: u8) -> String {
        format!("{}-{number}", self.name)
    }
}

impl Instance {
    fn new(service: &Value, checks: &[Value]) -> Self {
        let id = text(&service["ID"]);
        let own: Vec<&Value> = checks
            .iter()
            .filter(|check| check["ServiceID"] == service["ID"])
            .collect();
        let health = if own.is_empty() {
            Health::Unchecked
        } else if own.iter().all(|check| check["Status"] == "passing") {
            Health::Passing
        } else {
            Health::Critical
        };
        let meta = service["Meta"].as_object().into_iter().flatten();
        Self {
            id: id.to_owned(),
            service: text(&service["Service"]).to_owned(),
            place: format!("{}:{}", text(&service["Address"]), service["Port"]),
            tags: list(&service["Tags"])
                .iter()
                .map(|tag| text(tag).to_owned())
                .collect(),
            meta: meta
                .map(|(key, value)| (key.clone(), text(value).to_owned()))
                .collect(),
            health,
            versions: Versions {
                created: number(&service["CreateIndex"]),
                modified: number(&service["ModifyIndex"]),
                check_modified: own
                    .iter()
                    .map(|check| number(&check["ModifyIndex"]))
                    .max()
                    .unwrap_or(0),
            },
        }
    }

    /// Whether Consul gives it out.
    pub(crate) fn is_healthy(&self) -> bool {
        self.health != Health::Critical
    }
}

impl Versions {
    /// Whether nothing was written since it was registered.
    pub(crate) fn is_untouched(self) -> bool {
        self.modified == self.created
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passing => "passing",
            Self::Critical => "critical",
            Self::Unchecked => "no check",
        })
    }
}

/// Instances in one line.
pub(crate) struct Places<'a>(pub(crate) &'a [Instance]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (number, instance) in self.0.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", instance.place, instance.health)?;
        }
        Ok(())
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(statuses: &[&str]) -> Instance {
        let service = json!({
            "ID": "web-1", "Service": "web", "Address": "10.0.0.1", "Port": 80, "Tags": ["k8s"],
            "Meta": { "a": "b" }, "CreateIndex": 3, "ModifyIndex": 4,
        });
        let check = |service: &str, status: &str| json!({ "ServiceID": service, "Status": status, "ModifyIndex": 5 });
        let mut checks = vec![check("web-2", "critical"), check("", "critical")];
        checks.extend(statuses.iter().map(|status| check("web-1", status)));
        Instance::new(&service, &checks)
    }

    #[test]
    fn an_instance_is_as_healthy_as_the_worst_of_its_own_checks() {
        let health = |statuses| instance(statuses).health;
        assert_eq!(health(&[]), Health::Unchecked);
        assert_eq!(health(&["passing"]), Health::Passing);
        assert_eq!(health(&["passing", "critical"]), Health::Critical);
        assert_eq!(health(&["warning", "passing"]), Health::Critical);
    }

    #[test]
    fn an_instance_has_the_indexes_of_itself_and_of_its_check() {
        let read = instance(&["passing"]);
        let expected = Versions {
            created: 3,
            modified: 4,
            check_modified: 5,
        };
        assert_eq!(
            (read.place.as_str(), read.versions),
            ("10.0.0.1:80", expected)
        );
    }

    #[test]
    fn places_are_told_with_their_health() {
        let two = [instance(&["passing"]), instance(&["critical"])];
        assert_eq!(
            Places(&two).to_string(),
            "10.0.0.1:80 passing, 10.0.0.1:80 critical"
        );
        assert_eq!(Places(&[]).to_string(), "nothing");
    }
}
