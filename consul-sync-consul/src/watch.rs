//! The stream of what the node holds: a listing, then every change.
//!
//! Two blocking queries are open, one for the instances and one for the checks. Each answer is compared with
//! the last one, and the slots that differ are shown whole, each as it stands when it is taken from the
//! stream, and never older than a write whose outcome was already reported.

mod live;
mod query;

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use consul_sync_core::{AdapterError, Event, Held, Record, Slot, WatchStream};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use self::live::{Live, Next};
use crate::{
    Error,
    block::{Cursor, Step},
    journal::{Fit, Journal},
    registration::Registration,
    retry::Backoff,
    sink::{Inner, Listed, seen},
    table::Table,
};

type Item = Result<Event<Slot, Held<Registration>>, AdapterError>;

/// One stream.
struct Watch {
    sink: Arc<Inner>,
    journal: Arc<Journal>,
    /// Where each query stands; kept over listings, so that a server that went backwards is noticed.
    services: Cursor,
    checks: Cursor,
    backoff: Backoff,
    phase: Phase,
}

enum Phase {
    /// A listing is due, after this pause.
    Due(Duration),
    /// A listing is announced; the read behind it starts now.
    Announced,
    /// A listing was read, and is being shown.
    Listing(Box<Listing>),
    /// Changes are followed.
    Live(Box<Live>),
}

/// A listing that is being shown.
struct Listing {
    listed: Listed,
    /// Slots that are still to be shown.
    due: BTreeSet<Slot>,
    /// Slots that were written since the read, and read again.
    renewed: HashSet<Slot>,
}

/// The stream of a sink.
pub(crate) fn stream(sink: Arc<Inner>) -> WatchStream<Registration> {
    let watch = Watch {
        journal: sink.journal(),
        sink,
        services: Cursor::default(),
        checks: Cursor::default(),
        backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(15)),
        phase: Phase::Due(Duration::ZERO),
    };
    stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await;
        Some((item, watch))
    })
    .boxed()
}

// === impl Watch ===

impl Watch {
    /// The next item. Nothing is lost when the future is dropped between two items.
    async fn next(&mut self) -> Item {
        loop {
            match &mut self.phase {
                Phase::Due(pause) => {
                    sleep(*pause).await;
                    self.phase = Phase::Announced;
                    return Ok(Event::RelistStarted);
                }
                Phase::Announced => match self.list().await {
                    Ok(listed) => {
                        self.phase = Phase::Listing(Box::new(Listing {
                            due: listed.table.slots(),
                            listed,
                            renewed: HashSet::new(),
                        }));
                    }
                    Err(error) => return Err(self.start_over(error)),
                },
                Phase::Listing(listing) => {
                    let Some((slot, is_current)) = listing.pop(&self.journal) else {
                        return Ok(self.follow());
                    };
                    if is_current {
                        let held = listing.listed.table.held(&slot, &self.sink.settings.owner);
                        return Ok(Event::Upserted(slot, held));
                    }
                    listing.renewed.insert(slot.clone());
                    return match read_settled(&self.sink, &self.journal, &slot).await {
                        Ok(held) => Ok(Event::Upserted(slot, held)),
                        Err(error) => Err(self.start_over(error)),
                    };
                }
                Phase::Live(live) => {
                    let next = live
                        .next(
                            &self.sink,
                            &self.journal,
                            &mut self.services,
                            &mut self.checks,
                        )
                        .await;
                    match next {
                        Next::Changed(slot, held) => return Ok(Event::Upserted(slot, held)),
                        Next::Trouble(error) => return Err(error.into()),
                        Next::Lost(error) => return Err(self.start_over(error)),
                    }
                }
            }
        }
    }

    /// Reads everything, and makes sure that it is not older than what was seen before.
    async fn list(&mut self) -> Result<Listed, Error> {
        let listed = self.sink.list().await?;
        let services = (&mut self.services, listed.table.services_index);
        let checks = (&mut self.checks, listed.table.checks_index);
        let mut result = Ok(());
        for (cursor, index) in [services, checks] {
            if let Step::Backwards { from } = cursor.observe(index) {
                result = Err(listed.answer.went_backwards(from, index));
            }
        }
        result.map(|()| {
            self.sink
                .restart_index(self.services.index().max(self.checks.index()));
            listed
        })
    }

    /// The listing is shown: from here on changes are followed.
    fn follow(&mut self) -> Event<Slot, Held<Registration>> {
        self.backoff.reset();
        if let Phase::Listing(listing) = std::mem::replace(&mut self.phase, Phase::Announced) {
            self.phase = Phase::Live(Box::new(Live::new(listing.listed)));
        }
        Event::RelistDone
    }

    /// The state is no longer known; a listing is due after a pause.
    fn start_over(&mut self, error: Error) -> AdapterError {
        self.phase = Phase::Due(self.backoff.next(error.retry_after()));
        error.into()
    }
}

// === impl Listing ===

impl Listing {
    /// The next slot to show, and whether it may be shown as it was listed. What was written since the read
    /// belongs to the listing, too.
    fn pop(&mut self, journal: &Journal) -> Option<(Slot, bool)> {
        let table = &self.listed.table;
        if let Some(slot) = self.due.pop_first() {
            let is_current = fit(journal, table, &slot) == Fit::Current;
            return Some((slot, is_current));
        }
        let mut written = journal.slots().into_iter();
        let slot = written.find(|slot| {
            !self.renewed.contains(slot) && fit(journal, table, slot) != Fit::Current
        })?;
        Some((slot, false))
    }
}

/// What a slot holds that is or was written meanwhile: read when no write to it is under way, and not from
/// before one.
async fn read_settled(
    sink: &Inner,
    journal: &Journal,
    slot: &Slot,
) -> Result<Held<Registration>, Error> {
    loop {
        while journal.is_in_flight(slot) {
            journal.settled.notified().await;
        }
        let mark = journal.mark(slot);
        let (held, index) = sink.read_slot(slot).await?;
        let records = seen(&held);
        if journal.fit_since(slot, &mark, &records, index) == Fit::Current {
            journal.read(slot, &records, index);
            return Ok(held);
        }
        tokio::task::yield_now().await;
    }
}

/// How a table stands to what was written to a slot.
fn fit(journal: &Journal, table: &Table, slot: &Slot) -> Fit {
    let seen: Vec<_> = table
        .slot(slot)
        .iter()
        .map(|entry| (entry.record.id(), entry.version))
        .collect();
    journal.fit(slot, &seen, table.services_index, table.checks_index)
}
