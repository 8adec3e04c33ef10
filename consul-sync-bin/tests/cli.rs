//! The program as a shell meets it: help, wrong words, wrong values. No server is asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own helpers fail where they are"
)]

use std::process::{Command, Output};

fn consul_sync(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_consul-sync"))
        .args(arguments)
        .env_clear()
        // No kubeconfig of the person who runs the tests.
        .env("HOME", "/nonexistent")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn fails(arguments: &[&str], variables: &[(&str, &str)], parts: &[&str]) {
    let output = consul_sync(arguments, variables);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    assert_eq!(stdout(&output), "", "{arguments:?}");
    for part in parts {
        assert!(
            message.contains(part),
            "{arguments:?} does not say {part:?}:\n{message}"
        );
    }
}

#[test]
fn help_goes_to_standard_output_and_names_every_command() {
    let output = consul_sync(&["--help"], &[]);
    assert!(output.status.success());
    for command in [
        "run",
        "plan",
        "check",
        "purge",
        "rbac",
        "release-brake",
        "config",
        "completions",
        "man",
        "version",
    ] {
        assert!(
            stdout(&output).contains(&format!("  {command} ")),
            "{command}"
        );
    }
}

#[test]
fn help_of_run_tells_of_each_setting_its_default_and_its_variables() {
    let text = stdout(&consul_sync(&["run", "--help"], &[]));
    for part in [
        "--brake-share <PERCENT>",
        "[default: 15] [env: CONSUL_SYNC_BRAKE_SHARE]",
        "CONSUL_SYNC_CONSUL_ADDR, CONSUL_HTTP_ADDR",
        "--cluster-ip[=<BOOL>]",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn help_never_shows_what_a_variable_holds() {
    let secrets = [
        ("CONSUL_HTTP_TOKEN", "canary-1"),
        ("CONSUL_SYNC_CONSUL_TOKEN", "canary-2"),
    ];
    for help in ["-h", "--help"] {
        let text = stdout(&consul_sync(&["run", help], &secrets));
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn the_version_is_told_both_ways() {
    let expected = format!("consul-sync {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&consul_sync(&["version"], &[])), expected);
    assert_eq!(stdout(&consul_sync(&["--version"], &[])), expected);
}

#[test]
fn words_that_are_no_command_or_flag_are_named() {
    fails(&["walk"], &[], &["walk"]);
    fails(&["run", "--garbage"], &[], &["--garbage"]);
    fails(
        &["run", "--brake-shar", "5"],
        &[],
        &["--brake-shar", "--brake-share"],
    );
    fails(&["run", "more"], &[], &["more"]);
    fails(&["plan", "--brake-share"], &[], &["--brake-share"]);
    fails(&[], &[], &["Usage: consul-sync"]);
}

#[test]
fn a_bad_value_names_its_flag_or_variable_and_what_would_be_good() {
    for (name, bad, good) in [
        ("brake-share", "150", "0 to 100"),
        ("brake-floor", "-1", "whole number"),
        ("brake-window", "soon", "30s"),
        ("policy", "all", "upsert-only"),
        ("orphans", "keep", "report or delete"),
        ("listen", "8080", "127.0.0.1:8080"),
        ("log-level", "loud", "debug"),
        ("log-format", "xml", "text or json"),
        ("consul-addr", "ftp://consul", "http"),
        ("consul-timeout", "0", "longer than 0"),
        ("cluster-ip", "maybe", "true or false"),
        ("node-ports", "all", "external-only"),
        ("service-selector", "team in (a", "selector"),
    ] {
        let flag = format!("--{name}={bad}");
        fails(&["run", &flag], &[], &[&format!("--{name} "), bad, good]);
        let variable = format!("CONSUL_SYNC_{}", name.to_uppercase().replace('-', "_"));
        fails(&["run"], &[(&variable, bad)], &[&variable, bad, good]);
    }
}

#[test]
fn every_bad_value_is_told_at_once() {
    fails(
        &["plan", "--policy", "all", "--listen", "x"],
        &[],
        &["--policy", "--listen", "consul-sync plan --help"],
    );
}

#[test]
fn a_kubeconfig_that_cannot_be_used_names_the_flag() {
    for command in ["run", "plan", "check"] {
        fails(
            &[command, "--listen=off", "--kubeconfig", "/nowhere/config"],
            &[],
            &["--kubeconfig /nowhere/config", "No such file"],
        );
    }
    fails(
        &["run", "--listen=off"],
        &[("KUBECONFIG", "/nowhere/config")],
        &["KUBECONFIG"],
    );
}

#[test]
fn without_a_kubeconfig_outside_a_cluster_every_place_that_was_looked_at_is_told() {
    fails(
        &["run", "--listen=off"],
        &[],
        &["--kubeconfig", "KUBECONFIG", "~/.kube/config", "pod"],
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    fails(
        &["run"],
        &[
            ("CONSUL_SYNC_LISTEN", ""),
            ("CONSUL_SYNC_BRAKE_SHARE", ""),
            ("KUBECONFIG", ""),
            ("CONSUL_SYNC_LISTEN", "off"),
        ],
        &["no kubeconfig"],
    );
}

/// A kubeconfig that leads nowhere.
fn kubeconfig() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
                clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n\
                users: [{name: a, user: {}}]\n\
                contexts: [{name: a, context: {cluster: a, user: a}}]\n";
    std::fs::write(file.path(), yaml).unwrap();
    file
}

#[test]
fn a_token_or_certificate_file_that_cannot_be_read_is_named() {
    let file = kubeconfig();
    let variables = [("KUBECONFIG", file.path().to_str().unwrap())];
    let arguments = [
        "run",
        "--listen=off",
        "--consul-token-file",
        "/nowhere/token",
    ];
    fails(
        &arguments,
        &variables,
        &["--consul-token-file", "/nowhere/token"],
    );
    let arguments = [
        "run",
        "--listen=off",
        "--consul-addr=https://consul",
        "--consul-ca-file=/nowhere/ca",
    ];
    fails(&arguments, &variables, &["/nowhere/ca"]);
}

#[test]
fn an_address_that_is_taken_names_the_flag() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = kubeconfig();
    let variables = [("KUBECONFIG", file.path().to_str().unwrap())];
    fails(
        &["run", "--listen", &address],
        &variables,
        &["--listen", &address],
    );
}

#[test]
fn rights_are_printed_without_any_server() {
    let manifests = stdout(&consul_sync(&["rbac"], &[]));
    assert!(
        manifests.contains("kind: ClusterRole") && manifests.contains("endpointslices"),
        "{manifests}"
    );
    let rules = stdout(&consul_sync(
        &["rbac", "--consul-policy", "--consul-node", "other"],
        &[],
    ));
    assert!(
        rules.contains("node \"other\"") && rules.contains("service_prefix"),
        "{rules}"
    );
}

#[test]
fn a_settings_file_is_read_and_config_tells_where_each_setting_came_from() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "brake-share: 20\nconsul-token: canary\ntag: from-file\n",
    )
    .unwrap();
    let path = file.path().to_str().unwrap();
    let output = consul_sync(
        &["config", "--tag=from-flag"],
        &[("CONSUL_SYNC_CONFIG", path), ("CONSUL_SYNC_OWNER", "me")],
    );
    let text = stdout(&output);
    assert!(
        output.status.success() && !text.contains("canary"),
        "{text}"
    );
    for (setting, origin) in [
        ("brake-share: 20", format!("# file {path}:1")),
        ("# consul-token: (secret)", format!("# file {path}:2")),
        ("tag: from-flag", "# flag".to_owned()),
        ("owner: me", "# environment CONSUL_SYNC_OWNER".to_owned()),
        ("brake-floor: 10", "# default".to_owned()),
    ] {
        let told = text.lines().find(|line| line.starts_with(setting));
        assert!(
            told.is_some_and(|line| line.ends_with(&origin)),
            "{setting} {origin}\n{text}"
        );
    }
    std::fs::write(file.path(), "brake-shar: 20\ntag: [a]\n").unwrap();
    fails(
        &["run", "--config", path],
        &[],
        &[
            ":1 \"brake-shar\": no such setting (is it brake-share?)",
            ":2: tag: expected one value",
        ],
    );
    fails(
        &["config", "--config", "/nowhere/s.yaml"],
        &[],
        &["--config", "/nowhere/s.yaml"],
    );
}

#[test]
fn completions_and_the_manual_are_printed_without_any_server() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&consul_sync(&["completions", shell], &[])).contains("brake-share"));
    }
    fails(&["completions", "dos"], &[], &["bash", "zsh", "fish"]);
    assert!(stdout(&consul_sync(&["man"], &[])).contains("consul\\-sync"));
    assert!(stdout(&consul_sync(&["man", "run"], &[])).contains("brake\\-share"));
}

