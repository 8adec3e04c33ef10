//! Slots that one namespace of the source alone may hold (fault N08).
//!
//! Who holds a slot is no matter of age alone: an old service that begins to claim a name would take it from
//! everybody who uses it. The namespace that holds the slot keeps it for as long as a service of it claims it. What
//! the destination holds says who that is, so a restart changes nothing.

use std::sync::Arc;

use super::Engine;
use crate::{Key, Layout, Reason, Record, Rejection, Service, Slot, Standing};

/// The claims on a slot that count, and those that do not.
#[derive(Debug)]
pub(super) struct Admission {
    /// In the order of their precedence.
    pub(super) claims: Vec<Arc<Service>>,
    pub(super) refused: Vec<(Key, Rejection)>,
    pub(super) holder: Option<Holder>,
}

/// The namespace that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A service of it claims the slot.
    Present(Arc<str>),
    /// No known service of it does, but one that is rejected may.
    Absent(Arc<str>),
}

impl Holder {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }

    fn namespace(&self) -> &Arc<str> {
        match self {
            Self::Present(namespace) | Self::Absent(namespace) => namespace,
        }
    }
}

impl<L: Layout> Engine<L> {
    /// Whether who claims what is to be known before anything is written, and is not.
    pub(super) fn awaits_claims(&self) -> bool {
        self.settings.exclusive && !self.desired.listing.is_listed()
    }

    /// The claims on a slot that count. Cost: O(its claims, and its records where nobody is known to hold it).
    pub(super) fn admit(&self, slot: &Slot) -> Admission {
        let claims = self.desired.claims(slot);
        let holder = if self.settings.exclusive {
            self.holder(slot, &claims)
        } else {
            None
        };
        let Some(holder) = holder else {
            return Admission {
                claims,
                refused: Vec::new(),
                holder: None,
            };
        };
        let (claims, others): (Vec<_>, Vec<_>) = claims
            .into_iter()
            .partition(|claim| claim.key.namespace() == holder.namespace());
        let by = match claims.first() {
            Some(first) => first.key.to_string(),
            None => format!("a service of namespace {}", holder.namespace()),
        };
        let refused = others.iter().map(|claim| {
            let text = format!(
                "the name {} is held by {by}, and names are exclusive to one namespace: choose another name, or wait \
                 until it is given up",
                claim.name
            );
            (claim.key.clone(), Rejection::new(Reason::Taken, text))
        });
        Admission {
            refused: refused.collect(),
            claims,
            holder: Some(holder),
        }
    }

    /// Who held the slot before, if that namespace still claims it or may; otherwise the first of those whose records
    /// are there; otherwise the first claim.
    fn holder(&self, slot: &Slot, claims: &[Arc<Service>]) -> Option<Holder> {
        let claimed = |namespace: &str| {
            let mut namespaces = claims.iter().map(|claim| claim.key.namespace());
            namespaces.find(|claimed| ***claimed == *namespace)
        };
        let still = |namespace: &str| match claimed(namespace) {
            Some(namespace) => Some(Holder::Present(Arc::clone(namespace))),
            None if self.desired.may_be_of_rejected(Some(namespace)) => {
                Some(Holder::Absent(namespace.into()))
            }
            None => None,
        };
        if let Some(known) = self.holders.get(slot) {
            if let Some(holder) = still(known) {
                return Some(holder);
            }
        } else {
            let held = self.actual.held(slot).iter();
            let mut origins: Vec<&str> = held
                .filter(|held| held.standing != Standing::Foreign)
                .filter_map(|held| held.record.origin())
                .collect();
            origins.sort_unstable();
            origins.dedup();
            let mut namespaces = claims.iter().map(|claim| claim.key.namespace());
            if let Some(first) = namespaces.find(|namespace| origins.contains(&&***namespace)) {
                return Some(Holder::Present(Arc::clone(first)));
            }
            if let Some(holder) = origins.into_iter().find_map(still) {
                return Some(holder);
            }
        }
        let first = claims.first()?;
        Some(Holder::Present(Arc::clone(first.key.namespace())))
    }

    /// Remembers who holds a slot: one without instances for a while has no records that say so.
    pub(super) fn remember_holder(&mut self, slot: &Slot, holder: Option<&Holder>) {
        match holder {
            Some(holder) => {
                let known = self.holders.get(slot);
                if known != Some(holder.namespace()) {
                    let namespace = Arc::clone(holder.namespace());
                    self.holders.insert(slot.clone(), namespace);
                }
            }
            None => {
                self.holders.remove(slot);
            }
        }
    }
}
