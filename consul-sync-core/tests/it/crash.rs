//! A process that dies between any two writes, and one whose last write nobody knows of (invariants I-C1, I-C5).

use std::collections::BTreeMap;

use consul_sync_core::{
    Key, Service, Sink, Standing,
    testing::{MemorySink, any_service},
};
use futures::FutureExt;
use proptest::{collection::vec, prelude::*};

use crate::world::{World, unbraked};

fn planted(services: &[(Service, bool)]) -> MemorySink {
    let sink = MemorySink::default();
    for (service, is_ours) in services {
        let standing = if *is_ours {
            Standing::Ours
        } else {
            Standing::Foreign
        };
        sink.plant(service, standing);
    }
    sink
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_prefix_of_a_plan_leads_to_the_same_end(
        services in vec(any_service(), 0..6), there in vec((any_service(), any::<bool>()), 0..4)
    ) {
        let services: BTreeMap<Key, Service> = services.into_iter().map(|s| (s.key.clone(), s)).collect();
        let sink = planted(&there);
        let mut world = World::new(&sink, unbraked());
        world.list(services.values().cloned());
        let length = world.engine.plan(world.now).ops.len();
        for written in 0..=length {
            let sink = planted(&there);
            let mut dying = World::new(&sink, unbraked());
            dying.list(services.values().cloned());
            let ops = dying.engine.plan(dying.now).ops;
            for op in ops.iter().take(written) {
                let one = std::slice::from_ref(op);
                prop_assert!(sink.apply(one).now_or_never().unwrap().is_ok());
            }
            let deletes_before = ops.iter().take(written).filter(|op| op.is_delete()).count();
            let mut next = World::new(&sink, unbraked());
            next.list(services.values().cloned());
            next.pump();
            prop_assert_eq!(next.ours(), next.wanted(services.values()));
            let planned = ops.iter().filter(|op| op.is_delete()).count();
            prop_assert_eq!(deletes_before + next.deletes, planned, "no record is deleted twice");
        }
    }
}
