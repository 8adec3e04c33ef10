//! What an application sees that asks Consul's DNS port.

use std::net::SocketAddr;

use consul_sync_testbed::dns::{self, Kind};

use crate::{
    error::{Result, ensure},
    report::Shown,
    stage::Stage,
};

/// The addresses of a service: healthy instances alone.
pub(super) async fn addresses(stage: &mut Stage, server: SocketAddr) -> Result<Shown> {
    let name = "cart.service.consul";
    let found = dns::ask(server, name, Kind::A).await?.addresses();
    let instances = stage.catalog().some_of("cart").await?;
    let healthy = instances
        .iter()
        .filter(|instance| instance.is_healthy())
        .count();
    let is_healthy = |address: &std::net::IpAddr| {
        let at = format!("{address}:");
        instances
            .iter()
            .any(|instance| instance.is_healthy() && instance.place.starts_with(&at))
    };
    ensure(!found.is_empty() && found.iter().all(is_healthy), || {
        format!("{name} is at {found:?}")
    })?;
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    Ok(Shown::done().note(dig(server, name, "A")).note(format!(
        "{} ({} of {healthy} at random: Consul keeps its UDP answers short)",
        found.join("  "),
        found.len()
    )))
}

/// The ports of a service, at the addresses of its instances.
pub(super) async fn ports(stage: &mut Stage, server: SocketAddr) -> Result<Shown> {
    let name = "orders-api.service.consul";
    let found = dns::ask(server, name, Kind::Srv).await?.places();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let instances = stage.catalog().some_of("orders-api").await?;
    let expected: Vec<_> = instances
        .iter()
        .map(|instance| instance.place.clone())
        .collect();
    ensure(found == expected, || {
        format!("{name} is at {found:?}, and should be at {expected:?}")
    })?;
    Ok(Shown::done()
        .note(dig(server, name, "SRV"))
        .note(found.join("  ")))
}

pub(super) fn dig(server: SocketAddr, name: &str, kind: &str) -> String {
    format!("$ dig @{} -p {} {name} {kind}", server.ip(), server.port())
}
