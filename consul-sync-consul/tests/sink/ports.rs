//! Lists of named ports.

use std::sync::Arc;

use consul_sync_consul::{
    Client, ClientSettings, Ports,
    testing::{Endpoint, FakeConsul, Fault},
};
use consul_sync_core::{
    Layout, Outcome, Port, Reason, Record, Service, Sink, testing::conformance,
};

use super::support::{NODE, check, creates, planned, service, sink, sink_with_ports, slot, write};

/// A service with two ports, the default one not the first by name.
fn listed(name: &str, count: u8) -> Service {
    let mut service = service(name, count);
    for instance in &mut service.instances {
        let port = |name: &str, number| Port {
            name: name.into(),
            number,
        };
        instance.ports = [port("http", 80), port("admin", 9090)].into();
    }
    service
}

#[tokio::test]
async fn a_sink_with_lists_does_what_every_sink_must() {
    let consul = FakeConsul::start().await.unwrap();
    conformance::sink(
        &sink_with_ports(&consul.url()),
        &[listed("web", 3), service("db", 2)],
    )
    .await;
}

#[tokio::test]
async fn a_list_is_written_by_a_single_registration_and_never_by_a_transaction() {
    let consul = FakeConsul::builder()
        .record_operations()
        .start()
        .await
        .unwrap();
    let sink = sink_with_ports(&consul.url());
    write(&sink, &[listed("web", 2)]).await;
    assert_eq!(consul.requests(Endpoint::Register), 2);
    assert!(consul.operations().is_empty());
    let held = consul.instances(NODE).remove(0);
    assert_eq!(held.port, 0);
    let ports: Vec<(String, i64, bool)> = held
        .ports
        .into_iter()
        .map(|port| (port.name, port.port, port.default))
        .collect();
    assert_eq!(ports.len(), 2);
    assert!(ports.contains(&("http".into(), 80, true)));
    assert!(ports.contains(&("admin".into(), 9090, false)));
    assert_eq!(consul.checks(NODE).len(), 2);

    let mut down = listed("web", 2);
    down.instances[0].check = Some(check(false).into());
    Arc::make_mut(down.instances[1].check.as_mut().unwrap()).scope = "other".into();
    write(&sink, &[down.clone()]).await;
    assert_eq!(consul.checks(NODE).len(), 2);
    assert!(consul.operations().iter().all(|op| op.kind == "check"));
    assert!(planned(&sink, &[down]).await.is_empty());

    // Who no longer wants lists writes the default port in place of them.
    write(&super::support::sink(&consul.url()), &[listed("web", 2)]).await;
    assert!(
        consul
            .instances(NODE)
            .iter()
            .all(|held| held.port == 80 && held.ports.is_empty())
    );
}

#[tokio::test]
async fn an_instance_that_moved_is_stale_and_stays_as_it_is() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink_with_ports(&consul.url());
    write(&sink, &[listed("web", 1)]).await;
    let mut changed = listed("web", 1);
    changed.tags = ["new".into()].into();
    let ops = planned(&sink, &[changed]).await;
    let mut held = consul.instances(NODE).remove(0);
    held.address = "192.0.2.1".into();
    consul.put_instance(held.clone()).unwrap();
    for ops in [&ops[..], &creates(&sink, &listed("web", 1))] {
        assert_eq!(sink.apply(ops).await.unwrap(), [Outcome::Stale]);
    }
    assert_eq!(consul.instances(NODE)[0].address, held.address);
}

#[tokio::test]
async fn a_registration_without_an_answer_is_unknown_and_ends_its_slot() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink_with_ports(&consul.url());
    let mut ops = creates(&sink, &listed("web", 2));
    ops.extend(creates(&sink, &service("db", 1)));
    consul.inject(Fault::new().on(Endpoint::Register).reset_after());
    let outcomes = sink.apply(&ops).await.unwrap();
    assert!(matches!(
        &outcomes[..],
        [
            Outcome::Unknown,
            Outcome::Skipped,
            Outcome::Unknown | Outcome::Written(_)
        ]
    ));
    assert_eq!(
        consul
            .instances(NODE)
            .iter()
            .filter(|i| i.service == "web")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_list_that_consul_would_refuse_is_refused_before() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink_with_ports(&consul.url());
    for (first, second) in [("a", "a"), (" ", "b")] {
        let mut odd = listed("web", 1);
        let port = |name: &str, number| Port {
            name: name.into(),
            number,
        };
        odd.instances[0].ports = [port(first, 80), port(second, 81)].into();
        assert_eq!(sink.place(&odd).unwrap_err().reason(), Reason::InvalidPort);
        assert!(super::support::sink(&consul.url()).place(&odd).is_ok());
    }
}

#[tokio::test]
async fn a_server_without_lists_refuses_each_instance_by_name() {
    let consul = FakeConsul::builder()
        .version("1.21.0")
        .start()
        .await
        .unwrap();
    let sink = sink_with_ports(&consul.url());
    let outcomes = sink
        .apply(&creates(&sink, &listed("web", 1)))
        .await
        .unwrap();
    let [Outcome::Refused(rejection)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert!(
        rejection.message().contains("set ports to never"),
        "{rejection}"
    );
}

#[tokio::test]
async fn auto_writes_lists_where_the_server_takes_them() {
    for (version, takes) in [
        ("1.22.2", true),
        ("1.21.0", false),
        ("1.9.17", false),
        ("2.0.0", true),
    ] {
        let consul = FakeConsul::builder()
            .version(version)
            .start()
            .await
            .unwrap();
        let client = Client::new(ClientSettings::new(consul.url())).unwrap();
        assert_eq!(
            Ports::Auto.decide(&client).await.unwrap(),
            takes,
            "{version}"
        );
        assert!(!Ports::Never.decide(&client).await.unwrap());
        assert!(Ports::Always.decide(&client).await.unwrap());
    }
}

#[tokio::test]
async fn a_list_shows_the_same_port_however_it_is_read() {
    let consul = FakeConsul::start().await.unwrap();
    write(&sink_with_ports(&consul.url()), &[listed("web", 1)]).await;
    let sink = sink(&consul.url());
    let one = sink.read(&[slot("web")]).await.unwrap().remove(0).1;
    let mut many: Vec<_> = (0..60).map(|n| slot(&format!("none-{n}"))).collect();
    many.push(slot("web"));
    let listed = sink.read(&many).await.unwrap().remove(60).1;
    assert_eq!(one.records[0].record, listed.records[0].record);
    assert_eq!(one.records[0].record.port(), 80);
    let fields = one.records[0].record.fields();
    let ports = fields.iter().find(|(name, _)| name == "ports");
    assert_eq!(ports.unwrap().1, "admin=9090, http=80");
}
