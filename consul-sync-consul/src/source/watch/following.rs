//! What is known of every service, and the queries that keep it so.

mod checks;
mod names;
mod nodes;
mod reply;
mod services;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use self::reply::Reply;
use super::{
    Item,
    follow::{Follow, Left, Open, Stage},
    list::{Answered, List},
};
use crate::{
    Error,
    block::{Cursor, News},
    source::{
        Inner,
        ask::{Checks, Health, Id, NodeNames, NodeRead, Read},
    },
};

/// How many services are looked at at once, beyond what the client lets through.
const LOOKS: usize = 16;

/// The services, and what is asked.
#[derive(Debug)]
pub(super) struct Following {
    source: Arc<Inner>,
    lists: Vec<List>,
    services: HashMap<Id, Follow>,
    /// Tasks of their own: what is under way holds a place at the client, and must come to its end also while nobody
    /// reads the stream.
    asks: JoinSet<Came>,
    /// Services to look at, in this order.
    due: VecDeque<Id>,
    /// How many are being looked at.
    looks: usize,
    /// How many have a query of their own.
    held: usize,
    /// Counts services that were followed, and changes.
    count: u64,
    /// How many of the listing were not read yet.
    unread: usize,
    is_listed: bool,
    /// Whether a failure was reported that is not over.
    is_troubled: bool,
}

/// An answer, and to what.
#[derive(Debug)]
enum Came {
    Names(usize, Reply<BTreeSet<Arc<str>>>),
    Checks(usize, usize, Reply<Checks>),
    NodeNames(usize, Reply<NodeNames>),
    /// The serial tells the node, or the service, from one that was there before.
    Node(usize, Arc<str>, u64, Reply<NodeRead>),
    Look(Id, u64, Result<Read<Health>, Error>),
    Health(Id, u64, Reply<Health>),
    /// A pause is over.
    Rested(Id, u64),
}

// === impl Following ===

impl Following {
    /// Nothing is known yet.
    pub(super) fn new(source: &Arc<Inner>) -> Self {
        let scopes = source.settings.scopes.iter();
        Self {
            lists: scopes.map(|_| List::new()).collect(),
            source: Arc::clone(source),
            services: HashMap::new(),
            asks: JoinSet::new(),
            due: VecDeque::new(),
            looks: 0,
            held: 0,
            count: 0,
            unread: 0,
            is_listed: false,
            is_troubled: false,
        }
    }

    /// The names of a scope, as they were listed.
    pub(super) fn begin(&mut self, scope: usize, names: BTreeSet<Arc<str>>, parse: Duration) {
        self.unread += names.len();
        for name in names {
            self.follow(Id { scope, name });
        }
        self.lists[scope].answered = Some(Answered {
            at: Instant::now(),
            parse,
            held: Duration::ZERO,
            news: News::Change,
            is_suspect: false,
        });
    }

    /// Whether a scope has no access control.
    pub(super) fn trust(&mut self, scope: usize, is_open: bool) {
        self.lists[scope].is_open = is_open;
    }

    /// All names were listed.
    pub(super) fn begun(&mut self, now: Instant) {
        for list in &mut self.lists {
            if list.owed == 0 {
                list.settle(now);
            }
        }
    }

