//! Sources that break one rule each.

use std::sync::{Arc, Mutex};

use consul_sync_core::{
    ErrorKind, Event, Key, Reason, Rejection, Service, Source, SourceError,
    testing::{TableSource, conformance::Rule},
};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// How a source is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Its streams begin with what is there, not with the beginning of a listing.
    SkipsTheStart,
    /// It says that a listing ended which never began.
    EndsTwice,
    /// It says that its listing is complete before it lists.
    EndsAtOnce,
    /// Its listings leave one service out.
    LeavesOneOut,
    /// Its listings leave out what cannot be used.
    LeavesRejectedOut,
    /// It lists what it may see as if that were all.
    ListsWhileDenied,
    /// It tells services with some of their instances.
    TellsParts,
    /// It tells the value before the last once more.
    GoesBack,
    /// It takes what cannot be used for gone.
    TakesRejectedForGone,
    /// It rejects what can be used.
    RejectsTheGood,
    /// It does not tell what is gone.
    KeepsTheDead,
    /// It loses every third change.
    LosesEveryThird,
    /// Its streams share one queue, so that each event reaches one of them.
    SharesOneQueue,
    /// Its streams end.
    Ends,
    /// It says the last thing again and again.
    Chatters,
    /// It keeps errors to itself.
    KeepsErrors,
    /// It tells missing rights as an outage.
    TellsTheWrongKind,
    /// It reports an error although nothing is wrong.
    ComplainsOfNothing,
    /// It never lists a second time.
    ListsOnce,
    /// Its streams leave something behind when they are dropped.
    LeavesBehind,
}

/// Every way, and the rule that it breaks.
pub(crate) const ALL: [(How, Rule); 20] = [
    (How::SkipsTheStart, Rule::Begins),
    (How::EndsTwice, Rule::Bracket),
    (How::EndsAtOnce, Rule::Complete),
    (How::LeavesOneOut, Rule::Complete),
    (How::LeavesRejectedOut, Rule::Complete),
    (How::ListsWhileDenied, Rule::Weak),
    (How::TellsParts, Rule::Whole),
    (How::GoesBack, Rule::Order),
    (How::TakesRejectedForGone, Rule::Removal),
    (How::RejectsTheGood, Rule::Rejection),
    (How::KeepsTheDead, Rule::Told),
    (How::LosesEveryThird, Rule::Told),
    (How::SharesOneQueue, Rule::Told),
    (How::Ends, Rule::Endless),
    (How::Chatters, Rule::Idle),
    (How::KeepsErrors, Rule::Reported),
    (How::TellsTheWrongKind, Rule::Kind),
    (How::ComplainsOfNothing, Rule::Kind),
    (How::ListsOnce, Rule::Relisted),
    (How::LeavesBehind, Rule::Dropped),
];

/// A table whose events are tampered with.
pub(crate) struct Broken {
    table: TableSource,
    how: How,
    held: Arc<()>,
    queue: Arc<Mutex<Option<BoxStream<'static, Item>>>>,
}

impl Broken {
    pub(crate) fn new(table: TableSource, how: How) -> Self {
        Self {
            table,
            how,
            held: Arc::default(),
            queue: Arc::default(),
        }
    }

    /// What is held while streams live: by the source, by who asks, and by each stream.
    pub(crate) fn held(&self) -> Arc<()> {
        Arc::clone(&self.held)
    }
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Broken").field(&self.how).finish()
    }
}

