//! From text to typed values. Every error says what would be good, not what the parser felt.

pub(crate) mod import;

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use consul_sync_consul::{Checks, NodeName, Ports, Secret, ServerAddress};
use consul_sync_core::{Orphans, Owner, Policy};
use consul_sync_k8s::{NameRule, NodePorts, Selector, Subject};

use crate::settings::Election;

/// Any text but the empty one.
pub(crate) fn text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("expected some text".to_owned());
    }
    Ok(text.to_owned())
}

/// Any text, the empty one too.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the form that every reader of a value has"
)]
pub(crate) fn any(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// A path; whether it is there is seen when it is read.
pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a path".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// Certificates as PEM.
pub(crate) fn pem(text: &str) -> Result<String, String> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(text.to_owned())
    } else {
        Err("expected certificates as PEM, -----BEGIN CERTIFICATE----- and so on".to_owned())
    }
}

/// A port.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "expected a port from 1 to 65535".to_owned())
}

/// A path of a URL.
pub(crate) fn url_path(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if text.starts_with('/') && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("expected a path such as /metrics".to_owned())
    }
}

/// A key and a value.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// What Go's `ParseBool` takes, because charts and habits come from there.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// A duration longer than nothing.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a duration longer than 0, such as 500ms, 30s, 5m or 1h30m";
    let duration = humantime::parse_duration(text).map_err(|_| EXPECTED.to_owned())?;
    if duration.is_zero() {
        return Err(EXPECTED.to_owned());
    }
    Ok(duration)
}

/// A percentage.
pub(crate) fn percent(text: &str) -> Result<u8, String> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    digits
        .parse()
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| "expected a whole number of percent from 0 to 100".to_owned())
}

/// A whole number.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 0 or more".to_owned())
}

/// A whole number above zero.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    count(text)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| "expected a whole number, 1 or more".to_owned())
}

/// How long Consul may be asked to hold a query: it holds none for longer than ten minutes.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|wait| (Duration::from_secs(1)..=Duration::from_secs(600)).contains(wait))
        .ok_or_else(|| "expected a duration from 1s to 10m".to_owned())
}

/// How a leader is elected.
pub(crate) fn election(text: &str) -> Result<Election, String> {
    choice(
        text,
        &[
            ("none", Election::None),
            ("lease", Election::Lease),
            ("consul", Election::Consul),
        ],
    )
}

/// A session's time to live: Consul takes up to a day, and nothing below a setting of its own.
pub(crate) fn session_ttl(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|ttl| (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(ttl))
        .ok_or_else(|| "expected a duration from 1s to 24h".to_owned())
}

/// The name of a Lease, which is a subdomain's with room for what the directions add.
pub(crate) fn lease_name(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        label.len() <= 63
            && label.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && label.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if text.len() <= 240 && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("expected at most 240 small letters, digits, dashes and dots, as in the name of a Lease".to_owned())
    }
}

/// A lock delay: Consul takes up to a minute, and none.
pub(crate) fn lock_delay(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|delay| *delay <= Duration::from_secs(60))
        .ok_or_else(|| "expected a duration from 0s to 60s".to_owned())
}

/// The start of a key, in parts that mean the same in a path.
pub(crate) fn key_prefix(text: &str) -> Result<String, String> {
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
    };
    if text.len() <= 256 && text.split('/').all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err(
            "expected parts of letters, digits, dashes, dots and underscores with / between them"
                .to_owned(),
        )
    }
}

/// An owner. It is a value of Consul's meta and a label of Kubernetes, which is the stricter of the two.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    const EXPECTED: &str = "expected 1 to 63 letters, digits, dashes, dots and underscores, the first and the last a letter \
         or digit";
    let ends_well = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if text.len() > 63 || !ends_well || !is_plain {
        return Err(EXPECTED.to_owned());
    }
    Owner::new(text).map_err(|_| EXPECTED.to_owned())
}

