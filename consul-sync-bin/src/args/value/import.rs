//! Values of what is imported from Consul.

use consul_sync_consul::NamePattern;
use consul_sync_core::Owner;
use consul_sync_k8s::{ImportSettings, IpNet, Mode, ModeRule};

use super::choice;

/// A pattern of names in Consul.
pub(crate) fn name_pattern(text: &str) -> Result<NamePattern, String> {
    NamePattern::new(text).map_err(|_| "expected a name, in which * is any text".to_owned())
}

/// A filter expression; Consul alone knows whether it is a good one.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("expected a filter expression such as 'ServiceMeta.team == \"a\"'".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a datacenter, partition, namespace or peer of Consul. Queries about several at once cannot be followed.
pub(crate) fn consul_part(text: &str) -> Result<String, String> {
    let is_good = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_good {
        Ok(text.to_owned())
    } else {
        Err("expected a name of letters, digits, dashes and underscores".to_owned())
    }
}

/// How a service of Consul appears in Kubernetes.
pub(crate) fn mode(text: &str) -> Result<Mode, String> {
    choice(text, &Mode::ALL.map(|mode| (mode.as_str(), mode)))
}

/// A rule for modes.
pub(crate) fn mode_rule(text: &str) -> Result<ModeRule, String> {
    text.parse().map_err(|_| {
        "expected PATTERN=MODE with a mode of external-name, endpoints and headless, such as db-*=headless".to_owned()
    })
}

/// A namespace of Kubernetes.
pub(crate) fn kubernetes_namespace(text: &str) -> Result<String, String> {
    written(
        text,
        "a namespace of lower case letters, digits and dashes",
        |settings| &mut settings.namespace,
    )
}

/// A network.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .map_err(|_| "expected a network such as 10.96.0.0/12 or fd00:10:96::/112".to_owned())
}

/// What names of Kubernetes begin with.
pub(crate) fn kubernetes_prefix(text: &str) -> Result<String, String> {
    written(
        text,
        "lower case letters, digits and dashes, a letter first",
        |settings| &mut settings.prefix,
    )
}

/// The domain of Consul's DNS.
pub(crate) fn dns_domain(text: &str) -> Result<String, String> {
    written(
        text,
        "a DNS name in lower case, such as consul",
        |settings| &mut settings.domain,
    )
}

/// A text of an import's settings: the adapter knows what it may be.
fn written(
    text: &str,
    expected: &str,
    place: impl Fn(&mut ImportSettings) -> &mut String,
) -> Result<String, String> {
    let expected = || format!("expected {expected}");
    let owner = Owner::new("any").map_err(|_| expected())?;
    let mut settings = ImportSettings::new(owner);
    text.clone_into(place(&mut settings));
    settings.check().map_err(|_| expected())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_part_of_a_name_in_kubernetes_is_checked_as_the_adapter_does() {
        assert_eq!(kubernetes_namespace("shop").as_deref(), Ok("shop"));
        assert_eq!(kubernetes_prefix("consul-").as_deref(), Ok("consul-"));
        assert_eq!(kubernetes_prefix("").as_deref(), Ok(""));
        assert_eq!(dns_domain("dc1.consul").as_deref(), Ok("dc1.consul"));
        for text in ["", "A", "a.b", "-a"] {
            assert!(kubernetes_namespace(text).is_err(), "{text}");
        }
        assert!(kubernetes_prefix("-").is_err() && kubernetes_prefix("A").is_err());
        assert!(dns_domain("").is_err() && dns_domain("con sul").is_err());
    }

    #[test]
    fn modes_are_words_and_rules_are_patterns_with_one() {
        assert_eq!(mode("ExternalName"), Ok(Mode::ExternalName));
        assert_eq!(
            mode("dns"),
            Err("expected external-name, endpoints or headless".to_owned())
        );
        assert_eq!(
            mode_rule("db-*=headless").unwrap().to_string(),
            "db-*=headless"
        );
        assert!(mode_rule("db").is_err() && mode_rule("db=dns").is_err());
        assert!(name_pattern("web-*").is_ok() && name_pattern(" ").is_err());
        assert!(filter("Service.Port == 80").is_ok() && filter(" ").is_err());
        assert!(network("10.96.0.0/12").is_ok() && network("10.96.0.0").is_err());
        assert!(consul_part("dc-2").is_ok() && consul_part("*").is_err());
    }
}
