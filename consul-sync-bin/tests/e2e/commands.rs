//! The commands that look once.

use consul_sync_consul::OWNER_META;
use consul_sync_testbed::ConsulVersion;
use serde_json::{Value, json};

use crate::{
    catalog::Catalog,
    program::{Program, run, run_with},
    servers::{Servers, scenarios},
    world::World,
};

scenarios! {
    plan_tells_what_run_would_do_and_writes_nothing
    check_tells_that_all_is_well
    purge_deletes_what_is_ours_and_nothing_else
}

async fn plan_tells_what_run_would_do_and_writes_nothing(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;

    let text = run(servers, &["plan"]).await;
    assert_eq!(text.code, Some(2), "{text:?}");
    assert!(
        text.out
            .contains("Plan: 2 to add, 0 to change, 0 to delete."),
        "{text:?}"
    );
    assert!(
        text.out.contains("  web\n  + web-") && text.out.contains("10.1.0.2"),
        "{text:?}"
    );
    assert!(
        !text.out.contains('\u{1b}'),
        "colours where nobody sees them: {text:?}"
    );
    let printed = run(servers, &["plan", "--json"]).await;
    assert_eq!(printed.code, Some(2), "{printed:?}");
    let plan: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(
        (&plan["format"], &plan["node"]),
        (&json!(1), &json!("k8s-sync"))
    );
    assert_eq!(
        plan["summary"],
        json!({ "create": 2, "update": 0, "adopt": 0, "delete": 0 })
    );
    assert!(catalog.instances().await.is_empty());

    {
        let _program = Program::ready(servers, &[]).await;
        catalog
            .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
            .await;
    }
    let index = catalog.write_index().await;
    let nothing = run(servers, &["plan"]).await;
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    assert!(
        nothing.out.contains("No changes") && nothing.out.contains("2 unchanged"),
        "{nothing:?}"
    );

    world.annotate("web", "service-tags", "blue").await;
    world.scale("web", &["10.1.0.1"]).await;
    let changes = run(servers, &["plan"]).await;
    assert_eq!(changes.code, Some(2), "{changes:?}");
    assert!(
        changes
            .out
            .contains("Plan: 0 to add, 1 to change, 1 to delete."),
        "{changes:?}"
    );
    assert!(changes.out.contains("k8s -> k8s, blue"), "{changes:?}");
    assert_eq!(catalog.write_index().await, index);
}

async fn check_tells_that_all_is_well(servers: &Servers) {
    let text = run(servers, &["check"]).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(
        text.out.contains("Kubernetes\n") && text.out.contains("Consul\n"),
        "{text:?}"
    );
    assert!(
        text.out.contains("All is well") && !text.out.contains("FAILED"),
        "{text:?}"
    );
    let printed = run(servers, &["check", "--json"]).await;
    let checks: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(
        (&checks["format"], &checks["ok"]),
        (&json!(1), &json!(true))
    );
}

async fn purge_deletes_what_is_ours_and_nothing_else(servers: &Servers) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    {
        let _program = Program::ready(servers, &[]).await;
        catalog
            .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
            .await;
    }
    catalog.register_on_our_node("foreign", &json!({})).await;
    catalog
        .register_on_our_node("orphan", &json!({ "external-source": "kubernetes" }))
        .await;
    let other = json!({ "external-source": "kubernetes", OWNER_META: "another-cluster" });
    catalog.register_on_our_node("other", &other).await;
    let ids = async || catalog.instances().await.into_keys().collect::<Vec<_>>();

    let refused = run(servers, &["purge"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("--yes") && refused.out.contains("Purge: 2 to delete."),
        "{refused:?}"
    );
    assert_eq!(ids().await.len(), 5);

    let done = run(servers, &["purge", "--yes"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("2 deleted."), "{done:?}");
    assert_eq!(ids().await, ["foreign", "orphan", "other"]);

    let again = run(servers, &["purge", "--yes"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.contains("Nothing to delete."), "{again:?}");

    let unowned = run(servers, &["purge", "--yes", "--unowned"]).await;
    assert_eq!(unowned.code, Some(0), "{unowned:?}");
    assert_eq!(ids().await, ["foreign", "other"]);
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_with_what_to_do() {
    let servers = Servers::embedded().await;
    let gone = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();

    let checked = run(&servers, &["check", "--consul-addr", &gone]).await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(
        checked.out.contains("FAILED") && checked.out.contains(&gone),
        "{checked:?}"
    );
    for command in [&["plan"][..], &["purge", "--yes"]] {
        let failed = run(&servers, &[command, &["--consul-addr", &gone]].concat()).await;
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(
            failed.err.starts_with("error: ") && failed.err.contains(&gone),
            "{failed:?}"
        );
        assert_eq!(failed.err.lines().count(), 1, "{failed:?}");
    }
}

#[tokio::test]
async fn fault_g11_a_proxy_that_the_environment_names_is_not_used() {
    let servers = Servers::embedded().await;
    let names = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ];
    // Nothing listens on the port that is for discarding.
    let variables = names.map(|name| (name, "http://127.0.0.1:9"));
    let checked = run_with(&servers, &["check"], &variables).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let planned = run_with(&servers, &["plan"], &variables).await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
}

#[tokio::test]
async fn tls_needs_the_authority_and_works_with_it() {
    let Some(servers) = Servers::real_with_tls(ConsulVersion::V1_22).await else {
        return;
    };
    let (_, consul) = servers.as_real();
    let (url, authority) = (
        consul.https_url().unwrap(),
        consul.ca().unwrap().to_str().unwrap(),
    );

    let unknown = run(&servers, &["check", "--consul-addr", &url]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.out.contains("certificate"), "{unknown:?}");

    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    let arguments = ["--consul-addr", &url, "--consul-ca-file", authority];
    let checked = run(&servers, &[&["check"][..], &arguments].concat()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let _program = Program::ready(&servers, &arguments).await;
    Catalog(&servers.consul)
        .until_addresses("web", &["10.1.0.1"])
        .await;
}
