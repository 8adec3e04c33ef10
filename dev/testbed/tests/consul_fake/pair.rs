//! Both servers, step by step.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use futures::future::{join, join_all};
use serde_json::Value;

use super::side::{Seen, Side};
use super::step::Step;

/// How long a blocking read waits where nothing moves.
const WAIT: &str = "40ms";
/// Differences that are told of one sequence; the rest mostly follow from the first.
const TOLD: usize = 4;
/// How much of a request's body is shown.
const SHOWN: usize = 600;

/// The real server and the fake.
pub(crate) struct Pair {
    real: Side,
    fake: Side,
    sequences: usize,
    /// The index of a view that hides something depends on what the server still has in a cache.
    views_vary: bool,
}

/// Where the fake is wrong.
#[derive(Debug)]
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
            views_vary: false,
        }
    }

    /// For tokens that may not see everything.
    pub(crate) fn without_indexes_of_views(self) -> Self {
        Self {
            views_vary: true,
            ..self
        }
    }

    /// Runs `steps` under a prefix of their own.
    pub(crate) async fn run(&mut self, steps: &[Step]) -> Result<(), Differences> {
        self.sequences += 1;
        let prefix = format!("s{}-", self.sequences);
        self.run_as(&prefix, steps).await
    }

    /// Runs `steps` under `prefix`.
    pub(crate) async fn run_as(&mut self, prefix: &str, steps: &[Step]) -> Result<(), Differences> {
        self.real.forget();
        self.fake.forget();
        let mut found = Differences(Vec::new());
        let looks = looks();
        // What was there before is step 0, whatever its indexes.
        let mut last = self.look(&looks, prefix, 0, &mut found).await;
        for (at, step) in steps.iter().enumerate() {
            self.compare(step, prefix, at + 1, &mut found).await;
            if step.writes() {
                let now = self.look(&looks, prefix, at + 1, &mut found).await;
                self.block(&looks, prefix, at + 1, &last, &mut found).await;
                last = now;
            }
        }
        if found.0.is_empty() {
            Ok(())
        } else {
            Err(found)
        }
    }

    async fn look(
        &mut self,
        looks: &[Step],
        prefix: &str,
        at: usize,
        found: &mut Differences,
    ) -> Vec<Indexes> {
        let mut indexes = Vec::with_capacity(looks.len());
        for look in looks {
            indexes.push(self.compare(look, prefix, at, found).await);
        }
        indexes
    }

    /// Reads everything again, blocking past the indexes from before the step.
    async fn block(
        &mut self,
        looks: &[Step],
        prefix: &str,
        at: usize,
        last: &[Indexes],
        found: &mut Differences,
    ) {
        let past = |look: &Step, index: Option<u64>| {
            let glue = if look.path.contains('?') { '&' } else { '?' };
            Step::get(format!(
                "{}{glue}index={}&wait={WAIT}",
                look.path,
                index.unwrap_or(1)
            ))
        };
        let requests: Vec<_> = looks
            .iter()
            .zip(last)
            .map(|(look, indexes)| (past(look, indexes.real), past(look, indexes.fake)))
            .collect();
        let (real, fake) = (&self.real, &self.fake);
        let answers = join_all(requests.iter().map(|(of_real, of_fake)| {
            join(real.send(of_real, prefix), fake.send(of_fake, prefix))
        }))
        .await;
        for ((request, _), (real, fake)) in requests.iter().zip(answers) {
            self.judge(request, at, real, fake, found);
        }
    }

    async fn compare(
        &mut self,
        step: &Step,
        prefix: &str,
        at: usize,
        found: &mut Differences,
    ) -> Indexes {
        let (real, fake) = join(self.real.send(step, prefix), self.fake.send(step, prefix)).await;
        let indexes = Indexes {
            real: real.index,
            fake: fake.index,
        };
        self.judge(step, at, real, fake, found);
        indexes
    }

    fn judge(&mut self, step: &Step, at: usize, real: Seen, fake: Seen, found: &mut Differences) {
        let mut real = self.real.normalised(real, &step.path, at);
        let mut fake = self.fake.normalised(fake, &step.path, at);
        if self.views_vary
            && real
                .headers
                .get("x-consul-query-backend")
                .is_some_and(|backend| backend == "streaming")
        {
            real.headers.remove("x-consul-index");
            fake.headers.remove("x-consul-index");
        }
        if real == fake {
            return;
        }
        let body = step
            .body
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| step.raw.clone())
            .unwrap_or_default();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  status {} and {}", real.status, fake.status);
        let (of_real, of_fake) = (headers(&real.headers), headers(&fake.headers));
        told(&of_real, &of_fake, "header", &mut text);
        told(&real.body, &fake.body, "body", &mut text);
        if found.0.iter().any(|told| told.ends_with(&text)) {
            return;
        }
        let shown = &body[..body.len().min(SHOWN)];
        let text = format!("step {at}: {} {} {shown}\n{text}", step.method, step.path);
        found.0.push(text);
    }
}

fn headers(headers: &BTreeMap<String, String>) -> Value {
    headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Where two values differ: `PATH: REAL, not FAKE`.
fn told(real: &Value, fake: &Value, path: &str, text: &mut String) {
    match (real, fake) {
        (real, fake) if real == fake => {}
        (Value::Object(of_real), Value::Object(of_fake)) => {
            let keys: std::collections::BTreeSet<_> =
                of_real.keys().chain(of_fake.keys()).collect();
            for key in keys {
                let absent = Value::from("(absent)");
                let [real, fake] =
                    [of_real, of_fake].map(|fields| fields.get(key).unwrap_or(&absent));
                told(real, fake, &format!("{path}.{key}"), text);
            }
        }
        (Value::Array(of_real), Value::Array(of_fake)) if of_real.len() == of_fake.len() => {
            for (at, (real, fake)) in of_real.iter().zip(of_fake).enumerate() {
                told(real, fake, &format!("{path}[{at}]"), text);
            }
        }
        (real, fake) => {
            let _ = writeln!(text, "  {path}: {real}, not {fake}");
        }
    }
}

/// Everything that is read after each step.
fn looks() -> Vec<Step> {
    let mut paths = vec![
        "/v1/catalog/nodes".to_owned(),
        "/v1/catalog/services".to_owned(),
        "/v1/catalog/services?node-meta=k:v".to_owned(),
    ];
    for node in ["~n1", "~N2", "~gone"] {
        for family in [
            "catalog/node-services",
            "catalog/node",
            "health/node",
            "internal/ui/node",
        ] {
            paths.push(format!("/v1/{family}/{node}"));
        }
    }
    for service in ["~web", "~API"] {
        for family in ["catalog/service", "health/service", "health/checks"] {
            paths.push(format!("/v1/{family}/{service}"));
        }
        paths.push(format!("/v1/health/service/{service}?passing"));
    }
    paths.into_iter().map(Step::get).collect()
}
