//! A source and what its stream has told; for the tests on the in-process catalog and on real servers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use consul_sync_consul::{Client, ClientSettings, ConsulSource, NamePattern, SourceSettings};
use consul_sync_core::{ErrorKind, Event, Key, Owner, Service, Source, SourceError, Status};
use futures::{StreamExt, stream::BoxStream};
use tokio::time::timeout;

/// A source whose queries are held for a short time, and that reads what the tests register.
pub(crate) fn source(url: &str, change: impl FnOnce(&mut SourceSettings)) -> ConsulSource {
    source_with(url, |_| (), change)
}

pub(crate) fn source_with(
    url: &str,
    connection: impl FnOnce(&mut ClientSettings),
    change: impl FnOnce(&mut SourceSettings),
) -> ConsulSource {
    let mut client = ClientSettings::new(url);
    connection(&mut client);
    let mut settings = SourceSettings::new(Owner::new("cluster-a").expect("a constant"));
    settings.wait = Duration::from_secs(2);
    // The server registers itself.
    settings.deny = vec![NamePattern::new("consul").expect("a constant")];
    change(&mut settings);
    let client = Client::new(client).expect("settings of a test");
    ConsulSource::new(client, settings).expect("settings of a test")
}

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// What a stream has told.
pub(crate) struct Told {
    stream: BoxStream<'static, Item>,
    /// The services, by the names of their keys.
    pub(crate) services: BTreeMap<String, Arc<Service>>,
    pub(crate) rejected: BTreeSet<String>,
    /// Complete listings.
    pub(crate) listings: usize,
    pub(crate) errors: Vec<(ErrorKind, String)>,
    /// Services that were told to be gone, by an event of their own or by a listing.
    pub(crate) gone: Vec<String>,
    pub(crate) events: usize,
    listing: BTreeSet<String>,
}

impl Told {
    pub(crate) fn by(source: &ConsulSource) -> Self {
        Self {
            stream: source.watch(),
            services: BTreeMap::new(),
            rejected: BTreeSet::new(),
            listings: 0,
            errors: Vec::new(),
            gone: Vec::new(),
            events: 0,
            listing: BTreeSet::new(),
        }
    }

    /// What a source tells up to the end of its first listing.
    pub(crate) async fn listed(source: &ConsulSource) -> Self {
        let mut told = Self::by(source);
        told.until(|told| told.listings == 1).await;
        told
    }

    /// Reads until something holds.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&Self) -> bool) {
        while !is_it(self) {
            assert!(
                self.next(Duration::from_secs(60)).await,
                "nothing more came; told: {:?}, errors: {:?}",
                self.statuses(),
                self.errors
            );
        }
    }

    /// Reads until nothing comes for a while.
    pub(crate) async fn until_quiet(&mut self, time: Duration) {
        while self.next(time).await {}
    }

    async fn next(&mut self, time: Duration) -> bool {
        let Ok(item) = timeout(time, self.stream.next()).await else {
            return false;
        };
        self.events += 1;
        match item.expect("a stream does not end") {
            Ok(Event::RelistStarted) => self.listing.clear(),
            Ok(Event::Upserted(key, service)) => {
                let name = key.name().to_string();
                self.rejected.remove(&name);
                self.listing.insert(name.clone());
                self.services.insert(name, service);
            }
            Ok(Event::Rejected(key, _)) => {
                self.listing.insert(key.name().to_string());
                self.rejected.insert(key.name().to_string());
            }
            Ok(Event::Removed(key)) => self.forget(key.name()),
            Ok(Event::RelistDone) => {
                self.listings += 1;
                let names = self.services.keys().chain(&self.rejected);
                let silent: Vec<String> = names
                    .filter(|name| !self.listing.contains(*name))
                    .cloned()
                    .collect();
                for name in silent {
                    self.forget(&name);
                }
            }
            Err(error) => self.errors.push((error.kind(), error.to_string())),
        }
        true
    }

    fn forget(&mut self, name: &str) {
        self.services.remove(name);
        self.rejected.remove(name);
        self.listing.remove(name);
        self.gone.push(name.to_owned());
    }

    /// The names of the services that are there.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.services.keys().map(String::as_str).collect()
    }

    /// How many instances a service has; none where it is not there.
    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        self.services
            .get(name)
            .map(|service| service.instances.len())
    }

    /// The statuses of a service's instances.
    pub(crate) fn status(&self, name: &str) -> Vec<Status> {
        let instances = self.services.get(name).map(|service| &service.instances);
        let checks = instances
            .into_iter()
            .flatten()
            .filter_map(|i| i.check.as_ref());
        checks.map(|check| check.status).collect()
    }

    fn statuses(&self) -> Vec<(&str, Vec<Status>)> {
        let names = self.services.keys();
        names
            .map(|name| (name.as_str(), self.status(name)))
            .collect()
    }

    /// The kinds of the errors, each once in a row.
    pub(crate) fn kinds(&self) -> Vec<ErrorKind> {
        let mut kinds: Vec<ErrorKind> = self.errors.iter().map(|(kind, _)| *kind).collect();
        kinds.dedup();
        kinds
    }
}
