//! The end of a story: the faults stop, and the catalog must become what is wanted, and rest.

use std::{collections::BTreeSet, time::Duration};

use consul_sync_core::{Key, Record, Standing, plan};
use tokio::time::{Instant, sleep};

use crate::{
    sink::SimSink,
    source::SimSource,
    story::{Process, Story},
};

/// How long a call or a listing that was under way when the faults stopped may still take.
const UNDER_WAY: Duration = Duration::from_secs(600);
/// How often the end looks.
const LOOK: Duration = Duration::from_secs(2);

/// How ours differ from what is wanted.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Not there, or other than they should be.
    pub(crate) missing: BTreeSet<String>,
    pub(crate) surplus: BTreeSet<String>,
}

impl Story {
    /// What the story ends with.
    pub(crate) async fn end(&mut self) {
        if self.process.is_none() {
            self.start(0);
        }
        let bad: Vec<Key> = {
            let mut state = self.world.lock();
            state.tick();
            state.faults.are_on = false;
            let services = state.truth.services.iter();
            let bad = services.filter(|(_, service)| service.is_none());
            let bad: Vec<Key> = bad.map(|(key, _)| key.clone()).collect();
            for key in &bad {
                state.truth.set(key, None);
            }
            bad
        };
        let said = format!("all is well again; gone for good: {bad:?}");
        self.log.push(said.clone());
        self.world.lock().note(|| said);
        self.world.changed();
        if let Some(process) = &self.process {
            process.thaw();
        }
        // What is under way was sent in worse times.
        let begun = Instant::now();
        sleep(LOOK).await;
        while !self.is_calm() && begun.elapsed() < UNDER_WAY {
            sleep(LOOK).await;
        }
        let is_healthy = self.others_are_served().await
            && self.creates_go_on().await
            && self.converges().await
            && self.stays().await;
        if is_healthy {
            self.restart_writes_nothing().await;
        }
    }

    /// Whether both sides are known and nothing is under way.
    fn is_calm(&self) -> bool {
        let Some(process) = &self.process else {
            return true;
        };
        let status = process.status.borrow();
        let state = self.world.lock();
        let is_idle = state.oracle.under_way.is_empty() && state.requests == 0;
        status.source.complete && status.sink.complete && is_idle
    }

