//! The source against the suite for sources, over a cluster in memory.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use consul_sync_core::{
    Key,
    testing::conformance::{self, Disturbance, World},
};
use consul_sync_k8s::{
    ExportSettings, KubeSource, Verb, WatchSettings,
    testing::{FakeApiServer, FakeCluster, Fault, FaultId, On, WatchFault},
};
use serde_json::{Value, json};

use super::told::{slice, without_nodes};

const NAMESPACE: &str = "suite";

/// How a service's addresses come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// They stand in the Service itself: one object.
    ExternalIps,
    /// They stand in two EndpointSlices: three objects.
    Slices,
}

/// A cluster, as the suite changes it.
#[derive(Debug)]
struct Behind {
    cluster: FakeCluster,
    source: KubeSource,
    shape: Shape,
    /// The resource whose rights are withdrawn, and whose listings break off.
    weak: &'static str,
    outage: Vec<FaultId>,
    cut: Vec<FaultId>,
    /// Whether the clock stands still; otherwise there are sockets and real time.
    paused: bool,
}

impl Behind {
    fn new(shape: Shape, weak: &'static str, settings: ExportSettings) -> Self {
        let cluster = FakeCluster::new();
        let source = KubeSource::new(cluster.client(), settings);
        Self::over(cluster, source, shape, weak)
    }

    fn over(cluster: FakeCluster, source: KubeSource, shape: Shape, weak: &'static str) -> Self {
        Self {
            cluster,
            source,
            shape,
            weak,
            outage: Vec::new(),
            cut: Vec::new(),
            paused: true,
        }
    }

    fn streaming(mut self) -> Self {
        self.source = self.source.with_watch_settings(WatchSettings {
            streaming_lists: true,
            ..WatchSettings::default()
        });
        self
    }

    fn service(&self, key: &Key, addresses: &[IpAddr], port: &Value) -> Value {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": NAMESPACE, "name": key.name().as_ref()},
            "spec": {"ports": [{"port": port}]},
        });
        if self.shape == Shape::ExternalIps {
            service["spec"]["externalIPs"] = json!(addresses);
        }
        service
    }

    fn put_slices(&self, key: &Key, addresses: &[IpAddr]) {
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let halves = addresses.split_at(addresses.len() / 2);
        for (part, half) in [("one", halves.0), ("two", halves.1)] {
            let half: Vec<&str> = half.iter().map(String::as_str).collect();
            let mut slice = slice(&format!("{}-{part}", key.name()), key.name(), &half);
            slice["metadata"]["namespace"] = json!(NAMESPACE);
            self.cluster.put(slice);
        }
    }

    fn close(&self) {
        self.cluster.disturb(None, WatchFault::Close);
    }
}

#[async_trait]
impl World for Behind {
    type Source = KubeSource;

    fn source(&self) -> &KubeSource {
        &self.source
    }

    fn key(&self, number: usize) -> Key {
        Key::new(NAMESPACE, format!("s{number}"))
    }

    async fn put(&mut self, key: &Key, addresses: &[IpAddr]) {
        if self.shape == Shape::Slices {
            self.put_slices(key, addresses);
        }
        self.cluster.put(self.service(key, addresses, &json!(80)));
    }

    async fn delete(&mut self, key: &Key) {
        self.cluster.delete("services", NAMESPACE, key.name());
        for part in ["one", "two"] {
            let name = format!("{}-{part}", key.name());
            self.cluster.delete("endpointslices", NAMESPACE, &name);
        }
    }

    async fn spoil(&mut self, key: &Key) -> bool {
        self.cluster
            .put(self.service(key, &[], &json!("no number")));
        true
    }

    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        match disturbance {
            Disturbance::Break => self.cluster.disturb(None, WatchFault::Sever),
            Disturbance::Silence if self.paused => self.cluster.disturb(None, WatchFault::Silence),
            Disturbance::Forget => {
                self.cluster.compact();
                self.close();
            }
            Disturbance::Denied => {
                self.cluster.deny(Verb::List, self.weak);
                self.cluster.deny(Verb::Watch, self.weak);
                self.close();
            }
            Disturbance::Outage => {
                self.outage
                    .push(self.cluster.inject(On::any(), Fault::status(503)));
                self.close();
            }
            Disturbance::Cut => {
                // A listing may be a stream, which is a watch.
                for on in [On::list(self.weak), On::watch(self.weak)] {
                    let fault = self.cluster.inject(on, Fault::Truncate { after: 70 });
                    self.cut.push(fault);
                }
                self.cluster.compact();
                self.close();
            }
            _ => return false,
        }
        true
    }

    async fn end(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Denied => {
                self.cluster.allow(Verb::List, self.weak);
                self.cluster.allow(Verb::Watch, self.weak);
            }
            Disturbance::Outage => self
                .outage
                .drain(..)
                .for_each(|fault| self.cluster.lift(fault)),
            Disturbance::Cut => self
                .cut
                .drain(..)
                .for_each(|fault| self.cluster.lift(fault)),
            _ => {}
        }
    }

    async fn moment(&self) {
        // More than a watch lasts, or a wait.
        let time = if self.paused {
            Duration::from_secs(120)
        } else {
            Duration::from_millis(150)
        };
        tokio::time::sleep(time).await;
    }

    async fn limit(&self) {
        let time = if self.paused { 3600 } else { 60 };
        tokio::time::sleep(Duration::from_secs(time)).await;
    }

    fn open(&self) -> Option<usize> {
        Some(self.cluster.open_watches())
    }

    fn is_atomic(&self) -> bool {
        self.shape == Shape::ExternalIps
    }
}

fn selected() -> ExportSettings {
    ExportSettings {
        source_namespace: Some(NAMESPACE.to_owned()),
        ..without_nodes()
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_one_object_keeps_the_protocol() {
    let mut world = Behind::new(Shape::ExternalIps, "services", without_nodes());
    let report = conformance::source(&mut world, 0..40).await;
    assert!(report.left_out.is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_joined_from_objects_keeps_the_protocol() {
    let mut world = Behind::new(Shape::Slices, "endpointslices", selected());
    let report = conformance::source(&mut world, 100..140).await;
    assert!(report.left_out.is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_with_streaming_lists_keeps_the_protocol() {
    let mut world = Behind::new(Shape::ExternalIps, "endpointslices", selected()).streaming();
    conformance::source(&mut world, 200..220).await;
}

/// How many random histories run over sockets, beside the named cases.
const HISTORIES: &str = "SOURCE_HISTORIES";

#[tokio::test]
async fn a_source_over_sockets_keeps_the_protocol() {
    let server = FakeApiServer::start().await.unwrap();
    let source =
        KubeSource::new(server.client().unwrap(), selected()).with_watch_settings(WatchSettings {
            watch_timeout: Duration::from_secs(2),
            backoff_least: Duration::from_millis(10),
            backoff_most: Duration::from_millis(50),
            ..WatchSettings::default()
        });
    let mut world = Behind::over(server.cluster().clone(), source, Shape::Slices, "services");
    world.paused = false;
    // Each takes seconds of real time.
    let histories = std::env::var(HISTORIES).ok();
    let histories = histories.and_then(|text| text.parse().ok()).unwrap_or(1);
    conformance::source(&mut world, 300..300 + histories).await;
}
