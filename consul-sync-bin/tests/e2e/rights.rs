//! The rights that `rbac` prints are enough, and what is missing is named.

use consul_sync_testbed::{Client, ConsulVersion};
use http::Method;
use rustix::process::Signal;

use crate::{
    both,
    catalog::Catalog,
    import,
    program::{Program, run},
    registered::{Cluster, Registered},
    servers::Servers,
    world::World,
};

/// Everything by the printed rights alone: a service account and a token that have nothing else.
pub(crate) async fn with_printed_rights(
    version: ConsulVersion,
    arguments: &[&str],
) -> Option<Servers> {
    let mut servers = Servers::real_with_acls(version).await?;
    let (api, consul) = servers.as_real();
    let account = api
        .service_account("consul-sync", "consul-sync")
        .await
        .unwrap();
    let manifests = run(&servers, &[&["rbac"], arguments].concat()).await;
    assert_eq!(manifests.code, Some(0), "{manifests:?}");
    for manifest in manifests.out.split("---\n") {
        apply(api.client(), manifest).await;
    }
    let rules = run(
        &servers,
        &[&["rbac", "--consul-policy"], arguments].concat(),
    )
    .await;
    let token = consul.token(&rules.out).await.unwrap();
    servers.kubeconfig = account.kubeconfig;
    servers.token = Some(token);
    Some(servers)
}

