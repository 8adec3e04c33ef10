//! What a source told, as a table.

#![allow(clippy::panic, reason = "test code outside a test function")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use consul_sync_core::{Address, Event, Key, Service, Source, SourceError};
use consul_sync_k8s::KubeSource;
use futures::{StreamExt, stream::BoxStream};
use tokio::time::{Instant, timeout, timeout_at};

type Table = BTreeMap<String, Vec<String>>;

/// Far more than anything here takes; what it guards against is waiting for ever.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Told {
    events: BoxStream<'static, Result<Event<Key, Arc<Service>>, SourceError>>,
    pub(crate) table: Table,
    listing: Option<Table>,
    pub(crate) errors: Vec<SourceError>,
    pub(crate) whole: u32,
}

impl Told {
    pub(crate) fn of(source: &KubeSource) -> Self {
        Self {
            events: source.watch(),
            table: Table::new(),
            listing: None,
            errors: Vec::new(),
            whole: 0,
        }
    }

    /// Takes events until something holds.
    pub(crate) async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + LIMIT;
        while !holds(self) {
            let next = timeout_at(limit, self.events.next()).await;
            let item = next.unwrap_or_else(|_| {
                panic!(
                    "it did not come to that: {:?}, errors {:?}",
                    self.table, self.errors
                )
            });
            self.take(item.expect("a source never ends"));
        }
    }

    /// Takes events until there is none for that long.
    pub(crate) async fn still(&mut self, time: Duration) {
        while let Ok(item) = timeout(time, self.events.next()).await {
            self.take(item.expect("a source never ends"));
        }
    }

    fn take(&mut self, item: Result<Event<Key, Arc<Service>>, SourceError>) {
        match item {
            Ok(Event::RelistStarted) => self.listing = Some(Table::new()),
            Ok(Event::Upserted(key, service)) => {
                let mut addresses: Vec<_> = service
                    .instances
                    .iter()
                    .map(|instance| match &instance.address {
                        Address::Ip(ip) => ip.to_string(),
                        Address::Host(host) => host.to_string(),
                    })
                    .collect();
                addresses.sort();
                let table = self.listing.as_mut().unwrap_or(&mut self.table);
                table.insert(key.to_string(), addresses);
            }
            Ok(Event::Removed(key)) => {
                let table = self.listing.as_mut().unwrap_or(&mut self.table);
                table.remove(&key.to_string());
            }
            Ok(Event::Rejected(key, rejection)) => panic!("{key} is rejected: {rejection}"),
            Ok(Event::RelistDone) => {
                self.table = self
                    .listing
                    .take()
                    .expect("a listing begins before it ends");
                self.whole += 1;
            }
            Err(error) => self.errors.push(error),
        }
    }

    pub(crate) fn addresses(&self, key: &str) -> Vec<&str> {
        let addresses = self.table.get(key).into_iter().flatten();
        addresses.map(String::as_str).collect()
    }
}

/// Takes that many events.
pub(crate) async fn settled(told: &mut Told, events: usize) {
    for _ in 0..events {
        let item = told.events.next().await;
        told.take(item.expect("a source never ends"));
    }
}
