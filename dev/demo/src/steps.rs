//! What is done to the cluster, to Consul and to consul-sync, and what must come of it.
//!
//! Each step is a function of the stage that makes one change and answers with the time until Consul had it, or with
//! what is wrong.

mod brake;
mod changes;
mod cluster_dns;
mod damage;
mod imports;
mod lookup;
mod restart;

use crate::{imports::Kind, report::Report, stage::Stage};

use self::imports::{CACHE, QUEUE, REPORTS};

/// After this many the rest would fail as well, each after its full time.
const MAX_FAILURES: usize = 3;

/// Runs a step and shows how it went; leaves the function with `false` when the others are not worth running.
///
/// A macro, because each step borrows the stage for as long as it runs.
macro_rules! step {
    ($stage:ident, $report:ident, $what:expr, $step:expr) => {
        let outcome = $step.await;
        $report.step($what, outcome);
        if $report.failures() >= MAX_FAILURES || $stage.has_ended() {
            $report.block("the other steps are left out");
            return false;
        }
    };
}

/// Runs every step, in an order in which each builds on those before it. A step that fails does not stop the others,
/// unless it is one of many or leaves no consul-sync running.
pub(crate) async fn run(stage: &mut Stage, report: &mut Report) {
    let _ = to_consul(stage, report).await
        && accidents(stage, report).await
        && to_kubernetes(stage, report).await;
}

async fn to_consul(stage: &mut Stage, report: &mut Report) -> bool {
    report.heading("What changes in Kubernetes, and how soon it is in Consul");
    report.block("from the request to the API server until a blocking query on Consul tells of it");
    step!(
        stage,
        report,
        "cart is scaled from 3 pods to 5",
        changes::scale(stage, "cart", 5)
    );
    step!(
        stage,
        report,
        "cart is scaled down to 4",
        changes::scale(stage, "cart", 4)
    );
    step!(
        stage,
        report,
        "a pod of cart fails its readiness probe: critical",
        changes::readiness(stage, "cart", 0, false)
    );
    step!(
        stage,
        report,
        "the pod is ready again: passing",
        changes::readiness(stage, "cart", 0, true)
    );
    step!(
        stage,
        report,
        "web is annotated with the tags canary and blue",
        changes::tags(stage)
    );
    step!(
        stage,
        report,
        "the load balancer of web gets another address",
        changes::address(stage)
    );
    step!(
        stage,
        report,
        "the annotation of returns is mended: no longer rejected",
        changes::mend(stage)
    );
    step!(
        stage,
        report,
        "a new Service, reviews, with 2 pods",
        changes::create(stage)
    );
    step!(stage, report, "reviews is deleted", changes::delete(stage));

    report.heading("What others do in Consul");
    step!(
        stage,
        report,
        "somebody deregisters an instance of cart: repaired",
        damage::deregister(stage)
    );
    step!(
        stage,
        report,
        "somebody registers an instance of their own in cart, on our node",
        damage::foreign(stage)
    );
    step!(
        stage,
        report,
        "cart is scaled to 5: theirs stays as it was",
        damage::foreign_stays(stage)
    );

    if let Some(server) = stage.dns() {
        report.heading("What an application sees");
        step!(
            stage,
            report,
            "DNS gives the healthy instances of cart",
            lookup::addresses(stage, server)
        );
        step!(
            stage,
            report,
            "DNS gives the chosen port of orders-api",
            lookup::ports(stage, server)
        );
    }
    true
}

async fn accidents(stage: &mut Stage, report: &mut Report) -> bool {
    report.heading("What happens to consul-sync itself");
    step!(
        stage,
        report,
        "kill -9, and it is started again",
        restart::crash(stage)
    );
    step!(
        stage,
        report,
        "it is stopped (SIGTERM), and deregisters nothing",
        restart::stop(stage)
    );
    step!(
        stage,
        report,
        "the cluster changes meanwhile; consul-sync plan shows what it will do",
        restart::plan(stage)
    );
    step!(
        stage,
        report,
        "it is started again and catches up",
        restart::catch_up(stage)
    );

    report.heading("What keeps an accident small");
    step!(
        stage,
        report,
        "a new Service, archive, with 24 pods",
        brake::grow(stage)
    );
    step!(
        stage,
        report,
        "archive is deleted: too much at once, the brake holds it",
        brake::engage(stage)
    );
    step!(
        stage,
        report,
        "other changes go on meanwhile: search is scaled to 3",
        changes::scale(stage, "search", 3)
    );
    step!(
        stage,
        report,
        "a person confirms: consul-sync release-brake",
        brake::release(stage)
    );
    step!(
        stage,
        report,
        "somebody else's instance was never touched",
        damage::foreign_is_left(stage)
    );
    true
}

async fn to_kubernetes(stage: &mut Stage, report: &mut Report) -> bool {
    report.heading("The other direction: what runs outside, and how soon it is in Kubernetes");
    report.block("from the request to Consul until a watch on the API server tells of it");
    step!(
        stage,
        report,
        "a second consul-sync is started",
        imports::start(stage)
    );
    step!(
        stage,
        report,
        "reports is registered in Consul: an alias, as the incumbent makes it",
        imports::register(stage, REPORTS, |kind| matches!(kind, Kind::Alias(_)))
    );
    step!(
        stage,
        report,
        "cache is registered, mode endpoints: a Service with an address",
        imports::register(stage, CACHE, |kind| matches!(kind, Kind::Address(_)))
    );
    step!(
        stage,
        report,
        "queue is registered, mode headless: a Service without one",
        imports::register(stage, QUEUE, |kind| *kind == Kind::Headless)
    );
    step!(
        stage,
        report,
        "an instance of cache fails its check: not ready",
        imports::health(stage, CACHE, 1, false)
    );
    step!(
        stage,
        report,
        "the other one fails, too: nothing is ready",
        imports::all_fail(stage, CACHE)
    );
    step!(
        stage,
        report,
        "the first one passes again: ready",
        imports::health(stage, CACHE, 1, true)
    );
    step!(
        stage,
        report,
        "cache is scaled to 5",
        imports::scale(stage, CACHE, 5)
    );

    if let Some(server) = stage.cluster_dns() {
        report.heading("What a pod sees that asks the cluster's DNS");
        step!(
            stage,
            report,
            "consul is an alias, and leads to the Consul servers",
            cluster_dns::alias(stage, server, "consul")
        );
        step!(
            stage,
            report,
            "reports is an alias, and leads to its instances",
            cluster_dns::alias(stage, server, REPORTS.name)
        );
        step!(
            stage,
            report,
            "cache has the address of its Service",
            cluster_dns::address(stage, server, CACHE)
        );
        step!(
            stage,
            report,
            "queue has the addresses of its instances",
            cluster_dns::endpoints(stage, server, QUEUE)
        );
    } else {
        report.block("(what a pod sees by DNS is left out: it needs the real servers and CoreDNS, as make servers builds it)");
    }
    step!(
        stage,
        report,
        "queue is deregistered: nothing is left of it",
        imports::deregister(stage, QUEUE)
    );
    true
}
