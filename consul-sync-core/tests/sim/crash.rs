//! A process that is cut at every point at which it waits, and what its successor makes of it.
//!
//! | rule | what is done |
//! | --- | --- |
//! | I-C1, I-C2 | cut at every point of a small story: before and after each operation, each answer, each event; then at two points |
//! | I-C3 | the successor is first shown an older state of either side |
//! | I-C4 | the successor starts after one more change, and is told of none |
//! | I-C5 | no record is deleted more often than in the undisturbed run; also over whole stories with many faults |

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    fault::Fault,
    oracle::Place,
    script::{Script, What},
    story::{self, Story, on_paused_clock},
};

/// What the successor of a process that was cut meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Successor {
    /// Both sides as they are.
    Fresh,
    /// Both sides first as they were some time ago.
    Stale,
    /// One more change happened before it starts.
    Late,
}

/// How a run ended.
struct Ran {
    /// Points that were met before the end.
    points: u64,
    deletes: BTreeMap<Place, usize>,
    violations: Vec<String>,
}

/// Runs a story in which the process is cut at these points, each counted from its start.
fn run(script: &Script, cuts: &[u64], successor: Successor) -> Ran {
    on_paused_clock(async {
        let (points, mut met) = watch::channel(0);
        let mut story = Story::new(script, Some(points));
        story.world.lock().faults.are_on = false;
        let mut cuts = cuts.iter();
        story.world.lock().cut = cuts.next().copied();
        for step in &script.steps {
            story.step(step).await;
            let until = Instant::now() + step.pause;
            loop {
                let cut = story.world.lock().cut;
                let cut_now = async {
                    match cut {
                        Some(cut) => met.wait_for(|met| *met >= cut).await.map(|met| *met),
                        None => std::future::pending().await,
                    }
                };
                let met = tokio::select! {
                    biased;
                    met = cut_now => met.unwrap(),
                    () = sleep_until(until) => break,
                };
                story.kill().await;
                story.world.lock().cut = cuts.next().map(|cut| met + cut);
                match successor {
                    Successor::Fresh => {}
                    Successor::Stale => story.world.lock().faults.always(),
                    Successor::Late => break,
                }
                story.start(0);
            }
            if story.process.is_none() && step.what != What::Crash && successor == Successor::Late {
                sleep(Duration::from_millis(100)).await;
            }
        }
        story.world.lock().cut = None;
        let points = *met.borrow();
        story.end().await;
        let mut state = story.world.lock();
        Ran {
            points,
            deletes: std::mem::take(&mut state.catalog.deletes),
            violations: std::mem::take(&mut state.oracle.violations),
        }
    })
}

/// Deletes that the other run does not have.
fn more_deletes(run: &BTreeMap<Place, usize>, calm: &BTreeMap<Place, usize>) -> Vec<String> {
    let more = run
        .iter()
        .filter(|(place, count)| calm.get(place).is_none_or(|calm| *count > calm));
    more.map(|((slot, id), count)| format!("{slot}/{id} {count} times"))
        .collect()
}

fn cut_and_check(script: &Script, calm: &Ran, cuts: &[u64], successor: Successor) {
    let ran = run(script, cuts, successor);
    let what = format!("story {} cut at {cuts:?}, {successor:?}", script.seed);
    assert!(ran.violations.is_empty(), "{what}: {:#?}", ran.violations);
    if successor != Successor::Stale {
        let more = more_deletes(&ran.deletes, &calm.deletes);
        assert!(more.is_empty(), "{what}: I-C5: deleted too often: {more:?}");
    }
}

#[test]
fn a_process_that_is_cut_at_any_point_leaves_what_its_successor_makes_whole() {
    let mut cuts = 0;
    for seed in 1..=5 {
        let script = Script::small(seed);
        let calm = run(&script, &[], Successor::Fresh);
        assert!(calm.violations.is_empty(), "{:#?}", calm.violations);
        for successor in [Successor::Fresh, Successor::Stale, Successor::Late] {
            for cut in 1..=calm.points {
                cut_and_check(&script, &calm, &[cut], successor);
                cuts += 1;
            }
        }
    }
    assert!(cuts > 300, "only {cuts} points were met");
    println!("{cuts} processes cut");
}

#[test]
fn a_process_that_is_cut_while_it_makes_up_for_a_cut_changes_nothing() {
    let script = Script::small(1);
    let calm = run(&script, &[], Successor::Fresh);
    for first in 1..=calm.points {
        // A sixth of all pairs, so that each point of either run is in many.
        for second in (1 + first % 6..=calm.points).step_by(6) {
            cut_and_check(&script, &calm, &[first, second], Successor::Fresh);
        }
    }
}

#[test]
fn faults_cause_no_delete_that_an_undisturbed_run_does_not_have() {
    // What shows another state than the true one leads to other deletes, and so does a create that arrives when it was
    // given up and made again.
    let others = [
        Fault::SourceLies,
        Fault::SourceIsStale,
        Fault::SourceReorders,
        Fault::SinkIsStale,
        Fault::WriteIsAZombie,
        Fault::WriteHangs,
        Fault::WriteDawdles,
    ];
    let wanted = [
        What::Put,
        What::Replace,
        What::Remove,
        What::Collapse,
        What::Crash,
        What::Freeze,
    ];
    for seed in 0..200 {
        let mut script = Script::new(seed);
        script.settings.brake.share = 100;
        script.faults.retain(|fault| !others.contains(fault));
        let begins = script.steps.iter().position(|s| s.what == What::Crash);
        let begins = begins.unwrap_or(0);
        let mut at = 0;
        script.steps.retain(|step| {
            at += 1;
            at <= begins + 1 || wanted.contains(&step.what)
        });
        for step in &mut script.steps {
            step.pause += Duration::from_secs(1);
        }
        let mut calm = script.clone();
        calm.faults.clear();
        let mut at = 0;
        calm.steps.retain(|step| {
            at += 1;
            at <= begins + 1 || !matches!(step.what, What::Crash | What::Freeze)
        });
        let (disturbed, calm) = (story::tell(&script), story::tell(&calm));
        let more = more_deletes(&disturbed.deletes, &calm.deletes);
        assert!(
            more.is_empty(),
            "seed {seed}: I-C5: deleted too often: {more:?}\n{}",
            disturbed.log.join("\n")
        );
    }
}
