//! What the API server refuses.

use serde_json::{Value, json};

use super::{
    kind::{KindId, Target},
    service,
    status::Failure,
    store::{kind_of, set, text},
};

pub(super) fn has_generation(kind: KindId) -> bool {
    matches!(kind_of(kind).name, "EndpointSlice" | "Ingress")
}

/// Sets the namespace that the URL names, or refuses another one in the body.
pub(super) fn address(object: &mut Value, target: &Target) -> Result<(), Failure> {
    if !object.is_object() {
        return Err(Failure::bad_request(
            "the object provided is not a JSON object",
        ));
    }
    if !kind_of(target.kind).namespaced {
        return Ok(());
    }
    let Some(namespace) = target.namespace.as_deref() else {
        return Err(Failure::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ));
    };
    match text(object, "/metadata/namespace") {
        "" => set(object, "/metadata", "namespace", json!(namespace)),
        held if held == namespace => {}
        _ => {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

/// What the writer says it knows must hold.
pub(super) fn preconditions(
    kind: KindId,
    old: &Value,
    uid: &str,
    version: &str,
) -> Result<(), Failure> {
    let name = text(old, "/metadata/name");
    let held = text(old, "/metadata/uid");
    if !uid.is_empty() && uid != held {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {held}");
        return Err(Failure::conflict(kind_of(kind), name, &why));
    }
    if !version.is_empty() && version != text(old, "/metadata/resourceVersion") {
        return Err(Failure::modified(kind_of(kind), name));
    }
    Ok(())
}

pub(super) fn validate(id: KindId, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let kind = kind_of(id);
    let name = text(object, "/metadata/name");
    let label = |name: &str, dots: bool| {
        !name.is_empty()
            && name.len() <= if dots { 253 } else { 63 }
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || byte == b'-'
                    || (dots && byte == b'.')
            })
            && !name.starts_with(['-', '.'])
            && !name.ends_with(['-', '.'])
    };
    let good = match kind.name {
        "Service" => {
            label(name, false) && name.starts_with(|first: char| first.is_ascii_lowercase())
        }
        "Namespace" => label(name, false),
        _ => label(name, true),
    };
    if !good {
        let problem = format!(
            "Invalid value: {name:?}: a name must consist of lower case alphanumeric characters or '-'"
        );
        return Err(Failure::invalid(kind, name, "metadata.name", &problem));
    }
    let labels = object
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    if labels.is_some_and(|labels| !labels.values().all(is_label_value)) {
        let problem =
            "Invalid value: a valid label must start and end with an alphanumeric character";
        return Err(Failure::invalid(kind, name, "metadata.labels", problem));
    }
    match kind.name {
        "Service" => service::validate(object, old, kind),
        "EndpointSlice" => {
            let family = text(object, "/addressType");
            if !matches!(family, "IPv4" | "IPv6" | "FQDN") {
                return Err(Failure::invalid(
                    kind,
                    name,
                    "addressType",
                    "Required value",
                ));
            }
            if old.is_some_and(|old| text(old, "/addressType") != family) {
                return Err(Failure::invalid(
                    kind,
                    name,
                    "addressType",
                    "Invalid value: field is immutable",
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_label_value(value: &Value) -> bool {
    let Some(text) = value.as_str() else {
        return false;
    };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let at_edges = |edge: Option<char>| edge.is_none_or(|edge| edge.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(inner)
        && at_edges(text.chars().next())
        && at_edges(text.chars().next_back())
}
