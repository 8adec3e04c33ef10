//! Indexes of the materialized views behind blocking queries of `/v1/health/service/NAME`.
//!
//! Consul answers those from a view of its own, fed by a stream of events, and not from the tables. The index of a view is
//! that of the listing when the view was made, and from then on that of the last event about the service which its token
//! may see. So a query for a service that does not exist sleeps through the writes of others, which would wake the same
//! query on the tables; and a token without rights sees an empty listing whose index never moves.
//!
//! Left out: on a real server a view outlives its token by some minutes and goes on showing what it last held; and one of
//! a name that is written in another case keeps both spellings of an instance, or, where the node or one of its own checks
//! changes in the same entry, loses the instance until it is next written.

use std::collections::HashMap;

use super::acl::Acl;
use super::model::folded;
use super::store::{Event, Store};

/// The views of one server.
#[derive(Debug, Default)]
pub(super) struct Views {
    by_key: HashMap<String, View>,
}

#[derive(Debug)]
struct View {
    token: String,
    service: String,
    index: u64,
}

impl Views {
    /// Index of the view `key` of the service `name` for `token`, which is made if nobody asked for it yet.
    pub(super) fn index(&mut self, store: &Store, key: &str, name: &str, token: &str) -> u64 {
        if let Some(view) = self.by_key.get(key) {
            return view.index;
        }
        let exists = store.instances_of_service(name).next().is_some();
        let index = store.service_index(name, exists, true).max(1);
        let view = View {
            token: token.to_owned(),
            service: folded(name),
            index,
        };
        self.by_key.insert(key.to_owned(), view);
        index
    }

    /// Whether the changes of a write have to be told to [`moved`](Self::moved).
    pub(super) fn listen(&self) -> bool {
        !self.by_key.is_empty()
    }

    /// Moves the views that `events` of the raft entry `index` concern.
    pub(super) fn moved(&mut self, events: &[Event], acl: &Acl, index: u64) {
        for view in self.by_key.values_mut() {
            let Some(access) = acl.access(&view.token) else {
                continue;
            };
            let sees = |event: &Event| {
                access.can_read_node(&event.node) && access.can_read_service(&event.service)
            };
            if events
                .iter()
                .any(|event| folded(&event.service) == view.service && sees(event))
            {
                view.index = index;
            }
        }
    }

    /// Drops all views, as a server does that replaces its tables.
    pub(super) fn clear(&mut self) {
        self.by_key.clear();
    }

    /// Drops the views of `token`.
    pub(super) fn revoke(&mut self, token: &str) {
        self.by_key.retain(|_, view| view.token != token);
    }
}
