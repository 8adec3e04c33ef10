//! What the API server fills in of an object that is written.

use serde_json::{Value, json};

use super::Writer;
use crate::testing::{
    defaults,
    kind::KindId,
    rules::has_generation,
    service,
    store::{kind_of, set, text, unset},
};

impl Writer {
    /// Fills that in; `old` is the object that is written over.
    pub(super) fn complete(
        &mut self,
        id: KindId,
        object: &mut Value,
        old: Option<&Value>,
        now: &str,
    ) {
        let kind = kind_of(id);
        set(object, "", "apiVersion", json!(kind.api_version()));
        set(object, "", "kind", json!(kind.name));
        let kept = |field: &str| {
            old.and_then(|old| old.pointer(&format!("/metadata/{field}")))
                .cloned()
        };
        if text(object, "/metadata/uid").is_empty() {
            let uid = kept("uid").unwrap_or_else(|| {
                self.uids += 1;
                json!(format!("00000000-0000-4000-8000-{:012x}", self.uids))
            });
            set(object, "/metadata", "uid", uid);
        }
        if text(object, "/metadata/creationTimestamp").is_empty() {
            set(
                object,
                "/metadata",
                "creationTimestamp",
                kept("creationTimestamp").unwrap_or_else(|| json!(now)),
            );
        }
        if has_generation(id) && object.pointer("/metadata/generation").is_none() {
            set(
                object,
                "/metadata",
                "generation",
                kept("generation").unwrap_or_else(|| json!(1)),
            );
        }
        if !kind.has_status {
            unset(object, "", "status");
        }
        match kind.name {
            "Service" => service::complete(object, old, &mut self.allocator),
            "EndpointSlice" => defaults::slice(object),
            "Ingress" => defaults::ingress(object),
            "Node" => defaults::node(object),
            "Lease" => defaults::lease(object),
            "Namespace" => defaults::namespace(object),
            "Event" => defaults::event(object),
            _ => {}
        }
        defaults::prune(object);
    }
}