/// A policy.
pub(crate) fn policy(text: &str) -> Result<Policy, String> {
    choice(
        text,
        &[
            ("sync", Policy::Sync),
            ("upsert-only", Policy::UpsertOnly),
            ("create-only", Policy::CreateOnly),
        ],
    )
}

/// What becomes of orphans.
pub(crate) fn orphans(text: &str) -> Result<Orphans, String> {
    choice(
        text,
        &[("report", Orphans::Report), ("delete", Orphans::Delete)],
    )
}

/// A label selector.
pub(crate) fn selector(text: &str) -> Result<Selector, String> {
    text.parse()
        .map_err(|error| format!("expected labels such as team=a,!internal: {error}"))
}

/// A rule for names.
pub(crate) fn name_rule(text: &str) -> Result<NameRule, String> {
    text.parse()
        .map_err(|_| "expected NAMESPACE=PATTERN, such as shop=web-*".to_owned())
}

/// At which addresses ports of nodes are reached.
pub(crate) fn node_ports(text: &str) -> Result<NodePorts, String> {
    choice(
        text,
        &[
            ("external-only", NodePorts::ExternalOnly),
            ("internal-only", NodePorts::InternalOnly),
            ("external-first", NodePorts::ExternalFirst),
            ("off", NodePorts::Off),
        ],
    )
}

/// When lists of ports are written.
pub(crate) fn ports(text: &str) -> Result<Ports, String> {
    choice(
        text,
        &[
            ("never", Ports::Never),
            ("auto", Ports::Auto),
            ("always", Ports::Always),
        ],
    )
}

/// Which instances have a check.
pub(crate) fn checks(text: &str) -> Result<Checks, String> {
    choice(
        text,
        &[("always", Checks::Always), ("failing", Checks::Failing)],
    )
}

/// A service account, with roles of its name.
pub(crate) fn service_account(text: &str) -> Result<Subject, String> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok(Subject {
                role: name.to_owned(),
                service_account: name.to_owned(),
                namespace: namespace.to_owned(),
            })
        }
        _ => Err("expected a namespace and a name such as consul-sync/consul-sync".to_owned()),
    }
}

/// A Consul server's address, as text that has been understood.
pub(crate) fn server_address(text: &str) -> Result<String, String> {
    match ServerAddress::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "expected a host, host:port or URL such as https://consul:8501: {error}"
        )),
    }
}

/// The name of a node in Consul's catalog.
pub(crate) fn node_name(text: &str) -> Result<NodeName, String> {
    NodeName::new(text).map_err(|_| "expected 1 to 63 letters, digits and dashes".to_owned())
}

/// An IP address.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address such as 127.0.0.1 or ::1".to_owned())
}

/// A secret.
pub(crate) fn secret(text: &str) -> Result<Secret, String> {
    if text.trim().is_empty() {
        return Err("expected a token".to_owned());
    }
    Ok(Secret::new(text))
}

/// An address to listen on: `HOST:PORT`, `:PORT` for every interface, or `off`.
pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    let address = match text {
        "off" => return Ok(Listen(None)),
        _ => match text.strip_prefix(':') {
            Some(port) => u16::from_str(port)
                .ok()
                .map(|port| (IpAddr::from(Ipv6Addr::UNSPECIFIED), port).into()),
            None => text.replacen("localhost:", "127.0.0.1:", 1).parse().ok(),
        },
    };
    address.map(|address| Listen(Some(address))).ok_or_else(|| {
        "expected an address and a port such as 127.0.0.1:8080, :8080 for every interface, or off".to_owned()
    })
}

/// Where the admin server listens; `None` when it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) Option<SocketAddr>);

/// One of a few words, letter case aside; dashes may be left out, so that `ExternalOnly` is `external-only`.
pub(crate) fn choice<T: Clone>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let plain = |word: &str| word.replace(['-', '_'], "").to_lowercase();
    choices
        .iter()
        .find(|(word, _)| plain(word) == plain(text))
        .map(|(_, value)| value.clone())
        .ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            format!("expected {}", one_of(&words))
        })
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
