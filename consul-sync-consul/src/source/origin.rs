//! Where an instance comes from (design rule 9: nothing goes in circles).
//!
//! | what an instance carries | is it read? |
//! | --- | --- |
//! | nothing of the below | yes |
//! | the owner mark of this installation | never |
//! | the owner mark of another owner that is named in the settings | yes |
//! | any other owner mark, `external-source=kubernetes`, or the tag of services from Kubernetes | no |
//!
//! Between clusters nothing can circle, because what is read is written to Kubernetes with a mark, and no marked
//! object is ever registered: each instance in Consul that has an owner was first made in that owner's cluster.

use std::collections::BTreeMap;

use consul_sync_core::Owner;

use super::SourceSettings;
use crate::registration::{KUBERNETES, OWNER_META, SOURCE_META};

/// Whether an instance with this meta and these tags is read.
pub(super) fn may_be_read(
    settings: &SourceSettings,
    meta: &BTreeMap<String, String>,
    tags: &[String],
) -> bool {
    if let Some(owner) = meta.get(OWNER_META) {
        return owner != settings.owner.as_str()
            && settings
                .other_owners
                .iter()
                .map(Owner::as_str)
                .any(|other| other == owner);
    }
    let is_kubernetes = meta
        .get(SOURCE_META)
        .is_some_and(|source| source.eq_ignore_ascii_case(KUBERNETES));
    let is_tagged = tags
        .iter()
        .any(|tag| tag.eq_ignore_ascii_case(&settings.kubernetes_tag));
    !is_kubernetes && !is_tagged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(others: &[&str]) -> SourceSettings {
        let mut settings = SourceSettings::new(Owner::new("a").unwrap());
        settings.other_owners = others.iter().map(|o| Owner::new(*o).unwrap()).collect();
        settings
    }

    fn read(settings: &SourceSettings, meta: &[(&str, &str)], tags: &[&str]) -> bool {
        let meta = meta.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        may_be_read(settings, &meta.collect(), &tags)
    }

    #[test]
    fn fault_l01_what_comes_from_kubernetes_is_never_read_back() {
        let alone = settings(&[]);
        assert!(read(&alone, &[("team", "x")], &["v1"]));
        assert!(read(&alone, &[(SOURCE_META, "nomad")], &[]));
        assert!(!read(&alone, &[(SOURCE_META, KUBERNETES)], &[]));
        assert!(!read(&alone, &[], &["k8s"]));
        assert!(!read(&alone, &[], &["K8s"]));
        assert!(!read(&alone, &[(OWNER_META, "a")], &[]));
        assert!(!read(&alone, &[(OWNER_META, "b")], &[]));
        assert!(!read(&alone, &[(OWNER_META, "")], &[]));
    }

    #[test]
    fn fault_l02_only_named_owners_of_other_clusters_are_read() {
        let others = settings(&["b"]);
        let exported = |owner| [(OWNER_META, owner), (SOURCE_META, KUBERNETES)];
        assert!(read(&others, &exported("b"), &["k8s"]));
        assert!(!read(&others, &exported("c"), &["k8s"]));
        assert!(!read(&others, &exported("a"), &["k8s"]));
        // The incumbent's have no owner.
        assert!(!read(&others, &[(SOURCE_META, KUBERNETES)], &["k8s"]));
    }

    proptest! {
        #[test]
        fn nothing_of_ours_is_read_whatever_the_settings_say(
            others in proptest::collection::btree_set("[a-c]", 0..3), source: bool, tag: bool,
        ) {
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            let mut meta = vec![(OWNER_META, "a")];
            meta.extend(source.then_some((SOURCE_META, KUBERNETES)));
            let tags: &[&str] = if tag { &["k8s"] } else { &[] };
            prop_assert!(!read(&settings(&others), &meta, tags));
        }
    }
}
