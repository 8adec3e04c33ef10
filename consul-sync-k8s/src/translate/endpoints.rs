//! EndpointSlices, packed: what 100,000 endpoints are held as.

use std::{collections::HashMap, sync::Arc};

use consul_sync_core::{Address, Meta, Packed};

use crate::{
    slim::{Endpoint, EndpointPort, EndpointSliceBody},
    strings::{Strings, Words},
};

/// What is held of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(super) ports: Arc<[EndpointPort]>,
    pub(super) endpoints: Box<[Known]>,
}

/// One endpoint: its address, its readiness, and the pairs that every instance made of it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known(Packed);

/// Whether an endpoint takes traffic, as the table in [`super`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Terminating and still serving.
    Draining,
    Down,
}

impl Slice {
    /// Packs a slice. Endpoints that `previous` holds already, unchanged but for their readiness, share its
    /// pairs: a listing that brings the same objects again then takes no more memory.
    pub(crate) fn new(
        body: &EndpointSliceBody,
        previous: Option<&Slice>,
        strings: &mut Strings,
        words: &Words,
    ) -> Self {
        let before = Before::new(previous);
        let endpoints = body.endpoints.iter().enumerate().map(|(at, endpoint)| {
            let before = before.find(at, endpoint).map(Known::meta);
            let meta = match before {
                Some(meta) if describes(meta, endpoint, words) => meta.clone(),
                _ => meta(endpoint, strings, words),
            };
            Known::new(&endpoint.address, Readiness::of(endpoint), meta)
        });
        let endpoints = endpoints.collect();
        let port = |port: &EndpointPort| EndpointPort {
            name: strings.share(&port.name),
            number: port.number,
        };
        let ports = body.ports.iter().map(port).collect();
        Self {
            ports: strings.share_slice_ports(ports),
            endpoints,
        }
    }

    /// The nodes that its endpoints are on.
    pub(crate) fn nodes<'a>(&'a self, words: &'a Words) -> impl Iterator<Item = Arc<str>> {
        self.endpoints
            .iter()
            .filter_map(|endpoint| endpoint.meta().to_shared(&words.node_name))
    }
}

impl Known {
    fn new(address: &Address, readiness: Readiness, meta: Meta) -> Self {
        Self(Packed::new(Some(address.clone()), meta, readiness.number()))
    }

    /// Its address, which every endpoint has.
    pub(super) fn address(&self) -> Option<Address> {
        self.0.address()
    }

    pub(super) fn readiness(&self) -> Readiness {
        Readiness::numbered(self.0.number())
    }

    /// The pairs of an instance made of it.
    pub(super) fn meta(&self) -> &Meta {
        self.0.meta()
    }

    /// The node that it is on: one of its pairs, so that it is held once.
    pub(super) fn node(&self, words: &Words) -> Option<&str> {
        self.meta().get(&words.node_name)
    }
}

impl Readiness {
    fn number(self) -> u16 {
        match self {
            Self::Ready => 0,
            Self::Draining => 1,
            Self::Down => 2,
        }
    }

    /// The one with this number; there are no others.
    fn numbered(number: u16) -> Self {
        match number {
            0 => Self::Ready,
            1 => Self::Draining,
            _ => Self::Down,
        }
    }

    fn of(endpoint: &Endpoint) -> Self {
        let terminating = endpoint.terminating.unwrap_or(false);
        if endpoint.ready.unwrap_or(!terminating) {
            Self::Ready
        } else if terminating && endpoint.serving.or(endpoint.ready).unwrap_or(true) {
            Self::Draining
        } else {
            Self::Down
        }
    }
}

/// The endpoints of the slice's former state, found by address.
struct Before<'a> {
    endpoints: &'a [Known],
    by_address: std::cell::OnceCell<HashMap<Address, &'a Known>>,
}

impl<'a> Before<'a> {
    fn new(previous: Option<&'a Slice>) -> Self {
        Self {
            endpoints: previous
                .map(|slice| slice.endpoints.as_ref())
                .unwrap_or_default(),
            by_address: std::cell::OnceCell::new(),
        }
    }

    fn find(&self, at: usize, endpoint: &Endpoint) -> Option<&'a Known> {
        // Mostly nothing moved, and then no map is made.
        if let Some(same) = self
            .endpoints
            .get(at)
            .filter(|known| known.address().as_ref() == Some(&endpoint.address))
        {
            return Some(same);
        }
        let map = || {
            let known = self.endpoints.iter();
            known
                .filter_map(|known| Some((known.address()?, known)))
                .collect()
        };
        self.by_address
            .get_or_init(map)
            .get(&endpoint.address)
            .copied()
    }
}

/// The pairs of an endpoint, by their keys.
fn pairs<'a>(
    endpoint: &'a Endpoint,
    words: &'a Words,
) -> [(&'a Arc<str>, Option<&'a Arc<str>>); 4] {
    let target = endpoint.target.as_ref();
    [
        (&words.ref_kind, target.map(|target| &target.kind)),
        (&words.ref_name, target.map(|target| &target.name)),
        (&words.node_name, endpoint.node.as_ref()),
        (&words.zone, endpoint.zone.as_ref()),
    ]
}

fn meta(endpoint: &Endpoint, strings: &mut Strings, words: &Words) -> Meta {
    // Names of pods occur once each; the others repeat.
    let mut name = None;
    let mut common = Vec::with_capacity(3);
    for (key, value) in pairs(endpoint, words) {
        let Some(value) = value else { continue };
        if Arc::ptr_eq(key, &words.ref_name) {
            name = Some(value);
        } else {
            common.push((Arc::clone(key), strings.share(value)));
        }
    }
    let common: Meta = common.into_iter().collect();
    match name {
        Some(name) => {
            let form = strings.forms.form(common, &words.ref_name);
            form.fill(name)
        }
        None => strings.share_meta(common),
    }
}

/// Whether these are the pairs of the endpoint.
fn describes(meta: &Meta, endpoint: &Endpoint, words: &Words) -> bool {
    let mut expected = 0;
    for (key, value) in pairs(endpoint, words) {
        let Some(value) = value else { continue };
        expected += 1;
        if meta.get(key) != Some(value.as_ref()) {
            return false;
        }
    }
    meta.len() == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_held_in_16_bytes_with_its_readiness() {
        assert_eq!(size_of::<Known>(), 16);
        let address = Address::Ip([10, 0, 0, 1].into());
        for readiness in [Readiness::Ready, Readiness::Draining, Readiness::Down] {
            let known = Known::new(&address, readiness, Meta::default());
            assert_eq!(known.readiness(), readiness);
            assert_eq!(known.address().as_ref(), Some(&address));
        }
    }
}
