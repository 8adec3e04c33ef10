//! Driver, sink and a catalog in which somebody rages: when it stops, everything is as it should be, and stays so.

use std::{collections::BTreeMap, time::Duration};

use consul_sync_consul::testing::{FakeConsul, Fault};
use consul_sync_core::{Driver, Service, SyncStatus, testing::TableSource};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tokio::time::{sleep, timeout};

use super::{
    catalog::instance,
    support::{NODE, check, planned, service, sink},
};

/// How many catalogs are raged in at once.
const CATALOGS: usize = 24;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The source changes a service: name, instances, readiness of the first.
    Put(u8, u8, bool),
    Remove(u8),
    /// Somebody deregisters, changes or adds an instance, or takes or changes a check.
    Deregister(prop::sample::Index),
    Change(prop::sample::Index, i64),
    Orphan(prop::sample::Index),
    Sicken(prop::sample::Index),
    DropNode,
    /// The network or the server fails.
    Fail(u8),
    /// Time passes.
    Rest(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        6 => (0..6_u8, 0..5_u8, any::<bool>()).prop_map(|(n, c, r)| Step::Put(n, c, r)),
        2 => (0..6_u8).prop_map(Step::Remove),
        2 => index().prop_map(Step::Deregister),
        2 => (index(), 1..9_i64).prop_map(|(i, p)| Step::Change(i, p)),
        1 => index().prop_map(Step::Orphan),
        2 => index().prop_map(Step::Sicken),
        1 => Just(Step::DropNode),
        2 => (0..5_u8).prop_map(Step::Fail),
        4 => (0..40_u64).prop_map(Step::Rest),
    ]
}

type Wanted = BTreeMap<u8, Service>;

async fn act(step: &Step, consul: &FakeConsul, source: &TableSource, wanted: &mut Wanted) {
    let pick = |index: &prop::sample::Index| {
        let ours: Vec<_> = consul
            .instances(NODE)
            .into_iter()
            .filter(|i| i.id != "foreign")
            .collect();
        (!ours.is_empty()).then(|| ours[index.index(ours.len())].clone())
    };
    match step {
        Step::Put(name, count, is_ready) => {
            let mut service = service(&format!("svc-{name}"), *count);
            if let Some(first) = service.instances.first_mut() {
                first.check = is_ready.then(|| check(*count % 2 == 0).into());
            }
            source.put(service.clone());
            wanted.insert(*name, service);
        }
        Step::Remove(name) => {
            source.remove(&service(&format!("svc-{name}"), 0).key);
            wanted.remove(name);
        }
        Step::Deregister(index) => {
            if let Some(held) = pick(index) {
                consul.remove_instance(NODE, &held.id);
            }
        }
        Step::Change(index, port) => {
            if let Some(mut held) = pick(index) {
                held.port = *port;
                consul.put_instance(held).unwrap();
            }
        }
        Step::Orphan(index) => {
            if let Some(mut held) = pick(index) {
                held.meta = Some([("external-source".into(), "kubernetes".into())].into());
                consul.put_instance(held).unwrap();
            }
        }
        Step::Sicken(index) => {
            let mut checks = consul.checks(NODE);
            if !checks.is_empty() {
                let mut check = checks.swap_remove(index.index(checks.len()));
                check.status = "critical".into();
                check.output = "by somebody".into();
                consul.put_check(check).unwrap();
            }
        }
        Step::DropNode => {
            consul.remove_node(NODE);
            let _ = consul.put_node(super::catalog::node());
            consul.put_instance(instance("foreign", "svc-0")).unwrap();
        }
        Step::Fail(kind) => {
            let fault = match kind {
                0 => Fault::new().reset_after(),
                1 => Fault::new().reset_before(),
                2 => Fault::new().error_after(500, "rpc error making call: EOF"),
                3 => Fault::new().error_before(500, "No cluster leader"),
                _ => Fault::new().late(Duration::from_millis(30)),
            };
            consul.inject(fault.times(2));
        }
        Step::Rest(time) => sleep(Duration::from_millis(*time)).await,
    }
}

async fn rage(steps: &[Step]) {
    let consul = FakeConsul::start().await.unwrap();
    consul.put_node(super::catalog::node()).unwrap();
    consul.put_instance(instance("foreign", "svc-0")).unwrap();
    let foreign = consul.instance(NODE, "foreign").map(|held| held.address);
    let sink = sink(&consul.url());
    let source = TableSource::default();
    source.put(service("svc-0", 2));
    let mut wanted = Wanted::from([(0, service("svc-0", 2))]);
    let mut settings = consul_sync_core::Settings::default();
    settings.brake.share = 100;
    let driver = Driver::new(source.clone(), sink.clone()).settings(settings);
    let mut status = driver.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(driver.run(async move {
        let _ = stopped.await;
    }));
    for step in steps {
        act(step, &consul, &source, &mut wanted).await;
    }
    consul.clear_faults();

    // It heals: what an engine with fresh eyes would do is nothing.
    let wanted: Vec<Service> = wanted.into_values().collect();
    let healed = async {
        loop {
            let is_ready = status.wait_for(SyncStatus::is_ready).await.is_ok();
            let ops = planned(&sink, &wanted).await;
            if is_ready && ops.is_empty() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), healed)
        .await
        .expect("it heals");
    // And it stays so, without a write, once the driver has seen what others did.
    sleep(Duration::from_millis(1200)).await;
    let writes = consul.writes();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(consul.writes(), writes, "a healed catalog is written again");
    let _ = stop.send(());
    running.await.unwrap();
    assert_eq!(
        consul.instance(NODE, "foreign").map(|held| held.address),
        foreign
    );
    assert_eq!(
        consul.requests(consul_sync_consul::testing::Endpoint::Deregister),
        0
    );
}

/// The catalogs are independent and mostly wait, so they rage side by side. Each failure shows its steps.
#[tokio::test]
async fn whatever_somebody_does_it_heals_and_then_rests() {
    let mut runner = TestRunner::default();
    let stories = prop::collection::vec(any_step(), 5..60);
    let rages = (0..CATALOGS).map(|_| {
        let steps = stories.new_tree(&mut runner).unwrap().current();
        async move {
            let shown = format!("{steps:?}");
            let outcome = tokio::task::spawn_local(async move { rage(&steps).await }).await;
            assert!(outcome.is_ok(), "after these steps: {shown}");
        }
    });
    let rages: Vec<_> = rages.collect();
    tokio::task::LocalSet::new()
        .run_until(futures::future::join_all(rages))
        .await;
}
