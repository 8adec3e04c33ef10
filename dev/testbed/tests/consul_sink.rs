//! The Consul sink on real servers.
#![allow(clippy::panic)] // tests and what they share

#[path = "consul_sink/support.rs"]
mod support;

use std::{error::Error, sync::Arc, time::Duration};

use consul_sync_consul::{
    Error as ClientError, NodeName, Ports, Secret, TlsSettings, TokenSource, preflight,
};
use consul_sync_core::{
    Driver, ErrorKind, Event, Layout, Outcome, Reason, Record, Service, Sink,
    testing::{TableSource, conformance},
};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Program, Programs, Storage};
use serde_json::json;

use support::{Events, check, creates, held_ids, service, sink, sink_with, slot, write};

type Tested = Result<(), Box<dyn Error>>;

const NODE: &str = "k8s-sync";
/// The rights that the product asks for.
const RIGHTS: &str = r#"node "k8s-sync" { policy = "write" } node_prefix "" { policy = "read" }
    service_prefix "" { policy = "write" }"#;

/// Runs a test on each version that is built.
macro_rules! on_each_version {
    ($($name:ident => $body:path;)*) => {
        mod on_1_21 { $(
            #[tokio::test]
            async fn $name() -> super::Tested { super::run(consul_sync_testbed::ConsulVersion::V1_21, $body).await }
        )* }
        mod on_1_22 { $(
            #[tokio::test]
            async fn $name() -> super::Tested { super::run(consul_sync_testbed::ConsulVersion::V1_22, $body).await }
        )* }
    };
}

on_each_version! {
    it_does_what_every_sink_must => super::suite;
    what_is_read_back_equals_what_was_written => super::round_trip;
    what_consul_refuses_is_refused_before => super::refusals;
    every_kind_of_damage_is_shown => super::damage;
    damage_is_repaired_by_the_driver => super::repair;
    fault_c01_a_killed_server_loses_nothing_of_a_listing => super::killed;
    fault_c02_a_restored_snapshot_is_listed_anew => super::restored;
    the_shipped_rights_are_enough_and_each_is_needed => super::rights;
    fault_c10_a_deleted_token_weakens_what_is_known => super::revoked;
    fault_g06_only_a_server_that_proves_its_name_is_spoken_to => super::tls;
    fault_t11_the_node_of_the_agent_is_refused => super::agents_node;
    a_node_of_thousands_is_listed_whole => super::thousands;
    lists_of_ports_are_written_where_the_server_takes_them => super::ports;
}

async fn run<F>(version: ConsulVersion, test: fn(ConsulVersion) -> F) -> Tested
where
    F: Future<Output = Tested>,
{
    if !Programs::locate().all_or_skip(&[Program::Consul(version)]) {
        return Ok(());
    }
    test(version).await
}

async fn suite(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let mut services = vec![service("web", 3), service("db", 1), service("Cache", 70)];
    services[0].weight = Some(5);
    conformance::sink(&sink(consul.url()), &services).await;
    Ok(())
}

async fn round_trip(version: ConsulVersion) -> Tested {
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
        odd.instances[0].check = Some(health);
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
        one.instances = vec![consul_sync_core::testing::instance(address)];
        services.push(one);
    }
    for service in &services {
        let slot = sink.place(service)?;
        let written = sink.records(&slot, &[Arc::new(service.clone())]).records;
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
    assert!(support::planned(&sink, &services).await.is_empty());
    Ok(())
}

