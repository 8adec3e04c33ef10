//! The names: which services are followed.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use consul_sync_core::Event;
use futures::FutureExt;
use tokio::time::Instant;

use super::{Answered, Came, Following, Reply};
use crate::{
    Error,
    block::{Cursor, News, Step},
    source::{
        ask::{Id, Read},
        translate::Found,
        watch::{Item, follow::Stage},
    },
};

impl Following {
    /// Asks for the names of every scope where it is time to, and for the checks where they are needed.
    pub(super) fn ask_lists(&mut self, cursors: &[Cursor]) {
        for (scope, cursor) in cursors.iter().enumerate() {
            if self.source.lists_names(scope) && self.lists[scope].is_due() {
                self.ask_names(scope, cursor.index());
            }
            self.ask_checks(scope);
            self.ask_nodes(scope);
        }
    }

    fn ask_names(&mut self, scope: usize, index: u64) {
        self.lists[scope].settle(Instant::now());
        let (source, least) = (Arc::clone(&self.source), self.source.settings.wait);
        let (query, client) = (&self.lists[scope].query, &self.source.client);
        let request = source.names_request(scope);
        let reply = Reply::to(query, client, request, index, least, async move |answer| {
            source.read_names(answer, Some(index)).await
        });
        let ask = self.ask(reply.map(move |reply| Came::Names(scope, reply)));
        self.lists[scope].open = Some(ask);
    }

    pub(super) async fn take_names(
        &mut self,
        scope: usize,
        reply: Reply<BTreeSet<Arc<str>>>,
        cursors: &mut [Cursor],
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        let list = &mut self.lists[scope];
        list.open = None;
        let read = match reply.result {
            Ok(read) => read,
            Err(error) => {
                list.query.failed(&error);
                list.is_suspect = true;
                return self.report(error, items);
            }
        };
        let was_poked = std::mem::take(&mut list.is_poked);
        let was_suspect = std::mem::take(&mut list.is_suspect);
        self.is_troubled = false;
        let step = cursors[scope].observe(read.index);
        if let Step::Backwards { from } = step {
            let call = self.source.client.about("GET", "/v1/catalog/services");
            return Err(Error::went_backwards(call, from, read.index));
        }
        let is_early = step == Step::Same && !was_poked && reply.held < reply.wait;
        let Read {
            index,
            content,
            parse,
        } = read;
        let has_changed = match content {
            Some(names) => self.take_list(scope, index, names, items).await?,
            None => false,
        };
        if was_suspect {
            self.let_go(scope);
        }
        self.resume(scope);
        // What moved may be any of those without a query of their own, unless the nodes' queries tell it. Once in a wait
        // they are due anyway.
        let list = &self.lists[scope];
        let is_untold = step == Step::Moved && !list.nodes.cover();
        let is_over = step == Step::Same && !is_early && !was_poked;
        let is_overdue = list.swept.elapsed() >= reply.wait.max(self.source.settings.wait);
        // Where there is a query for each, those that have none yet get it after a look.
        let is_due = is_untold || is_over || is_overdue || was_suspect || !self.has_unheld();
        if is_untold {
            self.leave_to_queries(|id| id.scope == scope);
        }
        if is_due {
            self.lists[scope].swept = Instant::now();
            for id in self.unheld(|id, _| id.scope == scope) {
                self.owe(&id);
            }
        }
        let news = match step {
            _ if has_changed || self.lists[scope].owed > 0 => News::Change,
            // What moved has a query of its own: the next new name is not to wait for long.
            Step::Moved => News::Echo,
            _ => News::None,
        };
        let list = &mut self.lists[scope];
        list.answered = Some(Answered {
            at: Instant::now(),
            parse,
            held: reply.held,
            news,
            is_suspect: is_early,
        });
        if list.owed == 0 {
            list.settle(Instant::now());
        }
        Ok(())
    }

    /// Follows what is new, and tells what is gone. Returns whether anything is.
    async fn take_list(
        &mut self,
        scope: usize,
        index: u64,
        names: BTreeSet<Arc<str>>,
        items: &mut VecDeque<Item>,
    ) -> Result<bool, Error> {
        let gone: Vec<Id> = self
            .services
            .keys()
            .filter(|id| id.scope == scope && !names.contains(&id.name))
            .cloned()
            .collect();
        let mut has_changed = !gone.is_empty();
        for id in gone {
            self.leave(&id, index, items).await?;
        }
        for name in names {
            let id = Id { scope, name };
            if !self.services.contains_key(&id) {
                has_changed = true;
                self.follow(id);
            }
        }
        Ok(has_changed)
    }

    /// A service is not listed any more: it is gone, or not wanted.
    async fn leave(
        &mut self,
        id: &Id,
        index: u64,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        let Some(follow) = self.services.get(id) else {
            return Ok(());
        };
        if follow.is_read && follow.cursor.index() > index {
            // It was read after that list was made.
            self.look_again(id);
            return Ok(());
        }
        if follow.told != Found::Nothing {
            self.trust_absence(id.scope).await?;
        }
        let Some(follow) = self.services.remove(id) else {
            return Ok(());
        };
        self.held -= usize::from(follow.is_held());
        if follow.told != Found::Nothing {
            items.push_back(Ok(Event::Removed(self.source.key(id))));
        }
        self.release(id.scope, follow.is_owed, !follow.is_read);
        Ok(())
    }

    /// Makes sure that what is not shown is not just hidden from us.
    pub(super) async fn trust_absence(&mut self, scope: usize) -> Result<(), Error> {
        if !self.lists[scope].is_open {
            self.lists[scope].is_open = self.source.trust_absence(scope).await?;
        }
        Ok(())
    }

    /// Gives up every query of a service: each is looked at instead.
    fn let_go(&mut self, scope: usize) {
        let held = self.services.iter_mut();
        for (_, follow) in held.filter(|(id, follow)| id.scope == scope && follow.is_held()) {
            follow.stage = Stage::Idle;
            self.held -= 1;
        }
        self.lists[scope].nodes.let_go();
    }

    /// The server answers: what failed is tried again, each after its own pause.
    fn resume(&mut self, scope: usize) {
        let now = Instant::now();
        let stalled: Vec<(Id, Duration)> = self
            .services
            .iter()
            .filter(|(id, _)| id.scope == scope)
            .filter_map(|(id, follow)| match follow.stage {
                Stage::Stalled(until) => Some((id.clone(), until.saturating_duration_since(now))),
                _ => None,
            })
            .collect();
        for (id, pause) in stalled {
            self.rest(&id, pause);
        }
    }
}
