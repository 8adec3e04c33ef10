//! What is written into a cluster, and where.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use consul_sync_core::Owner;
use ipnet::IpNet;

use super::name::{is_host, is_label};
use crate::{rights::Scope, settings::matches};

/// How a service of Consul appears in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A Service of type ExternalName: an alias of the service's name in Consul's DNS, as the incumbent writes it. What the
    /// namespace of a service's key says of where it comes from is part of that name: one of `team.dc2.dc` is
    /// `web.service.team.ns.dc2.dc.consul`.
    #[default]
    ExternalName,
    /// A Service with an address of its own, and EndpointSlices with the addresses of the instances.
    Endpoints,
    /// The same without an address: its name resolves to those of the instances.
    Headless,
}

/// One rule that gives services a mode, written `PATTERN=MODE`.
///
/// In the pattern `*` stands for any text, also for none. Case has no meaning, as it has none in Consul.
///
/// ```
/// use consul_sync_k8s::{Mode, ModeRule};
/// let rule: ModeRule = "db-*=headless".parse()?;
/// assert_eq!(rule.mode("DB-main"), Some(Mode::Headless));
/// assert_eq!(rule.mode("web"), None);
/// # Ok::<(), consul_sync_k8s::InvalidImport>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeRule {
    pattern: String,
    mode: Mode,
}

/// What is written into a cluster, and where. Reading it from flags or a file is the business of others.
///
/// ```
/// use consul_sync_core::Owner;
/// use consul_sync_k8s::{ImportSettings, Mode};
///
/// let mut settings = ImportSettings::new(Owner::new("cluster-a")?);
/// assert_eq!((settings.mode, settings.namespace.as_str()), (Mode::ExternalName, "default"));
/// settings.prefix = "Consul_".to_owned();
/// assert!(settings.check().unwrap_err().to_string().contains("prefix"));
/// # Ok::<(), consul_sync_core::InvalidText>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSettings {
    /// The identity under which objects are written.
    pub owner: Owner,
    /// The mode of services that nothing else gives one. Default: [`Mode::ExternalName`].
    pub mode: Mode,
    /// Rules that give services a mode by their name; the first that fits holds. Default: none.
    pub mode_rules: Vec<ModeRule>,
    /// Whether a service may choose its mode by its meta `kubernetes-mode`, before every rule. Default: yes.
    pub mode_by_meta: bool,
    /// What stands before the name of every Service. Default: nothing.
    pub prefix: String,
    /// Consul's DNS domain. Default: `consul`.
    pub domain: String,
    /// The namespace that Services are written to. Default: `default`.
    pub namespace: String,
    /// What stands before the name of a Consul namespace to make it the namespace that its services are written to. A
    /// service that names none is of the namespace of its key, with `-` for every dot; one without either stays in
    /// `namespace`. Default: none, all are written to `namespace`.
    pub mirror_namespaces: Option<String>,
    /// Namespaces that a service may choose by its meta `kubernetes-namespace`. Default: none.
    pub meta_namespaces: BTreeSet<String>,
    /// Networks whose addresses no endpoint gets, so that nobody who writes in Consul leads traffic to the cluster's own
    /// pods and Services, past the network policies of those who send it (CVE-2021-25740). Addresses that mean another
    /// host to everyone, and those where clouds hand out credentials, are refused anyhow. Default: none, since pods of
    /// one flat network are known to Consul by such addresses.
    pub refused_networks: Vec<IpNet>,
    /// Whether somebody else's Service that stands in the way is told so by an Event on it. Default: yes.
    pub events: bool,
}

/// The error of settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidImport(String);

// === impl Mode ===

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::ExternalName, Self::Endpoints, Self::Headless];

    /// The mode as it is written in settings and meta.
    ///
    /// ```
    /// use consul_sync_k8s::Mode;
    /// assert_eq!(Mode::ExternalName.as_str().parse(), Ok(Mode::ExternalName));
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExternalName => "external-name",
            Self::Endpoints => "endpoints",
            Self::Headless => "headless",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = InvalidImport;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|mode| mode.as_str() == text).ok_or_else(|| {
            InvalidImport(format!(
                "mode {text:?} is none of external-name, endpoints, headless"
            ))
        })
    }
}

// === impl ModeRule ===

impl ModeRule {
    /// The mode of a service of this name, where the rule is about it.
    pub fn mode(&self, name: &str) -> Option<Mode> {
        matches(&self.pattern, &name.to_lowercase()).then_some(self.mode)
    }
}

impl FromStr for ModeRule {
    type Err = InvalidImport;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pattern, mode) = text
            .rsplit_once('=')
            .map(|(pattern, mode)| (pattern.trim(), mode.trim()))
            .filter(|(pattern, _)| !pattern.is_empty())
            .ok_or_else(|| {
                InvalidImport(format!(
                    "{text:?} is not PATTERN=MODE, such as db-*=headless"
                ))
            })?;
        Ok(Self {
            pattern: pattern.to_lowercase(),
            mode: mode.parse()?,
        })
    }
}

