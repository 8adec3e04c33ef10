//! What the API server refuses.

use std::net::IpAddr;

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

/// Whether somebody holds the object's end up.
pub(super) fn has_finalizers(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers");
    finalizers
        .and_then(Value::as_array)
        .is_some_and(|finalizers| !finalizers.is_empty())
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
            if let Some(special) = addresses(object).find(|address| is_special(address)) {
                let problem = format!("Invalid value: {special:?}: may not be a special address");
                return Err(Failure::invalid(kind, name, "endpoints", &problem));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The addresses of a slice.
fn addresses(slice: &Value) -> impl Iterator<Item = &str> {
    let endpoints = slice.get("endpoints").and_then(Value::as_array);
    let lists = endpoints
        .into_iter()
        .flatten()
        .filter_map(|endpoint| endpoint.get("addresses")?.as_array());
    lists.flatten().filter_map(Value::as_str)
}

/// Whether an address means another host to everyone.
fn is_special(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let [first, second, third, _] = ip.octets();
            let is_link_local_multicast = (first, second, third) == (224, 0, 0);
            ip.is_unspecified() || ip.is_loopback() || ip.is_link_local() || is_link_local_multicast
        }
        Ok(IpAddr::V6(ip)) => {
            let is_link_local_multicast = ip.segments()[0] & 0xff0f == 0xff02;
            ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_unicast_link_local()
                || is_link_local_multicast
        }
        Err(_) => false,
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
