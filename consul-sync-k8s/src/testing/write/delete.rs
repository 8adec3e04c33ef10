//! DELETE, with the refusals of the real API server.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Writer;
use crate::testing::{
    kind::{NAMESPACES, Target},
    rules::{has_finalizers, preconditions},
    status::{self, Failure},
    store::{Store, kind_of, path, set, text},
};

impl Writer {
    /// One object removed.
    pub(in crate::testing) fn delete(
        store: &mut Store,
        target: &Target,
        options: &Value,
        now: &str,
    ) -> Result<Value, Failure> {
        let kind = kind_of(target.kind);
        let name = target.name.as_deref().unwrap_or_default();
        let path = path(target.namespace.as_deref().unwrap_or_default(), name);
        let Some(old) = store.get(target.kind, &path).map(Arc::clone) else {
            return Err(Failure::not_found(kind, name));
        };
        preconditions(
            target.kind,
            &old,
            text(options, "/preconditions/uid"),
            text(options, "/preconditions/resourceVersion"),
        )
        .map_err(|failure| match target.kind {
            NAMESPACES => failure,
            _ => failure.about_kind(kind),
        })?;
        if target.kind == NAMESPACES {
            if matches!(name, "default" | "kube-system" | "kube-public") {
                let problem =
                    format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
                return Err(Failure::new(403, "Forbidden", problem));
            }
            let mut ending = Value::clone(&old);
            set(&mut ending, "/metadata", "deletionTimestamp", json!(now));
            set(&mut ending, "/status", "phase", json!("Terminating"));
            return Ok(Value::clone(&store.put(target.kind, ending)));
        }
        if has_finalizers(&old) {
            // It goes when the last finalizer does.
            if text(&old, "/metadata/deletionTimestamp").is_empty() {
                let mut ending = Value::clone(&old);
                set(&mut ending, "/metadata", "deletionTimestamp", json!(now));
                set(
                    &mut ending,
                    "/metadata",
                    "deletionGracePeriodSeconds",
                    json!(0),
                );
                return Ok(Value::clone(&store.put(target.kind, ending)));
            }
            return Ok(Value::clone(&old));
        }
        let last = store.remove(target.kind, &path);
        Ok(match last {
            Some(last) if kind.name == "Service" => Value::clone(&last),
            _ => status::success(kind, name, text(&old, "/metadata/uid")),
        })
    }
}