#[test]
fn the_incumbents_command_line_is_read_as_the_incumbent_reads_it() {
    let output = consul_sync(&["sync-catalog", "-h"], &[]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("  -k8s-default-sync "));
    fails(
        &["sync-catalog", "-to-consull"],
        &[],
        &[
            "flag provided but not defined: -to-consull",
            "sync-catalog -h",
        ],
    );
    fails(
        &["sync-catalog", "-to-k8s", "more"],
        &[],
        &["\"more\" is no flag"],
    );
    fails(
        &["sync-catalog", "-consul-node-name=with_underscore"],
        &[],
        &["with_underscore"],
    );
    fails(
        &["sync-catalog", "-listen=off"],
        &[
            ("CONSUL_LOGIN_AUTH_METHOD", "k8s"),
            ("CONSUL_LOGIN_BEARER_TOKEN_FILE", "/nowhere/jwt"),
            ("KUBECONFIG", kubeconfig().path().to_str().unwrap()),
        ],
        &["--consul-login-bearer-token-file", "/nowhere/jwt"],
    );
    let program = std::env::temp_dir().join(format!("consul-sync-{}", std::process::id()));
    std::fs::create_dir_all(&program).unwrap();
    let program = program.join("consul-k8s-control-plane");
    let _ = std::fs::remove_file(&program);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_consul-sync"), &program).unwrap();
    let output = Command::new(&program)
        .args(["sync-catalog", "--help"])
        .output()
        .unwrap();
    assert!(stdout(&output).contains("  -k8s-default-sync "));
    let other = Command::new(&program)
        .arg("inject-connect")
        .output()
        .unwrap();
    assert!(stderr(&other).contains("inject-connect"));
    std::fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

#[test]
fn the_shipped_policy_is_what_is_printed() {
    let printed = consul_sync(
        &[
            "rbac",
            "--consul-policy",
            "--leader-election=consul",
            "--to-k8s",
        ],
        &[],
    );
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/consul/policy.hcl");
    assert_eq!(stdout(&printed), std::fs::read_to_string(shipped).unwrap());
}
