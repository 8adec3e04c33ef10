//! What each flag and variable leads to.

use std::ffi::OsString;

use consul_sync_consul::SinkSettings;
use consul_sync_k8s::NodePorts;

use super::*;
use crate::args::table;

pub(in crate::settings) type Texts<'a> = &'a [(&'a str, &'a str)];

pub(in crate::settings) fn read(
    flags: Texts<'_>,
    variables: Texts<'_>,
) -> Result<Settings, String> {
    let mut given = Given::collect(
        table::ALL,
        |row| {
            let texts: Vec<String> = flags
                .iter()
                .filter(|(name, _)| *name == row.name)
                .map(|(_, text)| (*text).to_owned())
                .collect();
            (!texts.is_empty()).then_some(texts)
        },
        |name| {
            variables
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, text)| OsString::from(text))
        },
    );
    let settings = Settings::read(&mut given, true);
    given
        .finish(settings)
        .map_err(|problems| problems.to_string())
}

#[test]
fn defaults_are_the_adapters_own() {
    let settings = read(&[], &[]).unwrap();
    assert_eq!(settings.export, ExportSettings::default());
    let consul = ClientSettings::new("http://127.0.0.1:8500");
    assert_eq!(format!("{:?}", settings.consul), format!("{consul:?}"));
    assert_eq!(settings.subject, Subject::default());
    let sink = crate::wire::sink_settings(&settings, Owner::new("a").unwrap());
    assert_eq!(
        format!("{sink:?}"),
        format!("{:?}", SinkSettings::new(Owner::new("a").unwrap()))
    );
}

#[tokio::test]
async fn a_lease_elects_both_directions_and_the_lock_fences_what_consul_checks() {
    let settings = read(
        &[
            ("leader-election", "lease"),
            ("leader-election-lease", "east"),
            ("leader-election-ttl", "20s"),
        ],
        &[],
    )
    .unwrap();
    let lease = settings.lease.as_ref().unwrap();
    assert_eq!((&*lease.name, lease.ttl.as_secs()), ("east", 20));
    assert_eq!(lease.namespace, None);
    assert!(settings.lock_of(Direction::ToConsul).is_some());
    assert_eq!(settings.lock_of(Direction::ToK8s), None);
    let owner = Owner::new("a").unwrap();
    let client = consul_sync_k8s::testing::FakeCluster::new().client();
    let election = |direction| {
        let election = crate::wire::election(&settings, &owner, direction, Some(&client));
        election.unwrap().unwrap().to_string()
    };
    assert_eq!(
        election(Direction::ToConsul),
        "the lease default/east with the lock consul-sync/a/leader"
    );
    assert_eq!(election(Direction::ToK8s), "the lease default/east-to-k8s");
    assert!(crate::wire::election(&settings, &owner, Direction::ToK8s, None).is_err());
}

#[test]
fn an_election_is_off_by_default_and_has_no_lists_of_ports() {
    assert_eq!(read(&[], &[]).unwrap().lock, None);
    let settings = read(&[("leader-election", "consul")], &[]).unwrap();
    let owner = Owner::new("a").unwrap();
    let lock = |direction| crate::wire::election(&settings, &owner, direction, None);
    let other = lock(Direction::ToK8s).unwrap().unwrap();
    assert_eq!(other.to_string(), "the lock consul-sync/a/leader-to-k8s");
    let lock = lock(Direction::ToConsul).unwrap().unwrap();
    assert_eq!(lock.to_string(), "the lock consul-sync/a/leader");
    let shown = format!("{:?}", consul_sync_consul::LockSettings::new(&owner));
    for same in ["ttl: 15s", "lock_delay: 0ns", "node: \"k8s-sync\""] {
        assert!(
            shown.contains(same) && format!("{lock:?}").contains(same),
            "{same}: {lock:?}"
        );
    }
    let refused = read(
        &[("leader-election", "consul"), ("consul-ports", "auto")],
        &[],
    );
    let message = refused.unwrap_err();
    assert!(
        message.contains("--consul-ports") && message.contains("expected never"),
        "{message}"
    );
}

