//! What Consul takes, keeps and gives back.

use std::sync::Arc;

use consul_sync_consul::Ports;
use consul_sync_core::{
    Address, Check, Instance, Layout, Outcome, Reason, Service, Sink, Status,
    testing::{conformance, instance},
};
use consul_sync_testbed::{Consul, ConsulVersion};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    Tested,
    support::{
        Events, check, creates, planned, records, service, sink, sink_with, sink_with_ports, write,
    },
};

pub(crate) async fn suite(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let mut services = vec![service("web", 3), service("db", 1), service("Cache", 70)];
    services[0].weight = Some(5);
    conformance::sink(&sink(consul.url()), &services).await;
    Ok(())
}

pub(crate) async fn round_trip(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    let texts = [
        "",
        " ",
        "a",
        "a, b",
        "\"quoted\"",
        "back\\slash",
        "line\nbreak",
        "tab\t",
        "<&>",
        "\u{2028}",
        "ünïcödé",
        "日本",
        "😀",
        "\u{7f}",
        "%2F",
        "{{.Node}}",
        "null",
    ];
    let mut services = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let mut odd = service(&format!("odd-{n}"), 2);
        odd.tags = ["k8s".into(), Arc::from(*text), Arc::from(*text)].into();
        odd.weight = (n % 2 == 0).then_some(1 + u32::try_from(n)? * 4000);
        odd.meta = odd.meta.with(&[("odd", *text)].into_iter().collect());
        let mut health = check(n % 3 == 0);
        health.output = Arc::from(*text);
        odd.instances[0].check = Some(health.into());
        odd.instances[1].check = None;
        odd.instances[1].ports = [].into();
        services.push(odd);
    }
    for name in [
        "UPPER", "a.b", "a_b", "a b", "a/b", "a//b", "x/../y", "ü", "a%2Fb", "x?y#z", "*",
    ] {
        services.push(service(name, 1));
    }
    for (n, address) in [
        "::1",
        "fd00::1",
        "lb.example.com",
        "UPPER.example.com",
        "203.0.113.7",
    ]
    .into_iter()
    .enumerate()
    {
        let mut one = service(&format!("address-{n}"), 0);
        one.instances = vec![instance(address)];
        services.push(one);
    }
    for service in &services {
        let (slot, written) = records(&sink, service);
        assert_eq!(sink.place(service)?, slot);
        for outcome in sink.apply(&creates(&sink, service)).await? {
            assert!(
                matches!(outcome, Outcome::Written(_)),
                "{slot}: {outcome:?}"
            );
        }
        let (_, held) = sink.read(&[slot]).await?.remove(0);
        let read: Vec<_> = held.records.iter().map(|held| &held.record).collect();
        assert_eq!(read, written.iter().collect::<Vec<_>>());
    }
    // The same by one listing, and a restart with nothing changed would write nothing.
    assert!(planned(&sink, &services).await.is_empty());
    Ok(())
}

