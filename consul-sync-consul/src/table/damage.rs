//! Whatever Consul, or something that answers in its place, sends: it is taken or refused, and nothing panics
//! (invariant I-S12).

use bytes::Bytes;
use consul_sync_core::{Record, testing::any_damage};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::{
    Call,
    answer::{Answer, Body},
    wire::{HealthEntry, TxnAnswer},
};

const SERVICES: &str = r#"{"Node":{"ID":"","Node":"k8s-sync","Address":"127.0.0.1","Datacenter":"dc1",
    "Meta":{"external-source":"kubernetes"},"CreateIndex":5,"ModifyIndex":5},"Services":[
    {"ID":"web-1","Service":"web","Tags":["k8s"],"Address":"10.0.0.1","Port":80,
    "TaggedAddresses":{"consul-virtual":{"Address":"240.0.0.1","Port":80}},"Ports":[{"Name":"http","Port":80,"Default":true}],
    "Meta":{"external-source":"kubernetes","external-k8s-ns":"shop","external-sync-owner":"me"},
    "Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"DestinationServiceName":""},"Connect":{},
    "Namespace":"default","Kind":"","CreateIndex":6,"ModifyIndex":7},
    {"ID":"Web-2","Service":"Web","Address":"fd00::1","Port":0,"Meta":null,"Tags":null,"ModifyIndex":8}]}"#;
const CHECKS: &str = r#"[{"Node":"k8s-sync","CheckID":"shop/web-1","Name":"Kubernetes Readiness Check","Status":"passing",
    "Output":"ok","ServiceID":"web-1","ServiceName":"web","ServiceTags":[],"Type":"kubernetes-readiness","ModifyIndex":9},
    {"Node":"k8s-sync","CheckID":"own","Status":"critical","ServiceID":"Web-2","ModifyIndex":10}]"#;
const HEALTH: &str = r#"[{"Node":{"Node":"k8s-sync"},"Service":{"ID":"web-1","Service":"web","Address":"10.0.0.1","Port":80,
    "Meta":{"external-sync-owner":"me"},"Weights":{"Passing":1,"Warning":1},"ModifyIndex":7},
    "Checks":[{"CheckID":"shop/web-1","Status":"passing","ServiceID":"web-1","ModifyIndex":9}]}]"#;
const TXN: &str = r#"{"Results":[{"Service":{"ID":"web-1","Service":"web","ModifyIndex":12}},{"Check":{"CheckID":"shop/web-1",
    "ServiceID":"web-1","ModifyIndex":12}},{"Node":{"Node":"k8s-sync","ModifyIndex":11}}],
    "Errors":[{"OpIndex":0,"What":"index is stale"}]}"#;

fn answer(body: &str) -> Answer {
    let call = Call {
        method: "GET",
        path: "/".into(),
        server: "test".into(),
    };
    let body = Body::new(vec![Bytes::from(body.to_owned())], false, u64::MAX);
    Answer::new(call, StatusCode::OK, HeaderMap::new(), body)
}

/// Looks at everything that a table shows.
fn look(table: &Table) -> usize {
    let owner = Owner::new("me").unwrap();
    let slots = table.slots();
    let held = slots
        .iter()
        .flat_map(|slot| table.held(slot, &owner).records);
    let seen = held.map(|held| {
        let record = &held.record;
        record.fields().len() + record.scopes().count() + usize::from(record.is_live())
    });
    seen.sum::<usize>() + table.standings(&owner).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn i_s12_no_answer_makes_anything_panic(
        has_namespaces in any::<bool>(),
        services in prop::collection::vec(any_damage(SERVICES), 1..3),
        checks in prop::collection::vec(any_damage(CHECKS), 1..3),
        health in any_damage(HEALTH),
        txn in any_damage(TXN),
    ) {
        let mut table = Table::new(has_namespaces, Arc::default());
        // Slots that an answer changed which then could not be read.
        let mut owed: BTreeSet<Slot> = BTreeSet::new();
        for (services, checks) in services.iter().zip(&checks) {
            let before = table.slots();
            if let Ok((_, touched)) = table.read_services(&answer(services), 2) {
                prop_assert!(touched.is_superset(&owed), "{touched:?} of {owed:?}");
                owed.clear();
            } else {
                owed.extend(&before ^ &table.slots());
            }
            let _ = table.read_checks(&answer(checks), 2);
            look(&table);
        }
        // Undamaged, everything is as in a table that never saw anything else, and everything that is owed is told.
        let (_, touched) = table.read_services(&answer(SERVICES), 3).unwrap();
        prop_assert!(touched.is_superset(&owed), "{touched:?} of {owed:?}");
        table.read_checks(&answer(CHECKS), 3).unwrap();
        let mut fresh = Table::new(has_namespaces, Arc::default());
        fresh.read_services(&answer(SERVICES), 3).unwrap();
        fresh.read_checks(&answer(CHECKS), 3).unwrap();
        prop_assert_eq!(table.slots(), fresh.slots());

        if let Ok(entries) = answer(&health).json::<Vec<HealthEntry>>() {
            for entry in &entries {
                let mut interner = Interner::default();
                let _ = assemble(&entry.service, &entry.checks, has_namespaces, &mut interner, &Known::default());
            }
        }
        let _ = answer(&txn).json::<TxnAnswer>();
    }
}
