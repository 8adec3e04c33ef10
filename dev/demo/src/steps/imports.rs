//! The other direction: services that are registered in Consul by others, and what comes of them in Kubernetes.

use crate::{
    catalog::Outside,
    error::{Result, ensure},
    imports::{Import, Kind},
    report::{Millis, Shown},
    stage::Stage,
};

/// Services outside of Kubernetes, one a mode: reports keeps the default.
pub(super) const REPORTS: Outside = Outside::new("reports", 1, None);
pub(super) const CACHE: Outside = Outside::new("cache", 2, Some("endpoints"));
pub(super) const QUEUE: Outside = Outside::new("queue", 3, Some("headless"));

/// The second consul-sync starts.
pub(super) async fn start(stage: &mut Stage) -> Result<Shown> {
    let ready = stage.importer.start().await?;
    stage.importer.until_all_is_written().await?;
    let command = stage.importer.command_line();
    let consul = stage.imports().of("consul").await?;
    let of_ours = stage.imports().of("cart").await?;
    ensure(of_ours.is_nothing(), || {
        format!("cart comes from Kubernetes and came back: {of_ours}")
    })?;
    Ok(Shown::done()
        .note(format!("$ {command}"))
        .note(format!("ready after {}; consul is {consul}", Millis(ready)))
        .note("nothing that came from Kubernetes comes back"))
}

/// A service appears, as its mode says.
pub(super) async fn register(
    stage: &mut Stage,
    service: Outside,
    wanted: impl Fn(&Kind) -> bool,
) -> Result<Shown> {
    let count = if service.has_endpoints() { 2 } else { 0 };
    let change = put_all(stage, service, 2);
    until(stage, service, change, |import| {
        import.service.as_ref().is_some_and(&wanted) && import.ready().len() == count
    })
    .await
}

/// As many instances, all passing.
async fn put_all(stage: &Stage, service: Outside, count: u8) -> Result<()> {
    for number in 1..=count {
        stage
            .catalog()
            .register_outside(service, number, true)
            .await?;
    }
    Ok(())
}

/// An instance fails its check, or passes again.
pub(super) async fn health(
    stage: &mut Stage,
    service: Outside,
    number: u8,
    passing: bool,
) -> Result<Shown> {
    let address = service.address(number);
    let change = stage.catalog().register_outside(service, number, passing);
    until(stage, service, change, |import| {
        import.endpoints().get(address.as_str()) == Some(&passing)
    })
    .await
}

/// The last instance fails as well.
pub(super) async fn all_fail(stage: &mut Stage, service: Outside) -> Result<Shown> {
    let change = stage.catalog().register_outside(service, 2, false);
    until(stage, service, change, |import| {
        import.endpoints().len() == 2 && import.ready().is_empty()
    })
    .await
}

/// More instances.
pub(super) async fn scale(stage: &mut Stage, service: Outside, to: u8) -> Result<Shown> {
    let change = put_all(stage, service, to);
    until(stage, service, change, |import| {
        import.ready().len() == usize::from(to)
    })
    .await
}

/// The last instance of a service is deregistered.
pub(super) async fn deregister(stage: &mut Stage, service: Outside) -> Result<Shown> {
    let change = async {
        for number in 1..=2 {
            stage.catalog().deregister_outside(service, number).await?;
        }
        Ok(())
    };
    until(stage, service, change, Import::is_nothing).await
}

async fn until(
    stage: &Stage,
    service: Outside,
    change: impl Future<Output = Result<()>>,
    wanted: impl Fn(&Import) -> bool,
) -> Result<Shown> {
    let took = stage.imports().until(service.name, change, wanted).await?;
    let import = stage.imports().of(service.name).await?;
    Ok(Shown::after(took).note(import.to_string()))
}
