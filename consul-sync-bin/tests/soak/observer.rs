//! Looks at Consul all the time.

use std::{
    collections::VecDeque,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use consul_sync_testbed::{Answer, Client};
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::expectation::{Expectation, Seen};

pub(crate) const NODE: &str = "k8s-sync";
pub(crate) const OTHER_NODE: &str = "elsewhere";
/// Pause between two looks; a look itself takes about as long.
const PAUSE: Duration = Duration::from_millis(5);
/// A hanging server is asked again after this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many answers and violations are kept for a report.
const KEPT: usize = 6;

/// Polls Consul past the program until it is dropped, and judges every answer.
#[derive(Debug)]
pub(crate) struct Observer {
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    expectation: Expectation,
    seen: Seen,
    polls: u64,
    /// Requests that had no good answer, which say nothing.
    unanswered: u64,
    violations: Vec<String>,
    /// The last answers.
    answers: VecDeque<(Duration, Look, Value)>,
    /// Counts what may change a judgement: what is expected, and what is known of our node.
    changes: u64,
    /// What was judged last for each look, and when in that count.
    judged: [(u64, Bytes); 3],
}

/// The three things that are looked at in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Node,
    Checks,
    OtherNode,
}

impl Look {
    fn path(self) -> String {
        match self {
            Self::Node => format!("/v1/catalog/node-services/{NODE}?consistent"),
            Self::Checks => format!("/v1/health/node/{NODE}?consistent"),
            Self::OtherNode => format!("/v1/catalog/node-services/{OTHER_NODE}?consistent"),
        }
    }

    /// One answer of Consul.
    async fn ask(self, consul: &Client) -> Value {
        consul
            .get(&self.path())
            .await
            .and_then(Answer::json)
            .unwrap()
    }

    /// The same, as it came.
    async fn body(self, consul: &Client) -> consul_sync_testbed::Result<Bytes> {
        let answer = consul.get(&self.path()).await?;
        Ok(answer.success()?.body)
    }
}

/// Our node and another one, as they are now.
pub(crate) async fn nodes(consul: &Client) -> (Value, Value) {
    (
        Look::Node.ask(consul).await,
        Look::OtherNode.ask(consul).await,
    )
}

impl Observer {
    pub(crate) fn start(consul: &Client, expectation: Expectation) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            started: Instant::now(),
            expectation,
            seen: Seen::default(),
            polls: 0,
            unanswered: 0,
            violations: vec![],
            answers: VecDeque::new(),
            changes: 1,
            judged: Default::default(),
        }));
        let consul = consul.with_deadline(PATIENCE);
        let task = tokio::spawn(watch(consul, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Changes what is expected.
    pub(crate) fn expect<T>(&self, change: impl FnOnce(&mut Expectation) -> T) -> T {
        let mut shared = self.lock();
        shared.changes += 1;
        change(&mut shared.expectation)
    }

    /// What the last answers showed.
    pub(crate) fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    /// How many answers were judged.
    pub(crate) fn polls(&self) -> u64 {
        self.lock().polls
    }

    /// Fails with what was seen and should not have been.
    #[track_caller]
    pub(crate) fn check(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }

    /// The first things that were seen and should not have been.
    fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
        if std::thread::panicking() {
            eprintln!("--- {}", self.lock().last_answers());
        }
    }
}

impl Shared {
    fn last_answers(&self) -> String {
        let mut text = format!(
            "the last of {} answers of Consul ({} requests had none):\n",
            self.polls, self.unanswered
        );
        for (at, look, answer) in &self.answers {
            let _ = writeln!(text, "at {at:?}: {look:?}: {}", shown(answer));
        }
        text
    }

    fn judge(&mut self, look: Look, epoch: u64, body: Bytes) {
        self.polls += 1;
        let judged = &mut self.judged[look as usize];
        // What was asked before something was lost or planted on purpose says nothing about after. The same answer as
        // the last time has the same judgement, while nothing else is expected.
        if self.expectation.epoch() != epoch || *judged == (self.changes, body.clone()) {
            return;
        }
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        *judged = (self.changes, body);
        if look == Look::Node {
            self.changes += 1;
            self.judged[look as usize].0 = self.changes;
        }
        let wrong = match look {
            Look::Node => self.expectation.judge_node(&answer, &mut self.seen),
            Look::Checks => self.expectation.judge_checks(&answer, &mut self.seen),
            Look::OtherNode => self.expectation.judge_other_node(&answer),
        };
        let at = self.started.elapsed();
        for wrong in wrong {
            if self.violations.len() < KEPT {
                self.violations.push(format!("at {at:?}: {wrong}"));
            }
        }
        // After a violation the answers that led to it stay.
        if self.violations.is_empty() && look != Look::OtherNode {
            self.answers.push_back((at, look, answer));
            if self.answers.len() > KEPT {
                self.answers.pop_front();
            }
        }
    }
}

/// Each instance or check in few words.
fn shown(answer: &Value) -> String {
    let items = answer.as_array().or(answer["Services"].as_array());
    let fields = ["ID", "Address", "ServiceID", "Status", "ModifyIndex"];
    let item = |item: &Value| {
        let values = fields.iter().filter_map(|field| item.get(*field));
        values
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" ")
            .replace('"', "")
    };
    items
        .into_iter()
        .flatten()
        .map(item)
        .collect::<Vec<_>>()
        .join(", ")
}

async fn watch(consul: Client, shared: Arc<Mutex<Shared>>) {
    let state = || shared.lock().unwrap();
    for turn in 0_u64.. {
        let look = match turn % 8 {
            7 => Look::OtherNode,
            even if even % 2 == 0 => Look::Node,
            _ => Look::Checks,
        };
        let epoch = state().expectation.epoch();
        match look.body(&consul).await {
            Ok(answer) => state().judge(look, epoch, answer),
            Err(_) => state().unanswered += 1,
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        stage::{FOREIGN, Stage, put},
        until::until,
    };

    #[tokio::test]
    async fn what_is_away_for_a_moment_is_seen() {
        let Some(stage) = Stage::take().await else {
            return;
        };
        let consul = stage.consul(1);
        stage.empty(consul).await;
        stage.plant(consul).await;
        let register = json!({
            "Node": NODE, "Address": "127.0.0.1", "SkipNodeUpdate": true,
            "Service": { "ID": "web9-1", "Service": "web9", "Address": "10.1.0.1", "Port": 8080 },
        });
        put(consul, "/v1/catalog/register", &register).await;
        let place = ("web9".to_owned(), [10, 1, 0, 1].into());
        let mut expectation = Expectation::default();
        expectation.adds([place.clone()]);
        expectation.wants([(place.clone(), true)].into());
        let (node, other_node) = nodes(consul.client()).await;
        expectation.foreign(&FOREIGN, &node, &other_node);
        let observer = Observer::start(consul.client(), expectation);
        let must = async || observer.expect(|expectation| expectation.must().clone());
        until("the instance", must, |must| must.contains(&place)).await;
        observer.check();

        for id in ["web9-1", FOREIGN[1]] {
            let deregister = json!({ "Node": NODE, "ServiceID": id });
            put(consul, "/v1/catalog/deregister", &deregister).await;
            let violations = async || observer.violations().join("\n");
            let is_said = |violations: &String| match id {
                "web9-1" => violations.contains("10.1.0.1) is wanted and absent"),
                _ => violations.contains("web0-lookalike, which is not ours, is gone"),
            };
            until("a violation", violations, is_said).await;
            put(consul, "/v1/catalog/register", &register).await;
        }
        drop(observer);
        stage.give_back();
    }
}
