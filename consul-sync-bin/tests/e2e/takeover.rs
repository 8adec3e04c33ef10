//! A catalog that the incumbent wrote is taken over with every instance there at every moment, and goes back.
//!
//! The registrations are its own, field by field, written by the requests that it sends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use consul_sync_consul::OWNER_META;
use consul_sync_testbed::{Client, ConsulVersion};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    catalog::{Catalog, NODE},
    objects::{service, services, slice, slices},
    program::{Program, run},
    servers::{Kind, Servers, scenarios},
    until::until,
};

scenarios! {
    the_incumbents_catalog_is_taken_over_with_nothing_absent_for_a_moment_and_goes_back
}

/// As the incumbent's chart has it, but for the suffix.
const AS_INCUMBENT: [&str; 2] = ["--tag=k8s", "--node-ports=external-first"];

const WEB_1: &str = "web-b5f12cb3f615";
const WEB_2: &str = "web-756e1c2a8342";
const EDGE: &str = "edge-27afd4a5d322";

/// A ClusterIP Service with a pod that is ready and one that is not, and a LoadBalancer.
async fn cluster(client: &Client) {
    let create = async |path: &str, object: &Value| {
        client.post(path, object).await.unwrap().success().unwrap();
    };
    create(&services("default"), &service("web", 8080)).await;
    let mut pods = slice("web", 8080, [("10.1.0.1", true), ("10.1.0.2", false)]);
    for (at, pod) in ["web-0", "web-1"].into_iter().enumerate() {
        pods["endpoints"][at]["targetRef"] =
            json!({ "kind": "Pod", "namespace": "default", "name": pod });
        pods["endpoints"][at]["nodeName"] = json!("node-1");
        pods["endpoints"][at]["zone"] = json!("zone-a");
    }
    create(&slices("default"), &pods).await;
    let edge = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "edge" },
        "spec": { "type": "LoadBalancer", "ports": [{ "name": "https", "port": 443 }] },
    });
    create(&services("default"), &edge).await;
    let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.10" }] } } });
    client
        .merge(&format!("{}/edge/status", services("default")), &status)
        .await
        .unwrap()
        .success()
        .unwrap();
}

/// What the incumbent registers for that.
fn registrations(has_ports: bool) -> Vec<Value> {
    let pod = |id: &str, address: &str, name: &str, is_ready: bool| {
        let mut service = json!({
            "ID": id, "Service": "web", "Tags": ["k8s"], "Address": address,
            "Meta": {
                "external-source": "kubernetes", "external-k8s-ns": "default", "port-http": "80",
                "external-k8s-ref-kind": "Pod", "external-k8s-ref-name": name,
                "external-k8s-node-name": "node-1", "external-k8s-topology-zone": "zone-a",
            },
        });
        // Newer ones write the list alone, which older servers refuse.
        if has_ports {
            service["Ports"] = json!([{ "Name": "http", "Port": 8080, "Default": true }]);
        } else {
            service["Port"] = json!(8080);
        }
        let (status, output) = if is_ready {
            ("passing", "Kubernetes health checks passing")
        } else {
            ("critical", "Kubernetes health checks failing")
        };
        json!({
            "Node": NODE, "Address": "127.0.0.1", "NodeMeta": { "external-source": "kubernetes" },
            "SkipNodeUpdate": true,
            "Service": service,
            "Check": {
                "Node": NODE, "CheckID": format!("default/{id}"), "Name": "Kubernetes Readiness Check",
                "Type": "kubernetes-readiness", "ServiceID": id, "Status": status, "Output": output,
            },
        })
    };
    let edge = json!({
        "Node": NODE, "Address": "127.0.0.1", "NodeMeta": { "external-source": "kubernetes" },
        "SkipNodeUpdate": true,
        "Service": {
            "ID": EDGE, "Service": "edge", "Tags": ["k8s"], "Address": "192.0.2.10", "Port": 443,
            "Meta": { "external-source": "kubernetes", "external-k8s-ns": "default", "port-https": "443" },
        },
    });
    vec![
        pod(WEB_1, "10.1.0.1", "web-0", true),
        pod(WEB_2, "10.1.0.2", "web-1", false),
        edge,
    ]
}

/// One round of the incumbent: everything is registered again.
async fn incumbent(catalog: &Catalog<'_>, has_ports: bool) {
    for registration in registrations(has_ports) {
        catalog.register(&registration).await;
    }
}

