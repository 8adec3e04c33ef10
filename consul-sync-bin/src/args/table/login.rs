//! How a token is had from an auth method of Consul.

use std::path::PathBuf;

use crate::args::{
    setting::{Section, Setting},
    value,
};

pub(crate) static METHOD: Setting<String> =
    Setting::one("consul-login-method", "NAME", value::text)
        .default_note("none: no login")
        .help(
            Section::Consul,
            "Auth method of Consul by which a token is had.\nThe token is exchanged for another one before it expires and when \
             Consul does not know it any more, and it is logged out when the process ends. It goes before a token from a variable.",
        );

pub(crate) static BEARER_TOKEN_FILE: Setting<PathBuf> =
    Setting::one("consul-login-bearer-token-file", "PATH", value::path)
        .default("/var/run/secrets/kubernetes.io/serviceaccount/token")
        .help(
            Section::Consul,
            "File with what the auth method takes as proof, such as a service account's token.\nIt is read at each login.",
        );

pub(crate) static DATACENTER: Setting<String> =
    Setting::one("consul-login-datacenter", "NAME", value::text)
        .default_note("the one of --consul-datacenter")
        .help(
            Section::Consul,
            "Datacenter that the token is had from.\nFor tokens that are good in several datacenters that is the primary one.",
        );

pub(crate) static PARTITION: Setting<String> =
    Setting::one("consul-login-partition", "NAME", value::text)
        .default_note("the one of --consul-partition")
        .help(
            Section::Consul,
            "Admin partition of the auth method (Consul Enterprise).",
        );

pub(crate) static NAMESPACE: Setting<String> =
    Setting::one("consul-login-namespace", "NAME", value::text)
        .default_note("Consul's default")
        .help(
            Section::Consul,
            "Namespace of the auth method (Consul Enterprise).",
        );

pub(crate) static META: Setting<(String, String)> =
    Setting::many("consul-login-meta", "KEY=VALUE", value::pair)
        .default_note("none")
        .help(
            Section::Consul,
            "What Consul notes down in the description of the token.\nMay be given more than once or with commas.",
        );
