//! POST, PUT and PATCH, with the refusals of the real API server.

mod complete;
mod delete;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    call::Call,
    defaults,
    kind::{Kind, KindId, NAMESPACES, Target},
    patch,
    rules::{address, has_finalizers, has_generation, preconditions, validate},
    service::{Addressed, Allocator},
    status::Failure,
    store::{Shared, Store, kind_of, path, set, text, unset},
};

/// What the writes need beside the objects.
#[derive(Debug, Default)]
pub(super) struct Writer {
    allocator: Allocator,
    addressed: Addressed,
    uids: u64,
}

/// An answer with its status code.
pub(super) type Written = Result<(u16, Shared), Failure>;

impl Writer {
    /// A new object from a request's body.
    pub(super) fn create(
        &mut self,
        store: &mut Store,
        target: &Target,
        mut object: Value,
        now: &str,
    ) -> Written {
        let kind = kind_of(target.kind);
        address(&mut object, target)?;
        let prefix = text(&object, "/metadata/generateName").to_owned();
        if text(&object, "/metadata/name").is_empty() && !prefix.is_empty() {
            let name = format!("{prefix}{:05x}", store.revision());
            set(&mut object, "/metadata", "name", json!(name));
        }
        let name = text(&object, "/metadata/name").to_owned();
        if let Some(namespace) = target.namespace.as_deref() {
            let Some(held) = store.get(NAMESPACES, namespace) else {
                return Err(Failure::not_found(kind_of(NAMESPACES), namespace));
            };
            if text(held, "/status/phase") == "Terminating" {
                return Err(Failure::ending(kind, &name, namespace));
            }
        }
        if name.is_empty() {
            let problem = "Required value: name or generateName is required";
            return Err(Failure::invalid(kind, "", "metadata.name", problem));
        }
        if !text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(Failure::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        if kind.has_status
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        // What it says of itself is not taken over.
        for field in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "generation",
        ] {
            unset(&mut object, "/metadata", field);
        }
        if kind.name == "Node" {
            defaults::new_node(&mut object);
        }
        let said = text(&object, "/spec/clusterIP").to_owned();
        self.complete(target.kind, &mut object, None, now);
        validate(target.kind, &object, None)?;
        let path = path(target.namespace.as_deref().unwrap_or_default(), &name);
        if store.get(target.kind, &path).is_some() {
            return Err(Failure::already_exists(kind, &name));
        }
        self.addressed.notes(&object, &said, "");
        Ok((201, store.put(target.kind, object)))
    }

    /// A whole object replaced.
    pub(super) fn update(
        &mut self,
        store: &mut Store,
        target: &Target,
        mut object: Value,
        now: &str,
    ) -> Written {
        let kind = kind_of(target.kind);
        let name = target.name.as_deref().unwrap_or_default();
        address(&mut object, target)?;
        if text(&object, "/metadata/name") != name {
            return Err(Failure::bad_request(
                "the name of the object does not match the name on the URL",
            ));
        }
        let path = path(target.namespace.as_deref().unwrap_or_default(), name);
        let Some(old) = store.get(target.kind, &path).map(Arc::clone) else {
            // Some kinds are made by an update too.
            if kind.created_by_update() && target.subresource.is_none() {
                // The condition is on what is not there.
                if !text(&object, "/metadata/uid").is_empty() {
                    return Err(Failure::conflict(
                        kind,
                        name,
                        "Precondition failed: UID in object meta: ",
                    ));
                }
                unset(&mut object, "/metadata", "resourceVersion");
                return self.create(store, target, object, now);
            }
            return Err(Failure::not_found(kind, name));
        };
        let version = text(&object, "/metadata/resourceVersion");
        preconditions(target.kind, &old, text(&object, "/metadata/uid"), version)?;
        if version.is_empty() && kind.name == "Lease" {
            let problem = "Invalid value: 0: must be specified for an update";
            let failure = Failure::invalid(kind, name, "metadata.resourceVersion", problem);
            return Err(failure.about_resource(kind));
        }
        self.replace(store, target, &old, object, now)
    }

