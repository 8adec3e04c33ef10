//! What many trials have to tell, one line a kind.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    time::Duration,
};

use crate::{kind::Kind, trial::Outcome};

/// The variable that names a file to which the lines are written, for the last lines of `make test`.
const FILE: &str = "CONSUL_SYNC_SOAK_REPORT";

/// Prints a kind's line past the test runner's capture.
pub(crate) fn print(kind: Kind, outcomes: &[Outcome]) {
    let line = line(kind, outcomes);
    // Not eprintln!, which the test runner captures.
    let _ = writeln!(io::stderr(), "soak: {line}");
    let Some(path) = env::var_os(FILE) else {
        return;
    };
    let written = OpenOptions::new().create(true).append(true).open(&path);
    if let Err(error) = written.and_then(|mut file| writeln!(file, "{line}")) {
        let _ = writeln!(
            io::stderr(),
            "soak: cannot write {}: {error}",
            path.display()
        );
    }
}

fn line(kind: Kind, outcomes: &[Outcome]) -> String {
    let mut times: Vec<Duration> = outcomes.iter().map(|outcome| outcome.converged).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let faults: u64 = outcomes.iter().map(|outcome| outcome.faults).sum();
    let polls: u64 = outcomes.iter().map(|outcome| outcome.polls).sum();
    let forgotten: usize = outcomes.iter().map(|outcome| outcome.forgotten).sum();
    let gone = match forgotten {
        0 => String::new(),
        count => format!(", {count} times 410"),
    };
    format!(
        "{:<32} {:>5} trials {faults:>6} faults {polls:>8} answers judged, converged in {:.2} s (median), {:.2} s (longest){gone}",
        kind.to_string(),
        outcomes.len(),
        median.as_secs_f64(),
        longest.as_secs_f64(),
    )
}
