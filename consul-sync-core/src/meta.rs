//! Key-value pairs of a service or an instance.

use std::{fmt, sync::Arc};

/// A set of key-value pairs, sorted by key, shared by cloning.
///
/// ```
/// use consul_sync_core::Meta;
/// let service: Meta = [("team", "a"), ("zone", "1")].into_iter().collect();
/// let instance: Meta = [("zone", "2")].into_iter().collect();
/// assert_eq!(service.with(&instance).get("zone"), Some("2"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Meta(Option<Arc<[Pair]>>);

type Pair = (Arc<str>, Arc<str>);

impl Meta {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pairs = self.0.as_deref()?;
        let at = pairs.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        pairs.get(at).map(|(_, value)| value.as_ref())
    }

    /// The pairs in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(|(k, v)| (k, v))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.as_deref().map_or(0, <[_]>::len)
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// These pairs with those of `other` on top: where both have a key, `other` wins.
    #[must_use]
    pub fn with(&self, other: &Meta) -> Meta {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        self.iter()
            .chain(other.iter())
            .map(|(k, v)| (Arc::clone(k), Arc::clone(v)))
            .collect()
    }
}

impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for Meta {
    /// Later pairs win over earlier ones of the same key.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<Pair> = pairs
            .into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        // The sort is stable, so of equal keys the last one given comes last, and is the one kept.
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.reverse();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs.reverse();
        Self((!pairs.is_empty()).then(|| pairs.into()))
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pair_of_a_key_wins_and_keys_are_sorted() {
        let meta: Meta = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        let pairs: Vec<_> = meta.iter().map(|(k, v)| (k.as_ref(), v.as_ref())).collect();
        assert_eq!(pairs, [("a", "2"), ("b", "3")]);
        assert_eq!(meta.get("c"), None);
    }

    #[test]
    fn an_empty_set_is_equal_however_it_was_made() {
        let empty: Meta = Vec::<(String, String)>::new().into_iter().collect();
        assert_eq!(empty, Meta::default());
        assert!(empty.is_empty());
    }
}
