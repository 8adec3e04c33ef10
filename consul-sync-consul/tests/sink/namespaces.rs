//! Namespaces of Consul Enterprise, made on demand; on the in-process catalog alone, as every real one needs a license.

use std::sync::Arc;

use consul_sync_consul::{
    ConsulSink, LockSettings, Registration, SinkSettings,
    testing::{Endpoint, FakeConsul, Fault, Namespace},
};
use consul_sync_core::{Action, ErrorKind, Layout, Op, Outcome, Service, Sink};

use super::support::{NODE, Running, kinds, planned, service, settings, sink_of, write};

async fn enterprise() -> FakeConsul {
    FakeConsul::builder().enterprise().start().await.unwrap()
}

/// A sink into namespaces that services name themselves.
fn mirrored(consul: &FakeConsul, change: impl Fn(&mut SinkSettings)) -> ConsulSink {
    let mut settings = settings();
    settings.namespace = Some("default".into());
    settings.all_namespaces = true;
    change(&mut settings);
    sink_of(&consul.url(), |_| (), settings)
}

pub(super) fn service_in(namespace: &str, name: &str, count: u8) -> Service {
    let mut service = service(name, count);
    service.key = consul_sync_core::Key::new(namespace, name);
    service.namespace = Some(namespace.into());
    service
}

/// Creates of all instances of these services.
pub(super) fn creates(sink: &ConsulSink, services: &[Service]) -> Vec<Op<Registration>> {
    let mut ops = Vec::new();
    for service in services {
        let slot = sink.place(service).unwrap();
        let placed = sink.records(&slot, &[Arc::new(service.clone())]);
        ops.extend(placed.records.into_iter().map(|record| Op {
            slot: slot.clone(),
            action: Action::Create(record),
        }));
    }
    ops
}

/// Requests that looked at namespaces, and those that made one.
pub(super) fn asked(consul: &FakeConsul) -> (u64, u64) {
    (
        consul.requests(Endpoint::Namespace),
        consul.requests(Endpoint::NamespaceCreate),
    )
}

pub(super) fn refusal<V: std::fmt::Debug>(outcome: &Outcome<V>) -> String {
    match outcome {
        Outcome::Refused(rejection) => rejection.message().to_owned(),
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn a_namespace_is_made_once_before_the_first_write_into_it() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |settings| {
        settings.namespace_policy = Some("cross-namespace".into());
    });
    let services: Vec<_> = (0..70)
        .map(|n| service_in("shop", &format!("web-{n}"), 2))
        .collect();
    write(&sink, &services).await;
    write(
        &sink,
        &[services, vec![service_in("shop", "more", 1)]].concat(),
    )
    .await;
    assert_eq!(asked(&consul), (1, 1));
    assert!(consul.requests(Endpoint::Txn) > 2);
    assert_eq!(consul.instances_in("shop", NODE).len(), 141);
    let made = consul.namespace("shop").unwrap();
    assert_eq!(made.policies, ["cross-namespace"]);
    let meta: Vec<_> = made.meta.iter().collect();
    assert_eq!(meta, [(&"external-source".into(), &"kubernetes".into())]);
    assert!(made.description.contains("consul-sync"), "{made:?}");
}

#[tokio::test]
async fn without_a_policy_none_is_given() {
    let consul = enterprise().await;
    let mut settings = settings();
    settings.namespace = Some("shop".into());
    let sink = sink_of(&consul.url(), |_| (), settings);
    write(&sink, &[service("web", 1)]).await;
    assert!(consul.namespace("shop").unwrap().policies.is_empty());
    assert_eq!(consul.instances_in("shop", NODE).len(), 1);
}

#[tokio::test]
async fn a_namespace_that_exists_is_never_written() {
    let consul = enterprise().await;
    let theirs = Namespace {
        name: "shop".into(),
        description: "of the shop".into(),
        policies: vec!["theirs".into()],
        ..Namespace::default()
    };
    consul.put_namespace(theirs).unwrap();
    let before = consul.namespace("shop").unwrap();
    let sink = mirrored(&consul, |settings| {
        settings.namespace_policy = Some("ours".into());
    });
    write(&sink, &[service_in("shop", "web", 1)]).await;
    assert_eq!(consul.namespace("shop").unwrap(), before);
    assert_eq!(asked(&consul), (1, 0));
}

