use std::sync::Arc;

use consul_sync_core::{Address, Instance, Port};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{World, decode, slice, web};
use crate::{
    ExportSettings, NodePorts,
    slim::EndpointSliceBody,
    strings::{Strings, Words},
    translate::Slice,
};

fn endpoint() -> impl Strategy<Value = Value> {
    let condition = || prop::option::of(any::<bool>());
    (
        1..6u8,
        condition(),
        condition(),
        condition(),
        prop::option::of(1..3u8),
        prop::option::of(1..4u8),
    )
        .prop_map(|(at, ready, serving, terminating, node, pod)| {
            json!({
                "addresses": [format!("10.0.0.{at}")],
                "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
                "nodeName": node.map(|node| format!("n{node}")),
                "targetRef": pod.map(|pod| json!({"kind": "Pod", "name": format!("p{pod}")})),
            })
        })
}

fn a_slice() -> impl Strategy<Value = Value> {
    (prop::collection::vec(endpoint(), 0..5), 0..3u16).prop_map(|(endpoints, port)| {
        let mut value = slice("x", json!(endpoints));
        value["ports"] = json!([{"name": "http", "port": 8080 + port}]);
        value
    })
}

fn a_world() -> impl Strategy<Value = World> {
    let types = prop::sample::select(vec!["ClusterIP", "NodePort", "LoadBalancer"]);
    (types, prop::collection::vec(a_slice(), 0..5)).prop_map(|(type_, slices)| World {
        slices,
        nodes: vec![
            json!({"metadata": {"name": "n1"}, "status": {"addresses": [{"type": "ExternalIP", "address": "192.0.2.1"}]}}),
            json!({"metadata": {"name": "n2"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.2"}]}}),
        ],
        ..web(json!({"type": type_}))
    })
}

fn a_setting() -> impl Strategy<Value = ExportSettings> {
    (
        prop::sample::select(NodePorts::ALL[..3].to_vec()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(node_ports, load_balancer_endpoints, serve_terminating)| ExportSettings {
                load_balancer_endpoints,
                node_ports,
                serve_terminating,
                ..ExportSettings::default()
            },
        )
}

/// Where an instance is: what tells it from all others.
fn place(i: &Instance) -> (Address, Option<Box<Address>>, Arc<[Port]>) {
    (
        i.address.clone(),
        i.identified_by.clone(),
        Arc::clone(&i.ports),
    )
}

proptest! {
    /// Slices, and endpoints within a slice, in any order give one and the same service.
    #[test]
    fn the_order_of_objects_does_not_matter(world in a_world(), settings in a_setting(), seed in any::<u64>()) {
        let expected = world.service(&settings);
        let mut other = world;
        for (at, slice) in other.slices.iter_mut().enumerate() {
            let endpoints = slice["endpoints"].as_array_mut().unwrap();
            let by = usize::try_from(seed >> 8).unwrap_or(at) % endpoints.len().max(1);
            endpoints.rotate_left(by);
            if seed & 1 == 1 {
                endpoints.reverse();
            }
        }
        other.slices.reverse();
        let by = usize::try_from(seed & 0xff).unwrap() % other.slices.len().max(1);
        other.slices.rotate_left(by);
        prop_assert_eq!(other.service(&settings), expected);
    }

    /// What is said once is not changed by being said twice.
    #[test]
    fn a_slice_that_is_there_twice_changes_nothing(world in a_world(), settings in a_setting()) {
        let mut twice = world.clone();
        twice.slices.extend(world.slices.clone());
        prop_assert_eq!(twice.service(&settings), world.service(&settings));
    }

    /// No two instances are at one place, and every one is there because an endpoint is.
    #[test]
    fn every_instance_is_there_once(world in a_world(), settings in a_setting()) {
        let service = world.service(&settings);
        let mut places: Vec<_> = service.instances.iter().map(place).collect();
        places.dedup();
        prop_assert_eq!(places.len(), service.instances.len());
        for instance in &service.instances {
            let identity = json!(instance.identity().to_string());
            let known = world.slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
            prop_assert!(known.into_iter().any(|endpoint| endpoint["addresses"][0] == identity));
        }
    }

    /// Deleting one slice keeps the instances of the others.
    #[test]
    fn deleting_one_slice_keeps_the_other_slices_instances(world in a_world(), settings in a_setting(), at in any::<prop::sample::Index>()) {
        prop_assume!(!world.slices.is_empty());
        let mut fewer = world.clone();
        let gone = fewer.slices.remove(at.index(world.slices.len()));
        let before = world.service(&settings);
        let after: Vec<_> = fewer.service(&settings).instances.iter().map(place).collect();
        let alone = World { slices: vec![gone], ..world.clone() }.service(&settings);
        for instance in before.instances.iter().map(place) {
            let from_the_deleted_one = alone.instances.iter().any(|i| place(i) == instance);
            prop_assert!(from_the_deleted_one || after.contains(&instance), "{:?}", instance);
        }
        prop_assert!(after.iter().all(|instance| before.instances.iter().any(|i| place(i) == *instance)));
    }

    /// Packing against any former state gives what packing against none gives.
    #[test]
    fn what_a_slice_was_does_not_show_in_what_it_is(was in a_slice(), is in a_slice()) {
        let (mut strings, words) = (Strings::default(), Words::default());
        let body = |value: &Value| -> EndpointSliceBody { decode::<crate::slim::EndpointSlice>(value).body.unwrap() };
        let was = Slice::new(&body(&was), None, &mut strings, &words);
        let is = body(&is);
        prop_assert_eq!(Slice::new(&is, Some(&was), &mut strings, &words), Slice::new(&is, None, &mut strings, &words));
    }

    /// Whatever stands in our annotations, translating neither panics nor makes a service without a name.
    #[test]
    fn no_annotation_makes_translation_panic(key in "service-(sync|name|port|tags|weight|meta-\\PC{0,8})", value in "\\PC{0,300}|[0-9x,\\\\ -]{0,12}") {
        let world = super::annotated(web(json!({"externalIPs": ["192.0.2.1"]})), &key, &value);
        if let Ok(Some(service)) = world.translate(&ExportSettings::default()) {
            prop_assert!(!service.name.as_str().is_empty());
            prop_assert_eq!(service.instances.len(), 1);
        }
    }
}

/// A listing that brings the same objects again takes no more memory.
#[test]
fn packing_a_slice_again_shares_the_pairs_of_its_endpoints() {
    let (mut strings, words) = (Strings::default(), Words::default());
    let ready = |ready: bool| {
        let of = |at: u8| json!({"addresses": [format!("10.0.0.{at}")], "conditions": {"ready": ready}, "nodeName": "n1", "targetRef": {"kind": "Pod", "name": format!("p{at}")}});
        decode::<crate::slim::EndpointSlice>(&slice("x", json!([of(1), of(2)])))
            .body
            .unwrap()
    };
    let first = Slice::new(&ready(true), None, &mut strings, &words);
    let second = Slice::new(&ready(false), Some(&first), &mut strings, &words);
    assert_ne!(first, second);
    for (old, new) in first.endpoints.iter().zip(&second.endpoints) {
        let name = |meta: &consul_sync_core::Meta| meta.get(&words.ref_name).map(str::as_ptr);
        assert!(name(old.meta()).is_some());
        assert_eq!(name(old.meta()), name(new.meta()));
    }
}
