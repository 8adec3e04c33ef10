//! One direction while it runs: its driver, its place in the election, and what is told of it.

use std::sync::Arc;

use consul_sync_consul::Lock;
use consul_sync_core::{Driver, Sink, Slot, Source};
use tokio::sync::{mpsc::UnboundedSender, oneshot};
use tracing::{Instrument, info};

use crate::{
    direction::Direction,
    heartbeat::Heartbeat,
    metrics::Counters,
    narrate::Narrator,
    observe::Reporter,
    stage::Engine,
    wire::{Route, Target},
};

/// A direction that is ready to run.
#[derive(Debug)]
pub(crate) struct Running<S, K> {
    direction: Direction,
    place: String,
    driver: Driver<S, K>,
    lock: Option<Lock>,
    narrator: Arc<Narrator>,
}

impl<S: Source, K: Sink> Running<S, K> {
    /// Makes it from where it leads, with the handle that the admin server gets. `in_the_way`: where slots go that
    /// somebody else holds.
    pub(crate) fn new(
        route: Route<S, K>,
        counters: &Counters,
        in_the_way: Option<UnboundedSender<Slot>>,
    ) -> (Self, Engine) {
        let Route {
            source,
            target:
                Target {
                    direction,
                    sink,
                    place,
                    lock,
                    ..
                },
            sync,
        } = route;
        let narrator = Arc::new(Narrator::default());
        let reporter = Reporter::new(
            direction,
            counters.clone(),
            Arc::clone(&narrator),
            in_the_way,
        );
        let mut driver = Driver::new(source, sink)
            .settings(sync)
            .observer(Arc::new(reporter));
        if let Some(lock) = &lock {
            driver = driver.gate(lock.gate());
        }
        let control = driver.control();
        let engine = Engine {
            direction,
            status: driver.status(),
            release: Arc::new(move |seen| control.release_brake(seen)),
            lock: lock.as_ref().map(Lock::state),
        };
        let running = Self {
            direction,
            place,
            driver,
            lock,
            narrator,
        };
        (running, engine)
    }

    /// Runs until it is stopped and the batches under way are answered. The next one may lead when the last is.
    pub(crate) async fn run(self, heartbeat: Heartbeat, stopped: impl Future<Output = ()>) {
        let span = self.direction.span();
        self.work(heartbeat, stopped).instrument(span).await;
    }

    async fn work(self, heartbeat: Heartbeat, stopped: impl Future<Output = ()>) {
        info!(place = %self.place, "synchronising");
        // The narration ends with the driver, whose status it follows.
        let telling = self.narrator.follow(self.driver.status(), heartbeat);
        let (writing, no_more_writes) = oneshot::channel::<()>();
        let driving = async {
            self.driver.run(stopped).await;
            drop(writing);
        };
        let electing = async {
            if let Some(lock) = &self.lock {
                let handing_over = async {
                    let _ = no_more_writes.await;
                };
                lock.run(handing_over).await;
            }
        };
        tokio::join!(driving, electing, telling);
    }
}
