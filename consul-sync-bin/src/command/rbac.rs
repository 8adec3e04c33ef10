//! `rbac`: the least rights, as text to apply.

use std::fmt::Write;

use crate::{
    direction::Direction,
    settings::{Settings, nobody},
    wire,
};

/// The manifests, or the rules of the ACL policy.
pub(super) fn render(settings: &Settings, consul_policy: bool) -> String {
    if consul_policy {
        consul_rules(settings)
    } else {
        let subject = &settings.subject;
        wire::rights(settings, &subject.namespace).to_yaml(subject)
    }
}

/// To Consul: writing to our node, and to services of any name; and reading all nodes, since a token that is shown a part of
/// the catalog cannot tell it from the whole. To Kubernetes: reading all of it, for the same reason.
fn consul_rules(settings: &Settings) -> String {
    let place = &settings.place;
    let node = place.node.as_ref().map_or("", |node| node.as_str());
    let write = if settings.to_consul { "write" } else { "read" };
    let own = format!("node \"{node}\" {{ policy = \"write\" }}\n");
    let read = "node_prefix \"\" { policy = \"read\" }\n";
    // The session of a lock stands on our node, which the lock registers where it is missing.
    let has_lock = |direction: &Direction| settings.lock_of(*direction).is_some();
    let nodes = if settings.to_consul || settings.directions().iter().any(has_lock) {
        own + read
    } else {
        read.to_owned()
    };
    let lock = lock_rules(settings, node);
    let services = format!("service_prefix \"\" {{ policy = \"{write}\" }}\n");
    let mut inner = services.clone() + &nodes;
    if makes_namespaces(settings) && settings.consul.partition.is_some() {
        inner += "policy = \"write\"\n";
    }
    let mut blocks = String::new();
    match (&place.namespace, place.mirrored && settings.to_consul) {
        (_, true) => blocks = block("namespace_prefix", "", &inner),
        (Some(namespace), false) => blocks = block("namespace", namespace, &inner),
        (None, false) => {}
    }
    // Others than the one that is written, where the lot of them is not there already.
    let mut others: Vec<&str> = Vec::new();
    if settings.to_k8s && !(place.mirrored && settings.to_consul) {
        let named = settings.import.scopes().iter();
        others.extend(named.filter_map(|scope| scope.namespace.as_deref()));
        others.retain(|name| Some(*name) != place.namespace.as_deref());
        others.sort_unstable();
        others.dedup();
    }
    for name in &others {
        let read =
            "service_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }\n";
        let _ = write!(blocks, "{}", block("namespace", name, read));
    }
    let is_default = place.namespace.is_none() && !(place.mirrored && settings.to_consul);
    let rules = if is_default && others.is_empty() {
        nodes + &services + &lock
    } else if is_default {
        nodes + &services + &lock + &blocks
    } else {
        nodes + &lock + &making_namespaces(settings) + &blocks
    };
    match &settings.consul.partition {
        Some(partition) => block("partition", partition, &rules),
        None => rules,
    }
}

/// Whether namespaces may have to be made, which does not depend on whose the instances are.
fn makes_namespaces(settings: &Settings) -> bool {
    settings.to_consul && wire::sink_settings(settings, nobody()).makes_namespaces()
}

/// Making namespaces, where they are made. Of a partition there are no operators; there it takes the right on its mesh, and in
/// each namespace the right to write it.
fn making_namespaces(settings: &Settings) -> String {
    if !makes_namespaces(settings) {
        return String::new();
    }
    let resource = match settings.consul.partition {
        Some(_) => "mesh",
        None => "operator",
    };
    let mut rules = format!("{resource} = \"write\"\n");
    if settings.place.namespace_policy.is_some() {
        rules.push_str("acl = \"write\"\n");
    }
    rules
}

/// Holding the locks: their keys, and sessions on our node. Without a name for the owner the keys are not known here.
fn lock_rules(settings: &Settings, node: &str) -> String {
    let directions = settings.directions().into_iter();
    let mut locks = directions
        .filter_map(|direction| Some((direction, settings.lock_of(direction)?)))
        .peekable();
    let Some((_, lock)) = locks.peek().copied() else {
        return String::new();
    };
    let mut rules = String::new();
    match &settings.owner {
        Some(owner) => {
            for (direction, lock) in locks {
                let name = wire::lock_name(direction);
                // Writing to a string does not fail.
                let _ = writeln!(
                    rules,
                    "key \"{}/{owner}/{name}\" {{ policy = \"write\" }}",
                    lock.prefix
                );
            }
        }
        None => {
            let _ = writeln!(
                rules,
                "key_prefix \"{}/\" {{ policy = \"write\" }}",
                lock.prefix
            );
        }
    }
    rules + &format!("session \"{node}\" {{ policy = \"write\" }}\n")
}

fn block(kind: &str, name: &str, rules: &str) -> String {
    let inner = rules.trim_end().replace('\n', "\n  ");
    format!("{kind} \"{name}\" {{\n  {inner}\n}}\n")
}

#[cfg(test)]
mod tests {
    use crate::args::{given::Given, table};

