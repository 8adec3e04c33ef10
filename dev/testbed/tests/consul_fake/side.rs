//! One of the two servers, and its answers with everything taken out that is its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::normal::{about_itself, each_index, sessions, texts, without_others, without_own};
use super::step::{Step, prefixed};

/// After how long a request has no answer: longer than anything blocks that is expected to end.
const UNANSWERED: Duration = Duration::from_secs(45);

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// The index header as the server sent it; compared in its place among the headers.
    pub(crate) index: Option<u64>,
}

/// A server under comparison.
#[derive(Clone)]
pub(crate) struct Side {
    base: String,
    token: Option<String>,
    /// Its own node, which the other server has under another name.
    own: String,
    /// What the names of the sequence begin with.
    prefix: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Sessions in the order in which they were made: `$1` stands for the first.
    sessions: Vec<String>,
    /// Raft indexes, and what each is called: the numbers differ from server to server.
    known: BTreeMap<u64, u64>,
    /// How many were given a name; none while what was there before is looked at.
    named: Option<u64>,
}

impl Side {
    pub(crate) fn new(base: &str, token: Option<&str>, own: &str) -> Self {
        Self {
            base: base.to_owned(),
            token: token.map(str::to_owned),
            own: own.to_owned(),
            prefix: String::new(),
            client: Client::builder(TokioExecutor::new()).build(connector()),
            known: BTreeMap::new(),
            sessions: Vec::new(),
            named: None,
        }
    }

    /// A sequence of this prefix begins. Forgets all indexes: until [`begin`](Self::begin) every index is an old one, and all old ones are alike.
    pub(crate) fn forget(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
        self.known.clear();
        self.sessions.clear();
        self.named = None;
    }

    /// From now on each index that is new has a name of its own.
    pub(crate) fn begin(&mut self) {
        self.named = Some(0);
    }

    /// Waits until the server has written what it writes about itself: no index moves for a while.
    pub(crate) async fn settle(&self) {
        let path = format!("/v1/internal/ui/node/{}", self.own);
        let mut index = 0;
        loop {
            let path = format!("{path}?index={index}&wait=1500ms");
            let seen = self.exchange(&Step::get(""), &path, String::new()).await;
            match seen.index {
                Some(now) if now == index => return,
                Some(now) => index = now,
                None => {}
            }
        }
    }

    /// Sends `step` and returns the answer with indexes as they are.
    pub(crate) async fn send(&self, step: &Step, prefix: &str) -> Seen {
        let body = match (&step.raw, &step.body) {
            (Some(raw), _) => raw.replace('~', prefix),
            (None, Some(body)) => self.resolved(prefixed(body, prefix)).await.to_string(),
            (None, None) => String::new(),
        };
        if let Some(pause) = step.after {
            tokio::time::sleep(pause).await;
        }
        let path = self.with_sessions(step.path.replace('~', prefix));
        self.exchange(step, &path, self.with_sessions(body)).await
    }

    fn with_sessions(&self, mut text: String) -> String {
        for (at, session) in self.sessions.iter().enumerate() {
            text = text.replace(&format!("${}", at + 1), session);
        }
        text
    }

    async fn exchange(&self, step: &Step, path: &str, body: String) -> Seen {
        let exchange = self.try_exchange(step, path, body);
        match tokio::time::timeout(UNANSWERED, exchange).await {
            Ok(answer) => answer.expect("the server answers whole"),
            Err(_) => Seen {
                status: 0,
                headers: BTreeMap::new(),
                body: format!("no answer within {UNANSWERED:?}").into(),
                index: None,
            },
        }
    }

    /// Sends a read and returns its answer, or nothing where the connection broke.
    pub(crate) async fn try_read(&self, path: &str, prefix: &str) -> Option<Seen> {
        let path = path.replace('~', prefix);
        self.try_exchange(&Step::get(""), &path, String::new())
            .await
    }

