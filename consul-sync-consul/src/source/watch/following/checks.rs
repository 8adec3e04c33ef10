//! Checks in a state that is not passing, for services without a query of their own.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use futures::FutureExt;

use super::{Came, Following, Reply};
use crate::{
    Error,
    block::News,
    source::{
        ask::{Checks, Id, STATES},
        watch::{Item, list::State},
    },
};

impl Following {
    /// Asks for the checks of a scope, where a service there may need it.
    pub(super) fn ask_checks(&mut self, scope: usize) {
        if !self.has_unheld() {
            // Nobody needs them.
            for state in &mut self.lists[scope].states {
                state.open = None;
            }
            return;
        }
        for (at, name) in STATES.into_iter().enumerate() {
            let State {
                cursor,
                query,
                open,
                checks,
            } = &self.lists[scope].states[at];
            if open.is_some() {
                continue;
            }
            let (source, least) = (Arc::clone(&self.source), self.source.settings.wait);
            // An index without the checks that it belongs to says nothing.
            let index = if checks.is_some() { cursor.index() } else { 0 };
            let (request, client) = (source.checks_request(scope, name), &self.source.client);
            let reply = Reply::to(query, client, request, index, least, async move |answer| {
                source.read_checks(answer, Some(index)).await
            });
            let ask = self.ask(reply.map(move |reply| Came::Checks(scope, at, reply)));
            self.lists[scope].states[at].open = Some(ask);
        }
    }

    pub(super) fn take_checks(
        &mut self,
        scope: usize,
        at: usize,
        reply: Reply<Checks>,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        let state = &mut self.lists[scope].states[at];
        state.open = None;
        let (cursor, client) = (Some(&mut state.cursor), &self.source.client);
        let (checks, tell) = match reply.fresh(&mut state.query, cursor, client, "/v1/health/state")
        {
            Ok(Some(fresh)) => fresh.split(),
            Ok(None) => return Ok(()),
            Err(error) => return self.failed_beside(scope, error, items),
        };
        let known = state.checks.replace(checks);
        let touched = match (&known, &state.checks) {
            (Some(before), Some(after)) => Some(touched(scope, before, after)),
            _ => None,
        };
        // The index of checks moves with every check; these are what is waited for.
        let news = match &touched {
            Some(touched) if touched.is_empty() => News::Echo,
            _ => News::Change,
        };
        tell(&mut state.query, news);
        let unheld = self.unheld(|id, follow| {
            id.scope == scope
                && touched.as_ref().is_none_or(|touched| {
                    touched.services.contains(id)
                        || touched
                            .nodes
                            .iter()
                            .any(|node| follow.nodes.contains_key(node))
                })
        });
        if let Some(touched) = &touched {
            self.leave_to_queries(|id| touched.services.contains(id));
        }
        self.look_at_first(&unheld);
        Ok(())
    }
}

/// What a change of checks is about.
struct Touched {
    services: BTreeSet<Id>,
    nodes: BTreeSet<Box<str>>,
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.services.is_empty() && self.nodes.is_empty()
    }
}

fn touched(scope: usize, before: &Checks, after: &Checks) -> Touched {
    let mut touched = Touched {
        services: BTreeSet::new(),
        nodes: BTreeSet::new(),
    };
    let gone = before
        .iter()
        .filter(|(place, _)| !after.contains_key(*place));
    let new = after
        .iter()
        .filter(|(place, _)| !before.contains_key(*place));
    for ((node, _), service) in gone.chain(new) {
        if service.is_empty() {
            touched.nodes.insert(node.clone());
        } else {
            touched.services.insert(Id {
                scope,
                name: service.as_ref().into(),
            });
        }
    }
    touched
}
