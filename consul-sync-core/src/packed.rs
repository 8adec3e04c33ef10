//! What an instance has of its own, packed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use crate::{Address, Meta};

/// What an instance has of its own: where it is, its pairs, and a number, whose meaning is the holder's: a port, or
/// which of the parts that it shares with its siblings it has.
///
/// It takes 16 bytes where the address is an IPv4 address and nothing else identifies the instance, and 48 more
/// otherwise. A hundred thousand instances are held in several tables, so this is what their memory is made of.
///
/// ```
/// use consul_sync_core::{Address, Meta, Packed};
/// let address = Address::Ip([10, 0, 0, 1].into());
/// let packed = Packed::new(Some(address.clone()), Meta::default(), 8080);
/// assert_eq!((packed.address(), packed.number()), (Some(address), 8080));
/// assert_eq!(size_of::<Packed>(), 16);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Packed(Inner);

/// Of two forms that could hold the same only the first is made, so that equal contents have equal forms.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Inner {
    V4 {
        number: u16,
        ip: Ipv4Addr,
        meta: Meta,
    },
    Other {
        number: u16,
        rest: Box<Rest>,
    },
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Rest {
    address: Option<Address>,
    identified_by: Option<Box<Address>>,
    meta: Meta,
}

impl Packed {
    /// Packs an address, pairs and a number.
    pub fn new(address: Option<Address>, meta: Meta, number: u16) -> Self {
        Self::identified_by(address, None, meta, number)
    }

    /// The same of an instance that another address tells from its siblings.
    pub fn identified_by(
        address: Option<Address>,
        identified_by: Option<Box<Address>>,
        meta: Meta,
        number: u16,
    ) -> Self {
        Self(match (address, identified_by) {
            (Some(Address::Ip(IpAddr::V4(ip))), None) => Inner::V4 { number, ip, meta },
            (address, identified_by) => {
                let rest = Box::new(Rest {
                    address,
                    identified_by,
                    meta,
                });
                Inner::Other { number, rest }
            }
        })
    }

    /// The address, where there is one.
    pub fn address(&self) -> Option<Address> {
        match &self.0 {
            Inner::V4 { ip, .. } => Some(Address::Ip(IpAddr::V4(*ip))),
            Inner::Other { rest, .. } => rest.address.clone(),
        }
    }

    /// The address that tells it from its siblings, where that is another one.
    pub fn other(&self) -> Option<&Address> {
        match &self.0 {
            Inner::V4 { .. } => None,
            Inner::Other { rest, .. } => rest.identified_by.as_deref(),
        }
    }

    /// The pairs.
    pub fn meta(&self) -> &Meta {
        match &self.0 {
            Inner::V4 { meta, .. } => meta,
            Inner::Other { rest, .. } => &rest.meta,
        }
    }

    /// Other pairs.
    pub fn set_meta(&mut self, new: Meta) {
        match &mut self.0 {
            Inner::V4 { meta, .. } => *meta = new,
            Inner::Other { rest, .. } => rest.meta = new,
        }
    }

    /// The number.
    pub fn number(&self) -> u16 {
        match self.0 {
            Inner::V4 { number, .. } | Inner::Other { number, .. } => number,
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed")
            .field("address", &self.address())
            .field("identified_by", &self.other())
            .field("meta", self.meta())
            .field("number", &self.number())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn any_address() -> impl Strategy<Value = Address> {
        prop_oneof![
            any::<IpAddr>().prop_map(Address::Ip),
            "[a-z]{1,3}".prop_map(|host| Address::Host(Arc::from(host))),
        ]
    }

    type Parts = (Option<Address>, Option<Address>, bool, u16);

    fn any_parts() -> impl Strategy<Value = Parts> {
        let address = || prop::option::of(any_address());
        (address(), address(), any::<bool>(), any::<u16>())
    }

    fn pack((address, other, has_pairs, number): &Parts) -> Packed {
        let pairs = has_pairs.then_some(("a", "b"));
        let other = other.clone().map(Box::new);
        Packed::identified_by(address.clone(), other, pairs.into_iter().collect(), *number)
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(parts in any_parts()) {
            let packed = pack(&parts);
            let (address, other, has_pairs, number) = parts;
            prop_assert_eq!(packed.address(), address);
            prop_assert_eq!(packed.other(), other.as_ref());
            prop_assert_eq!(packed.meta().is_empty(), !has_pairs);
            prop_assert_eq!(packed.number(), number);
        }

        #[test]
        fn equal_contents_are_equal_packed(one in any_parts(), other in any_parts()) {
            prop_assert_eq!(pack(&one) == pack(&other), one == other);
            prop_assert_eq!(pack(&one), pack(&one));
        }
    }
}
