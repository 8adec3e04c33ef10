//! Both servers, step by step.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use futures::future::{join, join_all};
use serde_json::{Map, Value, json};

use super::coverage::Coverage;
use super::difference::tell;
use super::look::{Look, looks};
use super::random::Turn;
use super::side::{Seen, Side};
use super::step::{RESPELLED, Step};

/// How long at first where something is.
const MOVED: &str = "20s";
/// How long a view that lags behind has for its next step, and how many steps.
const LATE: &str = "2s";
const STEPS_LATE: usize = 20;
/// Differences that are told of one sequence; the rest mostly follow from the first.
const TOLD: usize = 4;
/// After how many turns of a long sequence everything is read.
const WHOLE: usize = 50;
/// How much of a request's body is shown.
const SHOWN: usize = 600;

/// The real server and the fake.
pub(crate) struct Pair {
    real: Side,
    fake: Side,
    sequences: usize,
    views: bool,
    /// How long a blocking read waits where something is expected to move.
    pub(crate) moved: &'static str,
    /// What was answered how often.
    pub(crate) coverage: Coverage,
}

/// Where the fake is wrong.
#[derive(Debug, Default)]
pub(crate) struct Differences(Vec<String>);

impl std::error::Error for Differences {}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answers differ", self.0.len())?;
        self.0
            .iter()
            .take(TOLD)
            .try_for_each(|difference| f.write_str(difference))
    }
}

/// Index headers of one answer of both.
#[derive(Clone, Copy, Debug)]
struct Indexes {
    real: Option<u64>,
    fake: Option<u64>,
}

impl Pair {
    pub(crate) fn new(real: Side, fake: Side) -> Self {
        Self {
            real,
            fake,
            sequences: 0,
            views: true,
            moved: MOVED,
            coverage: Coverage::default(),
        }
    }

    /// Leaves views out. Consul fills a new one from a cache of some seconds, so that it may start
    /// with what is no longer so, and shows each token what its view has been told.
    pub(crate) fn without_views(self) -> Self {
        Self {
            views: false,
            ..self
        }
    }

    /// Runs `steps` under a prefix of their own.
    pub(crate) async fn run(&mut self, steps: &[Step]) -> Result<(), Differences> {
        self.sequences += 1;
        let prefix = format!("s{}-", self.sequences);
        self.run_as(&prefix, steps).await
    }

    /// Runs `steps` under `prefix`, and reads everything after each write.
    pub(crate) async fn run_as(&mut self, prefix: &str, steps: &[Step]) -> Result<(), Differences> {
        let views = self.views && !steps.iter().any(respells);
        let (mut run, mut last) = Run::start(self, prefix, views).await;
        for step in steps {
            run.at += 1;
            run.compare(step).await;
            if step.writes() {
                let all = run.all();
                run.look_around(&all, &mut last).await;
            }
        }
        run.end()
    }

    /// Runs a long sequence under a prefix of its own. What is read after a write is the turn's choice; everything is
    /// read now and then and at the end. Stops at the first difference, and says at which turn it was.
    pub(crate) async fn run_long(&mut self, turns: &[Turn]) -> Result<(), (usize, Differences)> {
        self.sequences += 1;
        let prefix = format!("s{}-", self.sequences);
        let views = self.views && !turns.iter().any(|turn| respells(&turn.step));
        let (mut run, mut last) = Run::start(self, &prefix, views).await;
        for turn in turns {
            run.at += 1;
            run.compare(&turn.step).await;
            let all = run.all();
            if run.at == turns.len() || run.at.is_multiple_of(WHOLE) {
                run.look_around(&all, &mut last).await;
            } else if turn.step.writes() {
                let some: Vec<usize> = turn.looks.iter().map(|look| look % all.len()).collect();
                run.look_around(&some, &mut last).await;
            }
            if !run.found.0.is_empty() {
                break;
            }
        }
        let at = run.at;
        run.clear().await;
        run.end().map_err(|differences| (at, differences))
    }
}

// ---- one sequence ----

struct Run<'a> {
    pair: &'a mut Pair,
    prefix: &'a str,
    looks: Vec<Look>,
    /// The step, from 1.
    at: usize,
    found: Differences,
}

impl<'a> Run<'a> {
    /// What was there before is old, whatever its indexes.
    async fn start(pair: &'a mut Pair, prefix: &'a str, views: bool) -> (Self, Vec<Indexes>) {
        pair.real.forget(prefix);
        pair.fake.forget(prefix);
        let mut run = Self {
            pair,
            prefix,
            looks: looks(views),
            at: 0,
            found: Differences::default(),
        };
        let all = run.all();
        let last = run.look(&all).await;
        run.make_views().await;
        run.pair.real.begin();
        run.pair.fake.begin();
        (run, last)
    }

    fn end(self) -> Result<(), Differences> {
        if self.found.0.is_empty() {
            Ok(())
        } else {
            Err(self.found)
        }
    }

    /// Takes the nodes away, so that what is read for the next sequences does not grow.
    async fn clear(&mut self) {
        for node in ["~n1", "~n2", "~none"] {
            self.compare(&Step::deregister(json!({ "Node": node })))
                .await;
        }
    }

    /// All that can be looked at.
    fn all(&self) -> Vec<usize> {
        (0..self.looks.len()).collect()
    }

    /// Looks at these, plain and blocking past the indexes that each had last.
    async fn look_around(&mut self, which: &[usize], last: &mut [Indexes]) {
        let mut which = which.to_vec();
        // What writes comes first in the list.
        which.sort_unstable();
        which.dedup();
        let now = self.look(&which).await;
        let before: Vec<_> = which.iter().map(|at| (*at, last[*at])).collect();
        self.block(&before).await;
        for (at, now) in which.into_iter().zip(now) {
            last[at] = now;
        }
    }

