//! The stream of what the cluster holds: a listing of both kinds, then every change, slot by slot.
//!
//! | seen | shown |
//! | --- | --- |
//! | a kind is listed, or has to be again | `RelistStarted` |
//! | every kind is listed | every slot, then `RelistDone` |
//! | an object changed | its slot, whole, once the watches have shown every write to it and no batch with it is under way |
//! | a report | the report |

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use consul_sync_core::{AdapterError, Event, Held, Slot, WatchStream};
use futures::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};

use tokio::{select, time::sleep};

use super::{Inner, journal::Journal, manifest::Manifest, table::Table};
use crate::{
    Change, Update, mark,
    slim::{EndpointSliceBody, ServiceBody},
    watch::watch,
};

/// Between two reads that fail.
const PAUSE: Duration = Duration::from_secs(1);

type Item = Result<Event<Slot, Held<Manifest>>, AdapterError>;
type Updates = BoxStream<'static, Result<Update, AdapterError>>;

/// One stream.
struct Watch {
    sink: Arc<Inner>,
    journal: Arc<Journal>,
    updates: SelectAll<Updates>,
    table: Table,
    services_complete: bool,
    slices_complete: bool,
    phase: Phase,
    /// Slots that changed and were not shown since.
    dirty: BTreeSet<Slot>,
    /// Whether a read failed, and the next one waits.
    is_troubled: bool,
}

#[derive(Debug)]
enum Phase {
    /// A kind is not listed.
    Listing,
    /// All are; these slots are still to be shown.
    Showing(BTreeSet<Slot>),
    /// Changes are followed.
    Live,
}

/// The stream of a sink, from when it is known which kinds there are.
pub(super) fn stream(sink: Arc<Inner>) -> WatchStream<Manifest> {
    stream::once(async move {
        match sink.has_slices().await {
            Ok(has_slices) => {
                sink.slices.store(has_slices, Ordering::Relaxed);
                following(sink, has_slices)
            }
            Err(error) => {
                let again = stream::once(async {
                    sleep(PAUSE).await;
                    stream(sink)
                });
                stream::iter([Err(error)]).chain(again.flatten()).boxed()
            }
        }
    })
    .flatten()
    .boxed()
}

fn following(sink: Arc<Inner>, has_slices: bool) -> WatchStream<Manifest> {
    let scope = sink.placement.settings.scope();
    let mut updates: SelectAll<Updates> = SelectAll::new();
    updates.push(
        watch::<ServiceBody>(&sink.client, &scope, None, &sink.watching)
            .map(|step| step.map(Update::from))
            .boxed(),
    );
    let ours: Arc<str> = format!("{}={}", mark::MANAGED_BY, mark::MANAGER).into();
    if has_slices {
        updates.push(
            watch::<EndpointSliceBody>(&sink.client, &scope, Some(&ours), &sink.watching)
                .map(|step| step.map(Update::from))
                .boxed(),
        );
    }
    let watch = Watch {
        journal: sink.journal(),
        table: Table::new(Arc::clone(&sink.placement.owner)),
        services_complete: false,
        slices_complete: !has_slices,
        phase: Phase::Listing,
        dirty: BTreeSet::new(),
        is_troubled: false,
        updates,
        sink,
    };
    stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await?;
        Some((item, watch))
    })
    .boxed()
}

