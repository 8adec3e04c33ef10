use consul_sync_core::Reason;
use serde_json::json;

use super::{World, annotated, defaults, line, slice, web};
use crate::ExportSettings;

fn with_ip() -> World {
    web(json!({"externalIPs": ["192.0.2.1"]}))
}

#[test]
fn service_sync_overrides_the_default_and_unreadable_means_the_default() {
    let rows = [
        (true, None, true),
        (true, Some("true"), true),
        (true, Some("false"), false),
        (true, Some("0"), false),
        (true, Some("no"), true),
        (false, None, false),
        (false, Some("T"), true),
        (false, Some("yes"), false),
        (false, Some("1"), true),
        (false, Some(""), false),
    ];
    for (default_sync, value, exported) in rows {
        let settings = ExportSettings {
            default_sync,
            ..defaults()
        };
        let world = value.map_or_else(with_ip, |value| annotated(with_ip(), "service-sync", value));
        assert_eq!(
            world.translate(&settings).unwrap().is_some(),
            exported,
            "{default_sync} {value:?}"
        );
    }
}

#[test]
fn fault_l01_what_a_sync_from_consul_wrote_is_not_exported_whatever_it_says() {
    for owner in ["us", "another-cluster", ""] {
        let mut world = annotated(with_ip(), "service-sync", "true");
        world.service["metadata"]["labels"] = json!({"consul-sync.io/owner": owner});
        assert!(world.translate(&defaults()).unwrap().is_none());
    }
}

#[test]
fn a_name_that_cannot_be_registered_is_rejected() {
    let long = "x".repeat(256);
    for name in ["", "   ", long.as_str(), "a\nb", "a\u{7}b"] {
        let rejection = annotated(with_ip(), "service-name", name)
            .translate(&defaults())
            .expect_err(name);
        assert_eq!(rejection.reason(), Reason::InvalidName, "{rejection}");
    }
    let longest = "x".repeat(255);
    assert_eq!(
        annotated(with_ip(), "service-name", &longest)
            .service(&defaults())
            .name
            .as_str(),
        longest
    );
    let settings = ExportSettings {
        prefix: "p".repeat(253),
        ..defaults()
    };
    assert_eq!(
        with_ip().translate(&settings).unwrap_err().reason(),
        Reason::InvalidName
    );
}

#[test]
fn the_default_port_is_chosen_by_name_or_number() {
    let rows = [
        ("admin", "admin=9000,http=80"),
        ("http", "http=80,admin=9000"),
        ("9000", "admin=9000,http=80"),
        (" 0x50 ", "http=80,admin=9000"),
        ("1234", "default=1234,http=80,admin=9000"),
        ("", "http=80,admin=9000"),
    ];
    for (value, ports) in rows {
        let world = annotated(with_ip(), "service-port", value);
        assert_eq!(
            world.instances(&defaults()),
            [format!("192.0.2.1 {ports} unchecked")],
            "{value:?}"
        );
    }
}

#[test]
fn the_default_port_of_an_endpoint_is_that_of_its_slice() {
    for (value, ports) in [
        ("admin", "admin=9001,http=8080"),
        ("9001", "admin=9001,http=8080"),
        ("80", "default=80,http=8080,admin=9001"),
    ] {
        let mut world = annotated(web(json!({})), "service-port", value);
        world.slices = vec![slice("web-1", json!([{"addresses": ["10.0.0.1"]}]))];
        assert_eq!(
            world.instances(&defaults()),
            [format!("10.0.0.1 {ports} passing")],
            "{value:?}"
        );
    }
}

#[test]
fn a_default_port_that_does_not_exist_is_rejected() {
    for value in [
        "https",
        "0",
        "65536",
        "-1",
        "99999999999999999999999",
        "80/tcp",
    ] {
        let rejection = annotated(with_ip(), "service-port", value)
            .translate(&defaults())
            .expect_err(value);
        assert_eq!(rejection.reason(), Reason::InvalidPort, "{rejection}");
        assert!(rejection.message().contains(value), "{rejection}");
    }
    let none = annotated(
        web(json!({"ports": [], "externalIPs": ["192.0.2.1"]})),
        "service-port",
        "http",
    );
    let message = none.translate(&defaults()).unwrap_err().to_string();
    assert_eq!(
        message,
        "annotation service-port: \"http\" is not a port of the Service, it has none"
    );
}

#[test]
fn a_chosen_number_keeps_the_names_of_ports_unique() {
    let world =
        web(json!({"ports": [{"name": "default", "port": 80}], "externalIPs": ["192.0.2.1"]}));
    let service = annotated(world, "service-port", "81").service(&defaults());
    assert_eq!(
        line(&service.instances[0]),
        "192.0.2.1 default-81=81,default=80 unchecked"
    );
}

#[test]
fn tags_follow_the_k8s_tag_with_escapes() {
    let service = annotated(with_ip(), "service-tags", "a\\,b, c,,d ").service(&defaults());
    assert_eq!(
        service
            .tags
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["k8s", "a,b", "c", "d"]
    );
}

#[test]
fn meta_of_annotations_comes_last_and_wins() {
    let world = annotated(with_ip(), "service-meta-team", "a");
    let world = annotated(world, "service-meta-external-source", "mine");
    let world = annotated(world, "service-meta-port-http", "x");
    let service = world.service(&defaults());
    assert_eq!(service.meta.get("team"), Some("a"));
    assert_eq!(service.meta.get("external-source"), Some("mine"));
    assert_eq!(service.meta.get("port-http"), Some("x"));
    assert_eq!(service.meta.get("external-k8s-ns"), Some("shop"));
}

#[test]
fn a_weight_holds_for_every_type() {
    for type_ in ["ClusterIP", "NodePort", "LoadBalancer"] {
        let world = annotated(web(json!({"type": type_})), "service-weight", "10");
        assert_eq!(world.service(&defaults()).weight, Some(10), "{type_}");
        let ignored = annotated(web(json!({"type": type_})), "service-weight", "1");
        assert_eq!(ignored.service(&defaults()).weight, None, "{type_}");
    }
}
