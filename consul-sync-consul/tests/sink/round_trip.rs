//! What is read back is what was written.

use std::sync::Arc;

use consul_sync_consul::testing::FakeConsul;
use consul_sync_core::{Layout, Reason, Record, Sink, Standing};
use proptest::prelude::*;

use super::{
    catalog::{instance, node},
    support::{NODE, check, creates, ids, planned, records, service, sink, slot, write},
};

#[tokio::test]
async fn fault_c16_a_slot_is_read_whole_in_any_case_and_of_our_node_alone() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    write(&sink, &[service("Web", 2)]).await;
    consul.put_instance(instance("theirs", "wEB")).unwrap();
    let mut other = node();
    other.node = "other".into();
    consul.put_node(other).unwrap();
    let mut elsewhere = instance("elsewhere", "web");
    elsewhere.node = "other".into();
    consul.put_instance(elsewhere).unwrap();

    let read = sink.read(&[slot("web"), slot("none")]).await.unwrap();
    let (_, web) = &read[0];
    assert_eq!(web.records.len(), 3);
    assert!(
        web.records
            .is_sorted_by(|a, b| a.record.id() < b.record.id())
    );
    assert!(ids(web).contains(&"theirs".to_owned()));
    let standings: Vec<Standing> = web.records.iter().map(|held| held.standing).collect();
    assert_eq!(
        standings.iter().filter(|s| **s == Standing::Ours).count(),
        2
    );
    assert!(read[1].1.records.is_empty());

    // Many slots are read by one listing, with the same result.
    let mut many: Vec<_> = (0..100).map(|n| slot(&format!("none-{n}"))).collect();
    many.push(slot("web"));
    let read = sink.read(&many).await.unwrap();
    assert_eq!(ids(&read[100].1), ids(web));
    assert!(read[..100].iter().all(|(_, held)| held.records.is_empty()));
}

#[tokio::test]
async fn the_lowest_version_of_two_claims_survives_a_round_trip() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    let mut first = service("web", 2);
    first.instances[1] = first.instances[0].clone().port("x", 0);
    first.instances[1].ports = [consul_sync_core::Port {
        name: "b".into(),
        number: 81,
    }]
    .into();
    write(&sink, &[first.clone()]).await;
    assert_eq!(consul.instances(NODE).len(), 2);
    assert!(planned(&sink, &[first]).await.is_empty());
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "\\PC{0,12}", "[\"\\\\\n\t<>&\u{2028}]{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_read_back_equals_what_was_written(
        texts in proptest::collection::vec((any_text(), any_text()), 1..12),
        weight in proptest::option::of(1_u32..=65_535),
        is_ready in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let consul = FakeConsul::start().await.unwrap();
            let sink = sink(&consul.url());
            let mut web = service("web", 0);
            web.weight = weight;
            web.tags = texts.iter().map(|(tag, _)| Arc::from(tag.as_str())).collect();
            for (n, (output, value)) in texts.iter().enumerate() {
                let mut one = service("x", 1).instances.remove(0);
                one.address = consul_sync_core::Address::Host(format!("host-{n}").into());
                one.meta = [("k", value.as_str())].into_iter().collect();
                let mut health = check(is_ready);
                health.output = output.as_str().into();
                one.check = (n % 2 == 0).then_some(health.into());
                web.instances.push(one);
            }
            let (slot, written) = records(&sink, &web);
            sink.apply(&creates(&sink, &web)).await.unwrap();
            let read = sink.read(&[slot]).await.unwrap().remove(0).1;
            let read: Vec<_> = read.records.iter().map(|held| &held.record).collect();
            assert_eq!(read, written.iter().collect::<Vec<_>>());
        });
    }
}

#[tokio::test]
async fn fault_c17_a_name_that_a_path_could_not_carry_is_read_back_or_refused() {
    let consul = FakeConsul::start().await.unwrap();
    let sink = sink(&consul.url());
    for name in ["a/b", "x/../y", "a b", "a%2Fb", "x?y#z", "ü"] {
        let service = service(name, 1);
        let (slot, written) = records(&sink, &service);
        sink.apply(&creates(&sink, &service)).await.unwrap();
        let read = sink.read(&[slot]).await.unwrap().remove(0).1;
        assert_eq!(read.records[0].record, written[0], "{name}");
    }
    for name in [".", ".."] {
        let rejection = sink.place(&service(name, 1)).unwrap_err();
        assert_eq!(rejection.reason(), Reason::InvalidName, "{name}");
    }
}
