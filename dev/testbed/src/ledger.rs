//! What each test ran against, for the last lines of `make test`.
//!
//! A suite that runs without servers and passes proves little and looks the same as one that
//! ran. So every start of a server appends a line to the file named by [`VARIABLE`], and so does
//! every test that was skipped; `dev/ledger` sums the file up. Without the variable nothing is
//! written.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::{env, thread};

/// The environment variable that names the ledger's file.
pub const VARIABLE: &str = "CONSUL_SYNC_LEDGER";

/// The kind of a test that did not run.
pub const SKIPPED: &str = "skipped";

/// The kind of a test that ran against an in-process server of the product's own.
pub const EMBEDDED: &str = "embedded";

/// Notes that `test` ran against `kind`, as in `consul 1.22`.
///
/// Never fails: a ledger that cannot be written is said on standard error, and the test goes on.
pub fn record(kind: &str, test: &str) {
    let Some(path) = env::var_os(VARIABLE) else {
        return;
    };
    if let Err(error) = append(path.as_ref(), kind, test) {
        // Not eprintln!, which the test runner captures.
        let _ = writeln!(
            io::stderr(),
            "ledger: cannot write {}: {error}",
            path.display()
        );
    }
}

/// Notes that the calling test was skipped, and says so past the test runner's capture.
pub fn skip(reason: &str) {
    let test = current_test();
    let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
    record(SKIPPED, &test);
}

/// The calling test's name with its package's, as in `consul-sync-k8s watch::relists_after_410`.
///
/// The test runner names each test's thread after it. Called from another thread, or from a
/// program that is not a test, this is the thread's name.
pub fn current_test() -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    match env::var("CARGO_PKG_NAME") {
        Ok(package) => format!("{package} {name}"),
        Err(_) => name.to_owned(),
    }
}

fn append(path: &Path, kind: &str, test: &str) -> io::Result<()> {
    // One write of one line in append mode: lines of parallel test processes do not mix.
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .write_all(format!("{kind}\t{test}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_appended_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        append(&path, "consul 1.22", "a").unwrap();
        append(&path, SKIPPED, "b").unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "consul 1.22\ta\nskipped\tb\n"
        );
    }

    #[test]
    fn the_current_test_is_named_after_its_thread() {
        assert!(
            current_test().ends_with("the_current_test_is_named_after_its_thread"),
            "{}",
            current_test()
        );
    }
}