    /// A part of an object changed; by server-side apply also a new object.
    pub(super) fn patch(
        &mut self,
        store: &mut Store,
        call: &Call,
        target: &Target,
        content: &str,
        change: &Value,
        now: &str,
    ) -> Written {
        let kind = kind_of(target.kind);
        let name = target.name.as_deref().unwrap_or_default();
        let path = path(target.namespace.as_deref().unwrap_or_default(), name);
        let old = store.get(target.kind, &path).map(Arc::clone);
        let merged = match content.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                change.clone()
            }
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
                let manager = call.parameter("fieldManager");
                if manager.is_empty() {
                    return Err(Failure::bad_request(
                        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                    ));
                }
                let applied = patch::apply(old.as_deref(), change, manager, &kind.api_version());
                if old.is_none() {
                    // Who names a UID means an object that is there.
                    let uid = text(change, "/metadata/uid");
                    if !uid.is_empty() {
                        let why = format!(
                            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                        );
                        return Err(Failure::conflict(kind, name, &why));
                    }
                    return self.create(store, target, applied, now);
                }
                applied
            }
            other => {
                return Err(Failure::new(
                    415,
                    "UnsupportedMediaType",
                    format!(
                        "the body of the request was in an unknown format - {other} is not served by this fake"
                    ),
                ));
            }
        };
        let Some(old) = old else {
            return Err(Failure::not_found(kind, name));
        };
        let mut object = Value::clone(&old);
        patch::merge(&mut object, &merged);
        if text(&object, "/metadata/name") != name {
            return Err(Failure::bad_request(
                "the name of the object does not match the name on the URL",
            ));
        }
        preconditions(
            target.kind,
            &old,
            "",
            text(&merged, "/metadata/resourceVersion"),
        )?;
        if text(&object, "/metadata/uid") != text(&old, "/metadata/uid") {
            let problem = "Invalid value: field is immutable";
            return Err(Failure::invalid(kind, name, "metadata.uid", problem));
        }
        address(&mut object, target)?;
        self.replace(store, target, &old, object, now)
    }

    /// Stores an object as it is, valid or not, for tests: new or in place of what is there.
    pub(super) fn put(
        &mut self,
        store: &mut Store,
        kind: KindId,
        mut object: Value,
        now: &str,
    ) -> Shared {
        let old = store
            .get(kind, &super::store::path_of(&object))
            .map(Arc::clone);
        self.complete(kind, &mut object, old.as_deref(), now);
        store.put(kind, object)
    }

    fn replace(
        &mut self,
        store: &mut Store,
        target: &Target,
        old: &Shared,
        mut object: Value,
        now: &str,
    ) -> Written {
        let kind = kind_of(target.kind);
        if target.subresource.as_deref() == Some("status") {
            // The metadata goes with either part of an object.
            let mut with_status = Value::clone(old);
            for field in ["metadata", "status"] {
                let new = object.get(field).cloned().unwrap_or_else(|| json!({}));
                set(&mut with_status, "", field, new);
            }
            object = with_status;
        } else if kind.has_status {
            match old.get("status") {
                Some(status) => set(&mut object, "", "status", status.clone()),
                None => unset(&mut object, "", "status"),
            }
            if kind.name == "Service" && text(&object, "/spec/type") != "LoadBalancer" {
                unset(&mut object, "", "status");
            }
        }
        if object.pointer("/metadata/managedFields").is_none()
            && let Some(held) = old.pointer("/metadata/managedFields")
        {
            set(&mut object, "/metadata", "managedFields", held.clone());
        }
        let said = text(&object, "/spec/clusterIP").to_owned();
        self.complete(target.kind, &mut object, Some(old), now);
        validate(target.kind, &object, Some(old))?;
        let is_said_otherwise = self
            .addressed
            .notes(&object, &said, text(old, "/spec/clusterIP"));
        for field in [
            "uid",
            "creationTimestamp",
            "resourceVersion",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            if let Some(held) = old.pointer(&format!("/metadata/{field}")) {
                set(&mut object, "/metadata", field, held.clone());
            }
        }
        // A write that changes nothing is none: no version, no event.
        if object == **old && !is_said_otherwise {
            return Ok((200, Arc::clone(old)));
        }
        if target.kind != NAMESPACES
            && !text(old, "/metadata/deletionTimestamp").is_empty()
            && !has_finalizers(&object)
        {
            store.remove(target.kind, &super::store::path_of(old));
            return Ok((200, Arc::new(object)));
        }
        if has_generation(target.kind) && counted(kind, &object) != counted(kind, old) {
            let next = old
                .pointer("/metadata/generation")
                .and_then(Value::as_u64)
                .unwrap_or(0)
                + 1;
            set(&mut object, "/metadata", "generation", json!(next));
        }
        Ok((200, store.put(target.kind, object)))
    }
}

/// What a generation counts: everything but the metadata and the status, and an EndpointSlice's labels.
fn counted(kind: &Kind, object: &Value) -> (Value, Value) {
    let mut counted = object.clone();
    unset(&mut counted, "", "metadata");
    unset(&mut counted, "", "status");
    let labels = match kind.name {
        "EndpointSlice" => object
            .pointer("/metadata/labels")
            .cloned()
            .unwrap_or_default(),
        _ => Value::Null,
    };
    (counted, labels)
}
