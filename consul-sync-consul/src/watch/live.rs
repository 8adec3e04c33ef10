//! Changes after a listing.

use std::{collections::BTreeSet, mem, sync::Arc, time::Duration};

use consul_sync_core::{Held, Slot};
use tokio::time::sleep;

use super::{
    fit,
    query::{Part, Query},
};
use crate::{
    Error,
    answer::Answer,
    block::{Cursor, News, Reply, Step},
    journal::{Fit, Journal},
    registration::Registration,
    sink::{Inner, Listed, seen},
    table::Table,
};

/// How long a slot that differs may stay unshown before it is read by itself. The queries resolve it sooner, unless the
/// server says nothing of a change; while one rests because we write, what is owed waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known, and the queries that keep it so.
#[derive(Debug)]
pub(super) struct Live {
    table: Table,
    services: Query,
    checks: Query,
    /// Slots to show.
    due: BTreeSet<Slot>,
    /// Slots that differ and cannot be shown yet, because the read is from before a write.
    owed: BTreeSet<Slot>,
    /// The same because a write is under way: its end is all that they wait for, and there are as many as a batch has.
    busy: BTreeSet<Slot>,
    /// Slots that have to be read before they are shown, because the two queries may disagree on them.
    doubtful: BTreeSet<Slot>,
    /// Consul said that it has no access control, so that nothing can be hidden from us.
    is_open: bool,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Next {
    /// A slot holds this now.
    Changed(Slot, Held<Registration>),
    /// A query failed and will be sent again; what is known stays known.
    Trouble(Error),
    /// What is known may no longer be whole.
    Lost(Error),
}

// === impl Live ===

impl Live {
    pub(super) fn new(listed: Listed) -> Self {
        Self {
            table: listed.table,
            services: Query::new(Part::Services, listed.services),
            checks: Query::new(Part::Checks, listed.checks),
            due: BTreeSet::new(),
            owed: BTreeSet::new(),
            busy: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            is_open: listed.is_open,
        }
    }

    /// Waits for the next thing to show.
    pub(super) async fn next(
        &mut self,
        sink: &Arc<Inner>,
        journal: &Arc<Journal>,
        services: &mut Cursor,
        checks: &mut Cursor,
    ) -> Next {
        loop {
            if let Some((slot, held)) = self.next_due(sink, journal).await {
                return Next::Changed(slot, held);
            }
            let shown = self.table.len();
            let (part, reply) = tokio::select! {
                reply = self.services.next(sink, journal, services.index(), shown) => (Part::Services, reply),
                reply = self.checks.next(sink, journal, checks.index(), shown) => (Part::Checks, reply),
                () = journal.settled.notified() => {
                    self.due.append(&mut self.busy);
                    if journal.take_alarm() {
                        self.services.probe();
                        self.checks.probe();
                    }
                    continue;
                }
                () = sleep(PATIENCE), if !self.owed.is_empty() || !self.busy.is_empty() => {
                    let rests = self.services.rests() || self.checks.rests();
                    if rests && self.doubtful.is_empty() {
                        continue;
                    }
                    self.owed.append(&mut self.busy);
                    self.doubtful.extend(self.owed.iter().cloned());
                    self.due.append(&mut self.owed);
                    continue;
                }
            };
            let cursor = match part {
                Part::Services => &mut *services,
                Part::Checks => &mut *checks,
            };
            if let Err(error) = self.take(sink, journal, part, cursor, reply).await {
                // Whoever has access control switched on had to restart the servers for it.
                self.is_open = false;
                self.query(part).failed(&error);
                return if error.kind().weakens() || matches!(error, Error::Settings(_)) {
                    Next::Lost(error)
                } else {
                    Next::Trouble(error)
                };
            }
            self.due.append(&mut self.owed);
            self.due.append(&mut self.busy);
            // What was written is shown as the read has it, also where somebody undid it before it was ever read.
            self.due.extend(journal.slots());
        }
    }

