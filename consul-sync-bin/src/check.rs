//! Whether `run` could work, as people and programs read it.
//!
//! # JSON
//! One object: `format` (1), `ok`, and `checks[]`, each with `side` (`kubernetes`, `consul`), `state` (`ok`, `warning`, `failed`), `message` and `fix` (`null` where there is nothing to do). Fields are added in later versions and never
//! change their meaning within one `format`.

use std::{fmt::Write, time::Duration};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings(Vec<Finding>);

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was asked.
    pub(crate) side: Side,
    /// The answer.
    pub(crate) state: State,
    /// What was looked at, and what was seen.
    pub(crate) message: String,
    /// What to do about it: a sentence, a command, or rules to apply.
    pub(crate) fix: Option<String>,
}

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The API server.
    Kubernetes,
    /// Consul.
    Consul,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// `run` can work; something that may come needs more.
    Warning,
    /// `run` could not work like this.
    Failed,
}

#[derive(Serialize)]
struct Json<'a> {
    format: u8,
    ok: bool,
    checks: &'a [Finding],
}

// === impl Findings ===

impl Findings {
    /// Adds what one side showed.
    pub(crate) fn extend(&mut self, findings: Vec<Finding>) {
        self.0.extend(findings);
    }

    /// Adds that one side was given up.
    pub(crate) fn no_answer(&mut self, side: Side, after: Duration) {
        self.0.push(Finding {
            side,
            state: State::Failed,
            message: format!("no answer to everything within {}", humantime::format_duration(after)),
            fix: Some("see whether the address is right and nothing in between drops packets; --timeout gives more time".to_owned()),
        });
    }

    /// Whether `run` could work.
    pub(crate) fn is_ok(&self) -> bool {
        self.0.iter().all(|finding| finding.state != State::Failed)
    }

    /// The JSON described above.
    ///
    /// # Errors
    /// None that the fields could cause.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&Json {
            format: 1,
            ok: self.is_ok(),
            checks: &self.0,
        })
    }

    /// The text, with escape codes that the terminal's writer strips where they do not belong.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        const STRONG: Style = Style::new().bold();
        for side in [Side::Kubernetes, Side::Consul] {
            let mut findings = self
                .0
                .iter()
                .filter(|finding| finding.side == side)
                .peekable();
            if findings.peek().is_none() {
                continue;
            }
            writeln!(out, "{STRONG}{}{STRONG:#}", side.title())?;
            findings.try_for_each(|finding| finding.write(out))?;
            out.push('\n');
        }
        let failed = self
            .0
            .iter()
            .filter(|finding| finding.state == State::Failed)
            .count();
        if failed == 0 {
            writeln!(
                out,
                "{STRONG}All is well:{STRONG:#} run can work with these settings."
            )
        } else {
            writeln!(
                out,
                "{STRONG}{failed} of {} failed.{STRONG:#}",
                self.0.len()
            )
        }
    }
}

impl Finding {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let style = self.state.style();
        writeln!(
            out,
            "  {style}{:<6}{style:#}  {}",
            self.state.word(),
            self.message
        )?;
        for line in self.fix.iter().flat_map(|fix| fix.lines()) {
            writeln!(out, "          {line}")?;
        }
        Ok(())
    }
}

impl Side {
    fn title(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::Consul => "Consul",
        }
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warn",
            Self::Failed => "FAILED",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Failed => AnsiColor::Red.on_default().bold(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(side: Side, state: State, message: &str, fix: Option<&str>) -> Finding {
        Finding {
            side,
            state,
            message: message.to_owned(),
            fix: fix.map(str::to_owned),
        }
    }

    fn mixed() -> Findings {
        let rule = "add {resources: [\"nodes\"], verbs: [\"list\"]}\nto a ClusterRole";
        Findings(vec![
            finding(
                Side::Kubernetes,
                State::Ok,
                "the API server is Kubernetes v1.35.4",
                None,
            ),
            finding(
                Side::Kubernetes,
                State::Failed,
                "list nodes: not allowed",
                Some(rule),
            ),
            finding(
                Side::Consul,
                State::Failed,
                "http://127.0.0.1:8500: connection refused",
                Some("start Consul"),
            ),
        ])
    }

    fn plain(findings: &Findings) -> String {
        anstream::adapter::strip_str(&findings.text()).to_string()
    }

    #[test]
    fn what_is_missing_comes_with_what_to_do() {
        insta::assert_snapshot!(plain(&mixed()));
    }

    #[test]
    fn json_is_what_the_documentation_says() {
        insta::assert_snapshot!(mixed().json().unwrap());
    }

    #[test]
    fn a_warning_fails_nothing_and_says_what_to_do() {
        let rule = "add {resources: [\"nodes\"], verbs: [\"list\"]} to a ClusterRole";
        let warning = finding(
            Side::Kubernetes,
            State::Warning,
            "list nodes: not allowed",
            Some(rule),
        );
        let findings = Findings(vec![warning]);
        assert!(findings.is_ok());
        let text = plain(&findings);
        assert!(
            text.contains("  warn    list nodes: not allowed\n          add {resources:"),
            "{text}"
        );
        assert!(text.contains("All is well"), "{text}");
    }

    #[test]
    fn nothing_missing_is_said_in_words() {
        let findings = Findings(vec![finding(
            Side::Consul,
            State::Ok,
            "consul 1.22.2",
            None,
        )]);
        assert!(findings.is_ok());
        insta::assert_snapshot!(plain(&findings));
    }
}
