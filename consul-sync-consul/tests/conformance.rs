//! The core's suite for sinks, on the in-process catalog.
#![allow(clippy::unwrap_used)] // a test file as a whole

use consul_sync_consul::{Client, ClientSettings, ConsulSink, SinkSettings, testing::FakeConsul};
use consul_sync_core::{
    Address, Check, Instance, Key, Owner, Service, ServiceName, Status, testing::conformance,
};

fn sink(url: &str) -> ConsulSink {
    let client = Client::new(ClientSettings::new(url)).unwrap();
    ConsulSink::new(client, SinkSettings::new(Owner::new("cluster-a").unwrap()))
}

fn services() -> Vec<Service> {
    let mut services = Vec::new();
    for (name, count) in [("web", 3_u8), ("db", 1), ("Cache", 60)] {
        let mut service = Service::new(Key::new("ns", name), ServiceName::new(name).unwrap());
        service.tags = ["k8s".into(), "a \"quoted\" tag".into()].into();
        service.meta = [("external-source", "kubernetes"), ("external-k8s-ns", "ns")]
            .into_iter()
            .collect();
        service.weight = (count == 3).then_some(5);
        for n in 1..=count {
            let mut instance =
                Instance::new(Address::Ip([10, 0, 0, n].into())).port("http", 8000 + u16::from(n));
            instance.meta = [("external-k8s-ref-name", format!("pod-{n}"))]
                .into_iter()
                .collect();
            instance.check = (count != 1).then(|| Check {
                scope: "ns".into(),
                name: "Kubernetes Readiness Check".into(),
                kind: "kubernetes-readiness".into(),
                status: if n % 2 == 0 {
                    Status::Critical
                } else {
                    Status::Passing
                },
                output: "Kubernetes health checks\npassing".into(),
            });
            service.instances.push(instance);
        }
        services.push(service);
    }
    services
}

#[tokio::test]
async fn the_consul_sink_does_what_every_sink_must() {
    let consul = FakeConsul::start().await.unwrap();
    conformance::sink(&sink(&consul.url()), &services()).await;
}
