//! What an operator decides about how the two tables are joined.

use std::time::Duration;

/// Settings of an engine. The defaults are the safe ones.
///
/// ```
/// use consul_sync_core::{Policy, Settings};
/// let careful = Settings { policy: Policy::UpsertOnly, ..Settings::default() };
/// assert_eq!(careful.brake.share, 15);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which operations may be carried out.
    pub policy: Policy,
    /// What becomes of records that carry nobody's mark and that nobody wants.
    pub orphans: Orphans,
    /// When deletes are stopped.
    pub brake: BrakeSettings,
    /// How often a refused record is tried again.
    pub retry: RetrySettings,
    /// Whether services of one namespace of the source alone may hold a slot (fault N08). The namespace that holds
    /// it keeps it for as long as a service of it claims it; a slot that nobody holds goes to the first claim by
    /// [`Service::precedence`](crate::Service::precedence). Nothing is written before the source was listed once,
    /// as who comes first is not known before. Default: no, claims share a slot.
    pub exclusive: bool,
}

/// Which operations may be carried out. A pure filter on what the diff says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Create, update and delete.
    #[default]
    Sync,
    /// Create and update; nothing is ever deleted.
    UpsertOnly,
    /// Create; what exists stays as it is.
    CreateOnly,
}

/// What becomes of orphans: records with the source's mark and no owner's, in a slot nobody claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Orphans {
    /// They are counted and reported.
    #[default]
    Report,
    /// They are deleted like our own, under the same rules.
    Delete,
}

/// When deletes are stopped (design rule 4, invariant I-S6).
///
/// Deletes stop when they would bring the number of owned records more than `share` percent *and* more than
/// `floor` records below the highest number within `window`. Replacing records one for one never trips it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrakeSettings {
    /// Percent of the owned records, 0 to 100; 100 switches the brake off.
    pub share: u8,
    /// Losing up to this many records is always allowed.
    pub floor: usize,
    /// How far back the highest number is looked for.
    pub window: Duration,
}

/// How often a refused record is tried again: after `first`, then twice as long each time, up to `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for BrakeSettings {
    fn default() -> Self {
        Self {
            share: 15,
            floor: 10,
            window: Duration::from_secs(300),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(300),
        }
    }
}

impl RetrySettings {
    /// The pause after this many failures, at least one.
    pub fn pause(&self, failures: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }
}

impl Policy {
    /// The policy as a setting's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::UpsertOnly => "upsert-only",
            Self::CreateOnly => "create-only",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = RetrySettings::default();
        let pauses: Vec<u64> = [1, 2, 3, 9, 10, 40, u32::MAX]
            .map(|n| retry.pause(n).as_secs())
            .into();
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300, 300]);
    }
}