async fn refusals(version: ConsulVersion) -> Tested {
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
    nowhere.instances = vec![consul_sync_core::testing::instance("0.0.0.0")];
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

async fn damage(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    write(&sink, &[service("web", 2)]).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 1);
    let (_, held) = sink.read(&[slot("web")]).await?.remove(0);
    let ids = held_ids(&held);

    let changed = json!({"Node": NODE, "SkipNodeUpdate": true, "Service":
        {"ID": ids[0], "Service": "web", "Address": "10.9.9.9", "Port": 9}});
    consul
        .client()
        .put("/v1/catalog/register", &changed)
        .await?
        .success()?;
    events
        .until(|_, held| held.records[0].record.port() == 9)
        .await;

    let down = json!({"Node": NODE, "SkipNodeUpdate": true, "Check": {"CheckID": format!("ns/{}", ids[1]),
        "Name": "x", "ServiceID": ids[1], "Status": "critical"}});
    consul
        .client()
        .put("/v1/catalog/register", &down)
        .await?
        .success()?;
    events
        .until(|_, held| !held.records[1].record.is_live())
        .await;

    let check = json!({"Node": NODE, "CheckID": format!("ns/{}", ids[1])});
    consul
        .client()
        .put("/v1/catalog/deregister", &check)
        .await?
        .success()?;
    events
        .until(|_, held| held.records[1].record.check().is_none())
        .await;

    for id in &ids {
        let gone = json!({"Node": NODE, "ServiceID": id});
        consul
            .client()
            .put("/v1/catalog/deregister", &gone)
            .await?
            .success()?;
        events.until(|_, held| !held_ids(held).contains(id)).await;
    }
    Ok(())
}

async fn repair(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    let source = TableSource::default();
    for n in 0..20 {
        source.put(service(&format!("web-{n}"), 3));
    }
    let driver = Driver::new(source, sink.clone());
    let mut status = driver.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(driver.run(async move {
        let _ = stopped.await;
    }));
    status
        .wait_for(|status| status.is_ready() && status.owned == 60)
        .await?;

    let mut events = Events::of(&sink);
    events.listing().await;
    let gone = json!({ "Node": NODE });
    consul
        .client()
        .put("/v1/catalog/deregister", &gone)
        .await?
        .success()?;
    let mut whole = std::collections::BTreeSet::new();
    while whole.len() < 20 {
        let (name, held) = events.change().await;
        if held.records.len() == 3 {
            whole.insert(name);
        } else {
            whole.remove(&name);
        }
    }
    let _ = stop.send(());
    running.await?;
    Ok(())
}

async fn killed(version: ConsulVersion) -> Tested {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.storage = Storage::Disk;
    let consul = Consul::start_with(settings).await?;
    let sink = sink(consul.url());
    let services: Vec<Service> = (0..40).map(|n| service(&format!("web-{n}"), 10)).collect();
    write(&sink, &services).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 40);
    for _ in 0..3 {
        consul.kill()?;
        consul.start_again()?;
        // The server is asked while it starts, as it would be in earnest.
        let listed = loop {
            let mut fresh = Events::of(&sink);
            if let Some(listed) = fresh.try_listing().await {
                break listed;
            }
        };
        assert_eq!(listed.len(), 40);
        assert!(listed.iter().all(|(_, held)| held.records.len() == 10));
        assert!(support::planned(&sink, &services).await.is_empty());
        // The old watch goes on, and has nothing to take back.
        loop {
            match events.poll(Duration::from_millis(1500)).await {
                None => break,
                Some(Err(error)) => assert!(!error.kind().weakens(), "{error}"),
                Some(Ok(Event::Upserted(slot, held))) => {
                    assert_eq!(held.records.len(), 10, "{slot}");
                }
                Some(Ok(other)) => return Err(format!("{other:?} after a restart").into()),
            }
        }
    }
    Ok(())
}

async fn restored(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let sink = sink(consul.url());
    write(&sink, &[service("web", 1)]).await;
    let saved = consul.client().get("/v1/snapshot").await?.success()?.body;
    write(&sink, &[service("web", 1), service("db", 2)]).await;
    let mut events = Events::of(&sink);
    assert_eq!(events.listing().await.len(), 2);
    // The queries are open before the snapshot is put back.
    assert!(events.poll(Duration::from_millis(500)).await.is_none());
    let kind = "application/octet-stream";
    consul
        .client()
        .send(http::Method::PUT, "/v1/snapshot", kind, saved)
        .await?
        .success()?;
    let error = loop {
        match events.next().await {
            Err(error) if error.kind() == ErrorKind::Incomplete => break error,
            Err(_) => {}
            Ok(event) => return Err(format!("{event:?} before the listing").into()),
        }
    };
    assert!(error.to_string().contains("went back"), "{error}");
    let listed = loop {
        if let Some(listed) = events.try_listing().await {
            break listed;
        }
    };
    assert_eq!(listed.len(), 1);
    Ok(())
}

