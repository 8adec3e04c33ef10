use super::*;
use crate::args::table;

fn of(arguments: &[&str]) -> Translated {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    translate(&arguments, |_| None).unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    match translate(&arguments, |_| None) {
        Err(Refused::Bad(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn has(translated: &Translated, argument: &str) -> bool {
    translated.arguments.iter().any(|one| one == argument)
}

#[test]
fn what_the_incumbents_chart_starts_is_understood() {
    let chart = [
        "-log-level=info",
        "-log-json=false",
        "-k8s-default-sync=true",
        "-k8s-write-namespace=consul",
        "-allow-k8s-namespace=*",
        "-deny-k8s-namespace=kube-system",
        "-deny-k8s-namespace=kube-public",
        "-consul-domain=consul",
        "-node-port-sync-type=ExternalFirst",
        "-consul-node-name=k8s-sync",
        "-add-k8s-namespace-suffix",
        "-consul-write-interval=30s",
    ];
    let ours = of(&chart);
    assert_eq!(
        ours.arguments,
        [
            "run",
            "--allow-namespace=*",
            "--consul-domain=consul",
            "--consul-node=k8s-sync",
            "--default-sync=true",
            "--deny-namespace=kube-system,kube-public",
            "--k8s-write-namespace=consul",
            "--log-level=info",
            "--namespace-suffix=true",
            "--node-ports=external-first",
            "--to-k8s=true",
        ]
    );
    assert_eq!(
        ours.notes,
        [
            "-consul-write-interval does nothing: changes are written when they happen, not at intervals"
        ]
    );
}

#[test]
fn every_flag_that_is_a_setting_names_one() {
    for flag in FLAGS {
        let names = match flag.means {
            Means::Setting(name) => vec![name],
            Means::Joined(names) => names.to_vec(),
            _ => Vec::new(),
        };
        for name in names {
            assert!(table::ALL.iter().any(|row| row.name == name), "{name}");
        }
    }
}

#[test]
fn without_an_allowed_namespace_nothing_is_registered_and_that_is_said() {
    let ours = of(&[]);
    assert!(has(&ours, "--deny-namespace=*"));
    assert!(ours.notes[0].contains("-allow-k8s-namespace"));
    let ours = of(&["-k8s-source-namespace=shop", "-allow-k8s-namespace=*"]);
    assert!(has(&ours, "--allow-namespace=shop") && ours.notes.is_empty());
}

#[test]
fn an_address_may_be_a_command_and_has_the_port_that_is_given() {
    let ours = of(&["-addresses=consul.example", "-use-tls", "-http-port=443"]);
    for argument in [
        "--consul-addr=consul.example",
        "--consul-tls=true",
        "--consul-port=443",
    ] {
        assert!(has(&ours, argument), "{ours:?}");
    }
    let command = of(&["-addresses=exec=discover -q addrs provider=aws"]);
    assert!(has(
        &command,
        "--consul-addr-command=discover -q addrs provider=aws"
    ));
    assert!(
        !command
            .arguments
            .iter()
            .any(|one| one.starts_with("--consul-addr="))
    );
}

#[test]
fn a_login_is_a_login_and_goes_before_a_token() {
    let variables = |name: &str| match name {
        "CONSUL_LOGIN_META" => Some("component=sync,pod=a/b".to_owned()),
        "CONSUL_LOGIN_PARTITION" => Some(String::new()),
        "CONSUL_ACL_TOKEN" => Some("t".to_owned()),
        _ => None,
    };
    let arguments = ["-auth-method-name=k8s", "-consul-login-datacenter=dc1"];
    let ours = translate(&arguments.map(str::to_owned), variables).unwrap();
    for argument in [
        "--consul-login-method=k8s",
        "--consul-login-datacenter=dc1",
        "--consul-login-meta=component=sync,pod=a/b",
    ] {
        assert!(has(&ours, argument), "{ours:?}");
    }
    for absent in ["--consul-token", "--consul-login-partition"] {
        assert!(
            !ours.arguments.iter().any(|one| one.starts_with(absent)),
            "{ours:?}"
        );
    }
    let none = translate(&["-auth-method-name=".to_owned()], variables).unwrap();
    assert!(has(&none, "--consul-token=t"), "{none:?}");
}

#[test]
fn namespaces_of_consul_count_only_when_they_are_enabled() {
    let place = "-consul-destination-namespace=shop";
    assert!(!has(&of(&[place]), "--consul-namespace=shop"));
    assert!(has(
        &of(&[place, "-enable-namespaces"]),
        "--consul-namespace=shop"
    ));
    assert!(has(
        &of(&["-enable-namespaces"]),
        "--consul-namespace=default"
    ));
    let mirrored = of(&[
        "-enable-namespaces",
        "-enable-k8s-namespace-mirroring",
        "-k8s-namespace-mirroring-prefix=k8s-",
        "-namespace=elsewhere",
    ]);
    assert!(has(&mirrored, "--consul-mirror-namespaces=true"));
    assert!(has(&mirrored, "--consul-mirror-prefix=k8s-"));
    assert!(!has(&mirrored, "--consul-namespace=elsewhere"));
    // They are made on demand, as there: nothing says otherwise.
    assert!(!mirrored.arguments.iter().any(|one| one.contains("create")));
    let policy = of(&[
        "-enable-namespaces",
        "-consul-cross-namespace-acl-policy=cross",
    ]);
    assert!(has(&policy, "--consul-cross-namespace-policy=cross"));
    let none = of(&["-consul-cross-namespace-acl-policy="]);
    assert!(
        !none
            .arguments
            .iter()
            .any(|one| one.contains("cross-namespace"))
    );
}

#[test]
fn a_purge_is_a_purge_of_the_node_or_of_what_a_filter_selects_there() {
    let ours = of(&["-purge-k8s-services-from-node", "-allow-k8s-namespace=*"]);
    assert_eq!(ours.arguments[..3], ["purge", "--yes", "--unowned"]);
    assert!(
        has(&ours, "--to-k8s=false") && ours.notes.is_empty(),
        "{ours:?}"
    );
    let part = of(&[
        "-purge-k8s-services-from-node",
        "-filter=Service == \"a,b\"",
    ]);
    assert!(has(&part, "--only=Service == \"a,b\""), "{part:?}");
    let idle = of(&["-filter=x", "-allow-k8s-namespace=*"]);
    assert!(idle.notes[0].starts_with("-filter"), "{idle:?}");
}

#[test]
fn what_is_missing_is_an_error_that_says_what_to_do() {
    assert!(refusal(&["-node-port-sync-type=All"]).contains("ExternalFirst"));
}

#[test]
fn it_is_called_by_its_program_or_by_its_command() {
    let call = |words: &[&str]| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        flags(&words)
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(call(&["consul-sync", "run"]), Ok(None));
    assert_eq!(call(&["consul-sync"]), Ok(None));
    assert_eq!(
        call(&["consul-sync", "sync-catalog"]),
        Ok(Some(none.clone()))
    );
    assert_eq!(
        call(&["/bin/consul-k8s-control-plane", "sync-catalog"]),
        Ok(Some(none))
    );
    let other = call(&["consul-k8s-control-plane", "inject-connect"]);
    assert!(matches!(other, Err(Refused::Bad(text)) if text.contains("inject-connect")));
}

#[test]
fn help_names_every_flag() {
    let Err(Refused::Help(text)) = translate(&["-h".to_owned()], |_| None) else {
        panic!("help was asked for");
    };
    for flag in FLAGS {
        assert!(
            text.contains(&format!("  -{} ", flag.name)),
            "{}",
            flag.name
        );
    }
}

#[test]
fn metrics_have_their_port_and_path_once_they_are_enabled() {
    let ours = of(&["-enable-metrics", "-metrics-path=/prom"]);
    assert!(has(&ours, "--incumbent-metrics=:20300"), "{ours:?}");
    assert!(has(&ours, "--incumbent-metrics-path=/prom"), "{ours:?}");
    let other = of(&["-enable-metrics=true", "-metrics-port=9999"]);
    assert!(has(&other, "--incumbent-metrics=:9999"), "{other:?}");
    let off = of(&["-metrics-port=9999"]);
    assert!(!has(&off, "--incumbent-metrics=:9999"), "{off:?}");
    for port in ["80", "70000", "x"] {
        let refused = refusal(&[&format!("-metrics-port={port}")]);
        assert!(refused.starts_with("-metrics-port="), "{refused}");
    }
}
