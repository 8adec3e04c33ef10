use std::collections::BTreeSet;

use super::{ExportSettings, Needs, NodePorts};

type Names<'a> = &'a [&'a str];

fn names(list: Names<'_>) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn deny_wins_and_a_star_stands_for_all_namespaces() {
    // allow, deny, source namespace, namespace, allowed
    let rows: &[(Names<'_>, Names<'_>, Option<&str>, &str, bool)] = &[
        (&["*"], &[], None, "a", true),
        (&["*"], &["a"], None, "a", false),
        (&["*"], &["a"], None, "b", true),
        (&["a"], &[], None, "a", true),
        (&["a"], &[], None, "b", false),
        (&["a", "b"], &["b"], None, "b", false),
        (&[], &[], None, "a", false),
        (&["*"], &["*"], None, "a", false),
        (&["*"], &[], Some("a"), "a", true),
        (&["*"], &[], Some("a"), "b", false),
        (&["b"], &[], Some("a"), "b", false),
        (&["*"], &["a"], Some("a"), "a", false),
    ];
    for (allow, deny, source, namespace, allowed) in rows {
        let settings = ExportSettings {
            allow_namespaces: names(allow),
            deny_namespaces: names(deny),
            source_namespace: source.map(ToOwned::to_owned),
            ..ExportSettings::new()
        };
        assert_eq!(
            settings.allows_namespace(namespace),
            *allowed,
            "{settings:?} {namespace}"
        );
    }
}

#[test]
fn only_kinds_that_are_used_are_needed() {
    let default = Needs {
        services: true,
        slices: true,
        nodes: true,
        ingresses: false,
        namespaces: false,
    };
    assert_eq!(ExportSettings::new().needs(), default);
    let off = ExportSettings {
        node_ports: NodePorts::Off,
        ..ExportSettings::new()
    };
    assert_eq!(
        off.needs(),
        Needs {
            nodes: false,
            ..default
        }
    );
    let ingress = ExportSettings {
        ingress: true,
        ..ExportSettings::new()
    };
    assert_eq!(
        ingress.needs(),
        Needs {
            ingresses: true,
            ..default
        }
    );
    let selected = ExportSettings {
        namespace_selector: "a=b".parse().unwrap(),
        ..ExportSettings::new()
    };
    assert_eq!(
        selected.needs(),
        Needs {
            namespaces: true,
            ..default
        }
    );
}

#[test]
fn node_ports_read_back_what_they_print_and_refuse_the_rest_by_name() {
    for value in NodePorts::ALL {
        assert_eq!(value.to_string().parse(), Ok(value));
    }
    let error = "externalonly".parse::<NodePorts>().unwrap_err().to_string();
    assert_eq!(
        error,
        "\"externalonly\" is none of ExternalOnly, InternalOnly, ExternalFirst, Off"
    );
}