#[tokio::test]
async fn the_default_namespace_costs_no_request() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |_| ());
    write(&sink, &[service("web", 1), service_in("default", "db", 1)]).await;
    assert_eq!(consul.instances(NODE).len(), 2);
    assert_eq!(asked(&consul), (0, 0));
}

#[tokio::test]
async fn deletes_and_refused_creation_make_no_namespace() {
    let consul = enterprise().await;
    let maker = mirrored(&consul, |_| ());
    write(&maker, &[service_in("shop", "web", 2)]).await;
    // Another process, which knows nothing yet, has only deletes.
    let other = mirrored(&consul, |_| ());
    write(&other, &[]).await;
    assert!(consul.instances_in("shop", NODE).is_empty());
    assert_eq!(asked(&consul), (1, 1));

    let off = mirrored(&consul, |settings| settings.create_namespaces = false);
    let ops = creates(&off, &[service_in("bank", "web", 1)]);
    let outcomes = off.apply(&ops).await.unwrap();
    assert!(refusal(&outcomes[0]).contains("does not exist"));
    assert_eq!(asked(&consul), (1, 1));
    assert_eq!(consul.namespace("bank"), None);
}

#[tokio::test]
async fn a_transient_failure_ends_the_batch_and_loses_nothing() {
    let lost = || Fault::new().on(Endpoint::NamespaceCreate);
    for (fault, is_made) in [
        (lost().error_before(429, "rate limit exceeded"), false),
        (lost().error_before(500, "No cluster leader"), false),
        (lost().reset_before(), false),
        (lost().reset_after(), true),
        (lost().error_after(500, "rpc error making call: EOF"), true),
    ] {
        let consul = enterprise().await;
        let sink = mirrored(&consul, |_| ());
        consul.inject(fault.times(1));
        let ops = creates(&sink, &[service_in("shop", "web", 2)]);
        let error = sink.apply(&ops).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(consul.namespace("shop").is_some(), is_made);
        assert_eq!(consul.requests(Endpoint::Txn), 0);
        assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["written"; 2]);
    }
    // A driver comes back to it by itself.
    let consul = enterprise().await;
    consul.inject(
        Fault::new()
            .on(Endpoint::Namespace)
            .error_before(503, "")
            .times(4),
    );
    let sink = mirrored(&consul, |_| ());
    let mut running = Running::start(sink, &[service_in("shop", "web", 2), service("db", 1)]);
    running.until_owned(3).await;
    running.stop().await;
    assert_eq!(consul.instances_in("shop", NODE).len(), 2);
}

#[tokio::test]
async fn what_will_never_be_made_does_not_stop_the_others() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |settings| {
        settings.namespace_policy = Some("gone".into());
    });
    let text = "No such ACL policy with name \"gone\"";
    consul.inject(
        Fault::new()
            .on(Endpoint::NamespaceCreate)
            .error_before(500, text),
    );
    let ops = creates(
        &sink,
        &[service_in("shop", "a", 1), service_in("default", "b", 1)],
    );
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(kinds(&outcomes), ["refused", "written"]);
    assert!(refusal(&outcomes[0]).contains(text));
}

#[tokio::test]
async fn a_namespace_that_somebody_deletes_is_made_anew() {
    for fault in [
        None,
        // As a registration outside a transaction is refused (hashicorp/consul#8123).
        Some(Fault::new().error_before(
            500,
            "rpc error making call: Namespace \"shop\" does not exist",
        )),
    ] {
        let consul = enterprise().await;
        let sink = mirrored(&consul, |_| ());
        let all = [service_in("shop", "web", 2), service("db", 1)];
        write(&sink, &all[..1]).await;
        consul.remove_namespace("shop");
        assert!(consul.instances_in("shop", NODE).is_empty());
        if let Some(fault) = fault {
            consul.inject(fault.on(Endpoint::Txn).times(1));
        }
        let ops = creates(&sink, &all);
        assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["written"; 3]);
        assert_eq!(consul.instances_in("shop", NODE).len(), 2);
        assert_eq!(asked(&consul), (2, 2));
    }
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_waited_for() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |_| ());
    let namespace = Namespace {
        name: "shop".into(),
        ..Namespace::default()
    };
    consul.put_namespace(namespace).unwrap();
    consul.doom_namespace("shop");
    let ops = creates(&sink, &[service_in("shop", "a", 1), service("b", 1)]);
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(kinds(&outcomes), ["refused", "written"]);
    assert!(refusal(&outcomes[0]).contains("being deleted"));
    assert_eq!(asked(&consul), (1, 0));
    consul.remove_namespace("shop");
    assert_eq!(kinds(&sink.apply(&ops[..1]).await.unwrap()), ["written"]);
}

