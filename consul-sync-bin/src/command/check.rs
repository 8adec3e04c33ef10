//! `check`: can both sides be reached, and is every right there?

use std::time::Duration;

use super::print;
use crate::{
    check::{Findings, Side},
    exit::Exit,
    settings::Settings,
    wire::{self, Clients},
};

/// Looks at both sides at once and prints what was seen.
///
/// # Errors
/// A setting that cannot be used. What cannot be reached is a finding.
pub(super) async fn check(
    settings: Settings,
    json: bool,
    timeout: Duration,
) -> Result<Exit, String> {
    let clients = Clients::new(&settings)?;
    let (kubernetes, consul) = tokio::join!(
        tokio::time::timeout(
            timeout,
            wire::look_at_kubernetes(&settings, &clients.kubernetes)
        ),
        tokio::time::timeout(timeout, wire::look_at_consul(&settings, &clients)),
    );
    let mut findings = Findings::default();
    for (side, found) in [(Side::Kubernetes, kubernetes), (Side::Consul, consul)] {
        match found {
            Ok(found) => findings.extend(found),
            Err(_) => findings.no_answer(side, timeout),
        }
    }
    if json {
        print(&format!(
            "{}\n",
            findings.json().map_err(|error| error.to_string())?
        ));
    } else {
        print(&findings.text());
    }
    Ok(if findings.is_ok() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