impl Watch {
    /// The next item. Nothing is lost when the future is dropped between two items.
    async fn next(&mut self) -> Option<Item> {
        let journal = Arc::clone(&self.journal);
        loop {
            // Before slots are looked at, so that no batch ends unheard.
            let mut ended = pin!(journal.ended.notified());
            ended.as_mut().enable();
            match &mut self.phase {
                Phase::Listing => {}
                Phase::Showing(due) => {
                    let Some(slot) = due.first().cloned() else {
                        self.phase = Phase::Live;
                        return Some(Ok(Event::RelistDone));
                    };
                    let is_settled = self.is_settled(&slot);
                    let held = if is_settled {
                        self.table.held(&slot)
                    } else {
                        // Written while the listing was read, which may be from before it.
                        if self.is_troubled {
                            sleep(PAUSE).await;
                            self.is_troubled = false;
                        }
                        match self.sink.read_slot(&slot).await {
                            Ok(held) => held,
                            Err(error) => {
                                self.is_troubled = true;
                                return Some(Err(error));
                            }
                        }
                    };
                    if let Phase::Showing(due) = &mut self.phase {
                        due.remove(&slot);
                    }
                    return Some(Ok(shown(slot, held)));
                }
                Phase::Live => {
                    let mut dirty = self.dirty.iter();
                    let is_due =
                        |slot: &&Slot| !journal.is_in_flight(slot) && self.is_settled(slot);
                    if let Some(slot) = dirty.find(is_due).cloned() {
                        self.dirty.remove(&slot);
                        let held = self.table.held(&slot);
                        return Some(Ok(shown(slot, held)));
                    }
                }
            }
            let update = select! {
                update = self.updates.next() => update?,
                () = ended => continue,
            };
            match update {
                Ok(update) => {
                    if self.take(update) {
                        return Some(Ok(Event::RelistStarted));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Takes a change. Answers whether a listing begins with it.
    fn take(&mut self, update: Update) -> bool {
        let (slices, step) = match update {
            Update::Service(change) => (false, self.take_service(change)),
            Update::EndpointSlice(change) => (true, self.take_slice(change)),
            _ => return false,
        };
        let complete = if slices {
            &mut self.slices_complete
        } else {
            &mut self.services_complete
        };
        match step {
            Step::Began => {
                *complete = false;
                self.table.begin(slices);
                self.journal.forget(slices);
                self.phase = Phase::Listing;
                return true;
            }
            Step::Ended => {
                *complete = true;
                self.table.end(slices);
                if self.services_complete && self.slices_complete {
                    // What changed meanwhile is shown with the rest.
                    self.dirty.clear();
                    let mut due = self.table.slots();
                    due.extend(self.journal.slots());
                    self.phase = Phase::Showing(due);
                }
            }
            Step::Lost => {
                *complete = false;
                self.phase = Phase::Listing;
            }
            Step::Touched(slots) => self.dirty.extend(slots),
        }
        false
    }

    fn take_service(&mut self, change: Change<crate::slim::Service>) -> Step {
        match change {
            Change::RelistStarted => Step::Began,
            Change::Upserted(object) => Step::touched(self.table.upsert_service(&object)),
            Change::Deleted(object) => Step::touched(self.table.delete_service(&object)),
            Change::RelistDone => Step::Ended,
            Change::Lost => Step::Lost,
            Change::Recovered => Step::touched(None),
        }
    }

    fn take_slice(&mut self, change: Change<crate::slim::EndpointSlice>) -> Step {
        match change {
            Change::RelistStarted => Step::Began,
            Change::Upserted(object) => Step::touched(self.table.upsert_slice(&object)),
            Change::Deleted(object) => Step::touched(self.table.delete_slice(&object)),
            Change::RelistDone => Step::Ended,
            Change::Lost => Step::Lost,
            Change::Recovered => Step::touched(None),
        }
    }

    /// Whether the watches have shown every write to a slot.
    fn is_settled(&self, slot: &Slot) -> bool {
        self.journal
            .settle(slot, |entry| self.table.has_shown(slot, entry))
    }
}

/// What a change means for the stream.
#[derive(Debug)]
enum Step {
    Began,
    Ended,
    Lost,
    Touched(Vec<Slot>),
}

impl Step {
    fn touched(slots: impl IntoIterator<Item = Slot>) -> Self {
        Self::Touched(slots.into_iter().collect())
    }
}

fn shown(slot: Slot, held: Held<Manifest>) -> Event<Slot, Held<Manifest>> {
    if held.records.is_empty() {
        Event::Removed(slot)
    } else {
        Event::Upserted(slot, held)
    }
}
