//! Addresses, tokens, logins and certificates, from flags and from variables.

use consul_sync_consul::Secret;

use super::*;
use crate::settings::tests::{Texts, read};

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
fn an_address_list_without_an_address_is_refused() {
    assert!(
        read(&[("consul-addr", " , ")], &[])
            .unwrap_err()
            .contains("--consul-addr")
    );
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
