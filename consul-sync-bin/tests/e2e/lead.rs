//! Who leads, as the programs themselves say.

use crate::{program::Program, servers::Servers, until::until};

/// What runs with nothing said of directions.
pub(crate) const TO_CONSUL: &[&str] = &["to_consul"];
/// Both directions.
pub(crate) const BOTH_WAYS: &[&str] = &["to_consul", "to_k8s"];

/// Waits until a program leads, or does not, in each of these directions.
pub(crate) async fn until_leading(program: &Program, directions: &[&str], wanted: bool) {
    for direction in directions {
        until(
            "the lead",
            async || program.metric_of(direction, "consul_sync_leading").await,
            |seen| seen.as_deref() == Some(if wanted { "1" } else { "0" }),
        )
        .await;
    }
}

/// One that leads, and then one that is ready and does not.
pub(crate) async fn two(
    servers: &Servers,
    arguments: &[&str],
    directions: &[&str],
) -> (Program, Program) {
    let leader = Program::ready(servers, arguments).await;
    until_leading(&leader, directions, true).await;
    let standby = Program::ready(servers, arguments).await;
    standby.until_logged("standing by").await;
    until_leading(&standby, directions, false).await;
    (leader, standby)
}
