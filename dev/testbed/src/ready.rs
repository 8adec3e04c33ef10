//! Waiting until a started server answers.

use std::time::{Duration, Instant};

use crate::process::{POLL, Process};
use crate::{Error, Result};

/// Generous: a loaded machine is slow, and a server that fails ends on its own.
const LIMIT: Duration = Duration::from_secs(90);

/// Asks `probe` until it says yes; a no carries what the server said instead.
///
/// # Errors
///
/// [`Error::Exited`] as soon as the process ends, [`Error::NotReady`] after a minute and a half.
pub(crate) async fn until_ready(
    process: &Process,
    mut probe: impl AsyncFnMut() -> Result<(), String>,
) -> Result<()> {
    // Not tokio's clock: a test that pauses it still needs its server.
    let started = Instant::now();
    loop {
        let Err(last) = probe().await else {
            return Ok(());
        };
        if let Some(status) = process.exit_status() {
            return Err(Error::Exited {
                program: process.program(),
                status,
                tail: process.tail(),
            });
        }
        let waited = started.elapsed();
        if waited > LIMIT {
            return Err(Error::NotReady {
                program: process.program(),
                waited,
                last,
                tail: process.tail(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A no of [`until_ready`]'s probe.
pub(crate) fn not_yet(error: &Error) -> String {
    error.to_string()
}
