//! Whether `run` could work, as people and programs read it.
//!
//! # JSON
//! One object: `format` (1), `ok`, and `checks[]`, each with `side` (`settings`, `kubernetes`, `consul`), `name`, `state`
//! (`ok`, `warning`, `failed`, `unknown`), `detail` and `fix` (`null` where there is nothing to do). Fields are added in
//! later versions and never change their meaning within one `format`.

use std::fmt::Write;

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
    /// The question, in a few words.
    pub(crate) name: String,
    /// The answer.
    pub(crate) state: State,
    /// What was seen.
    pub(crate) detail: String,
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
    /// Works, and somebody should know something.
    Warning,
    /// `run` could not work like this.
    Failed,
    /// Could not be found out, because something before it failed.
    Unknown,
}

#[derive(Serialize)]
struct Json<'a> {
    format: u8,
    ok: bool,
    checks: &'a [Finding],
}

// === impl Findings ===

impl Findings {
    /// Adds one.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Whether `run` could work.
    pub(crate) fn is_ok(&self) -> bool {
        self.0
            .iter()
            .all(|finding| matches!(finding.state, State::Ok | State::Warning))
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
        let count = |state| {
            self.0
                .iter()
                .filter(|finding| finding.state == state)
                .count()
        };
        let bad = count(State::Failed);
        if self.is_ok() {
            writeln!(
                out,
                "{STRONG}All is well:{STRONG:#} run can work with these settings."
            )
        } else {
            writeln!(
                out,
                "{STRONG}{bad} failed,{STRONG:#} {} could not be found out.",
                count(State::Unknown)
            )
        }
    }
}

impl Finding {
    /// One that is as it should be.
    pub(crate) fn ok(side: Side, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            side,
            name: name.into(),
            state: State::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    /// The same with another answer.
    pub(crate) fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// The same with what to do about it.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let style = self.state.style();
        write!(
            out,
            "  {style}{:<7}{style:#}  {}",
            self.state.word(),
            self.name
        )?;
        if !self.detail.is_empty() {
            write!(out, ": {}", self.detail)?;
        }
        out.push('\n');
        for line in self.fix.iter().flat_map(|fix| fix.lines()) {
            writeln!(out, "           {line}")?;
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
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Unknown => "unknown",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Failed => AnsiColor::Red.on_default().bold(),
            Self::Unknown => Style::new().dimmed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed() -> Findings {
        Findings(vec![
            Finding::ok(Side::Kubernetes, "reach", "https://127.0.0.1:6443, v1.35.4"),
            Finding::ok(Side::Kubernetes, "list services", "allowed"),
            Finding::ok(Side::Kubernetes, "list nodes", "forbidden")
                .state(State::Failed)
                .fix("kubectl apply -f - <<'EOF'\nrules: []\nEOF"),
            Finding::ok(
                Side::Consul,
                "reach",
                "http://127.0.0.1:8500: connection refused",
            )
            .state(State::Failed)
            .fix("start Consul, or give its address with --consul-addr"),
            Finding::ok(Side::Consul, "write services", "").state(State::Unknown),
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
    fn a_warning_alone_is_no_failure() {
        let findings = Findings(vec![
            Finding::ok(Side::Consul, "version", "1.13 is not tested").state(State::Warning),
        ]);
        assert!(findings.is_ok());
        insta::assert_snapshot!(plain(&findings));
    }

    #[test]
    fn what_could_not_be_found_out_is_not_well() {
        let findings = Findings(vec![
            Finding::ok(Side::Consul, "rights", "").state(State::Unknown),
        ]);
        assert!(!findings.is_ok());
    }
}
