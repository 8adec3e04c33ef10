//! What was compared: each operation, and how it was answered.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::side::Seen;
use super::step::Step;

/// How much of an error's text tells its kind.
const KIND: usize = 72;

/// How often each operation had each outcome on the real server.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<(String, String), usize>);

impl Coverage {
    /// Takes note of an answer, as the server gave it.
    pub(crate) fn note(&mut self, step: &Step, seen: &Seen, prefix: &str) {
        let path = step.path.split('?').next().unwrap_or_default();
        if path == "/v1/txn" && step.method == "PUT" {
            self.transaction(step, seen, prefix);
            return;
        }
        let mut parts: Vec<&str> = path.split('/').collect();
        let has_name = ["node", "node-services", "service", "checks", "state"]
            .iter()
            .any(|family| parts.len() > 4 && parts[parts.len() - 2] == *family);
        if has_name {
            parts.pop();
            parts.push("*");
        }
        let held = if step.path.contains("index=") {
            " held"
        } else {
            ""
        };
        let name = format!("{} {}{held}", step.method, parts.join("/"));
        self.count(name, outcome(seen, prefix));
    }

    fn transaction(&mut self, step: &Step, seen: &Seen, prefix: &str) {
        let ops = step.body.as_ref().and_then(Value::as_array);
        let Some(ops) = ops.filter(|_| matches!(seen.status, 200 | 409)) else {
            self.count("PUT /v1/txn".to_owned(), outcome(seen, prefix));
            return;
        };
        let errors = seen.body["Errors"].as_array();
        for (at, op) in ops.iter().enumerate() {
            let (kind, op) = match op.as_object().and_then(|op| op.iter().next()) {
                Some((kind, op)) => (kind.to_lowercase(), op),
                None => continue,
            };
            let verb = op["Verb"].as_str().unwrap_or_default();
            let own = errors
                .into_iter()
                .flatten()
                .find(|error| error["OpIndex"].as_u64() == u64::try_from(at).ok());
            let outcome = match own {
                Some(error) => format!("409 {}", text(&error["What"], prefix)),
                None if seen.status == 409 => "409 with others".to_owned(),
                None => "200".to_owned(),
            };
            self.count(format!("txn {kind} {verb}"), outcome);
        }
    }

    fn count(&mut self, operation: String, outcome: String) {
        *self.0.entry((operation, outcome)).or_default() += 1;
    }

    /// Adds what another run compared.
    pub(crate) fn add(&mut self, other: Self) {
        for (key, count) in other.0 {
            *self.0.entry(key).or_default() += count;
        }
    }

    /// How often an operation was answered so.
    pub(crate) fn times(&self, operation: &str, outcome: &str) -> usize {
        let fits = |(name, how): &(String, String)| name == operation && how.starts_with(outcome);
        let found = self.0.iter().filter(|(key, _)| fits(key));
        found.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((operation, outcome), count) in &self.0 {
            writeln!(f, "{count:>9}  {operation:<36} {outcome}")?;
        }
        Ok(())
    }
}

fn outcome(seen: &Seen, prefix: &str) -> String {
    if seen.status == 200 {
        return "200".to_owned();
    }
    format!("{} {}", seen.status, text(&seen.body, prefix))
}

/// An error's text without the names in it.
fn text(body: &Value, prefix: &str) -> String {
    let whole = body.as_str().unwrap_or_default();
    let words = whole.split_whitespace().map(|word| {
        let is_name = word.contains(prefix) || word.contains('"') || word.contains('\'');
        if is_name { "_" } else { word }
    });
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let text: String = words
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .map(digits)
        .collect();
    text.chars().take(KIND).collect()
}