#[test]
fn services_go_to_consul_by_default_and_at_least_one_way() {
    let on = |flags| read(flags, &[]).unwrap().directions();
    assert_eq!(on(&[]), [Direction::ToConsul]);
    assert_eq!(on(&[("to-k8s", "true")]), Direction::ALL);
    let other = [("to-k8s", "true"), ("to-consul", "false")];
    assert_eq!(on(&other), [Direction::ToK8s]);
    let error = read(&[("to-consul", "false")], &[]).unwrap_err();
    assert!(
        error.contains("--to-consul") && error.contains("--to-k8s"),
        "{error}"
    );
}

#[test]
fn defaults_of_the_import_are_the_adapters_own() {
    let settings = read(&[], &[]).unwrap();
    let owner = Owner::new("a").unwrap();
    assert_eq!(
        format!("{:?}", settings.import.source(owner.clone())),
        format!(
            "{:?}",
            consul_sync_consul::SourceSettings::new(owner.clone())
        )
    );
    assert_eq!(
        settings.import.sink(owner.clone()),
        consul_sync_k8s::ImportSettings::new(owner)
    );
}

#[test]
fn every_switch_of_the_import_can_be_turned() {
    use consul_sync_consul::NamePattern;
    use consul_sync_k8s::Mode;

    let settings = read(
        &[
            ("k8s-write-namespace", "shop"),
            ("k8s-service-prefix", "c-"),
            ("k8s-mode", "endpoints"),
            ("k8s-mode-for", "db-*=headless,web=external-name"),
            ("k8s-mode-by-meta", "false"),
            ("k8s-mirror-namespaces", "true"),
            ("k8s-mirror-prefix", "from-"),
            ("k8s-meta-namespaces", "a,b"),
            ("k8s-refused-networks", "10.96.0.0/12,fd00::/64"),
            ("k8s-events", "false"),
            ("consul-domain", "example.com"),
            ("import-allow-names", "web,db-*"),
            ("import-deny-names", "*-proxy"),
            ("filter", "ServiceMeta.a == \"b,c\""),
            ("import-instance-filter", "Node.Meta.zone == \"a\""),
            ("import-required-tags", "public"),
            ("import-refused-tags", "old,x"),
            ("import-passing-only", "true"),
            ("import-datacenters", "dc2,dc1"),
            ("import-namespaces", "team"),
            ("import-owners", "b"),
            ("import-queries", "7"),
            ("consul-wait", "30s"),
            ("tag", "kube"),
        ],
        &[],
    )
    .unwrap();
    let owner = Owner::new("a").unwrap();
    let sink = settings.import.sink(owner.clone());
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = consul_sync_k8s::ImportSettings {
        owner: owner.clone(),
        mode: Mode::Endpoints,
        mode_rules: ["db-*=headless", "web=external-name"]
            .map(|rule| rule.parse().unwrap())
            .into(),
        mode_by_meta: false,
        prefix: "c-".to_owned(),
        domain: "example.com".to_owned(),
        namespace: "shop".to_owned(),
        mirror_namespaces: Some("from-".to_owned()),
        meta_namespaces: names(&["a", "b"]),
        events: false,
        refused_networks: ["10.96.0.0/12", "fd00::/64"]
            .map(|network| network.parse().unwrap())
            .into(),
    };
    assert_eq!(sink, expected);
    let source = settings.import.source(owner);
    let pattern = |text| NamePattern::new(text).unwrap();
    assert_eq!(source.allow, [pattern("web"), pattern("db-*")]);
    assert_eq!(source.deny, [pattern("*-proxy")]);
    assert_eq!(source.filter.as_deref(), Some("ServiceMeta.a == \"b,c\""));
    assert_eq!(
        source.instance_filter.as_deref(),
        Some("Node.Meta.zone == \"a\"")
    );
    assert_eq!(source.required_tags, ["public"]);
    assert_eq!(source.refused_tags, ["old", "x"]);
    assert!(source.passing_only);
    let qualifiers: Vec<String> = source
        .scopes
        .iter()
        .map(consul_sync_consul::Scope::qualifier)
        .collect();
    assert_eq!(qualifiers, ["team.dc1.dc", "team.dc2.dc"]);
    assert_eq!(source.other_owners, [Owner::new("b").unwrap()].into());
    let (queries, wait) = ((source.queries, source.node_queries), source.wait);
    assert_eq!((queries, wait.as_secs()), ((7, 6), 30));
    assert_eq!(source.kubernetes_tag, "kube");
}