    /// Reads these, first what leaves something behind.
    async fn look(&mut self, which: &[usize]) -> Vec<Indexes> {
        let (real, fake, prefix) = (&self.pair.real, &self.pair.fake, self.prefix);
        let looks: Vec<_> = which.iter().map(|at| &self.looks[*at]).collect();
        let requests: Vec<_> = looks.iter().map(|look| look.step()).collect();
        let ask = |request| join(real.send(request, prefix), fake.send(request, prefix));
        let of_ui = looks.iter().take_while(|look| look.writes()).count();
        let mut answers = Vec::with_capacity(requests.len());
        for request in &requests[..of_ui] {
            answers.push(ask(request).await);
        }
        answers.extend(join_all(requests[of_ui..].iter().map(ask)).await);
        let mut indexes = Vec::with_capacity(requests.len());
        for (request, (real, fake)) in requests.iter().zip(answers) {
            indexes.push(Indexes {
                real: real.index,
                fake: fake.index,
            });
            self.judge(request, real, fake);
        }
        indexes
    }

    /// The first blocking read of a service's health makes a view, which is empty until it is fed.
    async fn make_views(&mut self) {
        let views: Vec<_> = self
            .looks
            .iter()
            .filter(|look| look.is_view() && look.blocking)
            .cloned()
            .collect();
        for view in views {
            let moved = self.pair.moved;
            self.compare(&view.past(Some(1), moved)).await;
        }
    }

    /// Reads these again, blocking past the indexes from before the step.
    async fn block(&mut self, before: &[(usize, Indexes)]) {
        let asked: Vec<_> = before
            .iter()
            .map(|(at, indexes)| (&self.looks[*at], indexes))
            .filter(|(look, _)| look.blocking)
            .collect();
        let (fake, prefix) = (&self.pair.fake, self.prefix);
        let of_fake = asked.iter().map(|(look, indexes)| {
            let request = look.past(indexes.fake, look.unmoved());
            async move { fake.send(&request, prefix).await }
        });
        let of_fake = join_all(of_fake).await;
        // Where the fake's index moved, the real one's has to as well, and gets all the time it
        // needs; where not, waiting longer would show nothing more.
        let (real, moved) = (&self.pair.real, self.pair.moved);
        let of_real = asked.iter().zip(&of_fake).map(|((look, indexes), fake)| {
            let wait = if fake.index > indexes.fake {
                moved
            } else {
                look.unmoved()
            };
            let request = look.past(indexes.real, wait);
            async move { (real.send(&request, prefix).await, request, (*look).clone()) }
        });
        let of_real = join_all(of_real).await;
        for ((real, request, look), fake) in of_real.into_iter().zip(of_fake) {
            let real = if look.is_view() {
                self.caught_up(&look, real, &fake).await
            } else {
                real
            };
            self.judge(&request, real, fake);
        }
    }

    /// What a view of the real server says when it has been told everything. It is fed after the writes, one by one:
    /// where several moved it, a blocking read may be answered after the first of them.
    async fn caught_up(&self, look: &Look, mut real: Seen, fake: &Seen) -> Seen {
        for _ in 0..STEPS_LATE {
            if self.agree(&look.path, &real, fake) {
                break;
            }
            let next = look.past(real.index, LATE);
            let next = self.pair.real.send(&next, self.prefix).await;
            if next.index == real.index {
                break;
            }
            real = next;
        }
        real
    }

    /// Whether both answers are alike, without taking note of them.
    fn agree(&self, path: &str, real: &Seen, fake: &Seen) -> bool {
        let of = |side: &Side, seen: &Seen| side.clone().normalised(seen.clone(), path);
        of(&self.pair.real, real) == of(&self.pair.fake, fake)
    }

    async fn compare(&mut self, step: &Step) {
        let (real, fake) = join(
            self.pair.real.send(step, self.prefix),
            self.pair.fake.send(step, self.prefix),
        )
        .await;
        self.judge(step, real, fake);
    }

    fn judge(&mut self, step: &Step, real: Seen, fake: Seen) {
        self.pair.coverage.note(step, &real, self.prefix);
        let real = self.pair.real.normalised(real, &step.path);
        let fake = self.pair.fake.normalised(fake, &step.path);
        // A request that neither answers compares nothing.
        if real == fake && real.status != 0 {
            return;
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  status {} and {}", real.status, fake.status);
        tell(
            &headers(&real.headers),
            &headers(&fake.headers),
            "header",
            &mut text,
        );
        tell(&real.body, &fake.body, "body", &mut text);
        if self.found.0.iter().any(|told| told.ends_with(&text)) {
            return;
        }
        let body = step.text();
        let shown: String = body.chars().take(SHOWN).collect();
        let text = format!(
            "step {}: {} {} {shown}\n{text}",
            self.at, step.method, step.path
        );
        self.found.0.push(text);
    }
}

fn headers(headers: &BTreeMap<String, String>) -> Value {
    let fields = headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    fields.collect::<Map<_, _>>().into()
}

/// Whether a node, a service or an instance changes case. A view then keeps both spellings, or loses the instance: where
/// the node changes with it, Consul tells of the new spelling first and then that the old one is gone. The fake does not
/// copy that.
fn respells(step: &Step) -> bool {
    let text = step.text();
    RESPELLED
        .iter()
        .any(|(other, _)| text.contains(&format!("{other:?}")))
}
