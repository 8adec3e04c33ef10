//! What the cluster is made of, and how it changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use consul_sync_testbed::{Client, Rng};
use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    expectation::{PORT, Place, Seen},
    objects::{self, services, slice, slices},
    observer::Observer,
};

const NAMESPACE: &str = "soak";
/// A server that is away for longer than this is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before a change is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// Fewer instances than the brake lets go in any case.
const LOSSES: usize = 9;

/// A cluster's Services, as they were told to the API server.
#[derive(Debug)]
pub(crate) struct World {
    kubernetes: Client,
    rng: Rng,
    services: BTreeMap<String, Service>,
    made: u16,
    made_addresses: u16,
    lost: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Service {
    /// Whether each is ready.
    endpoints: BTreeMap<Ipv4Addr, bool>,
    tag: Option<String>,
}

impl Service {
    fn endpoints(&self) -> impl Iterator<Item = (Ipv4Addr, bool)> {
        let endpoints = self.endpoints.iter();
        endpoints.map(|(address, ready)| (*address, *ready))
    }
}

impl World {
    /// Empties the namespace and fills it.
    pub(crate) async fn create(kubernetes: &Client, rng: Rng) -> Self {
        let mut world = Self {
            kubernetes: kubernetes.with_deadline(PATIENCE),
            rng,
            services: BTreeMap::new(),
            made: 0,
            made_addresses: 0,
            lost: 0,
        };
        let namespace = json!({ "metadata": { "name": NAMESPACE } });
        world
            .send(Method::POST, "/api/v1/namespaces".to_owned(), namespace)
            .await;
        for collection in [services(NAMESPACE), slices(NAMESPACE)] {
            world.send(Method::DELETE, collection, Value::Null).await;
        }
        // Now and then so little that the brake does not hold any delete.
        for number in 0..2 + world.rng.below(4) {
            let endpoints = 1 + world.rng.below(4);
            let service = world.service(endpoints);
            world.services.insert(format!("web{number}"), service);
        }
        for (name, service) in world.services.clone() {
            world.post(&name, &service).await;
        }
        world
    }

    /// Everything that is wanted, and whether it is ready.
    pub(crate) fn wanted(&self) -> BTreeMap<Place, bool> {
        let services = self.services.iter();
        let places = services.flat_map(|(name, service)| {
            let endpoints = service.endpoints.iter();
            endpoints.map(move |(address, ready)| ((name.clone(), *address), *ready))
        });
        places.collect()
    }

    /// What a catalog that equals the cluster shows.
    pub(crate) fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        for (name, service) in &self.services {
            for (address, ready) in &service.endpoints {
                let place = (name.clone(), *address);
                let tags = ["k8s"].into_iter().chain(service.tag.as_deref());
                seen.tags
                    .insert(place.clone(), tags.map(str::to_owned).collect());
                seen.passing.insert(place, *ready);
            }
        }
        seen
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Anything that may happen to a Service.
    pub(crate) async fn change(&mut self, observer: &Observer) {
        match self.rng.below(10) {
            0 | 1 => self.make(observer, 2).await,
            2 | 3 => self.grow(observer).await,
            4 => self.shrink(observer).await,
            5 => self.turn(observer).await,
            6 => self.tag(observer).await,
            7 | 8 => self.replace(observer).await,
            _ => self.remove(observer).await,
        }
    }

    /// A Service whose arrival ends a trial: when it is there, everything before it was heard of.
    pub(crate) async fn mark(&mut self, observer: &Observer) {
        self.make(observer, 1).await;
    }

    /// A Service that takes several transactions.
    pub(crate) async fn make_large(&mut self, observer: &Observer) {
        let count = 150 + self.rng.below(200);
        self.make(observer, count).await;
    }

    async fn make(&mut self, observer: &Observer, count: u64) {
        self.made += 1;
        let name = format!("new{}", self.made);
        let service = self.service(count);
        observer.expect(|expectation| expectation.adds(places(&name, service.endpoints.keys())));
        self.post(&name, &service).await;
        self.services.insert(name.clone(), service);
        observer.expect(|expectation| expectation.sustains(&name));
        self.told(observer);
    }

    async fn grow(&mut self, observer: &Observer) {
        let Some(name) = self.any() else { return };
        let address = self.address();
        observer.expect(|expectation| expectation.adds(places(&name, [&address])));
        let mut service = self.services[&name].clone();
        service.endpoints.insert(address, true);
        self.put(&name, service).await;
        self.told(observer);
    }

    /// Takes one endpoint away, never a Service's last one.
    async fn shrink(&mut self, observer: &Observer) {
        let Some(name) = self.any() else { return };
        let mut service = self.services[&name].clone();
        // The first address is the one that stays.
        let Some((address, _)) = service
            .endpoints
            .pop_last()
            .filter(|_| !service.endpoints.is_empty())
        else {
            return;
        };
        if !self.may_lose(1) {
            return;
        }
        observer.expect(|expectation| expectation.frees(places(&name, [&address])));
        self.put(&name, service).await;
        self.told(observer);
    }

