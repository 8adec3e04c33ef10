//! Marks and IDs that are not what this version would have written.

use consul_sync_consul::{OWNER_META, testing::FakeConsul};
use consul_sync_core::{Address, Op, Service};

use super::{
    catalog::{instance, node},
    support::{NODE, planned, service, sink, write},
};

#[tokio::test]
async fn fault_p14_what_a_newer_version_marked_is_taken_over_where_wanted_and_never_deleted() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let web = [service("web", 1)];
    write(&sink, &web).await;
    let wanted = consul.instances(NODE).remove(0);
    let newer = |id: &str, name: &str, owner: &str| {
        let mut held = instance(id, name);
        let pairs = [
            ("external-source", "kubernetes"),
            (OWNER_META, owner),
            ("external-sync-format", "2"),
        ];
        held.meta = Some(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        held
    };
    // The wanted one, one that nobody wants, and another cluster's.
    consul
        .put_instance(newer(&wanted.id, "web", "cluster-a"))
        .unwrap();
    consul
        .put_instance(newer("gone-1", "gone", "cluster-a"))
        .unwrap();
    consul
        .put_instance(newer("other-1", "web", "cluster-b"))
        .unwrap();

    let ops = planned(&sink, &web).await;
    let verbs: Vec<_> = ops
        .iter()
        .map(|op| (op.verb(), op.id().to_string()))
        .collect();
    assert_eq!(verbs, [("adopt", wanted.id.clone())]);
    write(&sink, &web).await;
    let now = consul.instance(NODE, &wanted.id).unwrap();
    assert_eq!((now.meta, now.address), (wanted.meta, wanted.address));
    assert!(planned(&sink, &web).await.is_empty(), "and then it rests");
    // With nothing wanted at all, what is ours for certain goes and the rest stays.
    let ops = planned(&sink, &[]).await;
    let verbs: Vec<_> = ops
        .iter()
        .map(|op| (op.verb(), op.id().to_string()))
        .collect();
    assert_eq!(verbs, [("delete", wanted.id)]);
}

/// A service whose two instances have one ID; see the tests beside the layout.
fn colliding(winner: bool) -> Service {
    let mut web = service("web", 2);
    for (instance, address) in web
        .instances
        .iter_mut()
        .zip([[10, 117, 76, 28], [11, 48, 234, 135]])
    {
        instance.address = Address::Ip(address.into());
    }
    if !winner {
        web.instances.remove(0);
    }
    web
}

#[tokio::test]
async fn fault_o06_two_instances_of_one_id_are_written_once_and_swapped_in_place() {
    let consul = FakeConsul::start().await.unwrap();
    consul.put_node(node()).unwrap();
    let sink = sink(&consul.url());
    for (winner, address, verb) in [
        (true, "10.117.76.28", "create"),
        (false, "11.48.234.135", "update"),
        (true, "10.117.76.28", "update"),
    ] {
        let web = [colliding(winner)];
        let ops = planned(&sink, &web).await;
        let verbs: Vec<_> = ops.iter().map(Op::verb).collect();
        assert_eq!(verbs, [verb]);
        write(&sink, &web).await;
        let held = consul.instances(NODE);
        assert_eq!(held.len(), 1);
        assert_eq!(
            (&*held[0].id, &*held[0].address),
            ("web-12052075f21d", address)
        );
        assert!(
            planned(&sink, &web).await.is_empty(),
            "it is not written for ever"
        );
    }
}
