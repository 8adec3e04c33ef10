//! What `check` looks at on both sides.

use consul_sync_core::{Finding as Found, Owner};

use super::{Clients, consul_source, consul_target, elect::lock, leftovers, owner, rights};
use crate::{
    check::{Finding, Side, State},
    direction::Direction,
    election::Election,
    settings::Settings,
};

/// What the API server shows: its version and each right.
pub(crate) async fn look_at_kubernetes(settings: &Settings, client: &kube::Client) -> Vec<Finding> {
    let found =
        consul_sync_k8s::preflight_rights(client, &rights(settings, client.default_namespace()))
            .await;
    findings(Side::Kubernetes, found)
}

/// What Consul shows: its version, each right of the directions that are on, and the node.
pub(crate) async fn look_at_consul(settings: &Settings, clients: &Clients) -> Vec<Finding> {
    let known = owner(settings, &clients.kubernetes).await.ok();
    // Only to count what is ours; that the cluster cannot be asked is the other side's finding.
    let Ok(owner) = known.clone().map_or_else(|| Owner::new("unknown"), Ok) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for direction in settings.directions() {
        // It does not run: only the rights that it needs are asked for. Without an owner its key is not known.
        let lock = known
            .as_ref()
            .and_then(|owner| lock(settings, owner, direction).ok().flatten());
        let seen = match direction {
            Direction::ToConsul => look_at_sink(settings, clients, &owner, lock).await,
            Direction::ToK8s => look_at_source(settings, clients, &owner, lock).await,
        };
        // Both directions ask the same server.
        let is_new = |finding: &Found, found: &[Found]| !found.contains(finding);
        for finding in seen {
            if is_new(&finding, &found) {
                found.push(finding);
            }
        }
    }
    findings(Side::Consul, found)
}

async fn look_at_sink(
    settings: &Settings,
    clients: &Clients,
    owner: &Owner,
    lock: Option<consul_sync_consul::Lock>,
) -> Vec<Found> {
    let election = lock.map(Election::Lock);
    let sink = consul_target(settings, &clients.consul, owner, false, election).sink;
    let mut found = consul_sync_consul::preflight(&sink).await;
    if found.iter().all(|found| found.good)
        && let Ok(left) = consul_sync_consul::leftovers(&sink).await
    {
        found.extend(left.iter().map(|left| Found::good(leftovers(&sink, left))));
    }
    found
}

async fn look_at_source(
    settings: &Settings,
    clients: &Clients,
    owner: &Owner,
    lock: Option<consul_sync_consul::Lock>,
) -> Vec<Found> {
    let source = match consul_source(settings, &clients.consul, owner) {
        Ok(source) => source,
        Err(problem) => return vec![Found::bad(problem, "name only owners of other clusters")],
    };
    let mut found = consul_sync_consul::preflight_source(&source).await;
    if let Some(lock) = lock {
        found.extend(consul_sync_consul::preflight_lock(&lock).await);
    }
    found
}

fn findings(side: Side, found: Vec<Found>) -> Vec<Finding> {
    let findings = found.into_iter().map(|found| Finding {
        side,
        state: match (found.good, &found.remedy) {
            (true, None) => State::Ok,
            (true, Some(_)) => State::Warning,
            (false, _) => State::Failed,
        },
        message: found.message,
        fix: found.remedy,
    });
    findings.collect()
}
