//! A sink of one's own around another one: whatever is written is said first.
//!
//! A sink is two traits: `Layout`, which is pure, and `Sink`, which does I/O. Both can be handed on. For one that stores in a
//! system of its own, `consul_sync_core::testing::conformance::sink` checks every point of the contract.

use async_trait::async_trait;
use consul_sync_core::{
    Cost, Driver, Held, Layout, Op, Outcomes, Owner, Placed, Rejection, Service, Sink, SinkError,
    Slot, WatchStream,
    testing::{MemorySink, TableSource, service},
};
use std::sync::Arc;

#[derive(Debug)]
struct Said<K>(K);

impl<K: Sink> Layout for Said<K> {
    type Record = K::Record;

    fn owner(&self) -> &Owner {
        self.0.owner()
    }
    fn limits(&self) -> Cost {
        self.0.limits()
    }
    fn cost(&self, op: &Op<K::Record>) -> Cost {
        self.0.cost(op)
    }
    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        self.0.place(service)
    }
    fn records(&self, slot: &Slot, claims: &[Arc<Service>]) -> Placed<K::Record> {
        self.0.records(slot, claims)
    }
}

#[async_trait]
impl<K: Sink> Sink for Said<K> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn watch(&self) -> WatchStream<K::Record> {
        self.0.watch()
    }
    async fn read(&self, slots: &[Slot]) -> Result<Vec<(Slot, Held<K::Record>)>, SinkError> {
        self.0.read(slots).await
    }
    async fn apply(&self, ops: &[Op<K::Record>]) -> Result<Outcomes<K::Record>, SinkError> {
        for op in ops {
            println!("{} {}/{}", op.verb(), op.slot, op.id());
        }
        self.0.apply(ops).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let source = TableSource::default();
    source.put(service("default/web", ["10.0.0.1", "10.0.0.2"]));
    let driver = Driver::new(source, Said(MemorySink::default()));
    let mut status = driver.status();
    let written = async move {
        // It can only fail when the driver is gone.
        let _ = status.wait_for(|status| status.owned == 2).await;
    };
    driver.run(written).await;
}
