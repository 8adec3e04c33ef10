//! Services of Consul that other people register, and what the API server shows of them while the faults happen.
//!
//! The API server is asked all the time, past the program. Judged is each answer: a Service that was shown stays the same
//! object while Consul has its service, an instance that was shown stays an endpoint while it is registered, nothing is
//! there that was never registered, and what somebody else made is not touched.

mod judge;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use consul_sync_testbed::{Answer, Client, Rng};
use http::Method;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use self::judge::Judge;
use crate::{
    objects::{self, services, slices},
    until::until,
};

/// Where the program writes to, beside what it exports by itself.
pub(crate) const IMPORT: [&str; 5] = [
    "--to-k8s",
    "--k8s-write-namespace=imports",
    "--k8s-mode-for=alias*=external-name,web*=endpoints,db*=headless",
    // Consul's own service, and what the stage plants.
    "--import-deny-names=consul,foreign,web0,web1",
    "--import-queries=3",
];

const NAMESPACE: &str = "imports";
const NODE: &str = "legacy";
/// A Service that somebody else made under the name of a service of Consul.
const FOREIGN: &str = "web-foreign";
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// The endpoints of each service, and whether each passes.
type Registered = BTreeMap<String, BTreeMap<Ipv4Addr, bool>>;

/// Services in Consul, and who looks at the cluster.
#[derive(Debug)]
pub(crate) struct Imports {
    consul: Client,
    kubernetes: Client,
    rng: Rng,
    registered: Registered,
    made: u16,
    shared: Arc<Mutex<Judge>>,
    task: JoinHandle<()>,
}

impl Imports {
    /// Empties the namespace, and registers services that are not shown yet.
    pub(crate) async fn create(kubernetes: &Client, consul: &Client, rng: Rng) -> Self {
        let kubernetes = kubernetes.with_deadline(PATIENCE);
        let namespace = json!({ "metadata": { "name": NAMESPACE } });
        send(&kubernetes, Method::POST, "/api/v1/namespaces", &namespace).await;
        for collection in [services(NAMESPACE), slices(NAMESPACE)] {
            send(&kubernetes, Method::DELETE, &collection, &Value::Null).await;
        }
        let foreign = objects::service(FOREIGN, 1);
        send(&kubernetes, Method::POST, &services(NAMESPACE), &foreign).await;
        let shared = Arc::new(Mutex::new(Judge::default()));
        let task = tokio::spawn(watch(kubernetes.clone(), Arc::clone(&shared)));
        let mut imports = Self {
            consul: consul.with_deadline(PATIENCE),
            kubernetes,
            rng,
            registered: Registered::new(),
            made: 0,
            shared,
            task,
        };
        imports.deregister(&json!({ "Node": NODE })).await;
        for name in ["alias", "web", "db", FOREIGN] {
            for _ in 0..2 {
                imports.grow(name).await;
            }
        }
        imports
    }

    /// Anything that may happen to a service.
    pub(crate) async fn change(&mut self) {
        let names: Vec<String> = self.registered.keys().cloned().collect();
        let Some(name) = self.rng.pick(&names).cloned() else {
            return;
        };
        match self.rng.below(6) {
            0 => {
                let kind = *self.rng.pick(&["alias", "web", "db"]).unwrap_or(&"web");
                self.made += 1;
                self.grow(&format!("{kind}-new{}", self.made)).await;
            }
            1 | 2 => self.grow(&name).await,
            3 => self.turn(&name).await,
            _ => self.shrink(&name).await,
        }
    }

    async fn grow(&mut self, name: &str) {
        self.made += 1;
        let [high, low] = self.made.to_be_bytes();
        let address = Ipv4Addr::new(10, 2, high, low);
        self.lock().names.insert(name.to_owned());
        self.register(name, address, true).await;
        let service = self.registered.entry(name.to_owned()).or_default();
        service.insert(address, true);
        let mut judge = self.lock();
        judge.stays.entry(name.to_owned()).or_default();
        judge.endpoints.insert((name.to_owned(), address), false);
    }

    /// An instance fails, or passes again: it stays an endpoint.
    async fn turn(&mut self, name: &str) {
        let Some((address, passes)) = self.registered[name].last_key_value() else {
            return;
        };
        let (address, passes) = (*address, !*passes);
        self.register(name, address, passes).await;
        let service = self.registered.entry(name.to_owned()).or_default();
        service.insert(address, passes);
    }

    /// The last instance goes; with it, where it was the only one, a service that was made meanwhile.
    async fn shrink(&mut self, name: &str) {
        let service = &self.registered[name];
        let Some((address, _)) = service.last_key_value() else {
            return;
        };
        let address = *address;
        let is_only = service.len() == 1;
        if is_only && !name.contains("-new") {
            return;
        }
        {
            let mut judge = self.lock();
            judge.endpoints.remove(&(name.to_owned(), address));
            if is_only {
                judge.stays.remove(name);
            }
        }
        let id = format!("{name}-{address}");
        self.deregister(&json!({ "Node": NODE, "ServiceID": id }))
            .await;
        let service = self.registered.entry(name.to_owned()).or_default();
        service.remove(&address);
        if is_only {
            self.registered.remove(name);
        }
    }

