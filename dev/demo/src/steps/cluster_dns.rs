//! What a pod sees that asks the cluster's DNS for a service of Consul.

use std::{net::SocketAddr, time::Instant};

use consul_sync_testbed::dns::{self, Answer, Kind};

use crate::{
    catalog::{BOUND, Outside},
    error::{Error, Result, ensure},
    imports::{self, NAMESPACE},
    report::Shown,
    stage::Stage,
};

/// An alias: its target in Consul's domain, and the addresses that Consul answers with.
pub(super) async fn alias(stage: &Stage, server: SocketAddr, service: &str) -> Result<Shown> {
    let consul = stage
        .dns()
        .ok_or_else(|| Error::wrong("this Consul does not answer DNS"))?;
    let target = format!("{service}.service.consul");
    let expected = dns::ask(consul, &target, Kind::A).await?.addresses();
    ensure(!expected.is_empty(), || format!("Consul has no {target}"))?;
    ask(server, service, |answer| {
        answer.targets() == [target.as_str()] && answer.addresses() == expected
    })
    .await
}

/// A Service with an address: that one.
pub(super) async fn address(stage: &Stage, server: SocketAddr, service: Outside) -> Result<Shown> {
    let import = stage.imports().of(service.name).await?;
    let Some(imports::Kind::Address(expected)) = import.service else {
        return Err(Error::wrong(format!("{} is {import}", service.name)));
    };
    ask(server, service.name, |answer| {
        texts(answer) == [expected.as_str()]
    })
    .await
}

/// A headless Service: the addresses of its ready instances.
pub(super) async fn endpoints(
    stage: &Stage,
    server: SocketAddr,
    service: Outside,
) -> Result<Shown> {
    let import = stage.imports().of(service.name).await?;
    let expected = import.ready();
    ensure(!expected.is_empty(), || {
        format!("{} is {import}", service.name)
    })?;
    ask(server, service.name, |answer| texts(answer) == expected).await
}

/// Asks until the answer is as wanted: the server follows the cluster by a watch of its own.
async fn ask(server: SocketAddr, service: &str, wanted: impl Fn(&Answer) -> bool) -> Result<Shown> {
    let name = format!("{service}.{NAMESPACE}.svc.cluster.local");
    let begun = Instant::now();
    loop {
        let answer = dns::ask(server, &name, Kind::A).await?;
        let found = [answer.targets().join(" "), texts(&answer).join("  ")];
        let found = found.join("  ");
        if wanted(&answer) {
            return Ok(Shown::done()
                .note(super::lookup::dig(server, &name, "A"))
                .note(found.trim_start().to_owned()));
        }
        ensure(begun.elapsed() < BOUND, || format!("{name} is {found:?}"))?;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn texts(answer: &Answer) -> Vec<String> {
    let addresses = answer.addresses();
    addresses.iter().map(ToString::to_string).collect()
}
