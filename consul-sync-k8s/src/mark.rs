//! The marks on the objects that a sink writes: whose they are, and what they stand for.
//!
//! | mark | on | meaning |
//! | --- | --- | --- |
//! | label `consul-sync.io/owner` | both | the owner, as far as a label can say it |
//! | label `consul` = `true` | Service | the incumbent's: "came from Consul" |
//! | annotation `consul.hashicorp.com/service-sync` = `false` | Service | never exported again (rule 9) |
//! | annotation `consul-sync.io/object` | both | the namespace and name under which it was written |
//! | annotation `consul-sync.io/consul-name` | Service | the name in Consul, as it stands there |
//! | annotation `consul-sync.io/consul-namespace` | both | the source's namespace, where it has one |
//! | label `kubernetes.io/service-name` | slice | the Service it belongs to |
//! | label `endpointslice.kubernetes.io/managed-by` | slice | keeps Kubernetes' own controllers away from it |
//! | label `service.kubernetes.io/headless` | slice | keeps kube-proxy from following what it has no use for |
//!
//! An object is ours when the owner is ours *and* the annotation names the object itself: somebody who copies one of
//! ours to another name copies its labels with it, and must not lose the copy for that (fault W07).

use consul_sync_core::{Owner, Standing};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// What the names of our own marks start with.
pub(crate) const PREFIX: &str = "consul-sync.io/";
pub(crate) const OWNER: &str = "consul-sync.io/owner";
pub(crate) const OBJECT: &str = "consul-sync.io/object";
pub(crate) const CONSUL_NAME: &str = "consul-sync.io/consul-name";
pub(crate) const CONSUL_NAMESPACE: &str = "consul-sync.io/consul-namespace";
pub(crate) const FROM_CONSUL: &str = "consul";
pub(crate) const SERVICE_SYNC: &str = "consul.hashicorp.com/service-sync";
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";
/// The manager of the fields that are written, and of the slices.
pub(crate) const MANAGER: &str = "consul-sync.io";

/// The labels of a slice that say something beside its Service.
pub(crate) const LABELS: [&str; 3] = [OWNER, MANAGED_BY, HEADLESS];

/// The longest value of a label.
const LABEL: usize = 63;

/// The owner as the value of a label: itself where it can be one, else a digest of it.
pub(crate) fn owner_label(owner: &Owner) -> String {
    let text = owner.as_str();
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_edge = |edge: Option<&u8>| edge.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let is_label = bytes.len() <= LABEL
        && bytes.iter().copied().all(is_inner)
        && is_edge(bytes.first())
        && is_edge(bytes.last());
    if is_label {
        return text.to_owned();
    }
    format!("owner-{}", crate::digest::hex128(bytes))
}

/// A label of an object.
pub(crate) fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// An annotation of an object.
pub(crate) fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The value of [`OBJECT`].
pub(crate) fn object(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Whose an object is. `owner`: the value of our label.
///
/// | seen | it is |
/// | --- | --- |
/// | being deleted | somebody else's until it is gone: neither written nor deleted again (fault W10) |
/// | our owner, and the object names itself | ours |
/// | our owner, and no name | an orphan: repaired where it is wanted |
/// | our owner, and another name | a copy: its maker's |
/// | no owner, and `consul` = `true` | an orphan: the incumbent's, or ours without its label |
/// | anything else | somebody else's |
pub(crate) fn standing(metadata: &ObjectMeta, owner: &str) -> Standing {
    if metadata.deletion_timestamp.is_some() {
        return Standing::Foreign;
    }
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let itself = object(namespace, metadata.name.as_deref().unwrap_or_default());
    let written = annotation(metadata, OBJECT);
    let is_copy = written.is_some_and(|written| written != itself);
    match label(metadata, OWNER) {
        _ if is_copy => Standing::Foreign,
        Some(found) if found == owner && written.is_some() => Standing::Ours,
        Some(found) if found == owner => Standing::Orphan,
        None if label(metadata, FROM_CONSUL) == Some("true") => Standing::Orphan,
        _ => Standing::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn standing_of(labels: &Value, object: Option<&str>) -> Standing {
        let mut annotations = json!({});
        if let Some(object) = object {
            annotations[OBJECT] = json!(object);
        }
        let metadata =
            json!({"namespace": "a", "name": "b", "labels": labels, "annotations": annotations});
        standing(&serde_json::from_value(metadata).unwrap(), "us")
    }

    #[test]
    fn fault_w07_ours_is_what_carries_our_label_and_its_own_name() {
        let ours = json!({OWNER: "us"});
        for (labels, object, expected) in [
            (&ours, Some("a/b"), Standing::Ours),
            (&ours, None, Standing::Orphan),
            (&ours, Some("a/c"), Standing::Foreign),
            (&json!({OWNER: "them"}), Some("a/b"), Standing::Foreign),
            (
                &json!({OWNER: "them", "consul": "true"}),
                None,
                Standing::Foreign,
            ),
            (&json!({"consul": "true"}), None, Standing::Orphan),
            (&json!({"consul": "true"}), Some("a/b"), Standing::Orphan),
            (&json!({"consul": "true"}), Some("x/b"), Standing::Foreign),
            (&json!({"consul": "false"}), None, Standing::Foreign),
            (&json!({}), Some("a/b"), Standing::Foreign),
        ] {
            assert_eq!(standing_of(labels, object), expected, "{labels} {object:?}");
        }
    }

    #[test]
    fn fault_w10_what_is_being_deleted_is_left_alone() {
        let metadata = json!({"namespace": "a", "name": "b", "labels": {OWNER: "us"},
            "annotations": {OBJECT: "a/b"}, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        let metadata = serde_json::from_value(metadata).unwrap();
        assert_eq!(standing(&metadata, "us"), Standing::Foreign);
    }

    #[test]
    fn an_owner_that_is_no_label_is_told_by_its_digest() {
        let label = |owner: &str| owner_label(&Owner::new(owner).unwrap());
        assert_eq!(label("6f1c0a57-93de"), "6f1c0a57-93de");
        let digest = label("cluster A");
        assert!(
            digest.starts_with("owner-") && digest.len() <= LABEL,
            "{digest}"
        );
        assert_ne!(digest, label("cluster B"));
        assert_ne!(label(&"x".repeat(64)), label(&"x".repeat(65)));
        assert!(label("-x").starts_with("owner-"));
    }
}
