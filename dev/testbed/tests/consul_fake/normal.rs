//! What is a server's own, taken out of its answers.

use serde_json::Value;

/// Every raft index in a body.
pub(crate) fn each_index(value: &mut Value, at: &mut impl FnMut(&mut u64)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_index(item, at)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_u64()) {
                    ("CreateIndex" | "ModifyIndex", Some(mut index)) => {
                        at(&mut index);
                        *value = index.into();
                    }
                    _ => each_index(value, at),
                }
            }
        }
        _ => {}
    }
}

/// The server's own node, service and check.
pub(crate) fn without_own(body: &mut Value, own: &str, path: &str) {
    if let Value::Array(entries) = body {
        entries.retain(|entry| {
            entry["Node"].as_str() != Some(own) && entry["Node"]["Node"].as_str() != Some(own)
        });
    }
    if path.starts_with("/v1/catalog/services")
        && let Value::Object(services) = body
    {
        services.remove("consul");
        // Tags come in the order of a Go map.
        for tags in services.values_mut().filter_map(Value::as_array_mut) {
            tags.sort_by_key(ToString::to_string);
        }
    }
}

/// What other sequences left behind: where one of them failed, the two servers differ in it for ever.
pub(crate) fn without_others(body: &mut Value, prefix: &str, path: &str) {
    match body {
        Value::Array(entries) if !path.starts_with("/v1/internal/acl/") => {
            entries.retain(|entry| {
                let node = entry["Node"]
                    .as_str()
                    .or_else(|| entry["Node"]["Node"].as_str());
                node.is_none_or(|node| node.starts_with(prefix))
            });
        }
        Value::Object(services) if path.starts_with("/v1/catalog/services") => {
            services.retain(|name, _| name.starts_with(prefix));
        }
        _ => {}
    }
}

/// Of what a server says about itself and about a token, only what has to be alike.
pub(crate) fn about_itself(body: &mut Value, path: &str) {
    match path.split('?').next().unwrap_or_default() {
        "/v1/agent/self" if body.is_object() => {
            let config = &body["Config"];
            let kept = ["Datacenter", "PrimaryDatacenter", "Server", "Version"];
            *body = kept.map(|key| config[key].clone()).into_iter().collect();
        }
        "/v1/acl/token/self" => {
            if let Value::Object(fields) = body {
                let known = ["AccessorID", "SecretID", "Local"];
                *body = known
                    .map(|key| fields.contains_key(key))
                    .into_iter()
                    .collect();
            }
        }
        "/v1/status/leader" if body.is_string() => *body = "address".into(),
        _ => {}
    }
}

/// IDs of sessions as their numbers.
pub(crate) fn sessions(value: &mut Value, known: &[String]) {
    match value {
        Value::String(text) => {
            for (at, session) in known.iter().enumerate() {
                *text = text.replace(session.as_str(), &format!("${}", at + 1));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| sessions(item, known)),
        Value::Object(fields) => fields.values_mut().for_each(|field| sessions(field, known)),
        _ => {}
    }
}

/// Texts that name what is one server's own: its node, accessor IDs, and how its JSON reader puts things.
pub(crate) fn texts(value: &mut Value, own: &str) {
    match value {
        Value::String(text) => {
            *text = text.replace(&format!("on \"{own}\""), "on \"its own node\"");
            if let Some(at) = text.find("AccessorID '") {
                let from = at + "AccessorID '".len();
                let to = text[from..]
                    .find('\'')
                    .map_or(text.len(), |length| from + length);
                text.replace_range(from..to, "TOKEN");
            }
            for start in [
                "Failed to parse body: ",
                "Request decode failed: ",
                "Failed to decode request body: ",
                "Failed to create boolean expression evaluator: ",
            ] {
                if text.starts_with(start)
                    && !["unknown field", "Selector", "Invalid match"]
                        .iter()
                        .any(|told| text.contains(told))
                {
                    text.truncate(start.len());
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, own)),
        Value::Object(fields) => fields.values_mut().for_each(|field| texts(field, own)),
        _ => {}
    }
}
