//! Answers without what each server chooses by itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::step::Kind;

/// What one server chose, in the order in which it came up.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    seen: BTreeMap<&'static str, BTreeMap<String, usize>>,
    /// The last value of each place of each object, and what it is called.
    last: BTreeMap<(&'static str, String, usize), (String, usize)>,
    /// What a value in a version of an object is called.
    told: BTreeMap<(&'static str, String, usize, String), usize>,
    /// How many names were given in `last`.
    named: usize,
}

/// What versions are called.
const VERSION: &str = "version";

impl Choices {
    fn place(&mut self, what: &'static str, value: &Value) -> Value {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let seen = self.seen.entry(what).or_default();
        let next = seen.len();
        let place = *seen.entry(text).or_insert(next);
        json!(format!("{what}#{place}"))
    }

    /// A port or an address that the server chose for an object. It is called as before for as long as it stays; one
    /// that is chosen after it was given back has another name, also where chance chose the same again.
    fn chosen(
        &mut self,
        what: &'static str,
        (uid, version): (&str, &str),
        at: usize,
        value: &Value,
    ) -> Value {
        let text = value.to_string();
        let told = (what, format!("{uid} {version}"), at, text.clone());
        let place = if let Some(place) = self.told.get(&told) {
            *place
        } else {
            let last = self.last.entry((what, uid.to_owned(), at)).or_default();
            if last.0 != text {
                self.named += 1;
                *last = (text, self.named);
            }
            last.1
        };
        self.told.insert(told, place);
        json!(format!("{what}#{place}"))
    }

    /// The versions in their order, each told as the place at which it came up: equal on both servers when one is
    /// newer than another on both or on none.
    pub(crate) fn order(&self) -> Value {
        let seen = self.seen.get(VERSION).into_iter().flatten();
        let mut versions: Vec<(Option<u64>, usize)> = seen
            .map(|(version, place)| (version.parse().ok(), *place))
            .collect();
        versions.sort_unstable();
        versions
            .into_iter()
            .map(|(_, place)| json!(place))
            .collect()
    }

    /// An object as both servers should have it.
    pub(crate) fn object(&mut self, kind: Kind, object: &Value) -> Value {
        let mut object = object.clone();
        let own = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let (uid, version) = (own("uid"), own("resourceVersion"));
        let of = (uid.as_str(), version.as_str());
        self.metadata(&mut object);
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            if let Some(address) = spec
                .get_mut("clusterIP")
                .filter(|address| *address != "None")
            {
                *address = self.chosen("address", of, 0, address);
            }
            if let Some(addresses) = spec.get_mut("clusterIPs").and_then(Value::as_array_mut) {
                let addresses = addresses.iter_mut().enumerate();
                for (at, address) in addresses.filter(|(_, address)| *address != "None") {
                    *address = self.chosen("address", of, at, address);
                }
            }
            for (at, port) in spec
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
                .enumerate()
            {
                if let Some(number) = port.get_mut("nodePort") {
                    *number = self.chosen("nodePort", of, at, number);
                }
            }
            // The real server stores it, leaves it out of what is read, and shows it after some writes all the same.
            if spec.get("type") == Some(&json!("ExternalName")) {
                spec.remove("internalTrafficPolicy");
            }
        }
        if kind == Kind::Node {
            // What the real server says of a node that no kubelet ever spoke for is not what anybody reads.
            let addresses = object["status"]["addresses"].clone();
            object.as_object_mut().map(|fields| fields.remove("spec"));
            object["status"] = json!({"addresses": addresses});
        }
        object
    }

    fn metadata(&mut self, object: &mut Value) {
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        metadata.remove("managedFields");
        for (field, what) in [("uid", "uid"), ("resourceVersion", VERSION)] {
            if let Some(value) = metadata.get_mut(field) {
                *value = self.place(what, value);
            }
        }
        for field in ["creationTimestamp", "deletionTimestamp"] {
            if let Some(value) = metadata.get_mut(field).filter(|value| value.is_string()) {
                *value = json!("*");
            }
        }
    }
}