pub(crate) async fn refusals(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    write(&sink, &[service("seed", 1)]).await;
    let long_key = "k".repeat(129);
    let long_value = "v".repeat(513);
    let fits_key = "k".repeat(128);
    let fits_value = "v".repeat(512);
    for (key, value, is_taken) in [
        ("a", "", true),
        ("A-z_0", "x", true),
        ("consul", "x", true),
        (fits_key.as_str(), fits_value.as_str(), true),
        ("", "x", false),
        ("a b", "x", false),
        ("a.b", "x", false),
        ("ü", "x", false),
        ("consul-x", "x", false),
        (long_key.as_str(), "x", false),
        ("a", long_value.as_str(), false),
    ] {
        let mut odd = service("odd", 1);
        odd.meta = odd.meta.with(&[(key, value)].into_iter().collect());
        assert_eq!(sink.place(&odd).is_ok(), is_taken, "our rule for {key:?}");
        let [outcome] = &sink.apply(&creates(&sink, &odd)).await?[..] else {
            return Err("one outcome".into());
        };
        match outcome {
            Outcome::Written(_) => assert!(is_taken, "consul takes {key:?}"),
            Outcome::Refused(rejection) => {
                assert!(!is_taken, "consul refuses {key:?}: {rejection}");
                assert_eq!(rejection.reason(), Reason::InvalidMeta, "{rejection}");
            }
            other => return Err(format!("{key:?}: {other:?}").into()),
        }
        write(&sink, &[service("seed", 1)]).await;
    }
    let mut many = service("many", 1);
    many.meta = (0..64).map(|n| (format!("k{n}"), "v")).collect();
    assert_eq!(
        sink.place(&many).map_err(|r| r.reason()),
        Err(Reason::InvalidMeta)
    );
    assert!(matches!(
        sink.apply(&creates(&sink, &many)).await?[0],
        Outcome::Refused(_)
    ));
    let mut nowhere = service("nowhere", 0);
    nowhere.instances = vec![instance("0.0.0.0")];
    assert_eq!(
        sink.place(&nowhere).map_err(|r| r.reason()),
        Err(Reason::InvalidAddress)
    );
    assert!(matches!(
        sink.apply(&creates(&sink, &nowhere)).await?[0],
        Outcome::Refused(_)
    ));
    Ok(())
}

pub(crate) async fn thousands(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    let services: Vec<Service> = (0..60).map(|n| service(&format!("web-{n}"), 50)).collect();
    write(&sink, &services).await;
    let listed = Events::of(&sink).listing().await;
    assert_eq!(
        listed
            .iter()
            .map(|(_, held)| held.records.len())
            .sum::<usize>(),
        3000
    );
    assert!(planned(&sink, &services).await.is_empty());
    // A limit that such a listing does not fit in is an error, and not a shorter listing.
    let small = sink_with(consul.url(), |settings| settings.answer_limit = 500_000);
    let error = Events::of(&small).refused_listing().await;
    assert!(
        error.to_string().contains("longer than 500000 bytes"),
        "{error}"
    );
    Ok(())
}

pub(crate) async fn ports(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let client = sink(consul.url()).client().clone();
    let takes = Ports::Auto.decide(&client).await?;
    assert_eq!(takes, version == ConsulVersion::V1_22);
    let sink = sink_with_ports(consul.url());
    let mut listed = service("web", 3);
    for instance in &mut listed.instances {
        *instance = instance.clone().port("admin", 9090);
    }
    if takes {
        conformance::sink(&sink, &[listed.clone(), service("db", 1)]).await;
        // Only another default is no change to Consul, and must not be written for ever.
        write(&sink, &[listed.clone()]).await;
        let mut turned = listed;
        for instance in &mut turned.instances {
            let mut ports = instance.ports.to_vec();
            ports.reverse();
            instance.ports = ports.into();
        }
        let ops = planned(&sink, &[turned]).await;
        let outcomes = sink.apply(&ops).await?;
        assert!(matches!(outcomes[0], Outcome::Refused(_)), "{outcomes:?}");
    } else {
        let outcomes = sink.apply(&creates(&sink, &listed)).await?;
        assert!(matches!(outcomes[0], Outcome::Refused(_)), "{outcomes:?}");
    }
    Ok(())
}

/// How many random instances are written and read back, unless the variable says how many.
const INSTANCES: usize = 2_000;
const INSTANCES_VARIABLE: &str = "CONSUL_ROUND_TRIPS";

fn any_text(longest: usize) -> impl Strategy<Value = String> {
    let plain = prop::char::ranges(std::borrow::Cow::Borrowed(&[' '..='~']));
    let plain = prop::collection::vec(plain, 0..=longest).prop_map(|all| all.into_iter().collect());
    prop_oneof![
        plain,
        "\\PC{0,12}",
        "[\"\\\\\n\t\r<>&%{}\u{2028}\u{7f}\u{0}\u{1}]{0,6}",
    ]
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|ip| Address::Ip(ip.into())),
        2 => any::<[u16; 8]>().prop_map(|ip| Address::Ip(ip.into())),
        2 => "[a-zA-Z0-9]([a-zA-Z0-9-]{0,12}[a-zA-Z0-9])?(\\.[a-z]{1,8}){0,3}"
            .prop_map(|host: String| Address::Host(host.into())),
    ]
}

