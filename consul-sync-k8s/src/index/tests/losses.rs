//! What is said after a kind was lost, and in listings.

use consul_sync_core::Event;

use super::{
    faults::{bad_service, web},
    *,
};

#[test]
fn fault_k15_a_lost_kind_keeps_what_is_known_and_its_next_listing_says_everything_again() {
    let (mut index, mut reader) = web();
    index.apply(Change::<slim::EndpointSlice>::Lost);
    assert_eq!(index.incomplete(), ["endpointslices"]);
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    // The other kinds go on.
    index.apply(Change::Upserted(service(
        "b",
        6,
        json!({"externalIPs": ["192.0.2.1"]}),
    )));
    assert_eq!(reader.read(&mut index), ["+shop/b"]);
    // A listing of another kind makes nothing whole.
    list(
        &mut index,
        [
            cluster_ip("a"),
            service("b", 6, json!({"externalIPs": ["192.0.2.1"]})),
            cluster_ip("c"),
        ],
    );
    assert_eq!(reader.read(&mut index), ["+shop/c"]);
    index.apply(Change::<slim::EndpointSlice>::RelistDone);
    assert_eq!(
        reader.read(&mut index),
        [] as [String; 0],
        "a listing that did not begin"
    );

    let before = index.work();
    list(&mut index, [slice("a-1", "a", 5, endpoints(&["10.0.0.1"]))]);
    assert_eq!(
        reader.read(&mut index),
        ["<", "+shop/a", "+shop/b", "+shop/c", ">"]
    );
    let after = index.work();
    assert_eq!(
        (after.translations, after.instances),
        (before.translations + 3, before.instances + 2),
        "nothing is kept of what was said, so it is made again"
    );
    assert_eq!(reader.listings, 2);
}

#[test]
fn fault_k15_what_went_while_a_kind_was_lost_is_gone_after_the_next_listing() {
    let (mut index, mut reader) = web();
    index.apply(Change::<slim::Service>::Lost);
    list(&mut index, [cluster_ip("b")]);
    assert_eq!(reader.read(&mut index), ["<", "+shop/b", ">"]);
    assert_eq!(reader.services.len(), 1);
    let mut known = index.records.iter().filter(|(_, record)| record.is_known());
    assert!(known.all(|(key, _)| key.name().as_ref() == "b"));
}

#[test]
fn fault_k15_rejections_are_said_again_after_a_loss() {
    let (mut index, mut reader) = web();
    index.apply(Change::Upserted(bad_service("a", 6)));
    reader.read(&mut index);
    index.apply(Change::<slim::EndpointSlice>::Lost);
    list(&mut index, [slice("a-1", "a", 5, endpoints(&["10.0.0.1"]))]);
    assert_eq!(reader.read(&mut index), ["<", "!shop/a", "+shop/b", ">"]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
}

#[test]
fn a_listing_in_between_keeps_the_knowledge_whole() {
    let (mut index, mut reader) = web();
    index.apply(Change::<slim::EndpointSlice>::RelistStarted);
    assert_eq!(index.incomplete(), [] as [&str; 0]);
    index.apply(Change::Deleted(cluster_ip("b")));
    assert_eq!(reader.read(&mut index), ["-shop/b"]);
}

#[test]
fn after_an_outage_something_is_said_even_when_nothing_changed() {
    let (mut index, mut reader) = web();
    index.apply(Change::<slim::Service>::Recovered);
    let events = index.drain();
    assert!(matches!(events[..], [Event::Upserted(..)]), "{events:?}");
    assert!(index.drain().is_empty(), "once");
    assert!(reader.read(&mut index).is_empty());

    let mut empty = Index::new(Arc::new(ExportSettings::default()));
    for update in [
        Update::from(Change::<slim::Service>::RelistStarted),
        Change::<slim::Service>::RelistDone.into(),
        Change::<slim::EndpointSlice>::RelistStarted.into(),
        Change::<slim::EndpointSlice>::RelistDone.into(),
    ] {
        empty.apply(update);
    }
    empty.drain();
    empty.apply(Change::<slim::EndpointSlice>::Recovered);
    assert_eq!(empty.drain(), [Event::RelistStarted, Event::RelistDone]);
}

#[test]
fn a_sign_of_life_is_of_no_service_that_waits_for_nodes() {
    let nodes_needed = |name| {
        let spec = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
        Change::Upserted(service(name, 2, spec))
    };
    let mut index = Index::new(Arc::new(ExportSettings::default()));
    let mut reader = Reader::default();
    list(&mut index, [cluster_ip("a"), cluster_ip("b")]);
    list(&mut index, [slice("a-1", "a", 1, endpoints(&["10.0.0.1"]))]);
    reader.read(&mut index);
    index.apply(nodes_needed("a"));
    index.apply(Change::<slim::Service>::Recovered);
    assert_eq!(reader.read(&mut index), ["+shop/b"]);
    // What was said of these stays true for the reader, and there is nothing else to say.
    index.apply(nodes_needed("b"));
    index.apply(Change::<slim::Service>::Recovered);
    assert_eq!(reader.read(&mut index), [] as [String; 0]);
    assert_eq!(reader.instances("shop", "a"), ["10.0.0.1 passing"]);
    list(&mut index, [node("n1", 1, "192.0.2.1")]);
    assert_eq!(reader.read(&mut index), ["+shop/a"]);
    assert_eq!(reader.instances("shop", "a"), [] as [String; 0]);
}

#[test]
fn a_sign_of_life_leaves_a_rejected_service_rejected() {
    let (mut index, mut reader) = web();
    for name in ["a", "b"] {
        index.apply(Change::Upserted(bad_service(name, 9)));
    }
    assert_eq!(reader.read(&mut index), ["!shop/a", "!shop/b"]);
    index.apply(Change::<slim::Service>::Recovered);
    assert_eq!(reader.read(&mut index), ["!shop/a"]);
}

#[test]
fn a_listing_in_parts_is_the_whole_listing() {
    let objects = || {
        let mut index = Index::new(Arc::new(lean()));
        list(&mut index, ["a", "b", "c", "d"].map(cluster_ip));
        list(&mut index, [slice("b-1", "b", 1, endpoints(&["10.0.0.1"]))]);
        index
    };
    let whole = objects().drain();
    assert_eq!(whole.len(), 6);
    for (most, parts) in [(1, vec![2, 1, 1, 2]), (3, vec![4, 2]), (4, vec![6])] {
        let mut index = objects();
        let mut heard = Vec::new();
        let mut found = Vec::new();
        loop {
            let events = index.drain_some(most);
            if events.is_empty() {
                break;
            }
            found.push(events.len());
            heard.extend(events);
        }
        assert_eq!((&heard, found), (&whole, parts), "{most} at once");
        // The next one is of everything again.
        index.apply(Change::<slim::Service>::Lost);
        list(&mut index, ["a", "b", "c", "d"].map(cluster_ip));
        assert_eq!(index.drain(), whole);
    }
}