impl fmt::Display for ModeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.mode)
    }
}

// === impl ImportSettings ===

impl ImportSettings {
    /// The settings that do what the incumbent does.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            mode: Mode::default(),
            mode_rules: Vec::new(),
            mode_by_meta: true,
            prefix: String::new(),
            domain: "consul".to_owned(),
            namespace: "default".to_owned(),
            mirror_namespaces: None,
            meta_namespaces: BTreeSet::new(),
            refused_networks: Vec::new(),
            events: true,
        }
    }

    /// Whether every value can be part of a name in Kubernetes.
    ///
    /// # Errors
    /// [`InvalidImport`] names the first value that cannot.
    pub fn check(&self) -> Result<(), InvalidImport> {
        let namespaces = [&self.namespace].into_iter().chain(&self.meta_namespaces);
        for namespace in namespaces {
            if !is_label(namespace) {
                return Err(InvalidImport(format!(
                    "namespace {namespace:?} is not a name of lower case letters, digits and '-'"
                )));
            }
        }
        let prefixes = [
            ("prefix", &self.prefix),
            (
                "prefix of namespaces",
                self.mirror_namespaces.as_ref().unwrap_or(&self.prefix),
            ),
        ];
        for (what, prefix) in prefixes {
            // Whatever follows begins with a letter or a digit.
            if !is_label(&format!("{prefix}a")) {
                return Err(InvalidImport(format!(
                    "{what} {prefix:?} is not a beginning of lower case letters, digits and '-'"
                )));
            }
        }
        if !is_host(&self.domain) {
            return Err(InvalidImport(format!(
                "domain {:?} is not a DNS name in lower case",
                self.domain
            )));
        }
        Ok(())
    }

    /// Whether some service may have EndpointSlices.
    pub(crate) fn writes_slices(&self) -> bool {
        let modes = self.mode_rules.iter().map(|rule| rule.mode);
        self.mode_by_meta
            || modes
                .chain([self.mode])
                .any(|mode| mode != Mode::ExternalName)
    }

    /// Whether it is one of the namespaces that the operator named.
    pub(crate) fn names(&self, namespace: &str) -> bool {
        self.namespace == namespace || self.meta_namespaces.contains(namespace)
    }

    /// Where objects are written and watched.
    pub(crate) fn scope(&self) -> Scope {
        if self.mirror_namespaces.is_some() {
            return Scope::Everywhere;
        }
        let mut namespaces: BTreeSet<&str> =
            self.meta_namespaces.iter().map(AsRef::as_ref).collect();
        namespaces.insert(&self.namespace);
        Scope::few(namespaces.into_iter().map(Arc::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ImportSettings {
        ImportSettings::new(Owner::new("us").unwrap())
    }

    #[test]
    fn what_cannot_be_part_of_a_name_is_refused_by_name() {
        type Change = fn(&mut ImportSettings);
        assert_eq!(settings().check(), Ok(()));
        let mut all = settings();
        all.prefix = "consul-".to_owned();
        all.mirror_namespaces = Some("c-".to_owned());
        all.domain = "dc1.consul".to_owned();
        assert_eq!(all.check(), Ok(()));
        let cases: [(Change, &str); 6] = [
            (|s| s.namespace = String::new(), "namespace \"\""),
            (|s| s.namespace = "A".to_owned(), "namespace \"A\""),
            (
                |s| {
                    s.meta_namespaces.insert("a.b".to_owned());
                },
                "namespace \"a.b\"",
            ),
            (|s| s.prefix = "-".to_owned(), "prefix \"-\""),
            (
                |s| s.mirror_namespaces = Some("_".to_owned()),
                "prefix of namespaces",
            ),
            (|s| s.domain = "con sul".to_owned(), "domain \"con sul\""),
        ];
        for (change, said) in cases {
            let mut settings = settings();
            change(&mut settings);
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_rule_says_what_is_wrong_with_it() {
        for (text, said) in [
            ("web", "PATTERN=MODE"),
            ("=headless", "PATTERN=MODE"),
            ("web=dns", "none of external-name, endpoints, headless"),
        ] {
            let error = text.parse::<ModeRule>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let rule: ModeRule = " Web-* = endpoints".parse().unwrap();
        assert_eq!(rule.to_string(), "web-*=endpoints");
    }

    #[test]
    fn one_namespace_is_one_place_and_mirrored_ones_are_all() {
        let mut settings = settings();
        assert_eq!(
            settings.scope(),
            Scope::Namespaces(["default".into()].into())
        );
        settings.meta_namespaces.insert("a".to_owned());
        assert_eq!(
            settings.scope(),
            Scope::Namespaces(["a".into(), "default".into()].into())
        );
        settings.mirror_namespaces = Some(String::new());
        assert_eq!(settings.scope(), Scope::Everywhere);
    }
}
