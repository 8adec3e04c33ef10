//! One case: a world, its history, and the streams that are read.

use std::{collections::BTreeSet, pin::pin};

use futures::{
    StreamExt,
    future::{Either, poll_fn, select},
};

use super::{
    Disturbance, Rule, Violation, World,
    history::{History, State},
    listener::{self, Listener, Wrong},
};
use crate::Key;

/// Items that are read in one go. A source that says more has lost its way.
const MOST: usize = 10_000;
/// How many moments the world is given to notice that a stream was dropped.
const NOTICED: usize = 100;
/// Services that a case uses.
pub(super) const KEYS: usize = 4;

pub(super) type Checked<T = ()> = Result<T, Box<Violation>>;

/// One case under way.
pub(super) struct Run<'a, W: World> {
    world: &'a mut W,
    case: String,
    keys: Vec<Key>,
    history: History,
    listeners: Vec<Listener>,
    lasting: BTreeSet<Disturbance>,
    operations: Vec<String>,
    items: u64,
    disturbances: Vec<(Disturbance, bool)>,
}

impl<'a, W: World> Run<'a, W> {
    pub(super) fn new(world: &'a mut W, case: String) -> Self {
        Self {
            keys: (0..KEYS).map(|number| world.key(number)).collect(),
            world,
            case,
            history: History::default(),
            listeners: Vec::new(),
            lasting: BTreeSet::new(),
            operations: Vec::new(),
            items: 0,
            disturbances: Vec::new(),
        }
    }

    pub(super) fn operations(&self) -> usize {
        self.operations.len()
    }

    pub(super) fn items(&self) -> u64 {
        self.items
    }

    /// The disturbances that were asked for, and whether they happened.
    pub(super) fn disturbances(&self) -> &[(Disturbance, bool)] {
        &self.disturbances
    }

    pub(super) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    pub(super) fn lasting(&self) -> &BTreeSet<Disturbance> {
        &self.lasting
    }

    pub(super) fn did(&mut self, operation: &str) {
        self.operations.push(format!(
            "{}. {operation} (moment {})",
            self.operations.len() + 1,
            self.history.now()
        ));
    }

    // --- the world ------------------------------------------------------------------------------------

    /// Puts a service with that many addresses that nothing had before.
    pub(super) async fn put(&mut self, number: usize, addresses: u8) {
        let (key, fresh) = (self.keys[number].clone(), self.history.fresh(addresses));
        self.world.put(&key, &fresh).await;
        self.history.note(&key, State::Held(fresh.clone()));
        self.did(&format!("put {key} = {fresh:?}"));
    }

    pub(super) async fn delete(&mut self, number: usize) {
        let key = self.keys[number].clone();
        if *self.history.current(&key).1 == State::Gone {
            return;
        }
        self.world.delete(&key).await;
        self.history.note(&key, State::Gone);
        self.did(&format!("delete {key}"));
    }

    /// Makes a service useless. Answers whether the world can.
    pub(super) async fn spoil(&mut self, number: usize) -> bool {
        let key = self.keys[number].clone();
        let done = self.world.spoil(&key).await;
        if done {
            self.history.note(&key, State::Spoiled);
            self.did(&format!("spoil {key}"));
        }
        done
    }

    /// Begins a disturbance. Answers whether the world can.
    pub(super) async fn begin(&mut self, disturbance: Disturbance) -> bool {
        if self.lasting.contains(&disturbance) {
            return false;
        }
        let done = self.world.begin(disturbance).await;
        self.disturbances.push((disturbance, done));
        if done {
            for listener in &mut self.listeners {
                listener.excuse(disturbance);
            }
            if disturbance.lasts() {
                self.lasting.insert(disturbance);
            }
            self.did(&format!("{disturbance}"));
        }
        done
    }

    pub(super) async fn end(&mut self, disturbance: Disturbance) {
        if self.lasting.remove(&disturbance) {
            self.world.end(disturbance).await;
            self.did(&format!("no more: {disturbance}"));
        }
    }

    // --- the streams ----------------------------------------------------------------------------------

    /// Opens a stream. Answers its place.
    pub(super) fn watch(&mut self) -> usize {
        let stream = crate::Source::watch(self.world.source());
        let listener = Listener::new(stream, self.history.now(), self.lasting.clone());
        self.listeners.push(listener);
        self.did(&format!("watch, stream {}", self.listeners.len() - 1));
        self.listeners.len() - 1
    }

    /// Drops a stream.
    pub(super) fn unwatch(&mut self, at: usize) {
        let listener = self.listeners.swap_remove(at);
        self.items += listener.items;
        self.did(&format!("drop stream {at}"));
    }

    /// Polls a stream that often, as if its reader were called away in between.
    pub(super) async fn poll(&mut self, at: usize, polls: usize) -> Checked {
        for _ in 0..polls {
            let stream = &mut self.listeners[at].stream;
            let polled = poll_fn(|context| std::task::Poll::Ready(stream.poll_next_unpin(context)));
            if let std::task::Poll::Ready(item) = polled.await {
                self.take(at, item)?;
            }
            yield_once().await;
        }
        Ok(())
    }

    /// Reads what a stream has to say within a moment, up to that many items.
    pub(super) async fn read(&mut self, at: usize, most: usize) -> Checked {
        for _ in 0..most.min(MOST) {
            let item = match select(self.listeners[at].stream.next(), self.world.moment()).await {
                Either::Left((item, _)) => item,
                Either::Right(_) => return Ok(()),
            };
            self.take(at, item)?;
        }
        if most < MOST {
            return Ok(());
        }
        let wrong = (
            Rule::Idle,
            "an end of what there is to say".to_owned(),
            format!("{MOST} items"),
        );
        Err(self.violation(at, wrong))
    }