/// Consul that says so again and again is believed at last.
#[tokio::test]
async fn a_namespace_that_never_comes_is_given_up() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |_| ());
    let text = "Namespace \"shop\" does not exist";
    let is_in = |op: &consul_sync_consul::testing::Operation| op.service == "web";
    let judge = move |op: &_| is_in(op).then(|| text.to_owned());
    consul.inject(Fault::new().on(Endpoint::Txn).refuse(judge));
    let ops = creates(&sink, &[service_in("shop", "web", 1), service("db", 1)]);
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(kinds(&outcomes), ["refused", "written"]);
    assert!(refusal(&outcomes[0]).contains(text));
}

#[tokio::test]
async fn two_batches_make_a_namespace_once() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |_| ());
    let one = creates(&sink, &[service_in("shop", "a", 1)]);
    let two = creates(&sink, &[service_in("shop", "b", 1)]);
    let (one, two) = tokio::join!(sink.apply(&one), sink.apply(&two));
    assert_eq!(kinds(&one.unwrap()), ["written"]);
    assert_eq!(kinds(&two.unwrap()), ["written"]);
    assert_eq!(asked(&consul), (1, 1));
}

#[tokio::test]
async fn a_standby_makes_no_namespace() {
    let consul = enterprise().await;
    let client =
        consul_sync_consul::Client::new(consul_sync_consul::ClientSettings::new(consul.url()))
            .unwrap();
    let sink = mirrored(&consul, |settings| {
        let lock =
            consul_sync_consul::Lock::new(client.clone(), LockSettings::new(&settings.owner));
        settings.fence = Some(lock.fence());
    });
    let ops = creates(&sink, &[service_in("shop", "web", 1)]);
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["skipped"]);
    assert_eq!(asked(&consul), (0, 0));
    assert_eq!(consul.namespace("shop"), None);
}

/// The same service, with the same addresses, in two namespaces: two slots, which do not touch each other.
#[tokio::test]
async fn one_name_in_two_namespaces_is_two_services() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |_| ());
    let all = [service_in("shop", "web", 2), service_in("bank", "web", 2)];
    write(&sink, &all).await;
    assert_eq!(planned(&sink, &all).await.len(), 0);
    write(&sink, &all[1..]).await;
    assert!(consul.instances_in("shop", NODE).is_empty());
    assert_eq!(consul.instances_in("bank", NODE).len(), 2);
}

/// Another edition has no namespaces, and says so at the first read.
#[tokio::test]
async fn the_community_edition_is_told_apart() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = mirrored(&consul, |_| ());
    let ops = creates(&sink, &[service_in("shop", "web", 1)]);
    let outcomes = sink.apply(&ops).await.unwrap();
    let why = refusal(&outcomes[0]);
    assert!(why.contains("feature of Consul Enterprise"), "{why}");
}

/// What is registered outside a transaction is in no other case.
#[tokio::test]
async fn a_list_of_ports_has_its_namespace_made_and_made_anew() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |settings| settings.named_ports = true);
    let all = [service_in("shop", "web", 2)];
    write(&sink, &all).await;
    let held = consul.instances_in("shop", NODE);
    assert!(
        held.len() == 2 && held.iter().all(|one| !one.ports.is_empty()),
        "{held:?}"
    );
    assert_eq!(planned(&sink, &all).await.len(), 0);
    assert_eq!(asked(&consul), (1, 1));

    consul.remove_namespace("shop");
    let ops = creates(&sink, &all);
    // The first one finds out, and is looked at anew by the core.
    assert_eq!(kinds(&sink.apply(&ops[..1]).await.unwrap()), ["stale"]);
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["written"; 2]);
    assert_eq!(asked(&consul), (2, 2));
}

/// A token that Consul does not know at all says nothing of one namespace.
#[tokio::test]
async fn an_unknown_token_is_a_failure_of_the_whole_batch() {
    let consul = enterprise().await;
    let sink = mirrored(&consul, |_| ());
    let fault = Fault::new().on(Endpoint::Namespace);
    consul.inject(fault.error_before(403, "ACL not found").times(1));
    let ops = creates(&sink, &[service_in("shop", "web", 1), service("db", 1)]);
    let error = sink.apply(&ops).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["written"; 2]);
}
