//! `plan`: what `run` would do.

use std::time::Duration;

use super::{print, within};
use crate::{
    exit::Exit,
    plan::{PLAN, Report, render},
    settings::Settings,
    wire::{self, Clients},
};

/// Plans and prints.
///
/// # Errors
/// What cannot be used, reached or read.
pub(super) async fn plan(
    settings: Settings,
    json: bool,
    timeout: Duration,
) -> Result<Exit, String> {
    let clients = Clients::new(&settings).await?;
    let report = within(timeout, async {
        let owner = wire::owner(&settings, &clients.kubernetes).await?;
        let source = wire::source(&settings, &clients.kubernetes);
        let named_ports = wire::named_ports(&settings, &clients.consul).await?;
        let sink = wire::sink(&settings, &clients.consul, owner.clone(), named_ports, None);
        let plan = consul_sync_core::plan(&source, &sink, &settings.sync).await?;
        Ok(Report::new(&plan, owner.as_str(), sink.node().as_str()))
    })
    .await?;
    if json {
        print(&format!(
            "{}\n",
            report.json().map_err(|error| error.to_string())?
        ));
    } else {
        print(&render(&report, PLAN));
    }
    Ok(if report.is_empty() {
        Exit::Done
    } else {
        Exit::Changes
    })
}
