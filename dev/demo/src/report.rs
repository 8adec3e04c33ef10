//! What the person who runs the demo sees: headings, one line a step, a last line that sums it up.

use std::{fmt, io, time::Duration};

use anstyle::{AnsiColor, Style};

use crate::{catalog::BOUND, error::Result};

const HEADING: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();
const OK: Style = AnsiColor::Green.on_default();
const FAILED: Style = AnsiColor::Red.on_default().bold();
/// Where the times stand.
const WIDTH: usize = 78;

/// Prints, and remembers how the steps went.
pub(crate) struct Report<W = anstream::Stdout> {
    out: W,
    times: Vec<Duration>,
    ok: usize,
    failed: Vec<String>,
}

/// What a step showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// How long its change took to be on the other side, if it made one.
    took: Option<Duration>,
    /// Lines under the step, each in its style.
    lines: Vec<(Style, String)>,
}

// ---- impl Shown -------------------------------------------------------------------------------------------------------

impl Shown {
    /// Something that is no change of the cluster.
    pub(crate) fn done() -> Self {
        Self::default()
    }

    /// A change that took this long to be on the other side.
    pub(crate) fn after(took: Duration) -> Self {
        Self {
            took: Some(took),
            lines: Vec::new(),
        }
    }

    /// A remark under the step.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.lines.push((NOTE, note.into()));
        self
    }

    /// What a program printed, under the step.
    pub(crate) fn print(mut self, text: &str) -> Self {
        let lines = text.trim_end().lines();
        self.lines
            .extend(lines.map(|line| (Style::new(), line.to_owned())));
        self
    }
}

// ---- impl Report ------------------------------------------------------------------------------------------------------

impl Report {
    /// A report to standard output, in colour where that is a terminal.
    pub(crate) fn to_stdout() -> Self {
        Self::new(anstream::stdout())
    }
}

impl<W: io::Write> Report<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            times: Vec::new(),
            ok: 0,
            failed: Vec::new(),
        }
    }

    /// An empty line and a heading.
    pub(crate) fn heading(&mut self, text: &str) {
        self.line(format_args!("\n{HEADING}{text}{HEADING:#}"));
    }

    /// A fact with its name.
    pub(crate) fn fact(&mut self, name: &str, text: impl fmt::Display) {
        self.line(format_args!("  {name:<12} {text}"));
    }

    /// Lines as they are, indented.
    pub(crate) fn block(&mut self, text: impl fmt::Display) {
        for line in text.to_string().lines() {
            self.line(format_args!("{}", format!("  {line}").trim_end()));
        }
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.line(format_args!(""));
    }

    /// A command, as a user types it.
    pub(crate) fn command(&mut self, text: impl fmt::Display) {
        self.line(format_args!("  {NOTE}${NOTE:#} {text}"));
    }

    /// A step that has ended: what was done, and what came of it. The answer is whether it went as it should.
    pub(crate) fn step(&mut self, what: &str, outcome: Result<Shown>) -> bool {
        match outcome {
            Ok(shown) => {
                self.ok += 1;
                self.times.extend(shown.took);
                let time = shown.took.map(|took| format!("{:>9}", Millis(took)));
                let line = format!("{what:<WIDTH$}{}", time.unwrap_or_default());
                self.line(format_args!("  {OK}ok{OK:#}  {}", line.trim_end()));
                for (style, line) in shown.lines {
                    let indent = if line.is_empty() { "" } else { "      " };
                    self.line(format_args!("{indent}{style}{line}{style:#}"));
                }
                true
            }
            Err(error) => {
                self.failed.push(what.to_owned());
                self.line(format_args!("  {FAILED}FAILED{FAILED:#}  {what}"));
                self.line(format_args!("      {}", error.in_full()));
                false
            }
        }
    }

    /// How many steps did not go as they should.
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Whether every step went as it should.
    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    /// The line at the end.
    pub(crate) fn summary(&mut self, took: Duration) {
        let total = self.ok + self.failed.len();
        let style = if self.is_good() { OK } else { FAILED };
        let all = format!("{} of {total} steps ok", self.ok);
        let spread = Spread(&self.times).to_string();
        self.line(format_args!(
            "\n{style}{all}{style:#} in {:.1} s{spread}",
            took.as_secs_f64()
        ));
        for what in self.failed.clone() {
            self.line(format_args!("  {FAILED}FAILED{FAILED:#}  {what}"));
        }
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        // A pipe that nobody reads any more does not stop the demo: its exit code still tells.
        let _ = writeln!(self.out, "{text}");
    }
}

/// Median and largest of some times.
struct Spread<'a>(&'a [Duration]);

impl fmt::Display for Spread<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.0.to_vec();
        times.sort();
        let (Some(median), Some(largest)) = (times.get(times.len() / 2), times.last()) else {
            return Ok(());
        };
        write!(
            f,
            "; {} changes, on the other side after {} (median), {} (slowest; {} s are allowed)",
            times.len(),
            Millis(*median),
            Millis(*largest),
            BOUND.as_secs()
        )
    }
}

/// A time in milliseconds.
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} ms", self.0.as_secs_f64() * 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn spread(millis: &[u64]) -> String {
        let times: Vec<_> = millis
            .iter()
            .map(|millis| Duration::from_millis(*millis))
            .collect();
        Spread(&times).to_string()
    }

    #[test]
    fn times_are_summed_up_by_median_and_largest() {
        assert_eq!(
            spread(&[9, 1, 5]),
            "; 3 changes, on the other side after 5.0 ms (median), 9.0 ms (slowest; 10 s are allowed)"
        );
        assert_eq!(spread(&[]), "");
    }

    fn printed(fill: impl FnOnce(&mut Report<anstream::StripStream<Vec<u8>>>)) -> String {
        let mut report = Report::new(anstream::StripStream::new(Vec::new()));
        fill(&mut report);
        String::from_utf8(report.out.into_inner()).unwrap()
    }

    #[test]
    fn one_failed_step_is_enough_to_fail_and_is_named_at_the_end() {
        let text = printed(|report| {
            assert!(report.step("good", Ok(Shown::done().note("seen"))));
            assert!(report.is_good());
            assert!(!report.step("bad", Err(Error::wrong("why"))));
            assert!(!report.is_good());
            report.summary(Duration::from_millis(1500));
        });
        assert_eq!(
            text,
            "  ok  good\n      seen\n  FAILED  bad\n      why\n\n1 of 2 steps ok in 1.5 s\n  FAILED  bad\n"
        );
    }

    #[test]
    fn times_stand_in_one_column() {
        let text = printed(|report| {
            report.step("a", Ok(Shown::after(Duration::from_millis(7))));
            report.step("longer", Ok(Shown::after(Duration::from_millis(1234))));
        });
        let ends: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(ends, [WIDTH + 15, WIDTH + 15]);
    }
}
