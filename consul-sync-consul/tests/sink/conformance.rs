//! The core's suite for sinks.

use consul_sync_consul::testing::FakeConsul;
use consul_sync_core::testing::conformance;

use super::support::{check, service, sink};

#[tokio::test]
async fn the_consul_sink_does_what_every_sink_must() {
    let consul = FakeConsul::start().await.unwrap();
    let mut services = vec![service("web", 3), service("db", 1), service("Cache", 60)];
    services[0].weight = Some(5);
    services[1].tags = ["k8s".into(), "a \"quoted\" tag".into()].into();
    for (n, instance) in services[2].instances.iter_mut().enumerate() {
        instance.check = Some(check(n % 2 == 0).into());
    }
    conformance::sink(&sink(&consul.url()), &services).await;
}
