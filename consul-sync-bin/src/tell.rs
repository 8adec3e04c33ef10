//! Telling the owners of what stands in the way of an import.

use std::{collections::BTreeSet, time::Duration};

use consul_sync_core::{ErrorKind, Slot};
use consul_sync_k8s::KubeSink;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep,
};
use tracing::{info, warn};

use crate::chain::Chain;

/// Before another try where the API server did not take an Event.
const PAUSE: Duration = Duration::from_secs(30);

/// Puts an Event on each Service that holds a wanted name and is not ours.
#[derive(Debug)]
pub(crate) struct Teller {
    sink: KubeSink,
    slots: UnboundedReceiver<Slot>,
}

// === impl Teller ===

impl Teller {
    /// One that tells of what is sent.
    pub(crate) fn new(sink: KubeSink) -> (Self, UnboundedSender<Slot>) {
        let (sender, slots) = unbounded_channel();
        (Self { sink, slots }, sender)
    }

    /// Tells until nobody can send any more.
    pub(crate) async fn run(mut self) {
        let mut is_denied_told = false;
        while let Some(slot) = self.slots.recv().await {
            // Several records of one slot are one thing in the way.
            let mut due = BTreeSet::from([slot]);
            while let Ok(slot) = self.slots.try_recv() {
                due.insert(slot);
            }
            for slot in due {
                match self.told(&slot).await {
                    Ok(()) => {}
                    Err(error) if is_denied_told => drop(error),
                    Err(error) => {
                        is_denied_told = true;
                        warn!(%error, "cannot tell by Events what stands in the way; --k8s-events=false asks for none");
                    }
                }
            }
        }
    }

    /// Tells of one slot, for as long as it takes.
    ///
    /// # Errors
    /// What another try would not mend.
    async fn told(&self, slot: &Slot) -> Result<(), String> {
        loop {
            match self.sink.tell_in_the_way(slot).await {
                Ok(true) => {
                    info!(service = %slot, "a Service that is not ours has this name; an Event on it says so");
                    return Ok(());
                }
                Ok(false) => return Ok(()),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) =>
                {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(Chain(&error).to_string()),
            }
        }
    }
}
