//! The simulation: the real driver and engine between a source and a sink that fail in every way, on a paused clock.
//!
//! A seed makes a story ([`script`]): services come, change and go; streams break off, repeat, reorder, lie, tell old
//! states; writes are lost, cut, shuffled, applied without an answer or long after it was given up; somebody damages the
//! catalog; the process dies or stands still at any moment. Then the faults stop, and the catalog must become what is wanted
//! within the time that the program itself computes, and rest. Each story has some kinds of faults only, and some settings.
//!
//! | rule | what is checked | where |
//! | --- | --- | --- |
//! | I-S1, rule 2 | nothing of somebody else's is written, or is other than they left it, after every operation | `check::check_op`, `check_step` |
//! | I-S2 | what is written is what the process was told last, to the letter | `check::check_batch` |
//! | I-S3, rule 1 | no delete before the source was complete, none of what is wanted | `check::check_delete` |
//! | I-S4 | no delete while the sink was not complete | `check::check_delete` |
//! | I-S6, rule 4 | what remains when everything handed out is done, against the brake's bound | `check::check_batch`, `loss` |
//! | I-S6 the other way | one confirmation is enough | `end::converges` |
//! | I-S7, rule 5 | puts before deletes; no name is emptied that has something live before and after | `check::check_batch`, `check_op` |
//! | rule 6 | no write to a slot after an unclear answer before a read, nor before an answer | `check::check_batch` |
//! | rule 7 | what a rejected service may own stays | `check::check_delete` |
//! | rule 7, rule 8 | what is refused or damaged is not written again without a pause | `oracle::hands_out` |
//! | I-L1, I-L2 | when faults end all is as wanted within `Driver::bound`, and stays | `end::creates_go_on`, `converges`, `stays` |
//! | I-L3, rule 7 | while some records are refused, all others are written within the bound | `end::others_are_served` |
//! | I-L5 | nothing that is wanted is missing while the brake is engaged | `end::others_are_served`, `creates_go_on` |
//! | I-L6 | at rest nothing is written | `end::stays` |
//! | I-A1 | what is ours is what is wanted, what is not is as it was | `end::difference`, `check_step` |
//! | I-A2, rule 8 | then a plan is empty, and a new process writes nothing | `end::restart_writes_nothing` |
//!
//! Crashes at every point (I-C1 to I-C5) are in [`crash`].
//!
//! `SIM_SEEDS=100000 cargo test -p consul-sync-core --all-features --test sim` runs more seeds; `SIM_SEED=42` replays one, made
//! as small as it can be while it breaks the same rule, and with `SIM_TRACE=1` prints all that was told, asked and answered.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod catalog;
mod check;
mod crash;
mod end;
mod fault;
mod knowledge;
mod loss;
mod oracle;
mod rng;
mod script;
mod sink;
mod source;
mod story;
mod stream;
mod world;

use std::time::Instant;

use crate::{script::Script, world::Tally};

/// Seeds of one run, unless the variable `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{variable}={text:?} is not a number"))
    })
}

/// Makes the story of a seed as small as it can be while it breaks the same rule, and shows it.
fn explain(seed: u64) -> String {
    let script = Script::new(seed);
    let told = story::tell(&script);
    let Some(first) = told.violations.first() else {
        return format!("{}\n", told.log.join("\n"));
    };
    let rule = first.split(':').next().unwrap();
    let is_broken = |script: &Script| {
        let told = story::tell(script);
        told.violations.iter().any(|what| what.starts_with(rule))
    };
    let small = script.shrink(is_broken);
    let told = story::tell_and_trace(&small, number("SIM_TRACE").is_some());
    format!(
        "{}\n{}\nops {}, batches {}, {:?}\nfaults {:?}\n{:#?}",
        told.trace.join("\n"),
        told.log.join("\n"),
        small.ops,
        small.concurrency,
        small.settings,
        small.faults,
        told.violations,
    )
}

#[test]
fn every_story_keeps_the_rules_and_ends_well() {
    if let Some(seed) = number("SIM_SEED") {
        let told = story::tell(&Script::new(seed));
        println!("{}", explain(seed));
        assert!(told.violations.is_empty(), "seed {seed}");
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let first = number("SIM_FIRST").unwrap_or(0);
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let run = |offset: u64| -> (Vec<u64>, Tally) {
        let mut failed = Vec::new();
        let mut tally = Tally::default();
        for seed in (first + offset..first + seeds).step_by(threads.try_into().unwrap()) {
            let told = story::tell(&Script::new(seed));
            tally.add(told.tally);
            if let Some(what) = told.violations.first() {
                println!("seed {seed}: {what}");
                failed.push(seed);
                if failed.len() > 2 {
                    break;
                }
            }
        }
        (failed, tally)
    };
    let mut failed = Vec::new();
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|offset| scope.spawn(move || run(offset)))
            .collect();
        for worker in workers {
            let (seeds, other) = worker.join().unwrap();
            failed.extend(seeds);
            tally.add(other);
        }
    });
    let stories = u32::try_from(tally.stories).unwrap();
    let rate = f64::from(stories) / started.elapsed().as_secs_f64();
    println!("{rate:.0} seeds a second; {tally:?}");
    if let Some(seed) = failed.iter().min() {
        panic!(
            "seed {seed} breaks a rule; replay it with SIM_SEED={seed} cargo test -p consul-sync-core --all-features --test sim -- --nocapture\n{}",
            explain(*seed)
        );
    }
}

/// Seeds that once found something, and what it was.
#[test]
fn seeds_that_failed_once_keep_passing() {
    for seed in include_str!("seeds.txt")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        let seed = seed.parse().unwrap();
        let told = story::tell(&Script::new(seed));
        assert!(told.violations.is_empty(), "seed {seed}: {}", explain(seed));
    }
}