    /// From now on until all is equal Consul may have shown something else than what was registered.
    pub(crate) fn suspend(&self) {
        let mut judge = self.lock();
        judge.is_suspended = true;
        for uid in judge.stays.values_mut() {
            *uid = None;
        }
        for was_shown in judge.endpoints.values_mut() {
            *was_shown = false;
        }
    }

    /// Registers everything anew, on a Consul that forgot it or has gone back.
    pub(crate) async fn register_again(&self) {
        let path = format!("/v1/catalog/node-services/{NODE}?consistent");
        let node = self.consul.get(&path).await.and_then(Answer::json);
        let node = node.unwrap();
        for instance in node["Services"].as_array().into_iter().flatten() {
            let name = text(&instance["Service"]);
            let address = text(&instance["Address"]).parse();
            let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
            let service = self.registered.get(&name);
            if service.is_none_or(|service| !service.contains_key(&address)) {
                self.deregister(&json!({ "Node": NODE, "ServiceID": instance["ID"] }))
                    .await;
            }
        }
        for (name, service) in &self.registered {
            for (address, passes) in service {
                self.register(name, *address, *passes).await;
            }
        }
    }

    /// Waits until the cluster shows what Consul has.
    pub(crate) async fn until_equal(&self) {
        let mut wanted = self.registered.clone();
        wanted.remove(FOREIGN);
        for (name, service) in &mut wanted {
            if name.starts_with("alias") {
                service.clear();
            }
        }
        let look = async || {
            self.check();
            self.lock().seen.clone()
        };
        until(&format!("imports that equal {wanted:?}"), look, |seen| {
            *seen == wanted
        })
        .await;
        self.lock().is_suspended = false;
    }

    /// Fails with what was seen and should not have been.
    #[track_caller]
    pub(crate) fn check(&self) {
        let judge = self.lock();
        assert!(judge.wrong.is_empty(), "{}", judge.wrong.join("\n"));
    }

    /// How many answers were judged.
    pub(crate) fn looks(&self) -> u64 {
        self.lock().looks
    }

    /// The versions of everything in the namespace.
    pub(crate) async fn versions(&self) -> Vec<Value> {
        let [services, slices] = read(&self.kubernetes).await.unwrap();
        let objects = services.into_iter().chain(slices);
        objects
            .map(|object| object["metadata"]["resourceVersion"].clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Judge> {
        self.shared.lock().unwrap()
    }

    async fn register(&self, name: &str, address: Ipv4Addr, passes: bool) {
        let id = format!("{name}-{address}");
        let status = if passes { "passing" } else { "critical" };
        let registration = json!({
            "Node": NODE, "Address": "10.9.0.1",
            "Service": { "ID": id, "Service": name, "Address": address, "Port": 9090 },
            "Check": { "Node": NODE, "CheckID": id, "Name": "alive", "ServiceID": id, "Status": status },
        });
        send(
            &self.consul,
            Method::PUT,
            "/v1/catalog/register",
            &registration,
        )
        .await;
    }

    async fn deregister(&self, what: &Value) {
        send(&self.consul, Method::PUT, "/v1/catalog/deregister", what).await;
    }
}

impl Drop for Imports {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends a change until the server has it: an answer may be lost after the change was made.
async fn send(client: &Client, method: Method, path: &str, body: &Value) {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    loop {
        let answer = client
            .send(method.clone(), path, "application/json", text.clone())
            .await;
        match answer.map(|answer| (answer.status, answer)) {
            Ok((200..300 | 409, _)) => return,
            Ok((404, _)) if method == Method::DELETE => return,
            Ok((429 | 500.., _)) | Err(_) => sleep(PAUSE).await,
            // A Consul that was just started knows no token before its log is applied.
            Ok((403, answer)) if answer.body.ends_with(b"ACL not found") => sleep(PAUSE).await,
            Ok((_, answer)) => panic!("{}", answer.success().map(drop).unwrap_err()),
        }
    }
}

/// Services and slices of the namespace; nothing where the API server does not answer.
async fn read(kubernetes: &Client) -> Option<[Vec<Value>; 2]> {
    let list = async |path: String| {
        let answer = kubernetes.get(&path).await.and_then(Answer::success).ok()?;
        let mut list = answer.json().ok()?;
        match list["items"].take() {
            Value::Array(items) => Some(items),
            _ => None,
        }
    };
    // Slices first: a Service that is there outlives its slices.
    let slices = list(slices(NAMESPACE)).await?;
    Some([list(services(NAMESPACE)).await?, slices])
}

async fn watch(kubernetes: Client, shared: Arc<Mutex<Judge>>) {
    loop {
        // What was to stay before the answer was asked for, and still is when it came, had to be in it.
        let before = {
            let judge = shared.lock().unwrap();
            (judge.stays.clone(), judge.endpoints.clone())
        };
        if let Some([services, slices]) = read(&kubernetes).await {
            let mut judge = shared.lock().unwrap();
            judge.judge(&before, &services, &slices);
        }
        sleep(PAUSE).await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
