//! `purge`: delete what is ours.

use std::time::Duration;

use consul_sync_consul::{Lock, LockState};
use consul_sync_core::BatchReport;
use tokio::sync::oneshot;

use super::{print, within};
use crate::{
    chain::Chain,
    cluster,
    confirm::{Answer, ask},
    exit::Exit,
    plan::{DELETES, Report, render},
    settings::Settings,
    wire,
};

/// Lists, asks, deletes.
///
/// # Errors
/// What cannot be used, reached, read or asked.
pub(super) async fn purge(
    settings: Settings,
    unowned: bool,
    yes: bool,
    timeout: Duration,
) -> Result<Exit, String> {
    let consul = wire::consul(&settings)?;
    // With a name for the owner the cluster is not asked: it may be gone for good, which is a reason to purge.
    let owner = if let Some(owner) = &settings.owner {
        owner.clone()
    } else {
        let (kubernetes, _) = cluster::client(&settings.cluster)
            .await
            .map_err(name_the_owner)?;
        within(timeout, wire::owner(&settings, &kubernetes))
            .await
            .map_err(name_the_owner)?
    };
    let lock = wire::lock(&settings, &owner)?;
    let sink = wire::sink(&settings, &consul, owner.clone(), false, lock.as_ref());
    let plan = within(timeout, consul_sync_core::purge_plan(&sink, unowned)).await?;
    let report = Report::new(&plan, owner.as_str(), sink.node().as_str());
    print(&render(&report, DELETES));
    let count = plan.ops.len();
    if count == 0 {
        return Ok(Exit::Done);
    }
    if !yes {
        match ask(&format!("Delete {count} registrations?"))
            .map_err(|error| format!("cannot ask: {error}"))?
        {
            Answer::Yes => {}
            Answer::No => {
                print("Nothing was deleted.\n");
                return Ok(Exit::Failed);
            }
            Answer::Nobody => {
                return Err("nobody is there to ask; --yes deletes without asking".to_owned());
            }
        }
    }
    let done = leading(
        lock.as_ref(),
        timeout,
        consul_sync_core::carry_out(&sink, plan),
    )
    .await?
    .map_err(|error| {
        format!(
            "{}; what was deleted before stays deleted, run purge again for the rest",
            Chain(&error)
        )
    })?;
    print(&format!("{}\n", outcome(&done)));
    Ok(if done.deleted == count {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Does something while the lock is held, where there is one.
async fn leading<T>(
    lock: Option<&Lock>,
    timeout: Duration,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    let Some(lock) = lock else {
        return Ok(work.await);
    };
    let (done, over) = oneshot::channel::<()>();
    let mut state = lock.state();
    let working = async {
        let leads = tokio::time::timeout(timeout, state.wait_for(LockState::is_leading));
        // What is seen borrows the state, which must not be held while working.
        let leads = leads.await.is_ok_and(|seen| seen.is_ok());
        let result = if leads {
            Ok(work.await)
        } else {
            Err(format!(
                "the lock {} is not had within {}: {}; stop run, or give more time with --timeout",
                lock.key(),
                humantime::format_duration(timeout),
                *state.borrow()
            ))
        };
        drop(done);
        result
    };
    let hand_over = async {
        let _ = over.await;
    };
    let (result, ()) = tokio::join!(working, lock.run(hand_over));
    result
}

fn name_the_owner(error: String) -> String {
    if error.contains("--owner") {
        return error;
    }
    format!("{error}; where the cluster is gone, give its mark with --owner")
}

fn outcome(done: &BatchReport) -> String {
    match done.stale + done.refused + done.skipped + done.unknown {
        0 => format!("{} deleted.", done.deleted),
        left => format!(
            "{} deleted. {left} not deleted, as they changed meanwhile or were refused: stop run and purge again.",
            done.deleted
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_what_to_do() {
        let done = BatchReport {
            deleted: 3,
            stale: 1,
            unknown: 1,
            ..BatchReport::default()
        };
        let text = outcome(&done);
        assert!(
            text.starts_with("3 deleted. 2 not deleted") && text.contains("purge again"),
            "{text}"
        );
    }

    #[test]
    fn a_cluster_that_is_gone_leads_to_the_flag() {
        assert!(name_the_owner("no answer".to_owned()).ends_with("give its mark with --owner"));
        assert_eq!(
            name_the_owner("x, or name --owner".to_owned()),
            "x, or name --owner"
        );
    }
}
