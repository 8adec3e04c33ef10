//! Rights as RBAC objects in YAML.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use super::{Right, Rights, Verb};

/// Who gets the rights, and what the roles are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The name of every role and binding.
    pub role: String,
    /// The service account.
    pub service_account: String,
    /// The service account's namespace.
    pub namespace: String,
}

impl Default for Subject {
    /// Everything is called `consul-sync`.
    fn default() -> Self {
        let name = || "consul-sync".to_owned();
        Self {
            role: name(),
            service_account: name(),
            namespace: name(),
        }
    }
}

/// What rules have in common that stand as one: group, object, verbs.
type Rule<'a> = (&'static str, Option<&'a str>, Vec<Verb>);

impl Rights {
    /// The least roles that give these rights, with their bindings: a ClusterRole for what is needed everywhere,
    /// a Role for each namespace.
    pub fn to_yaml(&self, subject: &Subject) -> String {
        let mut places: BTreeMap<Option<&Arc<str>>, Vec<&Right>> = BTreeMap::new();
        for right in &self.rights {
            places
                .entry(right.namespace.as_ref())
                .or_default()
                .push(right);
        }
        let documents: Vec<String> = places
            .into_iter()
            .map(|(namespace, rights)| {
                document(namespace.map(|namespace| &**namespace), &rights, subject)
            })
            .collect();
        documents.join("---\n")
    }
}

fn document(namespace: Option<&str>, rights: &[&Right], subject: &Subject) -> String {
    let kind = if namespace.is_some() {
        "Role"
    } else {
        "ClusterRole"
    };
    let role = &subject.role;
    let place = namespace.map_or_else(String::new, |namespace| {
        format!("  namespace: {namespace}\n")
    });
    let mut yaml = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {role}\n{place}rules:\n"
    );
    for ((group, name, verbs), resources) in rules(rights) {
        let verbs: Vec<&str> = verbs.into_iter().map(Verb::as_str).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            yaml,
            "- apiGroups: [\"{group}\"]\n  resources: [{}]",
            resources.join(", ")
        );
        if let Some(name) = name {
            let _ = writeln!(yaml, "  resourceNames: [{name}]");
        }
        let _ = writeln!(yaml, "  verbs: [{}]", verbs.join(", "));
    }
    let _ = write!(
        yaml,
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}Binding\nmetadata:\n  name: {role}\n{place}roleRef:\n  \
         apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {role}\nsubjects:\n- kind: ServiceAccount\n  name: \
         {}\n  namespace: {}\n",
        subject.service_account, subject.namespace
    );
    yaml
}

/// Rules as few as they can be: resources of one group with the same verbs stand together.
fn rules<'a>(rights: &[&'a Right]) -> BTreeMap<Rule<'a>, Vec<&'static str>> {
    let mut verbs: BTreeMap<(&str, Option<&str>, &str), Vec<Verb>> = BTreeMap::new();
    for right in rights {
        verbs
            .entry((right.group, right.name.as_deref(), right.resource))
            .or_default()
            .push(right.verb);
    }
    let mut rules: BTreeMap<Rule<'_>, Vec<&'static str>> = BTreeMap::new();
    for ((group, name, resource), verbs) in verbs {
        rules
            .entry((group, name, verbs))
            .or_default()
            .push(resource);
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExportSettings, NodePorts};

    #[test]
    fn the_defaults_are_one_cluster_role_of_three_rules() {
        let yaml = Rights::needed(&ExportSettings::default(), true).to_yaml(&Subject::default());
        assert_eq!(
            yaml,
            r#"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: consul-sync
rules:
- apiGroups: [""]
  resources: [nodes, services]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
- apiGroups: ["discovery.k8s.io"]
  resources: [endpointslices]
  verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: consul-sync
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: consul-sync
subjects:
- kind: ServiceAccount
  name: consul-sync
  namespace: consul-sync
"#
        );
    }

    #[test]
    fn one_namespace_is_a_role_there_and_one_for_the_identity() {
        let settings = ExportSettings {
            source_namespace: Some("shop".to_owned()),
            node_ports: NodePorts::Off,
            ..ExportSettings::default()
        };
        let yaml = Rights::needed(&settings, true).to_yaml(&Subject::default());
        assert_eq!(yaml.matches("kind: Role\nmetadata").count(), 2);
        assert!(yaml.contains(
            "  namespace: kube-system\nrules:\n- apiGroups: [\"\"]\n  resources: [namespaces]\n"
        ));
        assert!(!yaml.contains("ClusterRole"));
    }
}
