//! What was said of a service, remembered without keeping it.

use std::hash::{BuildHasher, RandomState};

use consul_sync_core::Service;

/// Makes digests of services. Only those of one maker can be compared.
#[derive(Debug, Default)]
pub(super) struct Digests([RandomState; 2]);

/// A digest of the service that was said last.
///
/// Whether a service is another one than before is all that is ever asked of it, and a service takes fifty times as
/// much. Two services have the same digest by a chance of one in 2^128, and nobody can look for two: the keys of the
/// hashes are the process's own, and a digest is shown nowhere. At a million changes a second that is once in
/// 10^25 years, and what would follow is one change that is said with the next one of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said([u64; 2]);

impl Digests {
    pub(super) fn of(&self, service: &Service) -> Said {
        let Self([one, other]) = self;
        Said([one.hash_one(service), other.hash_one(service)])
    }
}

#[cfg(test)]
mod tests {
    use consul_sync_core::testing::{any_service, service};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digests_are_equal_exactly_where_services_are(one in any_service(), other in any_service()) {
            let digests = Digests::default();
            prop_assert_eq!(digests.of(&one) == digests.of(&other), one == other);
            prop_assert_eq!(digests.of(&one), digests.of(&one.clone()));
        }
    }

    #[test]
    fn both_halves_are_keyed_each_for_itself() {
        let web = service("shop/web", ["10.0.0.1"]);
        let (one, other) = (Digests::default(), Digests::default());
        let halves = [one.of(&web).0, other.of(&web).0].concat();
        let different: std::collections::BTreeSet<u64> = halves.iter().copied().collect();
        assert_eq!(different.len(), 4, "{halves:?}");
    }
}
