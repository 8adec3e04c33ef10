//! Two sets of pairs read as one.

use std::sync::Arc;

use consul_sync_core::Meta;

type Pair<'a> = (&'a Arc<str>, &'a str);

/// The pairs of both in the order of their keys; where both have a key, `over` wins. Nothing is copied: the
/// pairs of a service are shared by all its instances.
pub(super) fn merged<'a>(under: &'a Meta, over: &'a Meta) -> impl Iterator<Item = Pair<'a>> {
    let mut under = under.iter().peekable();
    let mut over = over.iter().peekable();
    std::iter::from_fn(move || match (under.peek(), over.peek()) {
        (Some((low, _)), Some((high, _))) if low < high => under.next(),
        (Some((low, _)), Some((high, _))) => {
            if low == high {
                under.next();
            }
            over.next()
        }
        (Some(_), None) => under.next(),
        (None, _) => over.next(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_two_sets_as_one_is_putting_one_on_the_other(
            under in proptest::collection::btree_map("[a-d]{1,2}", "[xy]", 0..6),
            over in proptest::collection::btree_map("[a-d]{1,2}", "[xy]", 0..6),
        ) {
            let under: Meta = under.into_iter().collect();
            let over: Meta = over.into_iter().collect();
            let whole = under.with(&over);
            prop_assert!(merged(&under, &over).eq(whole.iter()));
        }
    }
}
