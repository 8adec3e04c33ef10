//! The Consul sink on real servers.
#![allow(clippy::panic)] // tests and what they share

#[path = "consul_sink/credentials.rs"]
mod credentials;
#[path = "consul_sink/damage.rs"]
mod damage;
#[path = "consul_sink/limits.rs"]
mod limits;
#[path = "consul_sink/node.rs"]
mod node;
#[path = "consul_sink/restart.rs"]
mod restart;
#[path = "consul_sink/round_trip.rs"]
mod round_trip;
#[path = "../../../consul-sync-consul/tests/sink/support.rs"]
mod support;

use std::error::Error;

use consul_sync_consul::{Error as ClientError, TlsSettings};
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
    it_does_what_every_sink_must => super::round_trip::suite;
    what_is_read_back_equals_what_was_written => super::round_trip::round_trip;
    what_consul_refuses_is_refused_before => super::round_trip::refusals;
    every_kind_of_damage_is_shown => super::damage::damage;
    damage_is_repaired_by_the_driver => super::damage::repair;
    fault_c01_a_killed_server_loses_nothing_of_a_listing => super::restart::killed;
    fault_c02_a_restored_snapshot_is_listed_anew => super::restart::restored;
    the_shipped_rights_are_enough_and_each_is_needed => super::credentials::rights;
    fault_c10_a_deleted_token_weakens_what_is_known => super::credentials::revoked;
    fault_g06_only_a_server_that_proves_its_name_is_spoken_to => super::credentials::tls;
    fault_t11_the_node_of_the_agent_is_refused => super::node::agents_node;
    fault_t11_an_agent_that_takes_the_node_is_not_fought => super::node::agent_takes_it;
    fault_t09_a_node_that_somebody_registers_first_stays_theirs => super::node::written_meanwhile;
    fault_o03_of_two_clusters_with_one_id_the_first_holds_it => super::node::two_owners;
    fault_c13_a_server_at_its_limit_of_connections_is_used_all_the_same => super::limits::connections;
    fault_t02_a_server_that_takes_small_bodies_gets_small_bodies => super::limits::bodies;
    random_instances_are_read_back_as_they_were_written => super::round_trip::random;
    a_node_of_thousands_is_listed_whole => super::round_trip::thousands;
    lists_of_ports_are_written_where_the_server_takes_them => super::round_trip::ports;
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

#[test]
fn settings_that_cannot_work_are_refused() {
    let mut both = TlsSettings::default();
    both.client_cert = Some("/nowhere/cert.pem".into());
    let mut settings = consul_sync_consul::ClientSettings::new("https://127.0.0.1");
    settings.tls = both;
    let error = consul_sync_consul::Client::new(settings).err();
    assert!(matches!(error, Some(ClientError::Settings(_))), "{error:?}");
}
