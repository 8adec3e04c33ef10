//! A story before it is told: all of it follows from a seed, and any part of it can be left out.

use std::time::Duration;

use consul_sync_core::{BrakeSettings, Orphans, RetrySettings, Settings};

use crate::{fault::Fault, rng::Rng};

/// A story.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// Operations in a batch.
    pub(crate) ops: usize,
    /// Batches under way.
    pub(crate) concurrency: usize,
    pub(crate) settings: Settings,
    /// Addresses of instances, and instances of a service.
    pub(crate) addresses: u64,
    pub(crate) instances: u64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) steps: Vec<Step>,
}

/// One step: what is done, the chance in it, and how long nothing else is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) seed: u64,
    pub(crate) pause: Duration,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    // Before the process starts: what earlier processes and others left.
    Ours,
    Orphan,
    Foreign,
    // The process.
    Crash,
    /// It stands still while the world goes on.
    Freeze,
    /// A person confirms what the brake holds back.
    Confirm,
    // The source.
    Put,
    Replace,
    Remove,
    /// It cannot be used any more.
    Spoil,
    /// Most of it goes.
    Collapse,
    // Others at the sink.
    Lose,
    Change,
    TakeOver,
    /// The mark is taken off what is ours.
    Unmark,
    /// Somebody's becomes nobody's or the reverse.
    PassOn,
    Free,
    /// The sink refuses a record.
    Poison,
    Nothing,
}

/// What can be left behind, and what can be done, with its share.
const BEFORE: [(What, u64); 3] = [(What::Ours, 2), (What::Orphan, 1), (What::Foreign, 1)];
const STEPS: [(What, u64); 19] = [
    (What::Crash, 8),
    (What::Freeze, 3),
    (What::Confirm, 6),
    (What::Put, 16),
    (What::Replace, 16),
    (What::Remove, 8),
    (What::Spoil, 5),
    (What::Collapse, 4),
    (What::Lose, 6),
    (What::Change, 4),
    (What::TakeOver, 2),
    (What::Unmark, 2),
    (What::PassOn, 2),
    (What::Free, 2),
    (What::Ours, 2),
    (What::Orphan, 2),
    (What::Foreign, 3),
    (What::Poison, 5),
    (What::Nothing, 8),
];

impl Script {
    /// The story of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let is_large = rng.chance(30);
        let mut steps = Vec::new();
        for _ in 0..rng.below(8) {
            steps.push(Step::new(&mut rng, &BEFORE, &[0]));
        }
        for _ in 0..rng.below(10) {
            steps.push(Step::new(&mut rng, &[(What::Put, 1)], &[0]));
        }
        steps.push(Step::new(&mut rng, &[(What::Crash, 1)], &[1, 2_000]));
        for _ in 0..4 + rng.below(24) {
            steps.push(Step::new(&mut rng, &STEPS, &[0, 1, 50, 2_000, 40_000]));
        }
        let share = *rng.pick(&[15, 15, 30, 50, 100]).unwrap();
        let floor = *rng.pick(&[0, 1, 2, 5, 10]).unwrap();
        let window = Duration::from_secs(*rng.pick(&[30, 60, 300]).unwrap());
        let max = Duration::from_secs(*rng.pick(&[4, 16, 60]).unwrap());
        let orphans = if rng.chance(20) {
            Orphans::Delete
        } else {
            Orphans::Report
        };
        // Each kind of fault in about half of the stories, and every tenth story without any.
        let some = if rng.chance(10) {
            0
        } else {
            20 + rng.below(70)
        };
        let mut faults = Fault::ALL.to_vec();
        faults.retain(|_| rng.chance(some));
        Self {
            seed,
            ops: 1 + usize::try_from(rng.below(12)).unwrap(),
            concurrency: 1 + usize::try_from(rng.below(3)).unwrap(),
            settings: Settings {
                orphans,
                brake: BrakeSettings {
                    share,
                    floor,
                    window,
                },
                retry: RetrySettings {
                    first: Duration::from_secs(1),
                    max,
                },
                ..Settings::default()
            },
            addresses: if is_large { 60 } else { 12 },
            instances: if is_large { 16 } else { 6 },
            faults,
            steps,
        }
    }

    /// A small story whose only faults are old listings, for those who cut processes.
    pub(crate) fn small(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut steps = Vec::new();
        for _ in 0..3 {
            steps.push(Step::new(&mut rng, &BEFORE, &[0]));
        }
        for _ in 0..3 {
            steps.push(Step::new(&mut rng, &[(What::Put, 1)], &[0]));
        }
        steps.push(Step::new(&mut rng, &[(What::Crash, 1)], &[0]));
        let changes = [(What::Put, 1), (What::Replace, 2), (What::Remove, 1)];
        for _ in 0..3 {
            steps.push(Step::new(&mut rng, &changes, &[0]));
        }
        for step in steps.iter_mut().skip(6) {
            step.pause = Duration::from_secs(1);
        }
        let mut script = Self {
            ops: 2,
            concurrency: 2,
            addresses: 8,
            instances: 4,
            faults: vec![Fault::SourceIsStale, Fault::SinkIsStale],
            steps,
            ..Self::new(seed)
        };
        script.settings.orphans = Orphans::Report;
        script.settings.retry.max = Duration::from_secs(4);
        script.settings.brake.share = 100;
        script
    }

    /// The smallest part of the story that still breaks a rule, as `is_broken` says.
    pub(crate) fn shrink(mut self, is_broken: impl Fn(&Self) -> bool) -> Self {
        loop {
            let before = (self.steps.len(), self.faults.len());
            for at in (0..self.faults.len()).rev() {
                let mut less = self.clone();
                less.faults.remove(at);
                if is_broken(&less) {
                    self = less;
                }
            }
            for at in (0..self.steps.len()).rev() {
                let mut less = self.clone();
                less.steps.remove(at);
                if is_broken(&less) {
                    self = less;
                }
            }
            if (self.steps.len(), self.faults.len()) == before {
                return self;
            }
        }
    }
}

impl Step {
    fn new(rng: &mut Rng, shares: &[(What, u64)], pauses: &[u64]) -> Self {
        let mut left = rng.below(shares.iter().map(|(_, share)| *share).sum());
        let mut what = What::Nothing;
        for (one, share) in shares {
            if left < *share {
                what = *one;
                break;
            }
            left -= share;
        }
        let most = *rng.pick(pauses).unwrap();
        Self {
            what,
            seed: rng.next(),
            pause: Duration::from_millis(rng.below(most + 1)),
        }
    }
}
