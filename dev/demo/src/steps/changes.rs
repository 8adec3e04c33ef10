//! Changes in Kubernetes.

use serde_json::json;

use crate::{
    catalog::Health,
    error::{Result, ensure},
    report::Shown,
    stage::Stage,
    world::{Exposed, annotation, balanced_at, later},
};

/// Pods come or go.
pub(super) async fn scale(stage: &mut Stage, name: &str, to: usize) -> Result<Shown> {
    let workload = stage.workload(name)?;
    workload.scale(to);
    let workload = workload.clone();
    let addresses: Vec<_> = workload
        .pods()
        .iter()
        .map(|pod| pod.address.to_string())
        .collect();
    let took = stage
        .catalog()
        .until(name, workload.write(stage.cluster()), |instances| {
            let ours = instances
                .iter()
                .filter(|instance| instance.meta.contains_key("external-k8s-ref-name"));
            let places: Vec<_> = ours.map(|instance| instance.place.as_str()).collect();
            places.len() == to
                && addresses
                    .iter()
                    .all(|address| places.iter().any(|place| is_at(place, address)))
        });
    Ok(Shown::after(took.await?))
}

/// A pod becomes ready or not ready.
pub(super) async fn readiness(
    stage: &mut Stage,
    name: &str,
    pod: usize,
    ready: bool,
) -> Result<Shown> {
    let workload = stage.workload(name)?;
    workload.set_ready(pod, ready);
    let workload = workload.clone();
    let address = workload
        .pods()
        .get(pod)
        .map(|pod| pod.address.to_string())
        .unwrap_or_default();
    let health = if ready {
        Health::Passing
    } else {
        Health::Critical
    };
    let took = stage
        .catalog()
        .until(name, workload.write(stage.cluster()), |instances| {
            instances
                .iter()
                .any(|instance| is_at(&instance.place, &address) && instance.health == health)
        });
    Ok(Shown::after(took.await?))
}

/// An annotation adds tags.
pub(super) async fn tags(stage: &mut Stage) -> Result<Shown> {
    let change = annotation("service-tags", "canary,blue");
    let path = stage.path("web")?;
    let took = stage
        .catalog()
        .until("web", stage.cluster().merge(&path, &change), |instances| {
            instances
                .iter()
                .all(|instance| instance.tags == ["k8s", "canary", "blue"])
        });
    Ok(Shown::after(took.await?))
}

/// A load balancer moves, and is never gone in between.
pub(super) async fn address(stage: &mut Stage) -> Result<Shown> {
    let path = format!("{}/status", stage.path("web")?);
    let change = balanced_at(&json!({ "ip": "198.51.100.20" }));
    let mut fewest = usize::MAX;
    let took = stage
        .catalog()
        .until("web", stage.cluster().merge(&path, &change), |instances| {
            fewest = fewest.min(instances.len());
            matches!(instances, [only] if only.place == "198.51.100.20:443")
        });
    let took = took.await?;
    ensure(fewest > 0, || "web was empty for a moment".to_owned())?;
    Ok(Shown::after(took).note("registered before the old one was deregistered: never empty"))
}

/// A mistyped annotation is mended.
pub(super) async fn mend(stage: &mut Stage) -> Result<Shown> {
    let change = annotation("service-port", "http");
    let path = stage.path("returns")?;
    let took = stage.catalog().until(
        "returns",
        stage.cluster().merge(&path, &change),
        |instances| matches!(instances, [only] if only.place == "10.244.6.1:8080"),
    );
    Ok(Shown::after(took.await?))
}

fn reviews() -> Exposed {
    later("reviews", 7, 2)
}

/// A Service is new.
pub(super) async fn create(stage: &mut Stage) -> Result<Shown> {
    let new = reviews();
    let took = stage
        .catalog()
        .until(new.name, new.create(stage.cluster()), |instances| {
            instances.len() == 2
        });
    Ok(Shown::after(took.await?))
}

/// A Service is deleted.
pub(super) async fn delete(stage: &mut Stage) -> Result<Shown> {
    let old = reviews();
    let took = stage
        .catalog()
        .until(old.name, old.delete(stage.cluster()), <[_]>::is_empty);
    Ok(Shown::after(took.await?))
}

fn is_at(place: &str, address: &str) -> bool {
    place
        .rsplit_once(':')
        .is_some_and(|(host, _)| host == address)
}
