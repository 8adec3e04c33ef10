//! Two clusters on one node.

use consul_sync_consul::{ConsulSink, testing::FakeConsul};
use consul_sync_core::{Owner, Service, Sink, Standing, SyncStatus};

use super::support::{
    NODE, Running, creates, kinds, planned, service, settings, sink, sink_of, slot, write,
};

/// A sink of another cluster.
fn rival(consul: &FakeConsul) -> ConsulSink {
    let mut settings = settings();
    settings.owner = Owner::new("cluster-b").unwrap();
    sink_of(&consul.url(), |_| (), settings)
}

fn owner(consul: &FakeConsul, id: &str) -> Option<String> {
    let mut meta = consul.instance(NODE, id)?.meta?;
    meta.remove("external-sync-owner")
}

#[tokio::test]
async fn fault_o03_of_two_clusters_with_one_id_the_first_holds_it_and_the_other_leaves_it() {
    let consul = FakeConsul::start().await.unwrap();
    let (ours, theirs) = (sink(&consul.url()), rival(&consul));
    let web = service("web", 1);
    // Both decided to create it before either had.
    let both = [creates(&ours, &web), creates(&theirs, &web)];
    let id = both[0][0].id().to_string();
    assert_eq!(
        both[1][0].id().text(),
        id,
        "the same object has the same ID in every cluster"
    );
    assert_eq!(kinds(&ours.apply(&both[0]).await.unwrap()), ["written"]);
    assert_eq!(kinds(&theirs.apply(&both[1]).await.unwrap()), ["stale"]);
    assert_eq!(owner(&consul, &id).as_deref(), Some("cluster-a"));

    // With fresh eyes the other has nothing to do, whether it wants it or not.
    let held = theirs.read(&[slot("web")]).await.unwrap().remove(0).1;
    assert_eq!(held.records[0].standing, Standing::Foreign);
    assert!(
        planned(&theirs, std::slice::from_ref(&web))
            .await
            .is_empty()
    );
    assert!(planned(&theirs, &[]).await.is_empty());

    // What the first gives up is free.
    write(&ours, &[]).await;
    write(&theirs, &[web]).await;
    assert_eq!(owner(&consul, &id).as_deref(), Some("cluster-b"));
    assert!(planned(&ours, &[]).await.is_empty());
}

#[tokio::test]
async fn fault_o03_two_clusters_that_run_at_once_do_not_fight_over_one_id() {
    let consul = FakeConsul::builder().record_operations().start();
    let consul = consul.await.unwrap();
    let wanted: Vec<Service> = (0..8).map(|n| service(&format!("web-{n}"), 2)).collect();
    let mut ours = Running::start(sink(&consul.url()), &wanted);
    let mut theirs = Running::start(rival(&consul), &wanted);
    let is_settled = |status: &SyncStatus| {
        status.owned + status.blocked == 16 && status.pending_slots == 0 && status.in_flight == 0
    };
    ours.until(is_settled).await;
    theirs.until(is_settled).await;
    // Each instance was created once, by one of them, and nobody touched it again.
    let operations = consul.operations();
    let services = operations.iter().filter(|op| op.kind == "service");
    assert!(
        services
            .clone()
            .all(|op| (op.verb.as_str(), op.index) == ("cas", 0))
    );
    assert_eq!(services.count(), 16);
    let split = [ours.status.borrow().owned, theirs.status.borrow().owned];
    assert_eq!(split.iter().sum::<usize>(), 16, "{split:?}");
    ours.stop().await;
    theirs.stop().await;
}
