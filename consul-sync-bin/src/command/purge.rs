//! `purge`: delete what is ours.

use std::time::Duration;

use consul_sync_consul::{ConsulSink, Registration};
use consul_sync_core::{BatchReport, Owner, Plan, Sink};
use tokio::sync::oneshot;

use super::{print, within};
use crate::{
    chain::Chain,
    cluster,
    confirm::{Answer, ask},
    direction::Direction,
    election::Election,
    exit::Exit,
    plan::{Report, render_purge},
    settings::Settings,
    wire::{self, Target},
};

/// Lists, asks and deletes, in each direction that is on.
///
/// # Errors
/// What cannot be used, reached, read or asked.
pub(super) async fn purge(settings: Settings, options: Options) -> Result<Exit, String> {
    let timeout = options.timeout;
    if options.only.is_some() && settings.to_k8s {
        return Err(
            "--only is about what is registered in Consul; give --to-k8s=false with it".to_owned(),
        );
    }
    // With a name for the owner the cluster is not asked: it may be gone for good, which is a reason to purge Consul.
    let mut kubernetes = None;
    if settings.to_k8s || settings.owner.is_none() || settings.lease.is_some() {
        let client = cluster::client(&settings.cluster);
        kubernetes = Some(client.map_err(|error| name_the_owner(&settings, error))?.0);
    }
    let owner = match (&settings.owner, &kubernetes) {
        (None, Some(client)) => within(timeout, wire::owner(&settings, client))
            .await
            .map_err(|error| name_the_owner(&settings, error))?,
        (Some(owner), _) => owner.clone(),
        (None, None) => return Err("no owner is known".to_owned()),
    };
    let mut done = true;
    if settings.to_consul {
        let cluster = kubernetes.as_ref();
        let election = wire::election(&settings, &owner, Direction::ToConsul, cluster)?;
        let consul = wire::consul(&settings)?;
        let target = wire::consul_target(&settings, &consul, &owner, false, election);
        let plan = options.plan(&target).await?;
        let plan = options.narrow(&target.sink, plan).await?;
        done &= options.purge(&target, &owner, plan).await?;
    }
    if let Some(client) = kubernetes.filter(|_| settings.to_k8s) {
        let election = wire::election(&settings, &owner, Direction::ToK8s, Some(&client))?;
        let target = wire::kubernetes_target(&settings, &client, &owner, election)?;
        let plan = options.plan(&target).await?;
        done &= options.purge(&target, &owner, plan).await?;
    }
    Ok(if done { Exit::Done } else { Exit::Failed })
}

/// How it is purged.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// What is nobody's as well.
    pub(super) unowned: bool,
    /// Only what this filter of Consul's selects.
    pub(super) only: Option<String>,
    /// Without asking.
    pub(super) yes: bool,
    /// How long reading may take.
    pub(super) timeout: Duration,
}

impl Options {
    async fn plan<K: Sink>(&self, target: &Target<K>) -> Result<Plan<K::Record>, String> {
        let plan = consul_sync_core::purge_plan(&target.sink, self.unowned);
        within(self.timeout, plan).await
    }

    /// The part of the plan that the filter selects. What is deleted carries the version that was read before, so what
    /// changes in between stays.
    async fn narrow(
        &self,
        sink: &ConsulSink,
        mut plan: Plan<Registration>,
    ) -> Result<Plan<Registration>, String> {
        if let Some(expression) = &self.only {
            let selected = consul_sync_consul::selected(sink, expression);
            let selected = within(self.timeout, selected)
                .await
                .map_err(|error| format!("--only: {error}"))?;
            plan.ops
                .retain(|op| selected.contains(&(op.slot.clone(), op.id().to_string())));
        }
        Ok(plan)
    }

    /// Purges one target, and answers whether nothing is left of what was found.
    async fn purge<K: Sink>(
        &self,
        target: &Target<K>,
        owner: &Owner,
        plan: Plan<K::Record>,
    ) -> Result<bool, String> {
        let sink = &target.sink;
        let report = Report::new(&plan, owner.as_str(), target);
        print(&render_purge(&report));
        let count = plan.ops.len();
        if count == 0 {
            return Ok(true);
        }
        if !self.yes {
            let question = format!("Delete {count} {}s?", target.direction.record());
            match ask(&question).map_err(|error| format!("cannot ask: {error}"))? {
                Answer::Yes => {}
                Answer::No => {
                    print("Nothing was deleted.\n");
                    return Ok(false);
                }
                Answer::Nobody => {
                    return Err("nobody is there to ask; --yes deletes without asking".to_owned());
                }
            }
        }
        let done = leading(
            target.election.as_ref(),
            self.timeout,
            consul_sync_core::carry_out(sink, plan),
        )
        .await?
        .map_err(|error| {
            format!(
                "{}; what was deleted before stays deleted, run purge again for the rest",
                Chain(&error)
            )
        })?;
        print(&format!("{}\n", outcome(&done)));
        Ok(done.deleted == count)
    }
}

/// Does something while this process leads, where there is an election.
async fn leading<T>(
    election: Option<&Election>,
    timeout: Duration,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    let Some(election) = election else {
        return Ok(work.await);
    };
    let (done, over) = oneshot::channel::<()>();
    let mut gate = election.gate();
    let working = async {
        let leads = tokio::time::timeout(timeout, gate.wait_for(|is_open| *is_open));
        // What is seen borrows the gate, which must not be held while working.
        let leads = leads.await.is_ok_and(|seen| seen.is_ok());
        let result = if leads {
            Ok(work.await)
        } else {
            Err(format!(
                "{election} is not had within {}: {}; stop run, or give more time with --timeout",
                humantime::format_duration(timeout),
                election.state()
            ))
        };
        drop(done);
        result
    };
    let hand_over = async {
        let _ = over.await;
    };
    let (result, ()) = tokio::join!(working, election.run(hand_over));
    result
}

/// What is in Kubernetes cannot be deleted without it.
fn name_the_owner(settings: &Settings, error: String) -> String {
    if settings.to_k8s {
        return error;
    }
    with_owner(error)
}

fn with_owner(error: String) -> String {
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
        assert!(with_owner("no answer".to_owned()).ends_with("give its mark with --owner"));
        assert_eq!(
            with_owner("x, or name --owner".to_owned()),
            "x, or name --owner"
        );
    }
}
