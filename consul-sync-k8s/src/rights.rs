//! The rights that the chosen settings need, in Kubernetes' own terms: one list, from which the watches, the
//! preflight and the shipped RBAC rules are made, so that they cannot drift apart.

mod render;
mod verb;

use std::sync::Arc;

pub use render::Subject;
pub use verb::Verb;

use crate::{
    ExportSettings, ImportSettings,
    slim::{EndpointSliceBody, IngressBody, Kind, NamespaceBody, NodeBody, ServiceBody},
};

/// More namespaces than this are watched as all of them: each is a connection of its own for each kind.
const NAMESPACES: usize = 8;

/// The namespace whose UID stands for the cluster.
pub(crate) const KUBE_SYSTEM: &str = "kube-system";

/// The group and the resource that leaders are elected by.
pub(crate) const LEASES_GROUP: &str = "coordination.k8s.io";
pub(crate) const LEASES: &str = "leases";

/// What a sink does to the objects that it writes.
const WRITING: [Verb; 6] = [
    Verb::Get,
    Verb::List,
    Verb::Watch,
    Verb::Create,
    Verb::Patch,
    Verb::Delete,
];

/// One right: a verb on a resource, somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The namespace that it is needed in; none: everywhere.
    pub namespace: Option<Arc<str>>,
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The resource, by its plural.
    pub resource: &'static str,
    /// The one object that it is needed on; none: every one.
    pub name: Option<Arc<str>>,
    /// The verb.
    pub verb: Verb,
}

/// Every right that some settings need, and no other.
///
/// # Examples
/// ```
/// use consul_sync_k8s::{ExportSettings, NodePorts, Rights, Subject};
/// let settings = ExportSettings {
///     source_namespace: Some("shop".to_owned()),
///     node_ports: NodePorts::Off,
///     ..ExportSettings::default()
/// };
/// // With an owner that the operator names, rights in one namespace are enough.
/// let rights = Rights::needed(&settings, false);
/// assert!(rights.iter().all(|right| right.namespace.as_deref() == Some("shop")));
/// let yaml = rights.to_yaml(&Subject::default());
/// assert!(yaml.contains("kind: Role\n") && !yaml.contains("kind: ClusterRole\n"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    rights: Vec<Right>,
}

/// Where objects that live in namespaces are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In every namespace; also for kinds that live in none. Needs a ClusterRole.
    Everywhere,
    /// In these alone: a Role in each is enough.
    Namespaces(Arc<[Arc<str>]>),
}

impl Scope {
    /// The fewest places that the settings can do with.
    pub(crate) fn of(settings: &ExportSettings) -> Self {
        let named: Vec<Arc<str>> = match &settings.source_namespace {
            Some(only) => vec![only.as_str().into()],
            None if settings.allow_namespaces.contains("*") => return Self::Everywhere,
            None => settings
                .allow_namespaces
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
        };
        Self::few(
            named
                .into_iter()
                .filter(|name| settings.allows_namespace(name)),
        )
    }

    /// These namespaces, or all when they are many.
    pub(crate) fn few(namespaces: impl Iterator<Item = Arc<str>>) -> Self {
        let named: Arc<[Arc<str>]> = namespaces.collect();
        if named.len() > NAMESPACES {
            Self::Everywhere
        } else {
            Self::Namespaces(named)
        }
    }

    pub(crate) fn namespaces(&self) -> Vec<Option<Arc<str>>> {
        match self {
            Self::Everywhere => vec![None],
            Self::Namespaces(names) => names.iter().map(|name| Some(Arc::clone(name))).collect(),
        }
    }
}