fn any_check() -> impl Strategy<Value = Check> {
    (any_text(20), "[a-zA-Z0-9-]{1,12}", any_text(80), 0..3_u8).prop_map(
        |(name, scope, output, status)| {
            let mut health = check(true);
            health.name = name.into();
            health.scope = scope.into();
            health.output = output.into();
            health.status =
                [Status::Passing, Status::Warning, Status::Critical][usize::from(status)];
            health
        },
    )
}

fn any_meta() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a-zA-Z0-9_-]{1,24}", any_text(60)), 0..6)
}

fn any_instance() -> impl Strategy<Value = Instance> {
    (
        any_address(),
        prop::option::of(any::<u16>()),
        any_meta(),
        prop::option::of(any_check()),
    )
        .prop_map(|(address, port, meta, check)| {
            let mut instance = Instance::new(address);
            if let Some(port) = port {
                instance = instance.port("http", port);
            }
            instance.meta = meta.into_iter().collect();
            instance.check = check.map(Arc::new);
            instance
        })
}

/// A service of a dozen instances that we would register.
fn any_service(number: usize) -> impl Strategy<Value = Service> {
    let tags = prop::collection::vec(any_text(30), 0..4);
    let weight = prop::option::of(1..=65_535_u32);
    let instances = prop::collection::vec(any_instance(), 12);
    ("[a-zA-Z0-9._-]{1,20}", tags, weight, any_meta(), instances).prop_map(
        move |(name, tags, weight, meta, instances)| {
            let mut one = service(&format!("{name}-{number}"), 0);
            one.tags = tags.iter().map(|tag| Arc::from(tag.as_str())).collect();
            one.weight = weight;
            one.meta = meta.into_iter().collect();
            one.instances = instances;
            one
        },
    )
}

/// What we would register is read back as it was written, by slot and by listing, so that a restart writes nothing.
pub(crate) async fn random(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    let asked = std::env::var(INSTANCES_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    let mut runner = if asked.is_some() {
        TestRunner::new(Config::default())
    } else {
        TestRunner::new_with_rng(
            Config::default(),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        )
    };
    let (mut left, mut number, mut refused) = (asked.unwrap_or(INSTANCES), 0, 0);
    while left > 0 {
        let mut services = Vec::new();
        while services.len() < 40 {
            number += 1;
            let service = any_service(number)
                .new_tree(&mut runner)
                .map_err(|why| why.to_string())?
                .current();
            // What our own rules refuse is never written.
            if sink.place(&service).is_ok() {
                services.push(service);
            } else {
                refused += 1;
                assert!(refused < number / 2 + 40, "most of what is made is refused");
            }
        }
        let mut ops = Vec::new();
        let mut written = Vec::new();
        for service in &services {
            ops.extend(creates(&sink, service));
            let (slot, records) = records(&sink, service);
            written.push((slot, records));
        }
        for (op, outcome) in ops.iter().zip(sink.apply(&ops).await?) {
            assert!(
                matches!(outcome, Outcome::Written(_)),
                "{op:?}: {outcome:?}"
            );
        }
        let slots: Vec<_> = written.iter().map(|(slot, _)| slot.clone()).collect();
        for ((slot, held), (_, records)) in sink.read(&slots).await?.into_iter().zip(&written) {
            let read: Vec<_> = held.records.iter().map(|held| &held.record).collect();
            assert_eq!(read, records.iter().collect::<Vec<_>>(), "{slot}");
        }
        assert!(
            planned(&sink, &services).await.is_empty(),
            "a restart would write"
        );
        left = left.saturating_sub(ops.len());
        write(&sink, &[]).await;
    }
    Ok(())
}