async fn rights(version: ConsulVersion) -> Tested {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.acls = true;
    let consul = Consul::start_with(settings).await?;
    let with = |token: String| {
        sink_with(consul.url(), move |settings| {
            if !token.is_empty() {
                settings.token = TokenSource::Value(Secret::new(&token));
            }
        })
    };
    let full = with(consul.token(RIGHTS).await?);
    write(&full, &[service("web", 2), service("db", 1)]).await;
    assert!(preflight(&full).await.iter().all(|finding| finding.good));

    for (rules, listing, rule) in [
        (
            "",
            "node \"k8s-sync\"",
            "node \"k8s-sync\" { policy = \"write\" }",
        ),
        (
            r#"node "k8s-sync" { policy = "write" } node_prefix "" { policy = "read" }"#,
            "service_prefix",
            "service_prefix \"\" { policy = \"write\" }",
        ),
        (
            r#"node "k8s-sync" { policy = "write" } node_prefix "" { policy = "read" } service "web" { policy = "write" }"#,
            "service_prefix",
            "service_prefix \"\" { policy = \"write\" }",
        ),
        (
            r#"node_prefix "" { policy = "read" } service_prefix "" { policy = "write" }"#,
            "",
            "node \"k8s-sync\" { policy = \"write\" }",
        ),
        (
            r#"node "k8s-sync" { policy = "write" } service_prefix "" { policy = "write" }"#,
            "",
            "node_prefix \"\" { policy = \"read\" }",
        ),
    ] {
        let limited = with(consul.token(rules).await?);
        let findings = preflight(&limited).await;
        let missing = findings
            .iter()
            .filter_map(|finding| finding.remedy.as_deref());
        assert!(
            missing.clone().any(|remedy| remedy.contains(rule)),
            "{rules}: {findings:?}"
        );
        if !listing.is_empty() {
            let mut events = Events::of(&limited);
            assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
            let error = events
                .next()
                .await
                .err()
                .ok_or("a limited listing was believed")?;
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{rules}: {error}");
            assert!(error.to_string().contains(listing), "{rules}: {error}");
        }
    }
    for token in [String::new(), "7e57bed0-0000-4000-8000-00000000ffff".into()] {
        let stranger = with(token);
        assert!(
            preflight(&stranger)
                .await
                .iter()
                .any(|finding| !finding.good)
        );
        let error = stranger
            .apply(&creates(&stranger, &service("x", 1)))
            .await
            .err();
        assert_eq!(
            error.map(|error| error.kind()),
            Some(ErrorKind::Unauthorized)
        );
    }
    Ok(())
}

async fn revoked(version: ConsulVersion) -> Tested {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.acls = true;
    let consul = Consul::start_with(settings).await?;
    let token = consul.token(RIGHTS).await?;
    let secret = token.clone();
    let sink = sink_with(consul.url(), move |settings| {
        settings.token = TokenSource::Value(Secret::new(&secret));
    });
    write(&sink, &[service("web", 2)]).await;
    let mut events = Events::of(&sink);
    events.listing().await;
    let this = consul.client().get("/v1/acl/tokens").await?.json()?;
    let accessor = this
        .as_array()
        .and_then(|all| all.iter().find(|one| one["SecretID"] == token.as_str()))
        .and_then(|one| one["AccessorID"].as_str())
        .ok_or("the token is listed")?
        .to_owned();
    consul
        .client()
        .delete(&format!("/v1/acl/token/{accessor}"))
        .await?
        .success()?;
    let changed =
        json!({"Node": NODE, "SkipNodeUpdate": true, "Service": {"ID": "x", "Service": "x"}});
    consul
        .client()
        .put("/v1/catalog/register", &changed)
        .await?
        .success()?;
    loop {
        match events.next().await {
            Err(error) => {
                assert!(error.kind().weakens(), "{error}");
                return Ok(());
            }
            // What was held with the token may still come once.
            Ok(Event::Upserted(_, held)) => assert!(!held.records.is_empty()),
            Ok(other) => return Err(format!("{other:?}").into()),
        }
    }
}