    /// Whether the listing has ended.
    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Waits for one answer, and takes it.
    ///
    /// # Errors
    /// What is known may no longer be whole.
    pub(super) async fn turn(
        &mut self,
        cursors: &mut [Cursor],
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        self.end_listing(items);
        if !items.is_empty() {
            return Ok(());
        }
        self.look_at_due();
        self.ask_lists(cursors);
        match self.asks.join_next().await {
            None => pending().await,
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // It was given up.
                Err(_) => Ok(()),
            },
            Some(Ok(came)) => match came {
                Came::Names(scope, reply) => self.take_names(scope, reply, cursors, items).await,
                Came::Checks(scope, state, reply) => self.take_checks(scope, state, reply, items),
                Came::NodeNames(scope, reply) => self.take_node_names(scope, reply, items),
                Came::Node(scope, name, serial, reply) => {
                    self.take_node(scope, &name, serial, reply, items)
                }
                Came::Look(id, serial, result) => self.take_look(&id, serial, result, items).await,
                Came::Health(id, serial, reply) => {
                    self.take_health(&id, serial, reply, items).await
                }
                Came::Rested(id, serial) => {
                    self.rested(id, serial);
                    Ok(())
                }
            },
        }
    }

    fn end_listing(&mut self, items: &mut VecDeque<Item>) {
        if !self.is_listed && self.unread == 0 {
            self.is_listed = true;
            items.push_back(Ok(consul_sync_core::Event::RelistDone));
        }
    }

    /// Whether some service has no query of its own, so that its changes are noticed by others.
    fn has_unheld(&self) -> bool {
        self.services.len() > self.source.settings.queries
    }

    /// Whether there is a service of this name.
    fn is_followed(&self, scope: usize, name: &Arc<str>) -> bool {
        let name = Arc::clone(name);
        self.services.contains_key(&Id { scope, name })
    }

    fn next_count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Sends something, and answers what ends it.
    fn ask(&mut self, ask: impl Future<Output = Came> + Send + 'static) -> Open {
        Open(self.asks.spawn(ask))
    }

    /// Sends something that ends by itself.
    fn ask_to_the_end(&mut self, ask: impl Future<Output = Came> + Send + 'static) {
        self.asks.spawn(ask);
    }

    /// A query failed and will be sent again; what is known stays known. It is told once until the list answers.
    ///
    /// # Errors
    /// The error itself, where what is known may no longer be whole.
    fn report(&mut self, error: Error, items: &mut VecDeque<Item>) -> Result<(), Error> {
        for list in &mut self.lists {
            // Whoever has access control switched on had to restart the servers for it.
            list.is_open = false;
        }
        if error.kind().weakens() || matches!(error, Error::Settings(_)) {
            return Err(error);
        }
        if self.is_troubled {
            tracing::debug!(%error, "a query of consul failed");
        } else {
            self.is_troubled = true;
            items.push_back(Err(error.into()));
        }
        Ok(())
    }

    /// A query beside the list's failed, which the list's is to look into.
    ///
    /// # Errors
    /// The error itself, where what is known may no longer be whole.
    fn failed_beside(
        &mut self,
        scope: usize,
        error: Error,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        if self.source.lists_names(scope) {
            self.lists[scope].poke();
        }
        self.report(error, items)
    }

    /// Follows a service that was not followed.
    fn follow(&mut self, id: Id) {
        let serial = self.next_count();
        self.lists[id.scope].owed += 1;
        self.services.insert(id.clone(), Follow::new(serial));
        self.due.push_back(id);
    }

    /// What follows from a service's being read or gone, as far as others wait for it.
    fn release(&mut self, scope: usize, was_owed: bool, was_unread: bool) {
        if was_owed {
            let list = &mut self.lists[scope];
            list.owed -= 1;
            if list.owed == 0 {
                list.settle(Instant::now());
            }
        }
        if was_unread && !self.is_listed {
            self.unread -= 1;
        }
    }

    /// Services without a query of their own that were read, or are being read, the last changed first.
    fn unheld(&self, is_it: impl Fn(&Id, &Follow) -> bool) -> Vec<Id> {
        let is_unheld =
            |follow: &Follow| matches!(follow.stage, Stage::Idle | Stage::Looking { .. });
        let mut unheld: Vec<(u64, &Id)> = self
            .services
            .iter()
            .filter(|(id, follow)| is_unheld(follow) && is_it(id, follow))
            .map(|(id, follow)| (follow.changed, id))
            .collect();
        unheld.sort_unstable_by(|a, b| b.cmp(a));
        unheld.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Something changed of these: what has a query of its own is left to it.
    fn leave_to_queries(&mut self, is_it: impl Fn(&Id) -> bool) {
        for (id, follow) in &mut self.services {
            if follow.is_held() && is_it(id) {
                follow.left = Some(Left::Before);
            }
        }
    }
}