    /// An endpoint becomes ready, or is no longer; never a Service's first one.
    async fn turn(&mut self, observer: &Observer) {
        let Some(name) = self.any() else { return };
        let mut service = self.services[&name].clone();
        let Some((address, ready)) = service.endpoints.iter_mut().skip(1).last() else {
            return;
        };
        *ready = !*ready;
        observer.expect(|expectation| {
            expectation.unsettles(places(&name, [address]));
            expectation.rewrites(&name);
        });
        self.put(&name, service).await;
        self.told(observer);
    }

    async fn tag(&mut self, observer: &Observer) {
        let Some(name) = self.any() else { return };
        let tag = format!("tag{}", self.rng.below(1000));
        observer.expect(|expectation| expectation.rewrites(&name));
        let change =
            json!({ "metadata": { "annotations": { "consul.hashicorp.com/service-tags": tag } } });
        self.send(
            Method::PATCH,
            format!("{}/{name}", services(NAMESPACE)),
            change,
        )
        .await;
        self.services.entry(name).or_default().tag = Some(tag);
        self.told(observer);
    }

    /// Every endpoint goes, and as many others come, in one change: the name stays served.
    async fn replace(&mut self, observer: &Observer) {
        let Some(name) = self.any() else { return };
        let old = self.services[&name].clone();
        let count = old.endpoints.len().min(4);
        if !self.may_lose(old.endpoints.len() - count) {
            return;
        }
        let mut service = self.service(count as u64);
        service.tag = old.tag;
        observer.expect(|expectation| {
            expectation.adds(places(&name, service.endpoints.keys()));
            expectation.frees(places(&name, old.endpoints.keys()));
        });
        self.put(&name, service).await;
        self.told(observer);
    }

    async fn remove(&mut self, observer: &Observer) {
        let Some(name) = self.any() else { return };
        let old = self.services[&name].clone();
        if self.services.len() < 3 || !self.may_lose(old.endpoints.len()) {
            return;
        }
        observer.expect(|expectation| {
            expectation.abandons(&name);
            expectation.frees(places(&name, old.endpoints.keys()));
        });
        self.send(
            Method::DELETE,
            format!("{}/{name}", services(NAMESPACE)),
            Value::Null,
        )
        .await;
        self.send(
            Method::DELETE,
            format!("{}/{name}-1", slices(NAMESPACE)),
            Value::Null,
        )
        .await;
        self.services.remove(&name);
        self.told(observer);
    }

    fn told(&self, observer: &Observer) {
        let wanted = self.wanted();
        observer.expect(|expectation| expectation.wants(wanted));
    }

    fn may_lose(&mut self, count: usize) -> bool {
        let may = self.lost + count <= LOSSES;
        if may {
            self.lost += count;
        }
        may
    }

    fn any(&mut self) -> Option<String> {
        let names: Vec<_> = self.services.keys().cloned().collect();
        self.rng.pick(&names).cloned()
    }

    /// As many endpoints, all new and ready.
    fn service(&mut self, count: u64) -> Service {
        let endpoints = (0..count).map(|_| (self.address(), true)).collect();
        Service {
            endpoints,
            tag: None,
        }
    }

    /// An address that was never given.
    fn address(&mut self) -> Ipv4Addr {
        self.made_addresses += 1;
        let [high, low] = self.made_addresses.to_be_bytes();
        Ipv4Addr::new(10, 1, high, low)
    }

    async fn post(&self, name: &str, service: &Service) {
        let object = objects::service(name, PORT);
        self.send(Method::POST, services(NAMESPACE), object).await;
        let object = slice(name, PORT, service.endpoints());
        self.send(Method::POST, slices(NAMESPACE), object).await;
    }

    /// The endpoints of a Service that exists.
    async fn put(&mut self, name: &str, service: Service) {
        let change = json!({ "endpoints": slice(name, PORT, service.endpoints())["endpoints"] });
        self.send(
            Method::PATCH,
            format!("{}/{name}-1", slices(NAMESPACE)),
            change,
        )
        .await;
        self.services.insert(name.to_owned(), service);
    }

    /// Sends a change until the API server has it.
    ///
    /// An answer may be lost after the change was made: what exists already, or is gone already, is what was wanted.
    async fn send(&self, method: Method, path: String, body: Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let kind = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        loop {
            let answer = self
                .kubernetes
                .send(method.clone(), &path, kind, body.clone())
                .await;
            match answer.map(|answer| (answer.status, answer)) {
                Ok((200..300, _)) => return,
                Ok((409, _)) if method == Method::POST => return,
                Ok((404, _)) if method == Method::DELETE => return,
                // The API server's own trouble, and its store's.
                Ok((429 | 500.., _)) | Err(_) => sleep(PAUSE).await,
                Ok((_, answer)) => panic!("{}", answer.success().map(|_| ()).unwrap_err()),
            }
        }
    }
}

fn places<'a>(name: &str, addresses: impl IntoIterator<Item = &'a Ipv4Addr>) -> BTreeSet<Place> {
    let addresses = addresses.into_iter();
    addresses
        .map(|address| (name.to_owned(), *address))
        .collect()
}