    use super::*;

    fn rules(flags: &[(&str, &str)]) -> String {
        let flag = |name: &str| {
            flags
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, text)| vec![(*text).to_owned()])
        };
        let mut given = Given::collect(table::ALL, |row| flag(row.name), |_| None);
        consul_rules(&Settings::read(&mut given, false))
    }

    #[test]
    fn rules_are_three_lines_on_one_node() {
        assert_eq!(
            rules(&[("consul-node", "east")]),
            "node \"east\" { policy = \"write\" }\nnode_prefix \"\" { policy = \"read\" }\nservice_prefix \"\" { policy = \
             \"write\" }\n"
        );
    }

    #[test]
    fn an_election_needs_its_key_and_sessions_on_the_node() {
        let text = rules(&[("leader-election", "consul"), ("consul-node", "east")]);
        assert!(
            text.ends_with("key_prefix \"consul-sync/\" { policy = \"write\" }\nsession \"east\" { policy = \"write\" }\n"),
            "{text}"
        );
        let text = rules(&[
            ("leader-election", "consul"),
            ("owner", "a"),
            ("leader-election-prefix", "x/y"),
        ]);
        assert!(
            text.contains("key \"x/y/a/leader\" { policy = \"write\" }\n"),
            "{text}"
        );
    }

    #[test]
    fn an_election_by_lease_needs_the_lock_for_what_goes_to_consul_alone() {
        let lease = ("leader-election", "lease");
        assert_eq!(
            rules(&[lease, ("owner", "a")]),
            rules(&[("leader-election", "consul"), ("owner", "a")])
        );
        let import = [("to-k8s", "true"), ("to-consul", "false")];
        let elected = [&import[..], &[lease]].concat();
        assert_eq!(rules(&elected), rules(&import));
        let both = rules(&[lease, ("owner", "a"), ("to-k8s", "true")]);
        assert!(
            both.contains("a/leader\"") && !both.contains("leader-to-k8s"),
            "{both}"
        );
    }

    #[test]
    fn an_import_reads_all_and_writes_nothing() {
        let alone = rules(&[("to-k8s", "true"), ("to-consul", "false")]);
        assert_eq!(
            alone,
            "node_prefix \"\" { policy = \"read\" }\nservice_prefix \"\" { policy = \"read\" }\n"
        );
        let elected = rules(&[
            ("to-k8s", "true"),
            ("to-consul", "false"),
            ("leader-election", "consul"),
            ("owner", "a"),
        ]);
        assert!(
            elected.contains("node \"k8s-sync\" { policy = \"write\" }")
                && elected.contains("key \"consul-sync/a/leader-to-k8s\" { policy = \"write\" }")
                && !elected.contains("a/leader\""),
            "{elected}"
        );
        assert_eq!(rules(&[("to-k8s", "true")]), rules(&[]));
        let text = rules(&[("to-k8s", "true"), ("import-namespaces", "shop")]);
        assert!(
            text.ends_with(
                "namespace \"shop\" {\n  service_prefix \"\" { policy = \"read\" }\n  node_prefix \"\" { policy = \"read\" }\n}\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn namespaces_and_partitions_are_blocks_around_them() {
        let text = rules(&[("consul-partition", "p"), ("consul-namespace", "shop")]);
        assert!(
            text.starts_with("partition \"p\" {\n  node \"k8s-sync\""),
            "{text}"
        );
        assert!(
            text.contains(
                "  namespace \"shop\" {\n    service_prefix \"\" { policy = \"write\" }\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("  mesh = \"write\"\n  namespace")
                && text.contains("    policy = \"write\"\n  }\n}\n"),
            "{text}"
        );
        let text = rules(&[("consul-mirror-namespaces", "true")]);
        assert!(
            text.contains("namespace_prefix \"\" {\n  service_prefix"),
            "{text}"
        );
    }

    #[test]
    fn making_namespaces_needs_the_operators_right_and_with_a_policy_that_on_acls() {
        type Flags<'a> = &'a [(&'a str, &'a str)];
        let mirrored = ("consul-mirror-namespaces", "true");
        let shop = ("consul-namespace", "shop");
        let policy = ("consul-cross-namespace-policy", "p");
        let off = ("consul-create-namespaces", "false");
        let rows: [(Flags<'_>, bool, bool); 8] = [
            (&[], false, false),
            (&[policy], false, false),
            (&[("consul-namespace", "default"), policy], false, false),
            (&[shop], true, false),
            (&[shop, policy], true, true),
            (&[mirrored, policy], true, true),
            (&[mirrored, policy, off], false, false),
            (
                &[mirrored, policy, ("to-consul", "false"), ("to-k8s", "true")],
                false,
                false,
            ),
        ];
        for (flags, operator, acl) in rows {
            let text = rules(flags);
            let has = |rule: &str| text.lines().any(|line| line == rule);
            assert_eq!(has("operator = \"write\""), operator, "{flags:?}: {text}");
            assert_eq!(has("acl = \"write\""), acl, "{flags:?}: {text}");
        }
    }
}
