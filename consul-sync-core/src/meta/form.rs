//! What many sets of pairs have in common.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{Form, Meta};

/// So many forms are kept at most.
const MOST: usize = 4096;

/// Key-value pairs that many sets have in common, and one more key, of which each has a value of its own.
///
/// The sets that are made of one form share it, so each costs little more than its own value.
///
/// ```
/// use consul_sync_core::{Meta, MetaForm};
/// let node: Meta = [("node", "n1"), ("zone", "z")].into_iter().collect();
/// let form = MetaForm::new(&node, "pod");
/// let pods = [form.fill("web-1"), form.fill("web-2")];
/// assert_eq!(pods[0], [("node", "n1"), ("pod", "web-1"), ("zone", "z")].into_iter().collect());
/// assert_eq!(pods[1].get("pod"), Some("web-2"));
/// ```
#[derive(Clone)]
pub struct MetaForm(Arc<Form>);

/// The forms that were made of late, so that sets which have all but one value in common share one.
///
/// ```
/// use std::sync::Arc;
/// use consul_sync_core::{Meta, MetaForms};
/// let mut forms = MetaForms::default();
/// let (node, key): (Meta, Arc<str>) = ([("node", "n1")].into_iter().collect(), "pod".into());
/// let one = forms.form(node.clone(), &key).fill("web-1");
/// let other = forms.form(node, &key).fill("web-2");
/// assert_eq!((one.get("node"), other.get("pod")), (Some("n1"), Some("web-2")));
/// ```
#[derive(Debug, Default)]
pub struct MetaForms(HashMap<(Meta, Arc<str>), MetaForm>);

impl MetaForm {
    /// A form with these pairs, and a key to which each set gives a value; a value of theirs for it does not count.
    pub fn new(pairs: &Meta, key: impl Into<Arc<str>>) -> Self {
        let key = key.into();
        let others = pairs.iter().filter(|(other, _)| **other != key);
        let value = |key| pairs.to_shared(key).unwrap_or_default();
        let listed = others.map(|(key, _)| (Arc::clone(key), value(key)));
        Self(Arc::new(Form {
            listed: listed.collect(),
            key: Some(key),
        }))
    }

    /// The set whose key has this value, of which it keeps a copy.
    #[must_use]
    pub fn fill(&self, value: &str) -> Meta {
        Meta::filled(Arc::clone(&self.0), value)
    }
}

impl fmt::Debug for MetaForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Form { listed, key } = &*self.0;
        f.debug_struct("MetaForm")
            .field("listed", listed)
            .field("key", key)
            .finish()
    }
}

impl MetaForms {
    /// The form of these pairs and this key. There are as many as nodes, so the few thousand last ones are enough.
    pub fn form(&mut self, pairs: Meta, key: &Arc<str>) -> &MetaForm {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let entry = self.0.entry((pairs, Arc::clone(key)));
        entry.or_insert_with_key(|(pairs, key)| MetaForm::new(pairs, Arc::clone(key)))
    }
}