impl Rights {
    /// The rights that the settings need. `identity`: whether the owner is read from the cluster, which needs the
    /// right to read namespace `kube-system`.
    pub fn needed(settings: &ExportSettings, identity: bool) -> Self {
        let needs = settings.needs();
        let scope = Scope::of(settings);
        let mut rights = Vec::new();
        let mut watched = |wanted: bool, group, resource, places: &[Option<Arc<str>>]| {
            if wanted {
                for namespace in places {
                    rights.extend([Verb::List, Verb::Watch].map(|verb| Right {
                        namespace: namespace.clone(),
                        group,
                        resource,
                        name: None,
                        verb,
                    }));
                }
            }
        };
        let places = scope.namespaces();
        watched(
            needs.services,
            ServiceBody::GROUP,
            ServiceBody::PLURAL,
            &places,
        );
        watched(
            needs.slices,
            EndpointSliceBody::GROUP,
            EndpointSliceBody::PLURAL,
            &places,
        );
        watched(
            needs.ingresses,
            IngressBody::GROUP,
            IngressBody::PLURAL,
            &places,
        );
        watched(needs.nodes, NodeBody::GROUP, NodeBody::PLURAL, &[None]);
        watched(
            needs.namespaces,
            NamespaceBody::GROUP,
            NamespaceBody::PLURAL,
            &[None],
        );
        Self::with_identity(rights, identity)
    }

    /// The rights to write services of Consul into the cluster: a watch and the conditional writes of what is written,
    /// and Events where they are wanted. `identity` as for [`Rights::needed`].
    ///
    /// ```
    /// use consul_sync_core::Owner;
    /// use consul_sync_k8s::{ImportSettings, Rights, Subject};
    /// let settings = ImportSettings::new(Owner::new("cluster-a")?);
    /// let yaml = Rights::to_import(&settings, false).to_yaml(&Subject::default());
    /// assert!(yaml.contains("verbs: [get, list, watch, create, patch, delete]"));
    /// assert!(yaml.contains("kind: Role\n") && !yaml.contains("kind: ClusterRole\n"));
    /// # Ok::<(), consul_sync_core::InvalidText>(())
    /// ```
    pub fn to_import(settings: &ImportSettings, identity: bool) -> Self {
        let mut kinds: Vec<(&str, &str, &[Verb])> =
            vec![(ServiceBody::GROUP, ServiceBody::PLURAL, &WRITING)];
        if settings.writes_slices() {
            let slices = (EndpointSliceBody::GROUP, EndpointSliceBody::PLURAL);
            kinds.push((slices.0, slices.1, &WRITING));
        }
        if settings.events {
            kinds.push(("", "events", &[Verb::Create]));
        }
        let mut rights = Vec::new();
        for namespace in settings.scope().namespaces() {
            for (group, resource, verbs) in &kinds {
                rights.extend(verbs.iter().map(|verb| Right {
                    namespace: namespace.clone(),
                    group,
                    resource,
                    name: None,
                    verb: *verb,
                }));
            }
        }
        Self::with_identity(rights, identity)
    }

    /// The rights to be elected by Leases of these names in a namespace. Making a new one cannot be allowed by its name.
    ///
    /// ```
    /// use consul_sync_k8s::{Rights, Subject};
    /// let yaml = Rights::to_elect("consul-sync", &["leader"]).to_yaml(&Subject::default());
    /// assert!(yaml.contains("  resourceNames: [leader]\n  verbs: [get, watch, update]\n"));
    /// assert!(yaml.contains("  resources: [leases]\n  verbs: [create]\n"));
    /// ```
    pub fn to_elect(namespace: &str, leases: &[&str]) -> Self {
        let namespace: Arc<str> = namespace.into();
        let right = |name: Option<&str>, verb| Right {
            namespace: Some(Arc::clone(&namespace)),
            group: LEASES_GROUP,
            resource: LEASES,
            name: name.map(Arc::from),
            verb,
        };
        let mut rights = vec![right(None, Verb::Create)];
        for name in leases {
            let verbs = [Verb::Get, Verb::Watch, Verb::Update];
            rights.extend(verbs.map(|verb| right(Some(name), verb)));
        }
        Self::with_identity(rights, false)
    }

