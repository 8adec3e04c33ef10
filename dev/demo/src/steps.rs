//! What is done to the cluster, to Consul and to consul-sync, and what must come of it.
//!
//! Each step is a function of the stage that makes one change and answers with the time until Consul had it, or with
//! what is wrong.

mod brake;
mod changes;
mod damage;
mod lookup;
mod restart;

use crate::{report::Report, stage::Stage};

/// After this many the rest would fail as well, each after its full time.
const MAX_FAILURES: usize = 3;

/// Runs every step, in an order in which each builds on those before it. A step that fails does not stop the others,
/// unless it is one of many or leaves no consul-sync running.
pub(crate) async fn run(stage: &mut Stage, report: &mut Report) {
    // A macro, because each step borrows the stage for as long as it runs.
    macro_rules! step {
        ($what:expr, $step:expr) => {
            let outcome = $step.await;
            report.step($what, outcome);
            if report.failures() >= MAX_FAILURES || stage.program.ended().is_some() {
                report.block("the other steps are left out");
                return;
            }
        };
    }

    report.heading("What changes in Kubernetes, and how soon it is in Consul");
    report.block("from the request to the API server until a blocking query on Consul tells of it");
    step!(
        "cart is scaled from 3 pods to 5",
        changes::scale(stage, "cart", 5)
    );
    step!("cart is scaled down to 4", changes::scale(stage, "cart", 4));
    step!(
        "a pod of cart fails its readiness probe: critical",
        changes::readiness(stage, "cart", 0, false)
    );
    step!(
        "the pod is ready again: passing",
        changes::readiness(stage, "cart", 0, true)
    );
    step!(
        "web is annotated with the tags canary and blue",
        changes::tags(stage)
    );
    step!(
        "the load balancer of web gets another address",
        changes::address(stage)
    );
    step!(
        "the annotation of returns is mended: no longer rejected",
        changes::mend(stage)
    );
    step!(
        "a new Service, reviews, with 2 pods",
        changes::create(stage)
    );
    step!("reviews is deleted", changes::delete(stage));

    report.heading("What others do in Consul");
    step!(
        "somebody deregisters an instance of cart: repaired",
        damage::deregister(stage)
    );
    step!(
        "somebody registers an instance of their own in cart, on our node",
        damage::foreign(stage)
    );
    step!(
        "cart is scaled to 5: theirs stays as it was",
        damage::foreign_stays(stage)
    );

    if let Some(server) = stage.dns() {
        report.heading("What an application sees");
        step!(
            "DNS gives the healthy instances of cart",
            lookup::addresses(stage, server)
        );
        step!(
            "DNS gives the chosen port of orders-api",
            lookup::ports(stage, server)
        );
    }

    report.heading("What happens to consul-sync itself");
    step!("kill -9, and it is started again", restart::crash(stage));
    step!(
        "it is stopped (SIGTERM), and deregisters nothing",
        restart::stop(stage)
    );
    step!(
        "the cluster changes meanwhile; consul-sync plan shows what it will do",
        restart::plan(stage)
    );
    step!(
        "it is started again and catches up",
        restart::catch_up(stage)
    );

    report.heading("What keeps an accident small");
    step!("a new Service, archive, with 24 pods", brake::grow(stage));
    step!(
        "archive is deleted: too much at once, the brake holds it",
        brake::engage(stage)
    );
    step!(
        "other changes go on meanwhile: search is scaled to 3",
        changes::scale(stage, "search", 3)
    );
    step!(
        "a person confirms: consul-sync release-brake",
        brake::release(stage)
    );
    step!(
        "somebody else's instance was never touched",
        damage::foreign_is_left(stage)
    );
}
