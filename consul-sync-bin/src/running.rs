//! One direction while it runs: its driver, its place in the election, and what is told of it.

use std::sync::Arc;

use consul_sync_core::{Driver, ElectionState, Sink, Slot, Source};
use tokio::sync::{mpsc::UnboundedSender, oneshot};
use tracing::{Instrument, info};

use crate::{
    direction::Direction,
    election::Election,
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
    election: Option<Election>,
    narrator: Arc<Narrator>,
    heartbeat: Heartbeat,
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
                    election,
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
        if let Some(election) = &election {
            driver = driver.gate(election.gate());
        }
        let control = driver.control();
        let heartbeat = Heartbeat::new();
        let engine = Engine {
            direction,
            heartbeat: heartbeat.clone(),
            status: driver.status(),
            release: Arc::new(move |seen| control.release_brake(seen)),
            election: election.clone().map(|election| {
                let state: Arc<dyn Fn() -> ElectionState + Send + Sync> =
                    Arc::new(move || election.state());
                state
            }),
        };
        let running = Self {
            direction,
            place,
            driver,
            election,
            narrator,
            heartbeat,
        };
        (running, engine)
    }

    /// Runs until it is stopped and the batches under way are answered. The next one may lead when the last is.
    pub(crate) async fn run(self, stopped: impl Future<Output = ()>) {
        let span = self.direction.span();
        self.work(stopped).instrument(span).await;
    }

    async fn work(self, stopped: impl Future<Output = ()>) {
        info!(place = %self.place, "synchronising");
        // The narration ends with the driver, whose status it follows.
        let telling = self.narrator.follow(self.driver.status(), self.heartbeat);
        let (writing, no_more_writes) = oneshot::channel::<()>();
        let driving = async {
            self.driver.run(stopped).await;
            drop(writing);
        };
        let electing = async {
            if let Some(election) = &self.election {
                let handing_over = async {
                    let _ = no_more_writes.await;
                };
                election.run(handing_over).await;
            }
        };
        tokio::join!(driving, electing, telling);
    }
}
