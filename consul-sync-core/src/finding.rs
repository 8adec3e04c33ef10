//! What a look at a system before the start found.

/// One thing that was looked at: reachability, a version, a right.
///
/// ```
/// use consul_sync_core::Finding;
/// let finding = Finding::bad("list nodes: not allowed", "add the verb list on nodes");
/// assert!(!finding.good);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it must be.
    pub good: bool,
    /// What was looked at, and what was seen.
    pub message: String,
    /// What to do about it. With what is good: what to do before something is used that is not used yet.
    pub remedy: Option<String>,
}

impl Finding {
    /// It is as it must be.
    pub fn good(message: impl Into<String>) -> Self {
        Self {
            good: true,
            message: message.into(),
            remedy: None,
        }
    }

    /// It is not, and this mends it.
    pub fn bad(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            good: false,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// It is good for now; something that may come needs more, and this gives it.
    pub fn hint(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            good: true,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }
}
