//! A manifest as JSON: what is created, and what is sent to change an object.

use consul_sync_core::{Port, Record};
use serde_json::{Map, Value, json};

use super::{Content, Endpoint, Manifest, ObjectVersion};
use crate::mark;

/// How an object is changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// By server-side apply: what others added stays.
    Apply(Value),
    /// By merge patches, each conditional on what the one before it made of the object: something has to go that server-side apply leaves, because the server
    /// takes it for somebody else's.
    Merge(Vec<Value>),
}

impl Manifest {
    /// The object as it is created: what the sink sets, and nothing else.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "apiVersion": if self.is_slice() { "discovery.k8s.io/v1" } else { "v1" },
            "kind": if self.is_slice() { "EndpointSlice" } else { "Service" },
            "metadata": {
                "namespace": &*self.namespace,
                "name": self.name(),
                "labels": self.labels(),
                "annotations": self.annotations(),
            },
        });
        let content = match &self.content {
            Content::ExternalName { host, .. } => {
                json!({"spec": {"type": "ExternalName", "externalName": &**host}})
            }
            Content::ClusterIp {
                headless: false,
                ports,
                ..
            } => json!({"spec": {
                "type": "ClusterIP",
                "ipFamilyPolicy": "PreferDualStack",
                "ports": list(ports),
            }}),
            Content::ClusterIp {
                headless: true,
                ports,
                ..
            } => json!({"spec": {"type": "ClusterIP", "clusterIP": "None", "ports": list(ports)}}),
            Content::Slice {
                ipv6,
                ports,
                endpoints,
                ..
            } => json!({
                "addressType": if *ipv6 { "IPv6" } else { "IPv4" },
                "ports": list(ports),
                "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            }),
            Content::Unread => json!({}),
        };
        merge(&mut object, content);
        object
    }

    /// What makes an object of what it was: `self` is wanted, `previous` is there under this version.
    pub(crate) fn change(&self, previous: &Self, expected: &ObjectVersion) -> Change {
        let mut object = self.to_json();
        let versioned = |object: &mut Value| {
            object["metadata"]["uid"] = json!(&*expected.uid);
            object["metadata"]["resourceVersion"] = json!(&*expected.resource_version);
        };
        versioned(&mut object);
        if !self.takes_away(previous) {
            return Change::Apply(object);
        }
        if self.origin.is_empty() {
            object["metadata"]["annotations"][mark::CONSUL_NAMESPACE] = Value::Null;
        }
        let nulls: &[&str] = match &self.content {
            Content::Slice { headless, .. } => {
                if !headless {
                    object["metadata"]["labels"][mark::HEADLESS] = Value::Null;
                }
                return Change::Merge(vec![object]);
            }
            Content::ExternalName { .. } => &EXTERNAL_HAS_NOT,
            _ => &["selector", "externalIPs", "externalName"],
        };
        absent(&mut object, nulls);
        if !self.changes_address(previous) {
            return Change::Merge(vec![object]);
        }
        // The server gives and takes addresses with the type alone, so the way from one to the other leads over a
        // type that has none. Whoever resolves the name in between is sent to nobody (fault W08).
        let mut between = json!({
            "metadata": {},
            "spec": {"type": "ExternalName", "externalName": NOWHERE},
        });
        absent(&mut between, &EXTERNAL_HAS_NOT);
        versioned(&mut between);
        Change::Merge(vec![between, object])
    }

    /// Whether something is there that server-side apply would leave.
    fn takes_away(&self, previous: &Self) -> bool {
        if self.origin.is_empty() && !previous.origin.is_empty() {
            return true;
        }
        match (&self.content, &previous.content) {
            // Both lists of a slice are replaced as a whole, whoever set them.
            (
                Content::Slice { headless: now, .. },
                Content::Slice {
                    headless: before, ..
                },
            ) => *before && !*now,
            (
                Content::ClusterIp {
                    headless: now,
                    ports: wanted,
                    ..
                },
                Content::ClusterIp {
                    headless: before,
                    ports,
                    ..
                },
            ) => {
                // A port is told from others by its number.
                let goes = |port: &Port| wanted.iter().all(|want| want.number != port.number);
                now != before || ports.iter().any(goes) || !previous.damage.is_empty()
            }
            (Content::ExternalName { .. }, Content::ExternalName { .. }) => {
                !previous.damage.is_empty()
            }
            _ => true,
        }
    }

    /// Whether an address comes or goes while the type stays.
    fn changes_address(&self, previous: &Self) -> bool {
        let headless = |manifest: &Self| match manifest.content {
            Content::ClusterIp { headless, .. } => Some(headless),
            _ => None,
        };
        matches!((headless(self), headless(previous)), (Some(now), Some(before)) if now != before)
    }

    fn labels(&self) -> Value {
        let mut labels = json!({mark::OWNER: &*self.owner});
        match &self.content {
            Content::Slice { headless, .. } => {
                labels[crate::slim::SERVICE_NAME] = json!(&*self.service);
                labels[mark::MANAGED_BY] = json!(mark::MANAGER);
                if *headless {
                    labels[mark::HEADLESS] = json!("");
                }
            }
            _ => labels[mark::FROM_CONSUL] = json!("true"),
        }
        labels
    }

    fn annotations(&self) -> Value {
        let mut annotations = json!({mark::OBJECT: mark::object(&self.namespace, self.name())});
        if let Content::ExternalName { consul, .. } | Content::ClusterIp { consul, .. } =
            &self.content
        {
            annotations[mark::SERVICE_SYNC] = json!("false");
            annotations[mark::CONSUL_NAME] = json!(&**consul);
        }
        if let Some(origin) = self.origin() {
            annotations[mark::CONSUL_NAMESPACE] = json!(origin);
        }
        annotations
    }
}

/// Fields of other types of Service.
const EXTERNAL_HAS_NOT: [&str; 7] = [
    "selector",
    "externalIPs",
    "ports",
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
];

/// A name that is never given to anybody (RFC 2606).
const NOWHERE: &str = "consul-sync.invalid";

/// Takes fields of the spec away where they are.
fn absent(object: &mut Value, fields: &[&str]) {
    for field in fields {
        object["spec"][*field] = Value::Null;
    }
}

fn list(ports: &[Port]) -> Vec<Value> {
    let each = |port: &Port| json!({"name": &*port.name, "port": port.number, "protocol": "TCP"});
    ports.iter().map(each).collect()
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "addresses": [endpoint.address.to_string()],
        "conditions": {"ready": endpoint.ready, "serving": endpoint.ready},
    })
}

fn merge(object: &mut Value, content: Value) {
    if let (Some(object), Value::Object(content)) = (object.as_object_mut(), content) {
        object.extend::<Map<_, _>>(content);
    }
}