#[test]
fn what_does_not_go_together_in_an_import_is_named() {
    let endpoints = ("k8s-mode", "endpoints");
    for (flags, name, words) in [
        (
            &[("import-required-tags", "a"), ("import-refused-tags", "A")][..],
            "--import-refused-tags",
            "no instance would fit",
        ),
        (
            &[endpoints, ("import-peers", "east")],
            "--import-peers",
            "in full",
        ),
    ] {
        let error = read(flags, &[]).unwrap_err();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
    let named = [
        endpoints,
        ("import-peers", "east"),
        ("import-allow-names", "web"),
    ];
    let settings = read(&named, &[]).unwrap();
    let scopes = settings.import.scopes().iter();
    let qualifiers: Vec<String> = scopes.map(consul_sync_consul::Scope::qualifier).collect();
    assert_eq!(qualifiers, ["default", "default.east.peer"]);
}

#[test]
fn every_switch_of_the_export_can_be_turned() {
    let settings = read(
        &[
            ("default-sync", "false"),
            ("allow-namespace", "a,b"),
            ("allow-namespace", "c"),
            ("deny-namespace", "b"),
            ("namespace-selector", "team=a"),
            ("service-selector", "!internal"),
            ("name-prefix", "eu-"),
            ("namespace-suffix", "true"),
            ("allow-names", "a=*,*=*-{namespace}"),
            ("max-services-per-namespace", "7"),
            ("tag", ""),
            ("cluster-ip", "false"),
            ("load-balancer-endpoints", "true"),
            ("node-ports", "ExternalFirst"),
            ("ingress", "true"),
            ("ingress-load-balancer-ips", "true"),
            ("serve-terminating", "true"),
            ("consul-mirror-namespaces", "true"),
            ("consul-mirror-prefix", "k8s-"),
        ],
        &[],
    )
    .unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = ExportSettings {
        default_sync: false,
        source_namespace: None,
        allow_namespaces: names(&["a", "b", "c"]),
        deny_namespaces: names(&["b"]),
        namespace_selector: "team=a".parse().unwrap(),
        service_selector: "!internal".parse().unwrap(),
        prefix: "eu-".to_owned(),
        namespace_suffix: true,
        name_rules: ["a=*", "*=*-{namespace}"]
            .map(|rule| rule.parse().unwrap())
            .into_iter()
            .collect(),
        services_per_namespace: std::num::NonZeroUsize::new(7),
        tag: String::new(),
        cluster_ip: false,
        load_balancer_endpoints: true,
        node_ports: NodePorts::ExternalFirst,
        ingress: true,
        ingress_load_balancer_ips: true,
        serve_terminating: true,
        consul_namespaces: ConsulNamespaces::Mirrored {
            prefix: "k8s-".to_owned(),
        },
    };
    assert_eq!(settings.export, expected);
}

#[test]
fn one_namespace_and_mirrored_namespaces_exclude_each_other_as_flags() {
    let mirrored = ("consul-mirror-namespaces", "true");
    assert!(
        read(&[mirrored, ("consul-namespace", "a")], &[])
            .unwrap_err()
            .starts_with("--consul-namespace \"a\"")
    );
    // Set in many shells for other programs.
    assert!(
        read(&[mirrored], &[("CONSUL_NAMESPACE", "a")])
            .unwrap()
            .place
            .mirrored
    );
}

#[test]
fn namespaces_are_made_on_demand_unless_that_is_turned_off() {
    let place = read(&[], &[]).unwrap().place;
    assert!(place.create_namespaces && place.namespace_policy.is_none());
    let flags = [
        ("consul-create-namespaces", "false"),
        ("consul-cross-namespace-policy", "cross"),
    ];
    let place = read(&flags, &[]).unwrap().place;
    assert!(!place.create_namespaces);
    assert_eq!(place.namespace_policy.as_deref(), Some("cross"));
}

#[test]
fn no_secret_is_in_the_settings_debug_text() {
    let settings = read(&[("consul-token", "canary")], &[]).unwrap();
    assert!(!format!("{settings:?}").contains("canary"));
}