    async fn within(&self, bound: Duration, is_done: impl Fn(&Self) -> bool) -> bool {
        let begun = Instant::now();
        while !is_done(self) {
            if begun.elapsed() > bound {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    fn is_braking(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_braking)
    }

    fn bound(&self) -> Duration {
        self.process.as_ref().map_or(LOOK, |process| process.bound) + LOOK
    }

    /// I-L3: what is refused holds up nothing else. I-L5: nor does the brake.
    async fn others_are_served(&self) -> bool {
        let bound = self.bound();
        if self
            .within(bound, |story| story.difference(true).missing.is_empty())
            .await
        {
            return true;
        }
        let is_braking = self.is_braking();
        let rule = if is_braking {
            "I-L5: the brake keeps something from being written"
        } else {
            "I-L3: something is not written that is not refused"
        };
        self.broke(rule, format!("{:?} after {bound:?}", self.difference(true)));
        false
    }

    /// Nothing is refused any more: all that is wanted is there, though deletes may be held back.
    async fn creates_go_on(&self) -> bool {
        self.world.lock().poison.clear();
        let bound = self.bound();
        let is_done = |story: &Self| story.difference(false).missing.is_empty();
        let is_done = self.within(bound, is_done).await;
        if !is_done {
            let difference = self.difference(false);
            self.broke(
                "I-L1, I-L2: not written",
                format!("{difference:?} after {bound:?}"),
            );
        }
        is_done
    }

    /// I-L1 within the bound of I-L2, and the other half of I-S6: what a person confirms is done, after one word.
    async fn converges(&self) -> bool {
        let bound = self.bound();
        let is_over = |story: &Self| {
            let is_braking = story.is_braking();
            let difference = story.difference(false);
            is_braking || (difference.missing.is_empty() && difference.surplus.is_empty())
        };
        let mut is_done = self.within(bound, is_over).await;
        if let Some(process) = self.process.as_ref().filter(|p| is_done && p.is_braking()) {
            // What was refused is among what a person confirms only when its time has come.
            sleep(bound).await;
            let seen = process.status.borrow().brake.held_deletes;
            {
                let mut state = self.world.lock();
                state.tick();
                state.confirmed(seen);
            }
            process.control.release_brake(seen);
            is_done = self
                .within(bound, |story| story.difference(false).surplus.is_empty())
                .await;
        }
        if !is_done {
            let status = self.process.as_ref().map(|p| p.status.borrow().clone());
            let difference = self.difference(false);
            self.broke(
                "I-L1, I-L2: no convergence",
                format!("{difference:?} after {bound:?}; {status:?}"),
            );
        }
        is_done
    }

    /// I-L1: it stays. I-L6: at rest nothing is written, for longer than any pause; in some stories for an hour.
    async fn stays(&self) -> bool {
        let is_long = self.script.seed.is_multiple_of(512);
        let rest = if is_long {
            Duration::from_secs(3600)
        } else {
            self.bound()
        };
        let writes = self.writes();
        sleep(rest).await;
        let more = self.writes() - writes;
        if more > 0 {
            self.broke("I-L6: writes at rest", more);
        }
        let difference = self.difference(false);
        let has_stayed = difference.missing.is_empty() && difference.surplus.is_empty();
        if !has_stayed {
            self.broke("I-L1: it did not stay", format!("{difference:?}"));
        }
        more == 0 && has_stayed
    }

    /// I-A2 and rule 8: a look finds nothing to do, and neither does a new process.
    async fn restart_writes_nothing(&mut self) {
        self.kill().await;
        let (source, sink) = (SimSource(self.world.clone()), SimSink(self.world.clone()));
        match plan(&source, &sink, &self.script.settings).await {
            Ok(plan) if plan.is_empty() => {}
            Ok(plan) => self.broke("I-A2: a plan is not empty", plan.summary()),
            Err(error) => self.broke("I-A2: no plan", error),
        }
        let writes = self.writes();
        self.start(self.script.seed);
        sleep(Duration::from_secs(20)).await;
        let more = self.writes() - writes;
        if more > 0 {
            self.broke("rule 8: a restart with nothing changed writes", more);
        }
        self.kill().await;
    }

    fn writes(&self) -> u64 {
        self.world.lock().catalog.writes
    }

    fn broke(&self, rule: &str, what: impl std::fmt::Display) {
        self.world.lock().oracle.broke(rule, what);
    }

    /// How ours differ from what is wanted, without what somebody else blocks; without what is refused, and what may
    /// have to wait for that, when asked.
    pub(crate) fn difference(&self, without_refused: bool) -> Difference {
        let mut wanted = self.world.wanted();
        let state = self.world.lock();
        wanted.retain(|(slot, id), _| !state.is_blocked(slot, id));
        if without_refused {
            wanted.retain(|(_, id), _| !state.poison.contains(id));
        }
        let ours = state.catalog.ours();
        let all = state.catalog.all();
        let orphans = all.filter(|(_, held)| held.standing == Standing::Orphan);
        let orphans = orphans.filter(|_| state.deletes_orphans);
        let orphans: Vec<_> = orphans
            .map(|(slot, held)| (slot.clone(), held.record.id()))
            .collect();
        let missing = wanted.iter();
        let missing = missing.filter(|(place, record)| ours.get(place) != Some(record));
        let surplus = ours.keys().chain(&orphans);
        let surplus = surplus.filter(|place| !wanted.contains_key(place));
        let name = |(slot, id): &(_, _)| format!("{slot}/{id}");
        Difference {
            missing: missing.map(|(place, _)| name(place)).collect(),
            surplus: surplus.map(name).collect(),
        }
    }
}