    /// The next slot that can be shown.
    async fn next_due(
        &mut self,
        sink: &Inner,
        journal: &Journal,
    ) -> Option<(Slot, Held<Registration>)> {
        while let Some(slot) = self.due.pop_first() {
            let mark = journal.mark(&slot);
            let is_doubtful = self.doubtful.contains(&slot);
            match fit(journal, &self.table, &slot) {
                Fit::InFlight => {
                    self.busy.insert(slot);
                    continue;
                }
                Fit::Current if !is_doubtful => {
                    let held = self.table.held(&slot, &sink.settings.owner);
                    return Some((slot, held));
                }
                Fit::Older if !is_doubtful => {}
                Fit::Current | Fit::Older => match sink.read_slot(&slot).await {
                    Ok((held, index)) => {
                        let records = seen(&held);
                        match journal.fit_since(&slot, &mark, &records, index) {
                            Fit::Current => {
                                journal.read(&slot, &records, index);
                                self.doubtful.remove(&slot);
                                return Some((slot, held));
                            }
                            Fit::InFlight => {
                                self.busy.insert(slot);
                                continue;
                            }
                            Fit::Older => {}
                        }
                    }
                    Err(error) => tracing::debug!(%slot, %error, "read a slot again"),
                },
            }
            self.owed.insert(slot);
        }
        None
    }

    async fn take(
        &mut self,
        sink: &Inner,
        journal: &Journal,
        part: Part,
        cursor: &mut Cursor,
        reply: Reply,
    ) -> Result<(), Error> {
        let held = reply.held;
        let answer = reply.result?;
        answer.require_consistent()?;
        sink.refuse_filtered(&answer)?;
        let index = answer.index()?;
        // The index counts only when the answer could be read.
        let mut moved = cursor.clone();
        match moved.observe(index) {
            Step::Same => {
                let query = self.query(part);
                let is_early = held < query.wait(sink);
                query.succeeded(Duration::ZERO, held, News::None, is_early);
            }
            Step::Backwards { from } => {
                *cursor = moved;
                return Err(answer.went_backwards(from, index));
            }
            Step::Moved => {
                let (touched, parse) = match part {
                    Part::Services => self.read_services(sink, answer, index).await?,
                    Part::Checks => self.read_checks(sink, answer, index).await?,
                };
                *cursor = moved;
                sink.saw_index(index);
                let news = if touched.is_empty() {
                    News::None
                } else if touched.iter().all(|slot| journal.is_expected(slot)) {
                    News::Echo
                } else {
                    News::Change
                };
                if news == News::Change && !self.is_open && sink.client.is_anonymous() {
                    self.is_open = sink.trust_absence().await?;
                }
                self.due.extend(touched);
                // When a node is removed, Consul answers a query that is held for it with the new index and
                // what it held before (1.21.0, 1.22.2); only the next read says that it is gone.
                let is_suspect = part == Part::Services && news == News::None;
                self.query(part).succeeded(parse, held, news, is_suspect);
            }
        }
        Ok(())
    }

    async fn read_services(
        &mut self,
        sink: &Inner,
        answer: Answer,
        index: u64,
    ) -> Result<(BTreeSet<Slot>, Duration), Error> {
        let mut table = self.lend_table();
        let ((table, answer, read), parse) = crate::offload(answer.wire_length(), move || {
            let read = table.read_services(&answer, index);
            (table, answer, read)
        })
        .await;
        self.table = table;
        let (node, touched) = read?;
        sink.learn_node(&answer, node.as_ref())?;
        Ok((touched, parse))
    }

    async fn read_checks(
        &mut self,
        sink: &Inner,
        answer: Answer,
        index: u64,
    ) -> Result<(BTreeSet<Slot>, Duration), Error> {
        let mut table = self.lend_table();
        let ((table, read), parse) = crate::offload(answer.wire_length(), move || {
            let read = table.read_checks(&answer, index);
            (table, read)
        })
        .await;
        self.table = table;
        let read = read?;
        if read.is_agent {
            return Err(sink.agents_node());
        }
        self.doubtful.extend(read.doubtful);
        Ok((read.touched, parse))
    }

    /// The table goes to the thread that parses, and comes back with it.
    fn lend_table(&mut self) -> Table {
        mem::replace(&mut self.table, Table::new(false, Arc::default()))
    }

    fn query(&mut self, part: Part) -> &mut Query {
        match part {
            Part::Services => &mut self.services,
            Part::Checks => &mut self.checks,
        }
    }
}
