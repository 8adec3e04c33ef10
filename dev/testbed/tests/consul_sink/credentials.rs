//! Rights, tokens and certificates.

use consul_sync_consul::{Secret, TlsSettings, TokenSource, preflight};
use consul_sync_core::{ErrorKind, Event, Sink};
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion};
use serde_json::json;

use super::{
    Tested,
    support::{Events, NODE, creates, service, sink_with, slot, write},
};

/// A certificate authority that signed nothing.
const SOME_CA: &str = include_str!("some_ca.pem");

/// The rights that the product asks for.
const RIGHTS: &str = r#"node "k8s-sync" { policy = "write" } node_prefix "" { policy = "read" }
    service_prefix "" { policy = "write" }"#;

pub(crate) async fn rights(version: ConsulVersion) -> Tested {
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
            let error = Events::of(&limited).refused_listing().await;
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

pub(crate) async fn revoked(version: ConsulVersion) -> Tested {
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

pub(crate) async fn tls(version: ConsulVersion) -> Tested {
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
    other_ca.ca_pem = Some(SOME_CA.into());
    for (tls, what) in [(other_name, "name"), (other_ca, "issuer")] {
        let error = trusting(tls).read(&[slot("web")]).await.err().ok_or(what)?;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    // Plain HTTP is never tried instead.
    let plain = sink_with(&url.replace("https", "http"), |_| ());
    assert!(plain.read(&[slot("web")]).await.is_err());
    Ok(())
}
