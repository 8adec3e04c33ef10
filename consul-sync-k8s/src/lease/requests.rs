//! What is asked of the API server.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{Request, header};
use k8s_openapi::jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use kube::{
    Client,
    api::{PostParams, WatchParams},
    client::Body,
    core::{Request as Collection, Status},
};
use tokio::time::{Instant, timeout};

use super::record::Record;
use crate::{
    Verb, mark,
    rights::{LEASES, LEASES_GROUP},
    watch::{Asked, Events, Problem, events},
};

/// How long an answer may take that nothing else limits.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the server keeps a watch open.
const WATCH: Duration = Duration::from_secs(50);

/// Requests about one Lease.
pub(super) struct Requests {
    client: Client,
    namespace: Box<str>,
    name: Box<str>,
    /// The server's clock, as its last answer showed it.
    clock: Mutex<Option<(Timestamp, Instant)>>,
}

// === impl Requests ===

impl Requests {
    pub(super) fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            name: name.into(),
            clock: Mutex::default(),
        }
    }

    /// A request in words.
    fn asked(&self, verb: Verb) -> Asked<'_> {
        Asked {
            verb,
            group: LEASES_GROUP,
            resource: LEASES,
            namespace: Some(&self.namespace),
            // Who makes a new object has no right to its name alone.
            name: (verb != Verb::Create).then_some(&*self.name),
        }
    }

    fn collection(&self) -> Collection {
        Collection::new(format!(
            "/apis/{LEASES_GROUP}/v1/namespaces/{}/{LEASES}",
            self.namespace
        ))
    }

    /// The Lease, where there is one.
    pub(super) async fn get(&self) -> Result<Option<Record>, Problem> {
        let request = self
            .collection()
            .get(&self.name, &kube::api::GetParams::default());
        match self.send(Verb::Get, request).await {
            Ok(record) => Ok(Some(record)),
            Err(problem) if problem.code == 404 => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// A new Lease; none where somebody else was faster.
    pub(super) async fn create(&self, record: &Record) -> Result<Option<Record>, Problem> {
        let request = self.collection().create(&params(), record.to_body());
        self.write(Verb::Create, request).await
    }

    /// The Lease as it is to be now; none where it is not any more what it was.
    pub(super) async fn update(&self, record: &Record) -> Result<Option<Record>, Problem> {
        let body = record.to_body();
        let request = self.collection().replace(&self.name, &params(), body);
        self.write(Verb::Update, request).await
    }

    async fn write(&self, verb: Verb, request: Built) -> Result<Option<Record>, Problem> {
        match self.send(verb, request).await {
            Ok(record) => Ok(Some(record)),
            Err(problem) if problem.code == 409 => Ok(None),
            // Deleted meanwhile. Of a create it is the namespace that is missing.
            Err(problem) if problem.code == 404 && verb == Verb::Update => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// The Lease as it is, then every change of it. Its own version may be too old to watch from: a Lease that nobody
    /// changes outlives what the server remembers.
    pub(super) async fn watch(&self) -> Result<Events<Record>, Problem> {
        let asked = self.asked(Verb::Watch);
        let params = WatchParams {
            // What allows it where the right is to this one alone.
            field_selector: Some(format!("metadata.name={}", self.name)),
            timeout: u32::try_from(WATCH.as_secs()).ok(),
            ..WatchParams::default()
        };
        let request = self
            .collection()
            .watch(&params, "")
            .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)))?;
        timeout(LIMIT, events(&self.client, asked, request))
            .await
            .map_err(|_| Problem::timeout(asked, LIMIT))?
    }

    /// What the server says in a watch of something that went wrong.
    pub(super) fn watch_problem(&self, status: &Status) -> Problem {
        Problem::status(self.asked(Verb::Watch), status)
    }

    /// The time by the server's clock, where one of its answers said it.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let (said, at) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = SignedDuration::try_from(at.elapsed()).ok()?;
        said.checked_add(passed).ok()
    }

    async fn send(&self, verb: Verb, request: Built) -> Result<Record, Problem> {
        let asked = self.asked(verb);
        let request = request
            .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)))?
            .map(Body::from);
        let answer = async {
            let answer = self.client.send(request).await?;
            let (head, body) = answer.into_parts();
            Ok((head, body.collect_bytes().await?))
        };
        let (head, body) = match timeout(LIMIT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Problem::of(asked, error)),
            Err(_) => return Err(Problem::timeout(asked, LIMIT)),
        };
        self.note_time(&head.headers);
        if head.status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| Problem::garbled(asked, error));
        }
        let said = String::from_utf8_lossy(&body);
        let mut status = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Status::failure(&said, "no reason that can be read"));
        status.code = head.status.as_u16();
        Err(Problem::status(asked, &status))
    }

    fn note_time(&self, headers: &http::HeaderMap) {
        let date = headers
            .get(header::DATE)
            .and_then(|date| date.to_str().ok());
        if let Some(time) = date.and_then(|date| rfc2822::parse(date).ok()) {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            *clock = Some((time.timestamp(), Instant::now()));
        }
    }
}

type Built = Result<Request<Vec<u8>>, kube::core::request::Error>;

fn params() -> PostParams {
    PostParams {
        field_manager: Some(mark::MANAGER.to_owned()),
        ..PostParams::default()
    }
}