async fn tls(version: ConsulVersion) -> Tested {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.tls = true;
    let consul = Consul::start_with(settings).await?;
    let url = consul.https_url().ok_or("it serves tls")?;
    let trusting = |tls: TlsSettings| sink_with(&url, move |settings| settings.tls = tls.clone());
    let mut good = TlsSettings::default();
    good.ca_file = consul.ca().map(Into::into);
    write(&trusting(good.clone()), &[service("web", 1)]).await;

    let mut by_text = TlsSettings::default();
    by_text.ca_pem = Some(std::fs::read_to_string(consul.ca().ok_or("a ca")?)?);
    assert_eq!(
        trusting(by_text).read(&[slot("web")]).await?[0]
            .1
            .records
            .len(),
        1
    );

    let mut other_name = good.clone();
    other_name.server_name = Some("server.dc9.consul".into());
    let mut other_ca = TlsSettings::default();
    other_ca.ca_pem = Some(support::SOME_CA.into());
    for (tls, what) in [(other_name, "name"), (other_ca, "issuer")] {
        let error = trusting(tls).read(&[slot("web")]).await.err().ok_or(what)?;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    // Plain HTTP is never tried instead.
    let plain = sink_with(&url.replace("https", "http"), |_| ());
    assert!(plain.read(&[slot("web")]).await.is_err());
    Ok(())
}

async fn agents_node(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let mut settings = support::settings();
    settings.node = NodeName::new(consul.node())?;
    let sink = support::sink_of(consul.url(), |_| (), settings);
    let mut events = Events::of(&sink);
    assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
    let error = events
        .next()
        .await
        .err()
        .ok_or("an agent's node was listed")?;
    assert!(error.to_string().contains("running agent"), "{error}");
    assert!(
        sink.apply(&creates(&sink, &service("web", 1)))
            .await
            .is_err()
    );
    assert!(preflight(&sink).await.iter().any(|finding| !finding.good));
    Ok(())
}

async fn thousands(version: ConsulVersion) -> Tested {
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
    assert!(support::planned(&sink, &services).await.is_empty());
    // A limit that such a listing does not fit in is an error, and not a shorter listing.
    let small = sink_with(consul.url(), |settings| settings.answer_limit = 500_000);
    let mut events = Events::of(&small);
    assert!(matches!(events.next().await, Ok(Event::RelistStarted)));
    let error = events
        .next()
        .await
        .err()
        .ok_or("a listing beyond the limit")?;
    assert!(
        error.to_string().contains("longer than 500000 bytes"),
        "{error}"
    );
    Ok(())
}

async fn ports(version: ConsulVersion) -> Tested {
    let consul = Consul::start(version).await?;
    let client = sink(consul.url()).client().clone();
    let takes = Ports::Auto.decide(&client).await?;
    assert_eq!(takes, version == ConsulVersion::V1_22);
    let mut settings = support::settings();
    settings.named_ports = true;
    let sink = support::sink_of(consul.url(), |_| (), settings);
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
        let ops = support::planned(&sink, &[turned]).await;
        let outcomes = sink.apply(&ops).await?;
        assert!(matches!(outcomes[0], Outcome::Refused(_)), "{outcomes:?}");
    } else {
        let outcomes = sink.apply(&creates(&sink, &listed)).await?;
        assert!(matches!(outcomes[0], Outcome::Refused(_)), "{outcomes:?}");
    }
    Ok(())
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let mut both = TlsSettings::default();
    both.client_cert = Some("/nowhere/cert.pem".into());
    let mut settings = consul_sync_consul::ClientSettings::new("https://127.0.0.1");
    settings.tls = both;
    let error = consul_sync_consul::Client::new(settings).err();
    assert!(matches!(error, Some(ClientError::Settings(_))), "{error:?}");
}