async fn apply(client: &Client, manifest: &str) {
    let field = |name: &str| {
        let line = manifest
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    let resource = match field("kind").unwrap().as_str() {
        "ClusterRole" => "clusterroles".to_owned(),
        "ClusterRoleBinding" => "clusterrolebindings".to_owned(),
        kind => format!(
            "namespaces/{}/{}s",
            field("namespace").unwrap(),
            kind.to_lowercase()
        ),
    };
    let path = format!("/apis/rbac.authorization.k8s.io/v1/{resource}");
    client
        .send(Method::POST, &path, "application/yaml", manifest.to_owned())
        .await
        .unwrap()
        .success()
        .unwrap();
}

async fn everything_works(servers: &Servers, arguments: &[&str]) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let checked = run(servers, &[&["check"], arguments].concat()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");

    world.web("web", &["10.1.0.1", "10.1.0.2"]).await;
    let planned = run(servers, &[&["plan"], arguments].concat()).await;
    assert_eq!(planned.code, Some(2), "{planned:?}");
    let mut program = Program::ready(servers, arguments).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    world.scale("web", &["10.1.0.2"]).await;
    catalog.until_addresses("web", &["10.1.0.2"]).await;
    assert!(!program.log().contains("WARN"), "{}", program.log());
    // A leader that is killed would keep its lock for a while.
    program.signal(Signal::TERM);
    program.ended().await;

    let purged = run(servers, &[&["purge", "--yes"], arguments].concat()).await;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    assert!(catalog.instances().await.is_empty());
}

#[tokio::test]
async fn printed_rights_are_enough_on_consul_1_21() {
    if let Some(servers) = with_printed_rights(ConsulVersion::V1_21, &[]).await {
        everything_works(&servers, &[]).await;
    }
}

#[tokio::test]
async fn printed_rights_are_enough_on_consul_1_22() {
    if let Some(servers) = with_printed_rights(ConsulVersion::V1_22, &[]).await {
        everything_works(&servers, &[]).await;
    }
}

#[tokio::test]
async fn printed_rights_of_one_namespace_are_enough() {
    let arguments = [
        "--allow-namespace=default",
        "--node-ports=off",
        "--consul-node=k8s-sync",
    ];
    if let Some(servers) = with_printed_rights(ConsulVersion::V1_22, &arguments).await {
        everything_works(&servers, &arguments).await;
    }
}

#[tokio::test]
async fn printed_rights_of_an_election_are_enough() {
    for version in [ConsulVersion::V1_21, ConsulVersion::V1_22] {
        let arguments = ["--leader-election=consul"];
        if let Some(servers) = with_printed_rights(version, &arguments).await {
            everything_works(&servers, &arguments).await;
        }
    }
}

/// The election that the chart has by default.
const BY_LEASE: [&str; 2] = [
    "--leader-election=lease",
    "--leader-election-namespace=consul-sync",
];

#[tokio::test]
async fn printed_rights_of_an_election_by_lease_are_enough() {
    for version in [ConsulVersion::V1_21, ConsulVersion::V1_22] {
        if let Some(servers) = with_printed_rights(version, &BY_LEASE).await {
            everything_works(&servers, &BY_LEASE).await;
        }
    }
}

#[tokio::test]
async fn without_rights_on_leases_the_verb_the_resource_and_the_namespace_are_named() {
    let Some(servers) =
        with_printed_rights(ConsulVersion::V1_22, &["--leader-election=consul"]).await
    else {
        return;
    };
    let checked = run(&servers, &[&["check"], &BY_LEASE[..]].concat()).await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for verb in ["get", "watch", "update"] {
        let lacking = format!(
            "{verb} leases.coordination.k8s.io consul-sync in namespace consul-sync: not allowed"
        );
        assert!(checked.out.contains(&lacking), "{lacking} in {checked:?}");
    }
    assert!(
        checked
            .out
            .contains("create leases.coordination.k8s.io in namespace consul-sync: not allowed"),
        "{checked:?}"
    );
    let program = Program::ready(&servers, &BY_LEASE).await;
    program
        .until_logged(
            "get leases.coordination.k8s.io consul-sync in namespace consul-sync: forbidden",
        )
        .await;
    let log = program.log();
    assert!(
        log.contains("cannot take part in the election")
            && log.contains("to a Role in namespace consul-sync"),
        "{log}"
    );
    // It does not write without the lead, and is not dead: a right that is given later is enough.
    World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
    let manifests = run(&servers, &[&["rbac"], &BY_LEASE[..]].concat()).await;
    assert!(Catalog(&servers.consul).instances().await.is_empty());
    for manifest in manifests.out.split("---\n") {
        if manifest.contains("namespace: consul-sync\nr") {
            apply(&servers.kubernetes, manifest).await;
        }
    }
    Catalog(&servers.consul)
        .until_addresses("web", &["10.1.0.1"])
        .await;
}

#[tokio::test]
async fn printed_rights_of_an_import_are_enough() {
    for version in [ConsulVersion::V1_21, ConsulVersion::V1_22] {
        if let Some(servers) = with_printed_rights(version, &import::IMPORT).await {
            let checked = run(&servers, &[&["check"], &import::IMPORT[..]].concat()).await;
            assert_eq!(checked.code, Some(0), "{checked:?}");
            import::each_mode_appears_follows_health_scales_and_goes(&servers).await;
            let planned = run(&servers, &[&["plan"], &import::IMPORT[..]].concat()).await;
            assert_eq!(planned.code, Some(0), "{planned:?}");
        }
    }
}

#[tokio::test]
async fn printed_rights_of_both_directions_are_enough() {
    let arguments = [&BY_LEASE[..], &both::BOTH].concat();
    if let Some(servers) = with_printed_rights(ConsulVersion::V1_22, &arguments).await {
        let imported = Registered(&servers.consul);
        imported.put("billing", &["10.2.0.1"]).await;
        everything_works(&servers, &arguments).await;
        let cluster = Cluster(&servers.kubernetes);
        assert!(cluster.ours().await.is_empty(), "purged as well");
    }
}

#[tokio::test]
async fn a_token_for_some_names_is_not_enough_to_import_and_check_says_so() {
    let Some(mut servers) = with_printed_rights(ConsulVersion::V1_22, &import::IMPORT).await else {
        return;
    };
    let (_, consul) = servers.as_real();
    let rules =
        "service_prefix \"web\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }";
    servers.token = Some(consul.token(rules).await.unwrap());
    let checked = run(&servers, &[&["check"], &import::IMPORT[..]].concat()).await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(
        checked
            .out
            .contains("the token lacks service_prefix \"\" { policy = \"read\" }")
            && checked.out.contains("rights on some names are not enough"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn check_names_the_rights_that_an_election_lacks() {
    let Some(servers) = with_printed_rights(ConsulVersion::V1_22, &[]).await else {
        return;
    };
    let checked = run(
        &servers,
        &["check", "--leader-election=consul", "--owner=a"],
    )
    .await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for rule in [
        "key \"consul-sync/a/leader\" { policy = \"write\" }",
        "session \"k8s-sync\" { policy = \"write\" }",
    ] {
        assert!(
            checked.out.contains(&format!("the token lacks {rule}")),
            "{checked:?}"
        );
    }
    let program = Program::start(&servers, &["--leader-election=consul", "--owner=a"]);
    program
        .until_logged("cannot take part in the election")
        .await;
    let log = program.log();
    assert!(
        log.contains("key \"consul-sync/a/leader\"") || log.contains("consul-sync/a/leader"),
        "{log}"
    );
}

#[tokio::test]
async fn a_missing_right_is_named_by_check_and_by_run_and_loses_nothing() {
    let Some(servers) = with_printed_rights(ConsulVersion::V1_22, &[]).await else {
        return;
    };
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    world.web("web", &["10.1.0.1"]).await;
    {
        let _program = Program::ready(&servers, &[]).await;
        catalog.until_addresses("web", &["10.1.0.1"]).await;
    }
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/consul-sync";
    let rules = serde_json::json!({ "rules": [
        { "apiGroups": [""], "resources": ["services", "nodes"], "verbs": ["list", "watch"] },
        { "apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"] },
    ] });
    servers
        .kubernetes
        .merge(role, &rules)
        .await
        .unwrap()
        .success()
        .unwrap();

    let checked = crate::until::until(
        "the missing right",
        async || run(&servers, &["check"]).await,
        |checked| checked.code == Some(1),
    )
    .await;
    assert!(
        checked.out.contains("FAILED") && checked.out.contains("endpointslices"),
        "{checked:?}"
    );
    let program = Program::start(&servers, &[]);
    program.until_logged("kind=\"unauthorized\"").await;
    assert!(
        program.log().contains("endpointslices"),
        "{}",
        program.log()
    );
    assert_eq!(catalog.addresses("web").await, ["10.1.0.1"]);
}
