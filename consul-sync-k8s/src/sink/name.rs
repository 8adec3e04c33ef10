//! Names of Services made of names in Consul.
//!
//! A name in Kubernetes is a label of RFC 1035: lower case letters, digits and `-`, at most 63 of them, from a letter
//! to a letter or digit. (From 1.36 on a digit may come first; what holds everywhere is used, fault N04.) Consul takes
//! any text, and means the same by `Web` and `web`.
//!
//! | name in Consul | becomes |
//! | --- | --- |
//! | `web`, `Web` | `web`, the incumbent's form |
//! | `a_b`, `a.b` | `a-b`: what is neither letter nor digit is `-` |
//! | `9gag`, `_x_`, one of 80 characters | a label that begins with a letter and ends with a digest of the name |
//!
//! The way back is an annotation with the name as it is in Consul. Two names that become one are one slot: which of
//! them has it follows from the services alone (`Service::precedence`), and the other is reported.

use consul_sync_core::{Reason, Rejection};

use crate::digest;

/// The longest label.
const LONGEST: usize = 63;
/// The longest name of a host.
const LONGEST_HOST: usize = 253;
/// What begins a name that begins with no letter.
const FRONT: &str = "consul-";
/// `-` and a digest.
const TAIL: usize = 17;

/// Whether a text is a label of RFC 1123: one of RFC 1035 that may begin with a digit.
pub(crate) fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text is a name of a host, in lower case.
pub(crate) fn is_host(text: &str) -> bool {
    text.len() <= LONGEST_HOST && text.split('.').all(is_label)
}

/// The name of the Service that stands for a service of Consul.
pub(crate) fn service_name(prefix: &str, consul: &str) -> String {
    let mut name = format!("{prefix}{}", dashed(consul));
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if begins_well && is_label(&name) {
        return name;
    }
    if !begins_well {
        name.insert_str(0, FRONT);
    }
    name.truncate(LONGEST - TAIL);
    let kept = name.trim_end_matches('-');
    format!("{kept}-{}", digest::hex(consul.to_lowercase().as_bytes()))
}

/// The name of a port: a label in Kubernetes, any text in Consul. Without a name it is the default one.
pub(crate) fn port_name(consul: &str) -> String {
    let name = dashed(consul);
    let name = name.trim_matches('-');
    if name.is_empty() {
        return "default".to_owned();
    }
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONGEST - TAIL).collect();
    format!(
        "{}-{}",
        kept.trim_end_matches('-'),
        digest::hex(consul.to_lowercase().as_bytes())
    )
}

/// The name under which Consul's DNS answers for a service (fault N12: below its own domain and nowhere else). `place` is
/// the part of Consul that it comes from, as the namespace of its key says it.
///
/// # Errors
/// When it has none: DNS takes labels only.
pub(crate) fn external_name(consul: &str, place: &str, domain: &str) -> Result<String, Rejection> {
    let name = consul.to_lowercase();
    let host = format!("{name}.service{}.{domain}", within(place));
    if is_label(&name) && is_host(&host) {
        return Ok(host);
    }
    let whose = if place.is_empty() {
        format!("{consul:?}")
    } else {
        format!("{consul:?} of {place}")
    };
    Err(Rejection::new(
        Reason::InvalidName,
        format!(
            "{whose} has no name in DNS, so a Service of type ExternalName cannot stand for it; use mode endpoints \
             or headless, or names of letters, digits and '-'"
        ),
    ))
}

/// The labels that say in Consul's DNS from which part of Consul a service is. A key says it in the same words, but for
/// the namespace, which stands there alone. Consul without namespaces answers to no name that has one, and one that has
/// them takes `default` for a name without; beside a partition it is named, as the documentation does.
fn within(place: &str) -> String {
    let place = place.to_lowercase();
    let (namespace, rest) = place.split_once('.').unwrap_or((&place, ""));
    let has_partition = rest.split('.').nth(1) == Some("ap");
    let mut labels = String::new();
    if !namespace.is_empty() && (namespace != "default" || has_partition) {
        labels.extend([".", namespace, ".ns"]);
    }
    if !rest.is_empty() {
        labels.extend([".", rest]);
    }
    labels
}