    /// The rights of both.
    ///
    /// ```
    /// use consul_sync_core::Owner;
    /// use consul_sync_k8s::{ExportSettings, ImportSettings, Rights};
    /// let import = ImportSettings::new(Owner::new("cluster-a")?);
    /// let both = Rights::needed(&ExportSettings::default(), true).and(Rights::to_import(&import, true));
    /// assert_eq!(both.iter().filter(|right| right.resource == "namespaces").count(), 1);
    /// # Ok::<(), consul_sync_core::InvalidText>(())
    /// ```
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rights.extend(other.rights);
        // What is given everywhere is given in each namespace.
        let everywhere: Vec<Right> = self
            .rights
            .iter()
            .filter(|right| right.namespace.is_none())
            .cloned()
            .collect();
        self.rights.retain(|right| {
            let wide = Right {
                namespace: None,
                ..right.clone()
            };
            right.namespace.is_none() || !everywhere.contains(&wide)
        });
        self.rights.sort();
        self.rights.dedup();
        self
    }

    fn with_identity(mut rights: Vec<Right>, identity: bool) -> Self {
        if identity {
            // RBAC counts a namespace as being in itself, so that a Role there is enough.
            let everywhere = rights.iter().any(|right| right.namespace.is_none());
            rights.push(Right {
                namespace: (!everywhere).then(|| KUBE_SYSTEM.into()),
                group: NamespaceBody::GROUP,
                resource: NamespaceBody::PLURAL,
                name: Some(KUBE_SYSTEM.into()),
                verb: Verb::Get,
            });
        }
        rights.sort();
        Self { rights }
    }

    /// Each right, by place, group and resource.
    pub fn iter(&self) -> impl Iterator<Item = &Right> {
        self.rights.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::NodePorts;

    fn words(rights: &Rights) -> Vec<String> {
        rights
            .iter()
            .map(|right| {
                let place = right.namespace.as_deref().unwrap_or("*");
                let name = right
                    .name
                    .as_deref()
                    .map_or_else(String::new, |name| format!("/{name}"));
                format!("{place}: {} {}{name}", right.verb, right.resource)
            })
            .collect()
    }

    #[test]
    fn the_defaults_need_services_slices_and_nodes_everywhere_and_the_identity() {
        assert_eq!(
            words(&Rights::needed(&ExportSettings::default(), true)),
            [
                "*: get namespaces/kube-system",
                "*: list nodes",
                "*: watch nodes",
                "*: list services",
                "*: watch services",
                "*: list endpointslices",
                "*: watch endpointslices",
            ]
        );
    }

    #[test]
    fn one_namespace_without_node_ports_needs_nothing_of_the_cluster() {
        let settings = ExportSettings {
            allow_namespaces: BTreeSet::from(["shop".to_owned()]),
            node_ports: NodePorts::Off,
            ingress: true,
            ..ExportSettings::default()
        };
        let rights = Rights::needed(&settings, true);
        assert!(
            rights.iter().all(|right| right.namespace.is_some()),
            "{rights:?}"
        );
        assert!(words(&rights).contains(&"kube-system: get namespaces/kube-system".to_owned()));
        assert!(words(&rights).contains(&"shop: watch ingresses".to_owned()));
    }

    #[test]
    fn denied_namespaces_are_not_watched_and_many_are_watched_as_all() {
        let mut settings = ExportSettings {
            allow_namespaces: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
            deny_namespaces: BTreeSet::from(["b".to_owned()]),
            ..ExportSettings::default()
        };
        assert_eq!(Scope::of(&settings), Scope::Namespaces(["a".into()].into()));
        settings.allow_namespaces = (0..9).map(|at| format!("n{at}")).collect();
        assert_eq!(Scope::of(&settings), Scope::Everywhere);
        settings.deny_namespaces = BTreeSet::from(["*".to_owned()]);
        assert_eq!(Scope::of(&settings), Scope::Namespaces([].into()));
    }
}
