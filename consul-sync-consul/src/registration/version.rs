//! What a conditional write compares.

use std::{fmt, num::NonZeroU64};

/// What a conditional write compares: Consul's `ModifyIndex` of the instance and of its check.
///
/// Two of them are held for every instance, so each takes 12 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    service: Index,
    /// 0 for none.
    check: Index,
}

/// An index of Consul, in 48 bits. It counts writes: at 100,000 a second it gets there after 89 years, and is held to
/// be the highest from then on, which no write matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Index([u16; 3]);

impl Version {
    /// The version of an instance and of its check, where there is one.
    pub(crate) fn new(service: u64, check: Option<NonZeroU64>) -> Self {
        Self {
            service: Index::new(service),
            check: Index::new(check.map_or(0, NonZeroU64::get)),
        }
    }

    /// `ModifyIndex` of the service.
    pub fn service(&self) -> u64 {
        self.service.get()
    }

    /// `ModifyIndex` of the check, where there is one.
    pub fn check(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.check.get())
    }

    /// The same with another check.
    pub(crate) fn with_check(self, check: Option<NonZeroU64>) -> Self {
        Self::new(self.service(), check)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("service", &self.service())
            .field("check", &self.check())
            .finish()
    }
}

impl Index {
    fn new(index: u64) -> Self {
        let index = index.min((1 << 48) - 1);
        Self([index, index >> 16, index >> 32].map(|part| (part & 0xffff) as u16))
    }

    fn get(self) -> u64 {
        let [low, middle, high] = self.0.map(u64::from);
        low | middle << 16 | high << 32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_out(service in 0..1_u64 << 48, check in 0..1_u64 << 48) {
            let version = Version::new(service, NonZeroU64::new(check));
            prop_assert_eq!(version.service(), service);
            prop_assert_eq!(version.check(), NonZeroU64::new(check));
            let other = version.with_check(None);
            prop_assert_eq!((other.service(), other.check()), (service, None));
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Version>(), 12);
    }
}
