//! What is checked, and how a failure tells it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Disturbance, World, run::Run};

/// A rule of the protocol between a source and its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// A stream begins with `RelistStarted`, errors aside.
    Begins,
    /// `RelistDone` ends a listing that began.
    Bracket,
    /// A listing mentions everything that is there.
    Complete,
    /// A listing does not end while the source said that it may not see everything.
    Weak,
    /// A value is one that the service had, and whole.
    Whole,
    /// What is told of one service never goes back in time.
    Order,
    /// A service is removed only when it was.
    Removal,
    /// A service is rejected only when it cannot be used.
    Rejection,
    /// Everything that happens is told in the end.
    Told,
    /// A stream does not end.
    Endless,
    /// While nothing happens nothing is told.
    Idle,
    /// Trouble that lasts is reported.
    Reported,
    /// A report has the kind of what happened, and comes only when something did.
    Kind,
    /// After a report that weakens, everything is listed again.
    Relisted,
    /// A stream that is dropped leaves nothing open.
    Dropped,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The case, or the seed.
    pub case: String,
    /// The operation that it was seen after.
    pub operation: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub came: String,
    /// The operations so far, oldest first.
    pub operations: Vec<String>,
    /// The latest events of the stream, oldest first.
    pub events: Vec<String>,
}

/// What a run of the suite covered.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Named cases.
    pub cases: u64,
    /// Random histories.
    pub histories: u64,
    /// Operations on the world and its streams.
    pub operations: u64,
    /// Items that streams told.
    pub items: u64,
    /// How often each disturbance happened.
    pub disturbances: BTreeMap<Disturbance, u64>,
    /// Disturbances that were wanted and that the world could not make.
    pub left_out: BTreeSet<Disturbance>,
}

impl Report {
    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.cases += other.cases;
        self.histories += other.histories;
        self.operations += other.operations;
        self.items += other.items;
        for (disturbance, times) in other.disturbances {
            *self.disturbances.entry(disturbance).or_default() += times;
        }
        self.left_out.extend(other.left_out);
        let happened = &self.disturbances;
        self.left_out.retain(|one| !happened.contains_key(one));
        self
    }

    pub(super) fn add<W: World>(&mut self, run: &Run<'_, W>, named: bool) {
        *(if named {
            &mut self.cases
        } else {
            &mut self.histories
        }) += 1;
        self.operations += run.operations() as u64;
        self.items += run.items();
        for (disturbance, happened) in run.disturbances() {
            if *happened {
                *self.disturbances.entry(*disturbance).or_default() += 1;
                self.left_out.remove(disturbance);
            } else if !self.disturbances.contains_key(disturbance) {
                self.left_out.insert(*disturbance);
            }
        }
    }
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 15] = [
        Self::Begins,
        Self::Bracket,
        Self::Complete,
        Self::Weak,
        Self::Whole,
        Self::Order,
        Self::Removal,
        Self::Rejection,
        Self::Told,
        Self::Endless,
        Self::Idle,
        Self::Reported,
        Self::Kind,
        Self::Relisted,
        Self::Dropped,
    ];

    /// The rule in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begins => "a stream begins with RelistStarted",
            Self::Bracket => "RelistDone ends a listing that began",
            Self::Complete => "a listing mentions everything that is there",
            Self::Weak => "no listing ends while the source may not see everything",
            Self::Whole => "a value is one that the service had, and whole",
            Self::Order => "what is told of one service never goes back in time",
            Self::Removal => "a service is removed only when it was",
            Self::Rejection => "a service is rejected only when it cannot be used",
            Self::Told => "everything that happens is told in the end",
            Self::Endless => "a stream does not end",
            Self::Idle => "while nothing happens nothing is told",
            Self::Reported => "trouble that lasts is reported",
            Self::Kind => "a report has the kind of what happened",
            Self::Relisted => "after a report that weakens, everything is listed again",
            Self::Dropped => "a stream that is dropped leaves nothing open",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a source broke a rule: {}", self.rule)?;
        writeln!(f, "  in: {}", self.case)?;
        writeln!(f, "  after: {}", self.operation)?;
        writeln!(f, "  expected: {}", self.expected)?;
        writeln!(f, "  came: {}", self.came)?;
        writeln!(f, "  operations:")?;
        for operation in &self.operations {
            writeln!(f, "    {operation}")?;
        }
        writeln!(f, "  latest events of that stream:")?;
        for event in &self.events {
            writeln!(f, "    {event}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