impl Source for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn watch(&self) -> BoxStream<'static, Item> {
        let items = self.table.watch();
        match self.how {
            How::LeavesBehind => {
                std::mem::forget(Arc::clone(&self.held));
                items
            }
            How::Ends => items.take(3).boxed(),
            How::SharesOneQueue => {
                let queue = Arc::clone(&self.queue);
                let mut shared = queue.lock().unwrap();
                let first = shared.is_none();
                shared.get_or_insert(items);
                drop(shared);
                let rest = stream::poll_fn(move |context| {
                    let mut queue = queue.lock().unwrap();
                    queue.as_mut().unwrap().poll_next_unpin(context)
                });
                if first {
                    return rest.boxed();
                }
                // The later ones are given a listing of their own, so that nothing but the sharing is wrong.
                let now = self.table.watch();
                let listing = now
                    .take_while(|item| std::future::ready(!matches!(item, Ok(Event::RelistDone))));
                listing
                    .chain(stream::iter([Ok(Event::RelistDone)]))
                    .chain(rest)
                    .boxed()
            }
            How::ComplainsOfNothing => {
                let error = SourceError::new(ErrorKind::Unavailable, "nothing is wrong");
                stream::iter([Err(error)]).chain(items).boxed()
            }
            How::Chatters => stream::unfold((items, None), |(mut items, last)| async move {
                let last: Option<(Key, Arc<Service>)> = last;
                let next = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(items.poll_next_unpin(context))
                });
                let item = match (next.await, &last) {
                    (std::task::Poll::Ready(item), _) => item?,
                    (std::task::Poll::Pending, Some((key, service))) => {
                        Ok(Event::Upserted(key.clone(), Arc::clone(service)))
                    }
                    (std::task::Poll::Pending, None) => items.next().await?,
                };
                let last = match &item {
                    Ok(Event::Upserted(key, service)) => Some((key.clone(), Arc::clone(service))),
                    Ok(_) => None,
                    Err(_) => last,
                };
                Some((item, (items, last)))
            })
            .boxed(),
            how => tampered(how, items),
        }
    }
}

/// What a tampering stream remembers.
#[derive(Default)]
struct Memory {
    items: u64,
    listings: u64,
    in_listing: bool,
    changes: u64,
    before: Option<Event<Key, Arc<Service>>>,
}

fn tampered(
    how: How,
    items: impl Stream<Item = Item> + Send + 'static,
) -> BoxStream<'static, Item> {
    items
        .scan(Memory::default(), move |memory, item| {
            std::future::ready(Some(stream::iter(tamper(how, memory, item))))
        })
        .flatten()
        .boxed()
}

fn tamper(how: How, memory: &mut Memory, item: Item) -> Vec<Item> {
    memory.items += 1;
    let event = match item {
        Ok(event) => event,
        Err(error) => {
            return match how {
                How::KeepsErrors => Vec::new(),
                How::TellsTheWrongKind => {
                    vec![Err(SourceError::new(
                        ErrorKind::Unavailable,
                        error.to_string(),
                    ))]
                }
                _ => vec![Err(error)],
            };
        }
    };
    match &event {
        Event::RelistStarted => memory.in_listing = true,
        Event::RelistDone => {
            memory.in_listing = false;
            memory.listings += 1;
        }
        _ if !memory.in_listing => memory.changes += 1,
        _ => {}
    }
    let lists_again = memory.listings > 1 || (memory.listings == 1 && memory.in_listing);
    let events = match (how, event) {
        (How::SkipsTheStart, _) if memory.items == 1 => vec![],
        (How::EndsTwice, Event::RelistDone) => vec![Event::RelistDone, Event::RelistDone],
        (How::EndsAtOnce, Event::RelistStarted) => vec![Event::RelistStarted, Event::RelistDone],
        (How::EndsAtOnce, Event::RelistDone) | (How::KeepsTheDead, Event::Removed(_)) => vec![],
        (How::LeavesOneOut, Event::Upserted(key, _))
            if memory.in_listing && key.name().ends_with('3') =>
        {
            vec![]
        }
        (How::LeavesRejectedOut, Event::Rejected(..)) if memory.in_listing => vec![],
        (How::TellsParts, Event::Upserted(key, service)) if service.instances.len() > 1 => {
            let mut part = Service::clone(&service);
            part.instances.pop();
            vec![Event::Upserted(key, Arc::new(part))]
        }
        (How::GoesBack, Event::Upserted(key, service)) => {
            let now = Event::Upserted(key, service);
            match memory.before.replace(now.clone()) {
                Some(before) if !memory.in_listing => vec![now, before],
                _ => vec![now],
            }
        }
        (How::TakesRejectedForGone, Event::Rejected(key, _)) => vec![Event::Removed(key)],
        (How::RejectsTheGood, Event::Upserted(key, service)) if service.instances.len() > 2 => {
            let why = Rejection::new(Reason::InvalidMeta, "it has too many instances");
            vec![Event::Rejected(key, why)]
        }
        (How::LosesEveryThird, _) if !memory.in_listing && memory.changes % 3 == 2 => vec![],
        (How::ListsOnce, Event::RelistStarted | Event::RelistDone) if lists_again => vec![],
        (_, event) => vec![event],
    };
    events.into_iter().map(Ok).collect()
}
