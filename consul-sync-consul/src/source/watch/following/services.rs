//! The services: looks, queries, and what they tell.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use consul_sync_core::Event;
use futures::FutureExt;
use tokio::time::{Instant, sleep};

use super::{Came, Following, LOOKS, Reply};
use crate::{
    Error,
    block::{News, Step},
    source::{
        ask::{Health, Id, Read, is_readable},
        translate::Found,
        watch::{Item, follow::Stage},
    },
};

// --- looks --------------------------------------------------------------------------------------------

impl Following {
    /// Starts looks at services that are due.
    pub(super) fn look_at_due(&mut self) {
        while self.looks < LOOKS
            && let Some(id) = self.due.pop_front()
        {
            let Some(follow) = self.services.get_mut(&id) else {
                continue;
            };
            if !matches!(follow.stage, Stage::Due) {
                continue;
            }
            follow.stage = Stage::Looking { again: false };
            let (serial, known) = (follow.serial, follow.known());
            let source = Arc::clone(&self.source);
            self.looks += 1;
            self.ask_to_the_end(async move {
                let result = source.look(&id, known).await;
                Came::Look(id, serial, result)
            });
        }
    }

    /// Looks at a service, and the list waits for that.
    pub(super) fn owe(&mut self, id: &Id) {
        let Some(follow) = self.services.get_mut(id) else {
            return;
        };
        match follow.stage {
            Stage::Idle => {
                follow.stage = Stage::Due;
                if !follow.is_owed {
                    follow.is_owed = true;
                    self.lists[id.scope].owed += 1;
                }
                self.due.push_back(id.clone());
            }
            Stage::Looking { .. } => follow.stage = Stage::Looking { again: true },
            Stage::Due | Stage::Stalled(_) | Stage::Resting | Stage::Held(_) => {}
        }
    }

    /// Looks at a service before others. What is under way is not believed to be new enough.
    pub(super) fn look_again(&mut self, id: &Id) {
        let Some(follow) = self.services.get_mut(id) else {
            return;
        };
        match follow.stage {
            Stage::Looking { .. } => follow.stage = Stage::Looking { again: true },
            Stage::Due | Stage::Stalled(_) | Stage::Resting => {}
            Stage::Idle | Stage::Held(_) => {
                self.held -= usize::from(follow.is_held());
                follow.stage = Stage::Due;
                self.due.push_front(id.clone());
            }
        }
    }

    /// Looks at services before others, in this order.
    pub(super) fn look_at_first(&mut self, ids: &[Id]) {
        // Each is put before the others, so the first one comes last.
        for id in ids.iter().rev() {
            self.look_again(id);
        }
    }

    /// What a service is, is not known any more, whatever its index.
    pub(super) fn distrust(&mut self, id: &Id) {
        if let Some(follow) = self.services.get_mut(id) {
            follow.is_doubtful = true;
        }
    }

    /// Looks at a service after a pause.
    pub(super) fn rest(&mut self, id: &Id, pause: Duration) {
        if let Some(follow) = self.services.get_mut(id) {
            follow.stage = Stage::Resting;
            let (id, serial) = (id.clone(), follow.serial);
            self.ask_to_the_end(async move {
                sleep(pause).await;
                Came::Rested(id, serial)
            });
        }
    }

    pub(super) fn rested(&mut self, id: Id, serial: u64) {
        if let Some(follow) = self.services.get_mut(&id)
            && follow.serial == serial
            && matches!(follow.stage, Stage::Resting)
        {
            follow.stage = Stage::Due;
            self.due.push_back(id);
        }
    }

    pub(super) async fn take_look(
        &mut self,
        id: &Id,
        serial: u64,
        result: Result<Read<Health>, Error>,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        self.looks -= 1;
        let follow = self.services.get_mut(id);
        let Some(follow) = follow.filter(|follow| follow.serial == serial) else {
            return Ok(());
        };
        let stage = std::mem::replace(&mut follow.stage, Stage::Idle);
        let is_due_again = matches!(stage, Stage::Looking { again: true });
        let was_owed = std::mem::take(&mut follow.is_owed);
        let read = match result {
            Ok(read) => read,
            Err(error) => {
                self.release(id.scope, was_owed, false);
                return self.failed(id, error, items);
            }
        };
        let was_unread = !std::mem::replace(&mut follow.is_read, true);
        follow.is_doubtful = false;
        follow.left = None;
        let step = follow.cursor.observe(read.index);
        let news = self.take(id, step, read.index, read.content, items).await?;
        self.release(id.scope, was_owed, was_unread);
        let Some(follow) = self.services.get_mut(id) else {
            return Ok(());
        };
        follow
            .query
            .succeeded(read.parse, Duration::ZERO, news, false);
        if is_due_again {
            self.look_again(id);
        } else {
            self.hold(id, news == News::Change && !was_unread);
        }
        Ok(())
    }
}

// --- queries ------------------------------------------------------------------------------------------

