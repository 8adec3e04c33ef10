//! The stream of either side: a listing, then changes, with everything that can happen to it on the way.

use std::{collections::VecDeque, time::Duration};

use consul_sync_core::{AdapterError, ErrorKind, Event};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    fault::Fault,
    world::{State, World},
};

/// What is told of one side.
pub(crate) trait Side: Send + 'static {
    type Key: Send;
    type Value: Send;
    /// Faults: a listing breaks off, rights are lost, the stream ends, it is out of reach for a moment, it is slow.
    const FAULTS: [Fault; 5];

    /// A complete listing, in any order, and up to which change it is true.
    fn list(state: &mut State) -> Listing<Told<Self>>;

    /// What changed since.
    fn follow(state: &mut State, from: usize) -> (Vec<Told<Self>>, usize);

    /// An event is delivered.
    fn deliver(world: &World, told: Told<Self>) -> Event<Self::Key, Self::Value>;

    /// The side is not known completely any more.
    fn lose(state: &mut State);
}

/// An event that waits to be delivered.
pub(crate) struct Told<S: Side + ?Sized> {
    pub(crate) event: Event<S::Key, S::Value>,
    /// The change that it is of.
    pub(crate) change: usize,
    /// Whether it is part of a listing.
    pub(crate) is_listing: bool,
    /// Not told before.
    pub(crate) after: Option<Instant>,
}

/// A listing.
pub(crate) struct Listing<T> {
    pub(crate) events: Vec<T>,
    /// Up to which change it is true.
    pub(crate) upto: usize,
    /// When it is mended, if it is a lie.
    pub(crate) mended: Option<Instant>,
}

type Item<S> = Result<Event<<S as Side>::Key, <S as Side>::Value>, AdapterError>;

struct Stream<S: Side> {
    world: World,
    changes: watch::Receiver<u64>,
    queue: VecDeque<Result<Told<S>, ErrorKind>>,
    phase: Phase,
    /// When the side lists again by itself.
    mended: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Phase {
    Start,
    Listing,
    /// Followed up to this change.
    Live(usize),
    Ended,
}

/// A stream of a side.
pub(crate) fn watch<S: Side>(world: &World) -> BoxStream<'static, Item<S>> {
    let stream = Stream::<S> {
        world: world.clone(),
        changes: world.changes.subscribe(),
        queue: VecDeque::new(),
        phase: Phase::Start,
        mended: None,
    };
    stream::unfold(stream, |mut stream| async move {
        let item = stream.next().await?;
        Some((item, stream))
    })
    .boxed()
}

impl<S: Side> Stream<S> {
    async fn next(&mut self) -> Option<Item<S>> {
        loop {
            self.world.point().await;
            self.world.dawdle(S::FAULTS[4], 300).await;
            self.wait().await;
            if let Some(item) = self.queue.pop_front() {
                return Some(match item {
                    Ok(told) => Ok(S::deliver(&self.world, told)),
                    Err(kind) => {
                        if kind.weakens() {
                            S::lose(&mut self.world.lock());
                        }
                        Err(AdapterError::new(kind, "made by the story"))
                    }
                });
            }
            if matches!(self.phase, Phase::Ended) {
                S::lose(&mut self.world.lock());
                return None;
            }
            self.changes.borrow_and_update();
            let is_news = {
                let world = self.world.clone();
                let mut state = world.lock();
                self.fill(&mut state)
            };
            if !is_news {
                let mended = self.mended;
                let mend = async {
                    match mended {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    // The sender lives in the world, which this stream holds.
                    _ = self.changes.changed() => {}
                    () = mend => {}
                }
            }
        }
    }

    /// Until the next event may be told.
    async fn wait(&mut self) {
        while let Some(Ok(Told {
            after: Some(after), ..
        })) = self.queue.front()
        {
            if Instant::now() >= *after || !self.world.lock().faults.are_on {
                return;
            }
            tokio::select! {
                () = sleep_until(*after) => {}
                _ = self.changes.changed() => {}
            }
        }
    }

    fn mark(event: Event<S::Key, S::Value>, change: usize) -> Told<S> {
        Told {
            event,
            change,
            is_listing: true,
            after: None,
        }
    }

    fn fill(&mut self, state: &mut State) -> bool {
        let [breaks_off, forbidden, ends, trouble, _] = S::FAULTS;
        match self.phase {
            Phase::Ended => false,
            Phase::Start => {
                self.mended = None;
                self.queue
                    .push_back(Ok(Self::mark(Event::RelistStarted, 0)));
                self.phase = Phase::Listing;
                true
            }
            Phase::Listing => {
                let mut listing = S::list(state);
                if let Some(rng) = state.faults.strikes(breaks_off) {
                    let left = rng.below(listing.events.len() as u64 + 1);
                    listing.events.truncate(usize::try_from(left).unwrap());
                    self.queue.extend(listing.events.into_iter().map(Ok));
                    self.queue.push_back(Err(ErrorKind::Unavailable));
                    self.phase = Phase::Start;
                    return true;
                }
                self.queue.extend(listing.events.into_iter().map(Ok));
                self.queue
                    .push_back(Ok(Self::mark(Event::RelistDone, listing.upto)));
                self.mended = listing.mended;
                self.phase = Phase::Live(listing.upto);
                true
            }
            Phase::Live(from) => {
                let is_over = |at: Instant| at <= Instant::now() || !state.faults.are_on;
                if self.mended.is_some_and(is_over) {
                    self.phase = Phase::Start;
                    return true;
                }
                if state.faults.strikes(forbidden).is_some() {
                    self.queue.push_back(Err(ErrorKind::Unauthorized));
                    self.phase = Phase::Start;
                    return true;
                }
                if state.faults.strikes(ends).is_some() {
                    self.phase = Phase::Ended;
                    return true;
                }
                if state.faults.strikes(trouble).is_some() {
                    self.queue.push_back(Err(ErrorKind::Unavailable));
                }
                let (told, to) = S::follow(state, from);
                self.phase = Phase::Live(to);
                self.queue.extend(told.into_iter().map(Ok));
                !self.queue.is_empty()
            }
        }
    }
}

/// A moment after which something is told, minutes from now.
pub(crate) fn minutes_from_now(below: u64) -> Instant {
    Instant::now() + Duration::from_secs(below)
}
