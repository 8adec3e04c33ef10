//! Key-value pairs of a service or an instance.

mod form;

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use triomphe::ThinArc;

pub use form::{MetaForm, MetaForms};

/// A set of key-value pairs, sorted by key, shared by cloning.
///
/// How it is held has no meaning: sets of the same pairs are equal.
///
/// ```
/// use consul_sync_core::Meta;
/// let service: Meta = [("team", "a"), ("zone", "1")].into_iter().collect();
/// let instance: Meta = [("zone", "2")].into_iter().collect();
/// assert_eq!(service.with(&instance).get("zone"), Some("2"));
/// ```
#[derive(Clone, Default)]
pub struct Meta(Option<Pairs>);

type Pair = (Arc<str>, Arc<str>);

/// At least one pair: those of a form, and the bytes of the value of its key, all in one allocation. Most instances
/// differ from their neighbours in one value, and a hundred thousand of them are held: so one costs its value alone.
type Pairs = ThinArc<Arc<Form>, u8>;

struct Form {
    /// Sorted by key.
    listed: Box<[Pair]>,
    /// One more key, none of theirs, whose value each set has for itself. Absent in a set that shares no form.
    key: Option<Arc<str>>,
}

impl Meta {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let (listed, top) = self.parts();
        match top.filter(|(top, _)| ***top == *key) {
            Some((_, value)) => Some(value),
            None => find(listed, key).map(AsRef::as_ref),
        }
    }

    /// The value of a key, to keep: the text that sets have in common, or a copy where this one alone has it.
    ///
    /// ```
    /// use consul_sync_core::Meta;
    /// let pairs: Meta = [("zone", "a")].into_iter().collect();
    /// assert_eq!(pairs.to_shared("zone").as_deref(), Some("a"));
    /// ```
    pub fn to_shared(&self, key: &str) -> Option<Arc<str>> {
        let listed = find(self.parts().0, key).map(Arc::clone);
        listed.or_else(|| self.get(key).map(Arc::from))
    }

    /// The pairs in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        let (listed, top) = self.parts();
        let at = top.map_or(0, |(top, _)| listed.partition_point(|(key, _)| key < top));
        let (before, after) = listed.split_at(at);
        let after = after.iter().map(borrowed);
        before.iter().map(borrowed).chain(top).chain(after)
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        let (listed, top) = self.parts();
        listed.len() + usize::from(top.is_some())
    }

    fn parts(&self) -> (&[Pair], Option<(&Arc<str>, &str)>) {
        let Some(pairs) = &self.0 else {
            return (&[], None);
        };
        let form = &pairs.header.header;
        // The bytes are those of a text.
        let value = || str::from_utf8(&pairs.slice).unwrap_or_default();
        let top = form.key.as_ref().map(|key| (key, value()));
        (&form.listed, top)
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
        let pairs = self.iter().chain(other.iter());
        pairs.map(|(k, v)| (Arc::clone(k), v)).collect()
    }

    fn made_of(listed: Box<[Pair]>) -> Self {
        let form = Form { listed, key: None };
        Self::filled(Arc::new(form), "")
    }

    fn filled(form: Arc<Form>, value: &str) -> Self {
        Self(Some(ThinArc::from_header_and_slice(form, value.as_bytes())))
    }
}

fn find<'a>(listed: &'a [Pair], key: &str) -> Option<&'a Arc<str>> {
    let at = listed.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
    listed.get(at).map(|(_, value)| value)
}

fn borrowed((key, value): &Pair) -> (&Arc<str>, &str) {
    (key, value)
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
        if pairs.is_empty() {
            return Self::default();
        }
        Self::made_of(pairs.into())
    }
}

impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) if Arc::ptr_eq(&one.header.header, &two.header.header) => {
                one.slice == two.slice
            }
            _ => self.len() == other.len() && self.iter().eq(other.iter()),
        }
    }
}

impl Eq for Meta {}

impl PartialOrd for Meta {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Meta {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Hash for Meta {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter().for_each(|pair| pair.hash(state));
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_held_as_one_address() {
        assert_eq!(size_of::<Meta>(), size_of::<usize>());
    }

    fn digest(meta: &Meta) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(meta)
    }

    proptest! {
        #[test]
        fn a_filled_form_is_the_set_of_all_its_pairs(
            under in proptest::collection::btree_map("[a-d]{1,2}", "[xy]", 0..5),
            (key, value) in ("[a-d]{1,2}", "[xy]"),
            other in proptest::collection::btree_map("[a-d]{1,2}", "[xy]", 0..5),
        ) {
            let mut pairs = under.clone();
            let under: Meta = under.into_iter().collect();
            let form = MetaForm::new(&under, key.as_str());
            let filled = form.fill(&value);
            pairs.insert(key.clone(), value.clone());
            let listed: Meta = pairs.clone().into_iter().collect();
            prop_assert_eq!(&filled, &listed);
            for text in ["x", "y"] {
                prop_assert_eq!(filled == form.fill(text), value == text);
            }
            prop_assert!(filled.iter().eq(listed.iter()));
            prop_assert_eq!(digest(&filled), digest(&listed));
            prop_assert_eq!(filled.len(), pairs.len());
            for (key, value) in &pairs {
                prop_assert_eq!(filled.get(key), Some(value.as_str()));
                let kept = filled.to_shared(key);
                prop_assert_eq!(kept.as_deref(), Some(value.as_str()));
            }
            let other: Meta = other.into_iter().collect();
            prop_assert_eq!(filled.cmp(&other), listed.cmp(&other));
            prop_assert_eq!(filled == other, listed == other);
            prop_assert_eq!(filled.with(&other), listed.with(&other));
        }
    }

    #[test]
    fn the_last_pair_of_a_key_wins_and_keys_are_sorted() {
        let meta: Meta = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        let pairs: Vec<_> = meta.iter().map(|(k, v)| (k.as_ref(), v)).collect();
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
