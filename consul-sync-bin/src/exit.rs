//! What the process's exit code says. Scripts depend on these.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked, or there was nothing to do.
    Done,
    /// Something failed, or was asked in a way that cannot be understood.
    Failed,
    /// `plan` found something to do.
    Changes,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
        })
    }
}