impl Following {
    /// Gives a service a query of its own: where one is free, or, for one that changes, in place of the one that did not
    /// change for longest.
    fn hold(&mut self, id: &Id, is_wanted: bool) {
        if !is_readable(&id.name) {
            return;
        }
        if self.held >= self.places() {
            let changed = |id: &Id| self.services.get(id).map_or(0, |follow| follow.changed);
            // All services are gone through for it, so not for each that is read in a listing.
            let oldest = is_wanted.then(|| self.longest_unchanged()).flatten();
            match oldest {
                Some(oldest) if changed(&oldest) < changed(id) => self.take_query(&oldest),
                _ => return,
            }
        }
        let Some(follow) = self.services.get(id) else {
            return;
        };
        let (index, serial) = (follow.cursor.index(), follow.serial);
        let source = Arc::clone(&self.source);
        let least = source.settings.service_wait();
        let (query, client) = (&follow.query, &self.source.client);
        let request = source.health_request(id);
        let (asked, of) = (id.clone(), id.clone());
        let reply = Reply::to(query, client, request, index, least, async move |answer| {
            source.read_health(&asked, answer, Some(index)).await
        });
        let ask = self.ask(reply.map(move |reply| Came::Health(of, serial, reply)));
        if let Some(follow) = self.services.get_mut(id) {
            follow.hold(ask);
            self.held += 1;
        }
    }

    /// How many services may have a query of their own.
    fn places(&self) -> usize {
        let queries = self.source.settings.queries;
        queries.saturating_sub(self.held_by_nodes())
    }

    /// The service with a query that did not change for longest.
    fn longest_unchanged(&self) -> Option<Id> {
        let held = self.services.iter().filter(|(_, follow)| follow.is_held());
        let oldest = held.min_by_key(|(_, follow)| follow.changed);
        oldest.map(|(id, _)| id.clone())
    }

    fn take_query(&mut self, id: &Id) {
        if let Some(follow) = self.services.get_mut(id) {
            self.held -= 1;
            if follow.take_query() {
                // Its answer may be on the way, and nobody else tells it again.
                follow.stage = Stage::Due;
                self.due.push_back(id.clone());
            }
        }
    }

    /// Gives up queries until there are not too many.
    pub(super) fn make_room(&mut self) {
        while self.held > self.places()
            && let Some(oldest) = self.longest_unchanged()
        {
            self.take_query(&oldest);
        }
    }

    pub(super) async fn take_health(
        &mut self,
        id: &Id,
        serial: u64,
        reply: Reply<Health>,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        let follow = self.services.get_mut(id);
        let held = follow.filter(|follow| follow.serial == serial && follow.is_held());
        let Some(follow) = held else {
            return Ok(());
        };
        follow.stage = Stage::Idle;
        self.held -= 1;
        let read = match reply.result {
            Ok(read) => read,
            Err(error) => return self.failed(id, error, items),
        };
        follow.answered();
        let step = follow.cursor.observe(read.index);
        let news = self.take(id, step, read.index, read.content, items).await?;
        let Some(follow) = self.services.get_mut(id) else {
            return Ok(());
        };
        follow.query.succeeded(read.parse, reply.held, news, false);
        // A query that ends early and says nothing new may hide what one that is not held shows: so it is while a
        // snapshot is restored, and when a node is removed (see `block::Query::succeeded`).
        if news == News::None && reply.held < reply.wait {
            follow.is_doubtful = step == Step::Moved;
            let pause = follow.query.pause();
            self.rest(id, pause);
        } else {
            self.hold(id, news == News::Change);
        }
        Ok(())
    }

    /// A query of a service failed. It is tried again when the list's query has shown that the server is there.
    fn failed(&mut self, id: &Id, error: Error, items: &mut VecDeque<Item>) -> Result<(), Error> {
        if let Some(follow) = self.services.get_mut(id) {
            follow.query.failed(&error);
            let pause = follow.query.pause();
            if self.source.lists_names(id.scope) {
                follow.stage = Stage::Stalled(Instant::now() + pause);
                self.lists[id.scope].poke();
            } else {
                self.rest(id, pause);
            }
        }
        self.report(error, items)
    }
}

// --- what they tell -----------------------------------------------------------------------------------

impl Following {
    /// Takes what was read of a service, and tells it where it is not what was told.
    async fn take(
        &mut self,
        id: &Id,
        step: Step,
        index: u64,
        content: Option<Health>,
        items: &mut VecDeque<Item>,
    ) -> Result<News, Error> {
        if let Step::Backwards { from } = step {
            let call = self.source.client.about("GET", "/v1/health/service");
            return Err(Error::went_backwards(call, from, index));
        }
        let Some(Health { found, nodes }) = content else {
            return Ok(News::None);
        };
        let Some(told) = self.services.get(id).map(|follow| &follow.told) else {
            return Ok(News::None);
        };
        if *told == found {
            if let Some(follow) = self.services.get_mut(id) {
                follow.nodes = nodes;
            }
            return Ok(News::None);
        }
        if loses(told, &found) {
            self.trust_absence(id.scope).await?;
        }
        let key = self.source.key(id);
        items.push_back(Ok(match &found {
            Found::Nothing => Event::Removed(key),
            Found::Service(service) => Event::Upserted(key, Arc::clone(service)),
            Found::Rejected(why) => Event::Rejected(key, why.clone()),
        }));
        let changed = self.next_count();
        if let Some(follow) = self.services.get_mut(id) {
            follow.nodes = nodes;
            follow.told = found;
            follow.changed = changed;
        }
        Ok(News::Change)
    }
}

/// Whether something is missing now that was there.
fn loses(told: &Found, found: &Found) -> bool {
    let instances = |found: &Found| match found {
        Found::Service(service) => service.instances.len(),
        Found::Nothing | Found::Rejected(_) => 0,
    };
    instances(found) < instances(told) || (*found == Found::Nothing && *told != Found::Nothing)
}
