//! EndpointSlices, packed: what 100,000 endpoints are held as.

use std::{collections::HashMap, sync::Arc};

use consul_sync_core::{Address, Meta};

use crate::{
    slim::{Endpoint, EndpointPort, EndpointSliceBody},
    strings::{Strings, Words},
};

/// What is held of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(super) ports: Box<[EndpointPort]>,
    pub(super) endpoints: Box<[Packed]>,
}

/// One endpoint: its address, its readiness, and the pairs that every instance made of it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(super) address: Address,
    pub(super) readiness: Readiness,
    pub(super) meta: Meta,
}

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
        let endpoints = body
            .endpoints
            .iter()
            .enumerate()
            .map(|(at, endpoint)| Packed {
                address: endpoint.address.clone(),
                readiness: Readiness::of(endpoint),
                meta: match before.find(at, endpoint) {
                    Some(packed) if describes(&packed.meta, endpoint, words) => packed.meta.clone(),
                    _ => meta(endpoint, strings, words),
                },
            });
        let endpoints = endpoints.collect();
        let port = |port: &EndpointPort| EndpointPort {
            name: strings.share(&port.name),
            number: port.number,
        };
        Self {
            ports: body.ports.iter().map(port).collect(),
            endpoints,
        }
    }

    /// The nodes that its endpoints are on.
    pub(crate) fn nodes<'a>(&'a self, words: &'a Words) -> impl Iterator<Item = Arc<str>> {
        self.endpoints
            .iter()
            .filter_map(|endpoint| endpoint.meta.to_shared(&words.node_name))
    }
}

impl Packed {
    /// The node that it is on: one of its pairs, so that it is held once.
    pub(super) fn node(&self, words: &Words) -> Option<&str> {
        self.meta.get(&words.node_name)
    }
}

impl Readiness {
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
    endpoints: &'a [Packed],
    by_address: std::cell::OnceCell<HashMap<&'a Address, &'a Packed>>,
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

    fn find(&self, at: usize, endpoint: &Endpoint) -> Option<&'a Packed> {
        // Mostly nothing moved, and then no map is made.
        if let Some(same) = self
            .endpoints
            .get(at)
            .filter(|packed| packed.address == endpoint.address)
        {
            return Some(same);
        }
        let map = || {
            self.endpoints
                .iter()
                .map(|packed| (&packed.address, packed))
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