    async fn try_exchange(&self, step: &Step, path: &str, body: String) -> Option<Seen> {
        let mut request = Request::builder()
            .method(step.method)
            .uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("x-consul-token", token);
        }
        for (name, value) in &step.headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .expect("the step is a request");
        let answer = self.client.request(request).await.ok()?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let body = match header("content-encoding") {
            Some("gzip") => gunzipped(&body),
            _ => body.to_vec(),
        };
        let index = header("x-consul-index").and_then(|text| text.parse().ok());
        let kept = [
            "content-type",
            "content-encoding",
            "vary",
            "allow",
            "location",
        ];
        let headers = head
            .headers
            .iter()
            .filter(|(name, _)| {
                name.as_str().starts_with("x-consul-") || kept.contains(&name.as_str())
            })
            .filter(|(name, _)| name.as_str() != "x-consul-index")
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Some(Seen {
            status: head.status.as_u16(),
            headers,
            body,
            index,
        })
    }

    /// Makes symbolic indexes numbers.
    async fn resolved(&self, mut body: Value) -> Value {
        let mut found = HashMap::new();
        for entry in body.as_array_mut().into_iter().flatten() {
            for (kind, op) in entry.as_object_mut().into_iter().flatten() {
                if !op.is_object() {
                    continue;
                }
                let node = op["Node"].as_str().unwrap_or_default().to_owned();
                let object = &mut op[kind.as_str()];
                let Some(symbol) = object["ModifyIndex"].as_str().map(str::to_owned) else {
                    continue;
                };
                let get = read_of(kind, &node, object);
                let key = get.to_string();
                let current = match found.get(&key) {
                    Some(current) => *current,
                    None => self.current(kind, get).await,
                };
                found.insert(key, current);
                object["ModifyIndex"] = match symbol.as_str() {
                    "current" => current.unwrap_or(999_999_999),
                    _ => current.map_or(7, |index| index - 1),
                }
                .into();
            }
        }
        body
    }

    /// Index of the object that an operation is about, as `get` reads it.
    async fn current(&self, kind: &str, get: Value) -> Option<u64> {
        let body = Value::from(vec![get]).to_string();
        let seen = self.exchange(&Step::txn(Vec::new()), "/v1/txn", body).await;
        seen.body["Results"][0][kind]["ModifyIndex"].as_u64()
    }

    /// Takes out of `seen` what is this server's own.
    pub(crate) fn normalised(&mut self, mut seen: Seen, path: &str) -> Seen {
        if path.starts_with("/v1/session/create")
            && let Some(id) = seen.body["ID"].as_str()
        {
            self.sessions.push(id.to_owned());
        }
        sessions(&mut seen.body, &self.sessions);
        // How a server indents, and how much it has to say about itself, decides whether a body is worth compressing.
        if (300..1_500).contains(&seen.body.to_string().len()) || path.starts_with("/v1/agent/self")
        {
            seen.headers.remove("content-encoding");
        }
        without_own(&mut seen.body, &self.own, path);
        without_others(&mut seen.body, &self.prefix, path);
        if seen.status == 200 {
            about_itself(&mut seen.body, path);
        }
        let mut indexes: BTreeSet<u64> = seen.index.into_iter().collect();
        each_index(&mut seen.body, &mut |index| {
            indexes.insert(*index);
        });
        for index in indexes {
            self.name(index);
        }
        each_index(&mut seen.body, &mut |index| *index = self.name(*index));
        texts(&mut seen.body, &self.own);
        if let Some(index) = seen.index.take() {
            let name = self.name(index).to_string();
            seen.headers.insert("x-consul-index".to_owned(), name);
        }
        seen
    }

    /// What an index is called: by how many new ones were seen before it, and by how many of those are lower. So two
    /// servers agree only where the same indexes are equal and stand in the same order.
    ///
    /// Index 1 stands for "nothing yet" and means the same everywhere.
    fn name(&mut self, index: u64) -> u64 {
        if index <= 1 {
            return u64::MAX;
        }
        if let Some(name) = self.known.get(&index) {
            return *name;
        }
        let name = match &mut self.named {
            None => 0,
            Some(named) => {
                *named += 1;
                let lower = self.known.range(..index).filter(|(_, name)| **name > 0);
                *named * 10_000 + lower.count() as u64
            }
        };
        self.known.insert(index, name);
        name
    }
}

/// Kept connections; what is written in two parts does not wait for the first one's acknowledgement.
fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

/// The operation that reads the object of another.
fn read_of(kind: &str, node: &str, object: &Value) -> Value {
    match kind {
        "Node" => super::step::node("get", json!({ "Node": object["Node"] })),
        "Service" => super::step::service("get", node, json!({ "ID": object["ID"] })),
        _ => super::step::check(
            "get",
            json!({ "Node": object["Node"], "CheckID": object["CheckID"] }),
        ),
    }
}

fn gunzipped(body: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body)
        .read_to_end(&mut plain)
        .expect("the body is gzip");
    plain
}
