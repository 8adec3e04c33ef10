//! What each flag and variable leads to.

use std::ffi::OsString;

use consul_sync_consul::{Secret, SinkSettings};
use consul_sync_k8s::NodePorts;

use super::*;
use crate::args::table;

type Texts<'a> = &'a [(&'a str, &'a str)];

fn read(flags: Texts<'_>, variables: Texts<'_>) -> Result<Settings, String> {
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
    assert_eq!((queries, wait.as_secs()), ((7, 3), 30));
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
fn variables_of_consuls_own_commands_are_understood() {
    let settings = read(
        &[],
        &[
            ("CONSUL_HTTP_ADDR", "consul-0:8501,consul-1:8501"),
            ("CONSUL_HTTP_SSL", "true"),
            ("CONSUL_HTTP_TOKEN", "hush"),
            ("CONSUL_CACERT", "/ca.pem"),
            ("CONSUL_CAPATH", "/ca"),
            ("CONSUL_CLIENT_CERT", "/cert.pem"),
            ("CONSUL_CLIENT_KEY", "/key.pem"),
            ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"),
            ("CONSUL_PARTITION", "east"),
            ("CONSUL_NAMESPACE", "shop"),
        ],
    )
    .unwrap();
    let consul = &settings.consul;
    assert_eq!(consul.addresses, ["consul-0:8501", "consul-1:8501"]);
    assert!(consul.use_tls);
    assert_eq!(consul.token, TokenSource::Value(Secret::new("hush")));
    assert_eq!(consul.tls.ca_file, Some("/ca.pem".into()));
    assert_eq!(consul.tls.ca_dir, Some("/ca".into()));
    assert_eq!(consul.tls.client_cert, Some("/cert.pem".into()));
    assert_eq!(consul.tls.client_key, Some("/key.pem".into()));
    assert_eq!(consul.tls.server_name.as_deref(), Some("server.dc1.consul"));
    assert_eq!(consul.partition.as_deref(), Some("east"));
    assert_eq!(settings.place.namespace.as_deref(), Some("shop"));
}

#[test]
fn of_two_tokens_a_flag_wins_and_of_two_variables_the_file() {
    let token = ("consul-token", "t");
    let file = ("consul-token-file", "/f");
    let token_variable = ("CONSUL_HTTP_TOKEN", "t");
    let file_variable = ("CONSUL_HTTP_TOKEN_FILE", "/f");
    let value = TokenSource::Value(Secret::new("t"));
    let of_file = TokenSource::File("/f".into());
    let rows: [(Texts<'_>, Texts<'_>, &TokenSource); 6] = [
        (&[], &[], &TokenSource::Anonymous),
        (&[token], &[], &value),
        (&[], &[file_variable], &of_file),
        (&[token], &[file_variable], &value),
        (&[file], &[token_variable], &of_file),
        (&[], &[token_variable, file_variable], &of_file),
    ];
    for (flags, variables, expected) in rows {
        let settings = read(flags, variables).unwrap();
        assert_eq!(&settings.consul.token, expected, "{flags:?} {variables:?}");
    }
    let error = read(&[token, file], &[]).unwrap_err();
    assert!(
        error.starts_with("--consul-token-file \"/f\": ") && error.contains("--consul-token:"),
        "{error}"
    );
}

#[test]
fn a_certificate_needs_its_key_and_a_key_its_certificate() {
    let error = read(&[("consul-client-cert", "/c")], &[]).unwrap_err();
    assert!(
        error.contains("--consul-client-cert") && error.contains("--consul-client-key"),
        "{error}"
    );
    let error = read(&[], &[("CONSUL_CLIENT_KEY", "/k")]).unwrap_err();
    assert!(
        error.starts_with("CONSUL_CLIENT_KEY \"/k\": ") && error.contains("--consul-client-cert"),
        "{error}"
    );
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
fn an_address_list_without_an_address_is_refused() {
    assert!(
        read(&[("consul-addr", " , ")], &[])
            .unwrap_err()
            .contains("--consul-addr")
    );
}

#[test]
fn no_secret_is_in_the_settings_debug_text() {
    let settings = read(&[("consul-token", "canary")], &[]).unwrap();
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn a_login_goes_before_a_token_from_a_variable_and_not_with_one_from_a_flag() {
    let flags = [
        ("consul-login-method", "k8s"),
        ("consul-login-bearer-token-file", "/jwt"),
        ("consul-login-datacenter", "dc1"),
        ("consul-login-partition", "p"),
        ("consul-login-namespace", "n"),
        ("consul-login-meta", "a=b,c=d=e"),
    ];
    let settings = read(&flags, &[("CONSUL_HTTP_TOKEN", "t")]).unwrap();
    let TokenSource::Login(login) = settings.consul.token else {
        panic!("no login");
    };
    let mut expected = LoginSettings::new("k8s");
    expected.bearer_token_file = "/jwt".into();
    expected.datacenter = Some("dc1".into());
    expected.partition = Some("p".into());
    expected.namespace = Some("n".into());
    expected.meta = [("a", "b"), ("c", "d=e")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    assert_eq!(*login.settings(), expected);
    for token in ["consul-token", "consul-token-file"] {
        let error = read(&[("consul-login-method", "k8s"), (token, "/t")], &[]).unwrap_err();
        assert!(
            error.starts_with("--consul-login-method \"k8s\": "),
            "{error}"
        );
    }
    let pod = read(&[("consul-login-method", "k8s")], &[]).unwrap();
    assert_eq!(
        pod.consul.token,
        pod.consul.token.clone(),
        "clones share the token"
    );
}

#[test]
fn a_command_that_finds_the_servers_stands_in_place_of_addresses() {
    let command = ("consul-addr-command", "found --key canary");
    let settings = read(
        &[command, ("consul-port", "99")],
        &[("CONSUL_HTTP_ADDR", "http://elsewhere")],
    )
    .unwrap();
    assert_eq!(
        settings.consul.address_command.as_deref(),
        Some("found --key canary")
    );
    assert_eq!(settings.consul.port, Some(99));
    assert!(!format!("{settings:?}").contains("canary"));
    let error = read(&[command, ("consul-addr", "x")], &[]).unwrap_err();
    assert!(error.starts_with("--consul-addr \"x\": "), "{error}");
}

#[test]
fn certificates_may_stand_in_the_settings_themselves() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let settings = read(&[("consul-ca-pem", pem)], &[]).unwrap();
    assert_eq!(settings.consul.tls.ca_pem.as_deref(), Some(pem));
    let error = read(&[("consul-ca-pem", "/etc/ca.pem")], &[]).unwrap_err();
    assert!(error.contains("BEGIN CERTIFICATE"), "{error}");
}