    /// Reads until the reader knows everything.
    pub(super) async fn converge(&mut self, at: usize) -> Checked {
        self.read_until(at, Listener::is_current, None).await
    }

    /// Reads until a report came that fits the disturbance.
    pub(super) async fn reported(&mut self, at: usize, disturbance: Disturbance) -> Checked {
        let fits = move |listener: &Listener, _: &History| {
            listener.reports.iter().any(|kind| {
                disturbance
                    .weakens()
                    .is_none_or(|weakens| weakens == kind.weakens())
            })
        };
        let missing = (
            Rule::Reported,
            format!("a report of this: {disturbance}"),
            "none".to_owned(),
        );
        self.read_until(at, fits, Some(missing)).await
    }

    async fn read_until(
        &mut self,
        at: usize,
        holds: impl Fn(&Listener, &History) -> bool,
        missing: Option<Wrong>,
    ) -> Checked {
        let mut left = MOST;
        while !holds(&self.listeners[at], &self.history) {
            let next = self.listeners[at].stream.next();
            let item = {
                let limit = pin!(self.world.limit());
                match select(next, limit).await {
                    Either::Left((item, _)) if left > 0 => Some(item),
                    _ => None,
                }
            };
            left = left.saturating_sub(1);
            let Some(item) = item else {
                let wrong = missing
                    .clone()
                    .or_else(|| self.listeners[at].missing(&self.history));
                return match wrong {
                    Some(wrong) => Err(self.violation(at, wrong)),
                    None => Ok(()),
                };
            };
            self.take(at, item)?;
        }
        Ok(())
    }

    fn take(&mut self, at: usize, item: Option<listener::Item>) -> Checked {
        let denied =
            self.lasting.contains(&Disturbance::Denied) || self.lasting.contains(&Disturbance::Cut);
        let atomic = self.world.is_atomic();
        let listener = &mut self.listeners[at];
        listener
            .take(item, &self.history, atomic, denied)
            .map_err(|wrong| self.violation(at, wrong))
    }

    /// How many complete listings a stream told.
    pub(super) fn listings(&self, at: usize) -> u64 {
        self.listeners[at].listings
    }

    /// Fails unless a stream told a complete listing since it had told that many.
    pub(super) fn listed_again(&mut self, at: usize, before: u64) -> Checked {
        if self.listings(at) > before {
            return Ok(());
        }
        let expected = "RelistStarted to RelistDone, since rights were missing".to_owned();
        Err(self.violation(at, (Rule::Relisted, expected, "no listing".to_owned())))
    }

    // --- rest -----------------------------------------------------------------------------------------

    /// Ends every disturbance; every stream tells everything, and then nothing.
    pub(super) async fn rest(&mut self) -> Checked {
        for disturbance in self.lasting.clone() {
            self.end(disturbance).await;
        }
        self.did("rest");
        for at in 0..self.listeners.len() {
            self.converge(at).await?;
            // It may know the end of a story that it has not read to its end: gone, there, and gone again.
            self.read(at, usize::MAX).await?;
            self.converge(at).await?;
            self.listeners[at].calm();
        }
        for at in 0..self.listeners.len() {
            let next = self.listeners[at].stream.next();
            let item = match select(next, self.world.moment()).await {
                Either::Left((item, _)) => Some(item),
                Either::Right(_) => None,
            };
            if let Some(item) = item {
                let came = listener::words(item.as_ref());
                self.take(at, item)?;
                let wrong = (
                    Rule::Idle,
                    "nothing, since everything was told and nothing happens".to_owned(),
                    came,
                );
                return Err(self.violation(at, wrong));
            }
        }
        Ok(())
    }

    /// The end of a case: rest, a last stream that sees what the others see, an empty world, nothing left open.
    pub(super) async fn finish(&mut self) -> Checked {
        self.watch();
        self.rest().await?;
        for number in 0..KEYS {
            self.delete(number).await;
        }
        self.rest().await?;
        while !self.listeners.is_empty() {
            self.unwatch(0);
        }
        self.nothing_open().await
    }

    /// With no stream left, nothing is open.
    pub(super) async fn nothing_open(&mut self) -> Checked {
        // What is behind a connection may notice its end later, on a busy machine much later.
        for _ in 0..NOTICED {
            if self.world.open().is_none_or(|open| open == 0) {
                return Ok(());
            }
            self.world.moment().await;
        }
        match self.world.open() {
            Some(open) if open > 0 => {
                let wrong = (
                    Rule::Dropped,
                    "nothing open, since every stream was dropped".to_owned(),
                    format!("{open} open"),
                );
                Err(self.violation(usize::MAX, wrong))
            }
            _ => Ok(()),
        }
    }

    fn violation(&self, at: usize, (rule, expected, came): Wrong) -> Box<Violation> {
        let events = self.listeners.get(at).map(|listener| &listener.events);
        Box::new(Violation {
            rule,
            case: self.case.clone(),
            operation: self.operations.last().cloned().unwrap_or_default(),
            expected,
            came,
            operations: self.operations.clone(),
            events: events.into_iter().flatten().cloned().collect(),
        })
    }
}

/// Lets everything else run once.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
