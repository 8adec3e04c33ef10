//! What is to be said of variables that do not do what they seem to.

use std::{collections::BTreeMap, ffi::OsString};

use super::{nearest, setting::PREFIX, table};

/// Variables of Consul's own commands that are deliberately not followed, and what to do in their place.
const NOT_FOLLOWED: [(&str, &str); 2] = [
    (
        "CONSUL_HTTP_SSL_VERIFY",
        "certificates are always verified; name their CA with --consul-ca-file",
    ),
    (
        "CONSUL_HTTP_AUTH",
        "only tokens are sent; see --consul-token-file",
    ),
];

/// What somebody who set these variables should know.
pub(crate) fn remarks(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let variables: BTreeMap<String, OsString> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let not_followed = NOT_FOLLOWED
        .iter()
        .filter(|(name, _)| {
            variables
                .get(*name)
                .is_some_and(|value| value != "true" && value != "1")
        })
        .map(|(name, instead)| format!("{name} is not followed: {instead}"));
    let unknown = unknown_variables(variables.keys().cloned())
        .into_iter()
        .map(|name| {
            let ours: Vec<String> = table::ALL.iter().map(|row| row.variable()).collect();
            let near = nearest::nearest(&name, ours.iter().map(String::as_str));
            let hint = near.map_or_else(
                || "; see consul-sync run --help".to_owned(),
                |near| format!(" (is it {near}?)"),
            );
            format!("{name} looks like a setting and is none{hint}")
        });
    not_followed.chain(unknown).collect()
}

/// Variables that look like ours and are none: mistyped ones, most likely.
///
/// Kubernetes sets such variables for a Service named `consul-sync`, and those are left out.
pub(super) fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let ours: Vec<String> = table::ALL.iter().map(|row| row.variable()).collect();
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !ours.contains(name) && !is_injected(name))
        .collect();
    unknown.sort();
    unknown
}

pub(super) fn is_injected(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest == "PORT"
        || ["PORT_", "SERVICE_HOST", "SERVICE_PORT"]
            .iter()
            .any(|start| rest.starts_with(start))
}
