//! One change costs what its services cost, however many others there are.

use super::{super::Work, *};

/// `n` NodePort Services on their own nodes and `n` ClusterIP Services, each with `m` endpoints in a slice.
fn cluster(n: usize, m: usize) -> (Index, Reader) {
    let mut services = Vec::new();
    let mut slices = Vec::new();
    for at in 0..n {
        let all: Vec<String> = (0..m)
            .map(|e| format!("10.{}.{}.{}", at / 250, at % 250, e))
            .collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        services.push(cluster_ip(&format!("c{at}")));
        slices.push(slice(
            &format!("c{at}-1"),
            &format!("c{at}"),
            1,
            endpoints(&all),
        ));
        services.push(node_port(&format!("n{at}")));
        slices.push(slice(
            &format!("n{at}-1"),
            &format!("n{at}"),
            1,
            on_node(&format!("node{at}"), &all),
        ));
    }
    let (mut index, mut reader) = listed(all_kinds(), services, slices);
    list(
        &mut index,
        (0..n).map(|at| node(&format!("node{at}"), 1, "192.0.2.1")),
    );
    reader.read(&mut index);
    assert_eq!(reader.services.len(), 2 * n);
    (index, reader)
}

fn spent(index: &mut Index, reader: &mut Reader, update: impl Into<Update>) -> Work {
    let before = index.work();
    index.apply(update);
    reader.read(index);
    let after = index.work();
    Work {
        translations: after.translations - before.translations,
        instances: after.instances - before.instances,
        comparisons: after.comparisons - before.comparisons,
    }
}

#[test]
fn one_change_costs_its_service_at_any_size() {
    let one = |instances| Work {
        translations: 1,
        instances,
        comparisons: 1,
    };
    for n in [20, 200] {
        let (mut index, mut reader) = cluster(n, 5);
        let (i, r) = (&mut index, &mut reader);
        let fewer = slice("c3-1", "c3", 2, endpoints(&["10.0.3.0", "10.0.3.1"]));
        assert_eq!(spent(i, r, Change::Upserted(fewer)), one(2), "a slice, {n}");
        let tagged = service("c4", 2, json!({"ports": [{"port": 81}]}));
        assert_eq!(
            spent(i, r, Change::Upserted(tagged)),
            one(5),
            "a service, {n}"
        );
        assert_eq!(
            spent(i, r, Change::Upserted(node("node7", 2, "192.0.2.7"))),
            one(5),
            "a node, {n}"
        );
        assert_eq!(
            spent(
                i,
                r,
                Change::Upserted(ingress("i", 1, "a.example.com", "c5"))
            ),
            one(1),
            "an ingress, {n}"
        );
        assert_eq!(
            spent(i, r, Change::Deleted(cluster_ip("c6"))),
            Work::default(),
            "a deletion, {n}"
        );
    }
}

#[test]
fn a_change_of_nothing_that_is_used_costs_nothing() {
    let (mut index, mut reader) = cluster(20, 5);
    let mut relabelled = cluster_ip("c1");
    relabelled.metadata.labels = Some([("new".to_owned(), "label".to_owned())].into());
    relabelled.metadata.resource_version = Some("2".to_owned());
    assert_eq!(
        spent(&mut index, &mut reader, Change::Upserted(relabelled)),
        Work::default()
    );
    // The heartbeat of a node.
    assert_eq!(
        spent(
            &mut index,
            &mut reader,
            Change::Upserted(node("node1", 2, "192.0.2.1"))
        ),
        Work::default()
    );
    // A node that no NodePort Service is on.
    assert_eq!(
        spent(
            &mut index,
            &mut reader,
            Change::Upserted(node("spare", 1, "192.0.2.2"))
        ),
        Work::default()
    );
}

#[test]
fn labels_of_a_namespace_cost_the_services_in_it() {
    for n in [20, 200] {
        let (mut index, mut reader) = cluster(n, 1);
        let elsewhere: Vec<slim::Service> = (0..3)
            .map(|at| decode(json!({"metadata": {"name": format!("s{at}"), "namespace": "small"}, "spec": {"externalIPs": ["192.0.2.1"]}})))
            .collect();
        for service in elsewhere {
            index.apply(Change::Upserted(service));
        }
        assert_eq!(
            reader.read(&mut index),
            [] as [String; 0],
            "a namespace that is not known is not selected"
        );
        let selected = spent(
            &mut index,
            &mut reader,
            Change::Upserted(namespace("small", 1, json!({"sync": "yes"}))),
        );
        assert_eq!(
            selected,
            Work {
                translations: 3,
                instances: 3,
                comparisons: 3
            },
            "{n}"
        );
    }
}

#[test]
fn the_first_listing_translates_every_service_once() {
    for n in [20, 200] {
        let services = (0..n).map(|at| cluster_ip(&format!("s{at}"))).collect();
        let slices = (0..n)
            .map(|at| {
                slice(
                    &format!("s{at}-1"),
                    &format!("s{at}"),
                    1,
                    endpoints(&["10.0.0.1", "10.0.0.2"]),
                )
            })
            .collect();
        let (index, _) = listed(lean(), services, slices);
        assert_eq!(
            index.work(),
            Work {
                translations: n,
                instances: 2 * n,
                comparisons: n
            }
        );
    }
}

#[test]
fn many_changes_of_one_service_before_a_drain_cost_one_translation() {
    let (mut index, mut reader) = cluster(20, 5);
    for version in 2..50 {
        index.apply(Change::Upserted(slice(
            "c3-1",
            "c3",
            version,
            endpoints(&[&format!("10.9.9.{version}")]),
        )));
    }
    let before = index.work().translations;
    assert_eq!(reader.read(&mut index), ["+shop/c3"]);
    assert_eq!(index.work().translations, before + 1);
}
