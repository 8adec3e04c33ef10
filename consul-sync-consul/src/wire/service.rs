//! A service instance on a node.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::nullable;

/// Everything that is compared.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Service {
    #[serde(rename = "ID", deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(rename = "Service", deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) address: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) port: i64,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tags: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) meta: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) weights: Weights,
    #[serde(deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) enable_tag_override: bool,
    #[serde(deserialize_with = "nullable")]
    pub(crate) socket_path: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tagged_addresses: BTreeMap<String, TaggedAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<NamedPort>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) connect: Connect,
    #[serde(deserialize_with = "nullable")]
    pub(crate) proxy: Proxy,
    #[serde(deserialize_with = "nullable")]
    pub(crate) modify_index: u64,
}

/// What tells whether an instance is the one that is known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ServiceStamp {
    #[serde(rename = "ID", deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(rename = "Service", deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) modify_index: u64,
}

/// Shares of traffic. Consul stores 1 and 1 where a registration has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Weights {
    pub(crate) passing: i64,
    pub(crate) warning: i64,
}

/// A port of the list that Consul 1.22 knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NamedPort {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) port: i64,
    #[serde(deserialize_with = "nullable")]
    pub(crate) default: bool,
}

/// A further address under a name of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TaggedAddress {
    #[serde(deserialize_with = "nullable")]
    pub(crate) address: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) port: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Connect {
    #[serde(deserialize_with = "nullable")]
    pub(crate) native: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Proxy {
    #[serde(deserialize_with = "nullable")]
    pub(crate) destination_service_name: String,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c15_missing_null_empty_and_unknown_fields_are_one_form() {
        let forms = [
            r#"{"ID":"a","Service":"a"}"#,
            r#"{"ID":"a","Service":"a","Tags":null,"Meta":null,"Port":null,"Weights":null,"Connect":null,
                "Proxy":null,"TaggedAddresses":null,"Ports":null,"Kind":null,"Namespace":null}"#,
            r#"{"ID":"a","Service":"a","Tags":[],"Meta":{},"Port":0,"Weights":{"Passing":1},"Connect":{},
                "Proxy":{"Mode":"","Expose":{}},"TaggedAddresses":{},"Ports":[],"Locality":null,"New":{"x":[1]}}"#,
        ];
        let read = |text: &str| serde_json::from_str::<Service>(text).unwrap();
        let first = read(forms[0]);
        assert_eq!(first.weights, Weights::default());
        assert!(forms.iter().all(|text| read(text) == first));
    }
}
