//! What a cluster shows of the services of Consul, as a watch tells it.

use std::collections::HashMap;

use consul_sync_testbed::Client;
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

use crate::{
    error::{Error, Result},
    registry::Wanted,
};

/// What a namespace shows, followed by a watch on its Services and one on its slices until it is dropped.
pub(crate) struct Shown {
    namespace: String,
    state: watch::Receiver<State>,
    tasks: Vec<JoinHandle<()>>,
}

/// What was told so far.
#[derive(Clone, Debug, Default)]
struct State {
    /// Services and slices that are there, and when the last of them came.
    objects: usize,
    last: Option<Instant>,
    /// Of each slice: the addresses, and whether each is ready.
    slices: HashMap<String, HashMap<String, bool>>,
    broken: bool,
}

impl Shown {
    /// Follows a namespace that holds nothing yet.
    pub(crate) async fn follow(client: &Client, namespace: &str) -> Result<Self> {
        let (sender, state) = watch::channel(State::default());
        let mut tasks = Vec::new();
        for (group, resource) in [
            ("api/v1", "services"),
            ("apis/discovery.k8s.io/v1", "endpointslices"),
        ] {
            let path = format!("/{group}/namespaces/{namespace}/{resource}");
            let list = client.get(&path).await?.json()?;
            let version = list["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default();
            let path = format!("{path}?watch=1&resourceVersion={version}");
            let mut events = client.watch(&path).await?;
            let sender = sender.clone();
            tasks.push(tokio::spawn(async move {
                while let Ok(Some(event)) = events.next().await {
                    sender.send_modify(|state| state.take(&event));
                }
                sender.send_modify(|state| state.broken = true);
            }));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            state,
            tasks,
        })
    }

    /// Waits until there are so many objects; when the last one came.
    pub(crate) async fn until(&self, objects: usize, limit: Duration) -> Result<Instant> {
        let what = format!("{objects} objects");
        let last = self
            .wait(&what, limit, |state| state.objects >= objects)
            .await?;
        last.ok_or_else(|| {
            Error::wrong(format!(
                "there was nothing to wait for in {}",
                self.namespace
            ))
        })
    }

    /// Waits until some slice shows this; when that was.
    pub(crate) async fn until_shown(&self, wanted: &Wanted, limit: Duration) -> Result<Instant> {
        let is_shown = |state: &State| {
            let mut slices = state.slices.values();
            slices.any(|slice| slice.get(&wanted.address) == Some(&wanted.ready))
        };
        self.wait(&format!("{wanted:?}"), limit, is_shown).await?;
        Ok(Instant::now())
    }

    /// Waits until something holds; when the last object came.
    async fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut is_it: impl FnMut(&State) -> bool,
    ) -> Result<Option<Instant>> {
        let mut state = self.state.clone();
        let seen = timeout(limit, state.wait_for(|state| state.broken || is_it(state))).await;
        match seen {
            Ok(Ok(state)) if !state.broken => Ok(state.last),
            Ok(_) => Err(Error::wrong(format!("a watch of {} ended", self.namespace))),
            Err(_) => Err(Error::wrong(format!(
                "namespace {} did not show {what} within {limit:?}",
                self.namespace
            ))),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl State {
    fn take(&mut self, event: &Value) {
        let object = &event["object"];
        match event["type"].as_str() {
            Some("ADDED") => {
                self.objects += 1;
                self.last = Some(Instant::now());
            }
            Some("DELETED") => self.objects -= 1,
            _ => {}
        }
        let (Some("EndpointSlice"), Some(name)) =
            (object["kind"].as_str(), object["metadata"]["name"].as_str())
        else {
            return;
        };
        let endpoints = object["endpoints"].as_array().into_iter().flatten();
        let endpoints = endpoints.filter_map(|endpoint| {
            let address = endpoint["addresses"][0].as_str()?.to_owned();
            Some((address, endpoint["conditions"]["ready"].as_bool()?))
        });
        self.slices.insert(name.to_owned(), endpoints.collect());
    }
}