/// Somebody who asks for the services all the time, and notes what is missing.
struct Probe {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Probe {
    fn start(client: Client) -> Self {
        let (stop, looks) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let task = tokio::spawn({
            let (stop, looks) = (Arc::clone(&stop), Arc::clone(&looks));
            async move {
                let mut missed = Vec::new();
                let ids = async |path: &str| -> BTreeSet<String> {
                    let answer = client.get(path).await.unwrap().json().unwrap();
                    let all = answer.as_array().cloned().unwrap_or_default();
                    let ids = all.iter().map(|one| &one["Service"]["ID"]);
                    ids.filter_map(|id| id.as_str().map(str::to_owned))
                        .collect()
                };
                while !stop.load(Ordering::Relaxed) {
                    for (path, wanted) in [
                        ("/v1/health/service/web?consistent", &[WEB_1, WEB_2][..]),
                        ("/v1/health/service/web?consistent&passing", &[WEB_1]),
                        ("/v1/health/service/edge?consistent&passing", &[EDGE]),
                    ] {
                        let wanted: BTreeSet<String> =
                            wanted.iter().map(|id| (*id).to_owned()).collect();
                        let seen = ids(path).await;
                        if seen != wanted {
                            missed.push(format!("{path}: {seen:?}"));
                        }
                    }
                    looks.fetch_add(1, Ordering::Relaxed);
                }
                missed
            }
        });
        Self { stop, looks, task }
    }

    /// Waits for whole looks that began from now on.
    async fn looked(&self) {
        let now = self.looks.load(Ordering::Relaxed);
        until(
            "looks",
            async || self.looks.load(Ordering::Relaxed),
            |looks| *looks > now + 1,
        )
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.task.await.unwrap(), Vec::<String>::new());
    }
}

/// When each instance and check was made: one that was ever absent is a newer one.
async fn made(servers: &Servers) -> BTreeMap<String, Value> {
    let instances = Catalog(&servers.consul).instances().await.into_iter();
    let mut made: BTreeMap<String, Value> = instances
        .map(|(id, instance)| (id, instance["CreateIndex"].clone()))
        .collect();
    let path = format!("/v1/health/node/{NODE}?consistent");
    let checks = servers.consul.get(&path).await.unwrap().json().unwrap();
    for check in checks.as_array().unwrap() {
        let id = format!("check {}", check["CheckID"].as_str().unwrap());
        made.insert(id, check["CreateIndex"].clone());
    }
    made
}

async fn marked(catalog: &Catalog<'_>) -> usize {
    let instances = catalog.instances().await.into_values();
    instances
        .filter(|instance| instance["Meta"][OWNER_META].is_string())
        .count()
}

/// Everything is taken over.
async fn until_marked(catalog: &Catalog<'_>) {
    until(
        "three marks",
        async || marked(catalog).await,
        |marks| *marks == 3,
    )
    .await;
}

async fn the_incumbents_catalog_is_taken_over_with_nothing_absent_for_a_moment_and_goes_back(
    servers: &Servers,
) {
    let catalog = Catalog(&servers.consul);
    let has_ports = match &servers.kind {
        Kind::Embedded { .. } => false,
        Kind::Real(real) => real.1.version() == ConsulVersion::V1_22,
    };
    cluster(&servers.kubernetes).await;
    catalog
        .register(&json!({
            "Node": NODE, "Address": "127.0.0.1", "NodeMeta": { "external-source": "kubernetes" },
        }))
        .await;
    incumbent(&catalog, has_ports).await;
    let before = made(servers).await;
    assert_eq!(
        before.len(),
        5,
        "three instances and two checks: {before:?}"
    );
    let planned = run(servers, &[&["plan"], &AS_INCUMBENT[..]].concat()).await;
    assert!(
        planned.code == Some(2)
            && planned.out.contains("3 to adopt")
            && !planned.out.contains("- "),
        "{planned:?}"
    );
    let probe = Probe::start(servers.consul.clone());
    probe.looked().await;

    let mut program = Program::ready(servers, &AS_INCUMBENT).await;
    until_marked(&catalog).await;
    probe.looked().await;
    assert_eq!(made(servers).await, before, "the same ones, in place");

    program.signal(Signal::TERM);
    assert!(program.ended().await.success(), "{}", program.log());
    assert_eq!(made(servers).await, before, "a stop leaves everything");
    incumbent(&catalog, has_ports).await;
    probe.looked().await;
    assert_eq!(made(servers).await, before, "nothing is doubled");
    assert_eq!(marked(&catalog).await, 0);
    // What it would take for its own and deregister, as it is not in what it registers.
    let wanted: BTreeSet<&str> = [WEB_1, WEB_2, EDGE].into();
    let instances = catalog.instances().await;
    let reaped = instances.iter().filter(|(id, instance)| {
        instance["Meta"]["external-source"] == "kubernetes" && !wanted.contains(id.as_str())
    });
    assert_eq!(reaped.count(), 0, "{instances:?}");

    // And forth again.
    let _program = Program::ready(servers, &AS_INCUMBENT).await;
    until_marked(&catalog).await;
    probe.looked().await;
    assert_eq!(made(servers).await, before);
    probe.end().await;
}
