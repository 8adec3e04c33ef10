//! `rbac`: the least rights, as text to apply.

use consul_sync_k8s::Rights;

use crate::settings::Settings;

/// The manifests, or the rules of the ACL policy.
pub(super) fn render(settings: &Settings, consul_policy: bool) -> String {
    if consul_policy {
        consul_rules(settings)
    } else {
        Rights::needed(&settings.export, settings.owner.is_none()).to_yaml(&settings.subject)
    }
}

/// Writing to our node, and to services of any name; and reading all nodes, since a token that is shown a part of
/// the catalog cannot tell it from the whole.
fn consul_rules(settings: &Settings) -> String {
    let place = &settings.place;
    let node = place.node.as_ref().map_or("", |node| node.as_str());
    let nodes = format!(
        "node \"{node}\" {{ policy = \"write\" }}\nnode_prefix \"\" {{ policy = \"read\" }}\n"
    );
    let lock = lock_rules(settings, node);
    let services = "service_prefix \"\" { policy = \"write\" }\n".to_owned();
    let rules = match (&place.namespace, place.mirrored) {
        (_, true) => nodes.clone() + &lock + &block("namespace_prefix", "", &(services + &nodes)),
        (Some(namespace), false) => {
            nodes.clone() + &lock + &block("namespace", namespace, &(services + &nodes))
        }
        (None, false) => nodes + &services + &lock,
    };
    match &settings.consul.partition {
        Some(partition) => block("partition", partition, &rules),
        None => rules,
    }
}

/// Holding the lock: its key, and sessions on our node. Without a name for the owner the key is not known here.
fn lock_rules(settings: &Settings, node: &str) -> String {
    let Some(lock) = &settings.lock else {
        return String::new();
    };
    let key = match &settings.owner {
        Some(owner) => format!("key \"{}/{owner}/leader\"", lock.prefix),
        None => format!("key_prefix \"{}/\"", lock.prefix),
    };
    format!("{key} {{ policy = \"write\" }}\nsession \"{node}\" {{ policy = \"write\" }}\n")
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
        let text = rules(&[("consul-mirror-namespaces", "true")]);
        assert!(
            text.contains("namespace_prefix \"\" {\n  service_prefix"),
            "{text}"
        );
    }
}
