//! `plan`: what `run` would do.

use std::time::Duration;

use consul_sync_core::{AdapterError, Owner, Sink, Source};

use super::{print, within};
use crate::{
    exit::Exit,
    plan::{Report, render_plan},
    settings::Settings,
    wire::{self, Clients, Route},
};

/// Plans and prints each direction that is on.
///
/// # Errors
/// What cannot be used, reached or read.
pub(super) async fn plan(
    settings: Settings,
    json: bool,
    timeout: Duration,
) -> Result<Exit, String> {
    let clients = Clients::new(&settings)?;
    let owner = within(timeout, wire::owner(&settings, &clients.kubernetes)).await?;
    let mut reports = Vec::new();
    if settings.to_consul {
        let report = async {
            let named_ports = wire::named_ports(&settings, &clients.consul).await?;
            let target = wire::consul_target(&settings, &clients.consul, &owner, named_ports, None);
            let source = wire::cluster_source(&settings, &clients.kubernetes);
            let route = wire::to_consul(&settings, source, target);
            report(&route, &owner).await
        };
        reports.push(within(timeout, report).await?);
    }
    if settings.to_k8s {
        let target = wire::kubernetes_target(&settings, &clients.kubernetes, &owner, None)?;
        let route = wire::to_k8s(&settings, &clients, target)?;
        reports.push(within(timeout, report(&route, &owner)).await?);
    }
    for (at, report) in reports.iter().enumerate() {
        let text = if json {
            report.json().map_err(|error| error.to_string())? + "\n"
        } else {
            let between = if at > 0 { "\n" } else { "" };
            format!("{between}{}", render_plan(report))
        };
        print(&text);
    }
    Ok(if reports.iter().all(Report::is_empty) {
        Exit::Done
    } else {
        Exit::Changes
    })
}

async fn report<S: Source, K: Sink>(
    route: &Route<S, K>,
    owner: &Owner,
) -> Result<Report, AdapterError> {
    let plan = consul_sync_core::plan(&route.source, &route.target.sink, &route.sync).await?;
    Ok(Report::new(&plan, owner.as_str(), &route.target))
}
