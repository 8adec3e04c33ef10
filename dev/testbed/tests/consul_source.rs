//! The Consul source on real servers.
#![allow(clippy::panic)] // tests and what they share

#[path = "consul_source/changes.rs"]
mod changes;
#[path = "consul_source/conformance.rs"]
mod conformance;
#[path = "consul_source/outages.rs"]
mod outages;
#[path = "../../../consul-sync-consul/tests/source/support.rs"]
mod support;
#[path = "../../../consul-sync-consul/tests/source/world.rs"]
mod world;

use std::error::Error;

use consul_sync_testbed::{ConsulVersion, Program, Programs};

type Tested = Result<(), Box<dyn Error>>;

/// Runs a test on each version that is built.
macro_rules! on_each_version {
    ($($name:ident => $body:path;)*) => {
        mod on_1_21 { $(
            #[tokio::test]
            async fn $name() -> super::Tested { super::run(consul_sync_testbed::ConsulVersion::V1_21, $body).await }
        )* }
        mod on_1_22 { $(
            #[tokio::test]
            async fn $name() -> super::Tested { super::run(consul_sync_testbed::ConsulVersion::V1_22, $body).await }
        )* }
    };
}

on_each_version! {
    it_does_what_every_source_must => super::conformance::suite;
    every_change_is_told => super::changes::changes;
    every_change_is_told_by_the_queries_of_nodes => super::changes::nodes;
    fault_c01_a_killed_server_takes_nothing_away => super::outages::killed;
    fault_c02_a_restored_snapshot_is_listed_anew => super::outages::restored;
    fault_c09_what_may_not_be_read_is_not_gone => super::outages::hidden;
    fault_c10_a_deleted_token_takes_nothing_away => super::outages::revoked;
    fault_c17_a_name_that_cannot_be_asked_for_is_rejected => super::changes::odd_names;
}

async fn run<F>(version: ConsulVersion, test: fn(ConsulVersion) -> F) -> Tested
where
    F: Future<Output = Tested>,
{
    if !Programs::locate().all_or_skip(&[Program::Consul(version)]) {
        return Ok(());
    }
    test(version).await
}
