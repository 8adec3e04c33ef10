//! Settings that export less than before: the catalog asks a person.

use crate::{
    catalog::Catalog,
    program::{Program, run},
    servers::{Servers, scenarios},
    until::until,
    world::World,
};

scenarios! {
    fault_k20_a_selector_that_exports_less_waits_for_a_person
    fault_k20_a_namespace_that_is_denied_waits_for_a_person
}

async fn fault_k20_a_selector_that_exports_less_waits_for_a_person(servers: &Servers) {
    narrowed(servers, &["--service-selector", "team=a"]).await;
}

async fn fault_k20_a_namespace_that_is_denied_waits_for_a_person(servers: &Servers) {
    narrowed(servers, &["--deny-namespace", "default"]).await;
}

/// The program is restarted with settings that export nothing of what it registered.
async fn narrowed(servers: &Servers, narrower: &[&str]) {
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let names: Vec<String> = (1..=20).map(|n| format!("10.1.0.{n}")).collect();
    let mut addresses: Vec<&str> = names.iter().map(String::as_str).collect();
    addresses.sort_unstable();
    world.web("web", &addresses).await;
    let mut program = Program::ready(servers, &[]).await;
    catalog.until_addresses("web", &addresses).await;
    program.kill();

    let program = Program::start(servers, narrower);
    program.until_logged("brake engaged").await;
    let left = catalog.addresses("web").await.len();
    assert!(left * 100 >= addresses.len() * 85 - 100, "{left} are left");

    // The old settings would have taken nothing away; the new ones are meant, as a person says.
    let listen = program.admin_address().await.to_string();
    let released = run(servers, &["release-brake", "--listen", &listen]).await;
    assert_eq!(released.code, Some(0), "{released:?}");
    catalog.until_addresses("web", &[]).await;
    until(
        "the brake off",
        async || program.metric("consul_sync_brake_engaged").await,
        |engaged| engaged.as_deref() == Some("0"),
    )
    .await;
}
