//! What a plan looks like, compared as text.

use std::borrow::Cow;

use super::*;

fn change(field: &'static str, before: Option<&str>, after: Option<&str>) -> FieldChange {
    FieldChange {
        field: Cow::Borrowed(field),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }
}

fn operation(verb: &'static str, id: &str, changes: Vec<FieldChange>) -> Operation {
    Operation {
        verb,
        id: id.to_owned(),
        changes,
    }
}

fn names(count: usize) -> Vec<Named> {
    (0..count)
        .map(|n| Named {
            service: format!("old-{n}"),
            id: format!("old-{n}-abc"),
        })
        .collect()
}

fn nothing() -> Report {
    Report {
        format: 1,
        direction: Direction::ToConsul,
        owner: "4f3c2b1a".to_owned(),
        place: "node k8s-sync".to_owned(),
        node: Some("k8s-sync".to_owned()),
        summary: Summary::default(),
        unchanged: 0,
        services: Vec::new(),
        rejected: Vec::new(),
        blocked: Vec::new(),
        orphans: Vec::new(),
        brake: false,
    }
}

fn everything() -> Report {
    Report {
        summary: Summary {
            create: 1,
            update: 1,
            adopt: 1,
            delete: 1,
        },
        unchanged: 12,
        services: vec![
            ServiceReport {
                name: "api".to_owned(),
                operations: vec![operation(
                    "adopt",
                    "api-0123456789ab",
                    vec![change("meta.external-sync-owner", None, Some("4f3c2b1a"))],
                )],
            },
            ServiceReport {
                name: "web".to_owned(),
                operations: vec![
                    operation(
                        "create",
                        "web-aaaaaaaaaaaa",
                        vec![
                            change("address", None, Some("10.0.0.1")),
                            change("port", None, Some("8080")),
                            change("tags", None, Some("k8s")),
                        ],
                    ),
                    operation(
                        "update",
                        "web-bbbbbbbbbbbb",
                        vec![
                            change("tags", Some("k8s"), Some("k8s,blue")),
                            change("meta.team", Some("a"), None),
                            change("check.status", Some("passing"), Some("critical")),
                        ],
                    ),
                    operation(
                        "delete",
                        "web-cccccccccccc",
                        vec![
                            change("address", Some("10.0.0.3"), None),
                            change("tags", Some("k8s"), None),
                        ],
                    ),
                ],
            },
        ],
        rejected: vec![Rejected {
            service: "default/bad".to_owned(),
            reason: "invalid_port",
            detail: "port \"http\" is not a port of the service".to_owned(),
        }],
        blocked: vec![Named {
            service: "db".to_owned(),
            id: "db-dddddddddddd".to_owned(),
        }],
        orphans: names(1),
        brake: true,
        ..nothing()
    }
}

fn plain(report: &Report) -> String {
    anstream::adapter::strip_str(&render_plan(report)).to_string()
}

#[test]
fn everything_that_a_plan_can_hold() {
    insta::assert_snapshot!(plain(&everything()));
}

#[test]
fn colours_stand_for_what_is_done() {
    insta::assert_snapshot!(render_plan(&everything()).replace('\u{1b}', "ESC"));
}

#[test]
fn nothing_to_do_is_said_in_words() {
    insta::assert_snapshot!(plain(&Report {
        unchanged: 3,
        ..nothing()
    }));
}

#[test]
fn what_goes_to_kubernetes_is_told_as_such() {
    let report = Report {
        direction: Direction::ToK8s,
        place: "namespace default".to_owned(),
        node: None,
        ..nothing()
    };
    let text = plain(&report);
    assert!(
        text.starts_with("What consul-sync run would do in namespace default as owner 4f3c2b1a:\n"),
        "{text}"
    );
    assert!(
        text.contains("No changes: the cluster is as the catalog wants it."),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["direction"], "to_k8s");
    assert!(json["node"].is_null(), "{json}");
    let blocked = Report {
        blocked: names(1),
        ..report
    };
    assert!(plain(&blocked).contains("somebody else's object has the name"));
}

#[test]
fn a_purge_lists_what_it_deletes() {
    let report = Report {
        summary: Summary {
            delete: 1,
            ..Summary::default()
        },
        services: vec![ServiceReport {
            name: "web".to_owned(),
            operations: vec![operation(
                "delete",
                "web-a",
                vec![
                    change("address", Some("10.0.0.3"), None),
                    change("tags", Some("k8s"), None),
                ],
            )],
        }],
        ..nothing()
    };
    insta::assert_snapshot!(anstream::adapter::strip_str(&render_purge(&report)).to_string());
}

#[test]
fn a_long_list_of_names_is_cut_and_counted() {
    let text = plain(&Report {
        orphans: names(25),
        ..nothing()
    });
    assert!(
        text.contains("Orphans: 25 (") && text.contains("  and 5 more\n"),
        "{text}"
    );
    assert_eq!(text.matches("old-").count(), 40);
}

#[test]
fn a_name_cannot_move_the_cursor() {
    let text = render_plan(&Report {
        orphans: vec![Named {
            service: "a\u{1b}[2J".to_owned(),
            id: "b\nPlan: 0".to_owned(),
        }],
        ..nothing()
    });
    assert!(text.contains("a\\u{1b}[2J b\\nPlan: 0"), "{text}");
}

#[test]
fn json_is_what_the_documentation_says() {
    insta::assert_snapshot!(everything().json().unwrap());
}