fn dashed(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .map(|char| {
            if char.is_ascii_lowercase() || char.is_ascii_digit() {
                char
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn is_rfc_1035(name: &str) -> bool {
        is_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase())
    }

    #[test]
    fn names_that_are_good_stay_and_others_become_good() {
        for (prefix, consul, name) in [
            ("", "web", "web"),
            ("", "Web-2", "web-2"),
            ("consul-", "web", "consul-web"),
            ("", "a_b", "a-b"),
            ("", "a.b", "a-b"),
            ("", "caf\u{e9}s", "caf-s"),
            ("c", "9gag", "c9gag"),
        ] {
            assert_eq!(service_name(prefix, consul), name, "{prefix} {consul}");
        }
        assert!(service_name("", "9gag").starts_with("consul-9gag-"));
        assert!(service_name("", "web_").starts_with("web-"));
        assert!(service_name("", "_").starts_with("consul-"));
        let long = "x".repeat(80);
        assert_eq!(service_name("", &long).len(), LONGEST);
    }

    #[test]
    fn fault_n05_names_that_become_one_are_few_and_known() {
        // Every text of up to three of the characters that matter: those that become one name differ in case or in
        // what became `-`, and in nothing else.
        let alphabet = ['A', 'a', '1', '-', '_', '.', '/', '\u{e9}'];
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut texts = vec![String::new()];
        for _ in 0..3 {
            texts = texts
                .iter()
                .flat_map(|text| alphabet.iter().map(move |char| format!("{text}{char}")))
                .collect();
            for text in &texts {
                names
                    .entry(service_name("", text))
                    .or_default()
                    .push(text.clone());
            }
        }
        for (name, texts) in names {
            assert!(is_rfc_1035(&name), "{name:?} of {texts:?}");
            let folded: Vec<String> = texts.iter().map(|text| dashed(text)).collect();
            assert!(
                folded.iter().all(|text| *text == folded[0]),
                "{name}: {texts:?}"
            );
        }
    }

    #[test]
    fn fault_n12_a_host_is_below_the_domain_or_none() {
        for (name, domain, host) in [
            ("Web", "consul", "web.service.consul"),
            ("9gag", "dc1.consul", "9gag.service.dc1.consul"),
        ] {
            assert_eq!(external_name(name, "default", domain).unwrap(), host);
        }
        for name in ["a_b", "evil.example", "a/b", "-x", "", &"x".repeat(64)] {
            let rejection = external_name(name, "", "consul").unwrap_err();
            assert_eq!(rejection.reason(), Reason::InvalidName, "{name}");
        }
    }

    #[test]
    fn a_host_says_from_which_part_of_consul_the_service_is() {
        for (place, host) in [
            ("", "web.service.consul"),
            ("default", "web.service.consul"),
            ("Team", "web.service.team.ns.consul"),
            ("default.east.ap", "web.service.default.ns.east.ap.consul"),
            ("team.east.ap", "web.service.team.ns.east.ap.consul"),
            ("default.dc2.dc", "web.service.dc2.dc.consul"),
            ("team.dc2.dc", "web.service.team.ns.dc2.dc.consul"),
            (
                "team.east.ap.dc2.dc",
                "web.service.team.ns.east.ap.dc2.dc.consul",
            ),
            ("default.ap.dc", "web.service.ap.dc.consul"),
            ("default.other.peer", "web.service.other.peer.consul"),
        ] {
            assert_eq!(external_name("web", place, "consul").unwrap(), host);
        }
        let rejection = external_name("web", "my_team", "consul").unwrap_err();
        assert!(rejection.to_string().contains("my_team"), "{rejection}");
    }

    #[test]
    fn ports_have_labels_too() {
        for (consul, name) in [
            ("http", "http"),
            ("HTTP_alt", "http-alt"),
            ("", "default"),
            ("_", "default"),
        ] {
            assert_eq!(port_name(consul), name);
        }
        assert!(is_label(&port_name(&"p_".repeat(60))));
    }

    proptest! {
        #[test]
        fn every_name_is_a_label_and_always_the_same(prefix in "([a-z]([-a-z0-9]{0,20})?)?", consul in "\\PC{1,100}") {
            let name = service_name(&prefix, &consul);
            prop_assert!(is_rfc_1035(&name), "{name:?}");
            let (upper, lower) = (consul.to_ascii_uppercase(), consul.to_ascii_lowercase());
            prop_assert_eq!(service_name(&prefix, &upper), service_name(&prefix, &lower));
            prop_assert!(is_label(&port_name(&consul)));
        }

        #[test]
        fn a_good_name_is_kept_so_the_incumbents_objects_are_found(name in "[a-z]([-a-z0-9]{0,60}[a-z0-9])?") {
            prop_assert_eq!(service_name("", &name), name);
        }

        #[test]
        fn long_names_stay_apart(a in "[a-z]{70,80}", b in "[a-z]{70,80}") {
            prop_assume!(a != b);
            prop_assert_ne!(service_name("", &a), service_name("", &b));
        }
    }
}
