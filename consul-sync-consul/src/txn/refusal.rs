//! Consul's words for why an operation was not applied, told apart.

use consul_sync_core::{Reason, Rejection};

/// What the text of a refused operation means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The version had moved, or the thing is gone or there already.
    Stale,
    /// The node is not registered, so nothing can be registered on it.
    NodeMissing,
    /// The namespace is not there, or no longer.
    NamespaceMissing,
    /// Our token lacks a right; the text names it.
    Denied,
    /// It will never be taken as it is.
    Permanent,
}

// === impl Refusal ===

impl Refusal {
    /// Reads the text of an operation's error.
    pub(crate) fn of(text: &str) -> Self {
        if text.contains("index is stale") {
            Self::Stale
        } else if text.contains("Missing node registration") {
            Self::NodeMissing
        } else if missing_namespace(text).is_some() {
            Self::NamespaceMissing
        } else if text.contains("Permission denied") || text.contains("ACL not found") {
            Self::Denied
        } else if text.contains("Missing service registration") {
            // The check's service is gone, or failed before it in the same transaction.
            Self::Stale
        } else {
            Self::Permanent
        }
    }

    /// Whether the text of an error of the whole request says that one of its operations can never be
    /// applied; some faults of a registration come as status 500 (fault T04).
    pub(crate) fn is_permanent_text(text: &str) -> bool {
        const SIGNS: [&str; 7] = [
            "Invalid Service Meta",
            "Couldn't load metadata pair",
            "Invalid service address",
            "Must provide",
            "Bad node ID",
            "Failed to parse body",
            "is required",
        ];
        SIGNS.iter().any(|sign| text.contains(sign)) || missing_namespace(text).is_some()
    }
}

/// The namespace of which a text says that it is not there (hashicorp/consul#8123).
pub(super) fn missing_namespace(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("amespace \"")?;
    let (name, rest) = rest.split_once('"')?;
    rest.starts_with(" does not exist").then_some(name)
}

/// The report on a record that Consul refused for good.
pub(super) fn rejection(text: &str) -> Rejection {
    let reason = if text.contains("etadata") || text.contains("Meta") {
        Reason::InvalidMeta
    } else if text.contains("address") {
        Reason::InvalidAddress
    } else {
        Reason::Refused
    };
    let shown: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    Rejection::new(reason, format!("consul refused it: {shown}"))
}

/// The rule that would have allowed what a "Permission denied" names.
pub(crate) fn missing_rule(text: &str, node: &str) -> String {
    let right = text
        .split_once("lacks permission '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .map_or("", |(right, _)| right);
    let on = text
        .split_once("' on \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(name, _)| name);
    match right.split_once(':') {
        Some((resource, access)) => {
            format!(
                "{resource} \"{}\" {{ policy = \"{access}\" }}",
                on.unwrap_or(node)
            )
        }
        None => format!(
            "node \"{node}\" {{ policy = \"write\" }} node_prefix \"\" {{ policy = \"read\" }} \
             service_prefix \"\" {{ policy = \"write\" }}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_consul_are_told_apart() {
        for (text, want) in [
            (
                r#"failed to set service "a" on node "n", index is stale"#,
                Refusal::Stale,
            ),
            (
                r#"failed to delete service "a" on node "n", index is stale"#,
                Refusal::Stale,
            ),
            ("Missing service registration", Refusal::Stale),
            ("Missing node registration", Refusal::NodeMissing),
            (
                "rpc error making call: Namespace \"shop\" does not exist",
                Refusal::NamespaceMissing,
            ),
            (
                "Permission denied: token with AccessorID 'x' lacks permission 'service:write' on \"web\"",
                Refusal::Denied,
            ),
            (
                "Invalid Service Meta for node n and serviceID a: Couldn't load",
                Refusal::Permanent,
            ),
            ("something new", Refusal::Permanent),
        ] {
            assert_eq!(Refusal::of(text), want, "{text}");
        }
    }

    #[test]
    fn a_denial_names_the_rule_that_would_help() {
        let text = "Permission denied: anonymous token lacks permission 'service:write' on \"web\". The ..";
        assert_eq!(
            missing_rule(text, "n"),
            r#"service "web" { policy = "write" }"#
        );
        let text =
            "Permission denied: token with AccessorID 'x' lacks permission 'node:write' on \"n\"";
        assert_eq!(missing_rule(text, "n"), r#"node "n" { policy = "write" }"#);
        assert!(missing_rule("Permission denied", "n").contains("service_prefix \"\""));
    }
}
