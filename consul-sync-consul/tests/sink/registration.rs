//! What a write makes of an instance and its check.

use std::sync::Arc;

use consul_sync_consul::{
    Checks, OWNER_META,
    testing::{Endpoint, FakeConsul},
};
use consul_sync_core::{Action, Op, Sink};

use super::{
    catalog::{instance, node},
    support::{NODE, check, kinds, planned, service, settings, sink, sink_of, write},
};

#[tokio::test]
async fn an_instance_is_registered_to_the_letter() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let mut web = service("web", 1);
    web.weight = Some(7);
    write(&sink, &[web]).await;
    let held = consul.instances(NODE).remove(0);
    assert_eq!(
        (held.id.as_str(), held.service.as_str()),
        ("web-b9fe4d6d03e0", "web")
    );
    assert_eq!((held.address.as_str(), held.port), ("10.0.0.1", 80));
    assert_eq!((held.weights.passing, held.weights.warning), (7, 1));
    let meta = held.meta.unwrap();
    assert_eq!(meta["external-k8s-ref-name"], "pod-1");
    assert_eq!(meta[OWNER_META], "cluster-a");
    let check = consul.checks(NODE).remove(0);
    assert_eq!(check.check_id, "ns/web-b9fe4d6d03e0");
    assert_eq!(check.status, "passing");
    assert_eq!(check.kind, "kubernetes-readiness");
}

#[tokio::test]
async fn a_change_of_readiness_leaves_the_instance_as_it_is() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let before = consul.instances(NODE).remove(0);
    let mut down = service("web", 1);
    down.instances[0].check = Some(check(false).into());
    write(&sink, &[down]).await;
    assert_eq!(consul.instances(NODE), [before]);
    assert_eq!(consul.checks(NODE)[0].status, "critical");
}

#[tokio::test]
async fn a_check_that_is_no_longer_wanted_goes_and_one_of_another_scope_takes_its_place() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let mut moved = service("web", 1);
    Arc::make_mut(moved.instances[0].check.as_mut().unwrap()).scope = "other".into();
    write(&sink, &[moved]).await;
    let scopes = |consul: &FakeConsul| -> Vec<String> {
        let checks = consul.checks(NODE).into_iter();
        checks
            .map(|check| check.check_id.split('/').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(scopes(&consul), ["other"]);
    let mut bare = service("web", 1);
    bare.instances[0].check = None;
    write(&sink, &[bare.clone()]).await;
    assert!(consul.checks(NODE).is_empty());
    assert!(planned(&sink, &[bare]).await.is_empty());
}

#[tokio::test]
async fn with_failing_checks_alone_only_what_is_not_passing_has_one() {
    let consul = FakeConsul::start().await.unwrap();
    let always = sink(&consul.url());
    let mut failing = settings();
    failing.checks = Checks::Failing;
    let failing = sink_of(&consul.url(), |_| (), failing);
    let statuses = |consul: &FakeConsul| -> Vec<String> {
        let checks = consul.checks(NODE).into_iter();
        checks.map(|check| check.status).collect()
    };
    let up = service("web", 2);
    let mut down = service("web", 2);
    down.instances[1].check = Some(check(false).into());

    write(&failing, std::slice::from_ref(&up)).await;
    let before = consul.instances(NODE);
    assert_eq!((before.len(), consul.checks(NODE).len()), (2, 0));
    write(&failing, std::slice::from_ref(&down)).await;
    assert_eq!(statuses(&consul), ["critical"]);
    write(&failing, std::slice::from_ref(&up)).await;
    assert!(consul.checks(NODE).is_empty());
    assert!(
        planned(&failing, std::slice::from_ref(&up))
            .await
            .is_empty()
    );

    // The setting may change either way over a catalog that is in use.
    write(&always, std::slice::from_ref(&down)).await;
    assert_eq!(consul.checks(NODE).len(), 2);
    write(&failing, std::slice::from_ref(&down)).await;
    assert_eq!(statuses(&consul), ["critical"]);
    assert_eq!(
        consul.instances(NODE),
        before,
        "no instance was written anew"
    );
}

#[tokio::test]
async fn what_a_third_party_added_to_an_instance_of_ours_is_taken_away() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let mut held = consul.instances(NODE).remove(0);
    held.kind = "connect-proxy".into();
    held.enable_tag_override = true;
    consul.put_instance(held.clone()).unwrap();
    let mut extra = consul.checks(NODE).remove(0);
    extra.check_id = format!("zz/{}", held.id);
    extra.status = "critical".into();
    consul.put_check(extra).unwrap();
    write(&sink, &[service("web", 1)]).await;
    let after = consul.instances(NODE).remove(0);
    assert!(after.kind.is_empty() && !after.enable_tag_override);
    assert_eq!(consul.checks(NODE).len(), 1);
    assert!(planned(&sink, &[service("web", 1)]).await.is_empty());
}

#[tokio::test]
async fn an_instance_that_nobody_owns_is_adopted_in_place() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    consul.put_node(node()).unwrap();
    let mut held = instance("web-b9fe4d6d03e0", "web");
    held.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_instance(held).unwrap();
    let mut orphan = instance("gone-1", "gone");
    orphan.meta = Some([("external-source".into(), "kubernetes".into())].into());
    consul.put_instance(orphan).unwrap();
    let ops = planned(&sink, &[service("web", 1)]).await;
    assert_eq!(ops.iter().map(Op::verb).collect::<Vec<_>>(), ["adopt"]);
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["written"]);
    let adopted = consul.instance(NODE, "web-b9fe4d6d03e0").unwrap();
    assert_eq!(adopted.meta.unwrap()[OWNER_META], "cluster-a");
    assert_eq!(adopted.address, "10.0.0.1");
    assert!(consul.instance(NODE, "gone-1").is_some());
}

#[tokio::test]
async fn an_update_carries_the_version_that_it_was_planned_from() {
    let consul = FakeConsul::builder()
        .record_operations()
        .start()
        .await
        .unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("web", 1)]).await;
    let index = consul.instances(NODE)[0].modify_index;
    let ops = planned(&sink, &[]).await;
    assert!(matches!(ops[0].action, Action::Delete(_)));
    assert_eq!(kinds(&sink.apply(&ops).await.unwrap()), ["deleted"]);
    let last = consul.operations().pop().unwrap();
    assert_eq!((last.verb.as_str(), last.index), ("delete-cas", index));
    assert_eq!(last.service, "web");
    assert_eq!(consul.requests(Endpoint::Deregister), 0);
}
