//! Servers that are killed or put back, and rights that are lost and restored.

use std::time::Duration;

use consul_sync_consul::{ConsulSource, Secret, TokenSource};
use consul_sync_core::ErrorKind;
use consul_sync_testbed::{Consul, ConsulSettings, ConsulVersion, Storage};
use serde_json::json;

use super::{
    Tested,
    changes::{put, register},
    support::{Told, source, source_with},
};

/// The rights that the product asks for.
const RIGHTS: &str = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;

async fn start(
    version: ConsulVersion,
    change: impl FnOnce(&mut ConsulSettings),
) -> Result<Consul, Box<dyn std::error::Error>> {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    change(&mut settings);
    let consul = Consul::start_with(settings).await?;
    for number in 0..20 {
        for instance in 1..=3 {
            register(consul.client(), &format!("s{number}"), instance, "passing").await?;
        }
    }
    Ok(consul)
}

pub(crate) async fn killed(version: ConsulVersion) -> Tested {
    let consul = start(version, |s| s.storage = Storage::Disk).await?;
    for queries in [128, 0] {
        let source = source(consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        for _ in 0..2 {
            consul.kill()?;
            consul.start_again()?;
            // A new stream asks while the server starts; the old one goes on.
            let fresh = Told::listed(&source).await;
            let counts = fresh
                .services
                .values()
                .map(|service| service.instances.len());
            assert_eq!(counts.collect::<Vec<_>>(), [3; 20]);
            consul.until_ready().await?;
            register(consul.client(), "s7", 4, "passing").await?;
            told.until(|told| told.count("s7") == Some(4)).await;
            put(
                consul.client(),
                "/v1/catalog/deregister",
                &json!({"Node": "n1", "ServiceID": "s7-4"}),
            )
            .await?;
            told.until(|told| told.count("s7") == Some(3)).await;
        }
        assert_eq!(told.gone, [] as [String; 0]);
        assert!(
            told.errors.iter().all(|(kind, _)| !kind.weakens()),
            "{:?}",
            told.errors
        );
        let counts = told
            .services
            .values()
            .map(|service| service.instances.len());
        assert_eq!(counts.collect::<Vec<_>>(), [3; 20]);
    }
    Ok(())
}

pub(crate) async fn restored(version: ConsulVersion) -> Tested {
    for queries in [128, 0] {
        let consul = start(version, |_| ()).await?;
        let client = consul.client();
        let saved = client.get("/v1/snapshot").await?.success()?.body;
        register(client, "later", 1, "passing").await?;
        register(client, "s3", 4, "passing").await?;
        let mut told = Told::listed(&source(consul.url(), |s| s.queries = queries)).await;
        told.until_quiet(Duration::from_millis(500)).await;
        let kind = "application/octet-stream";
        client
            .send(http::Method::PUT, "/v1/snapshot", kind, saved)
            .await?
            .success()?;
        told.until(|told| told.listings == 2).await;
        assert!(
            told.kinds().contains(&ErrorKind::Incomplete),
            "{:?}",
            told.errors
        );
        assert_eq!((told.services.len(), told.count("s3")), (20, Some(3)));
    }
    Ok(())
}

fn reader(consul: &Consul, token: &str, queries: usize) -> ConsulSource {
    let token = TokenSource::Value(Secret::new(token));
    source_with(consul.url(), |c| c.token = token, |s| s.queries = queries)
}

pub(crate) async fn hidden(version: ConsulVersion) -> Tested {
    let consul = start(version, |s| s.acls = true).await?;
    let client = consul.client();
    for (number, queries) in [128, 0].into_iter().enumerate() {
        let body = |rules: &str| json!({"Name": format!("reader-{number}"), "Rules": rules});
        let policy = client.put("/v1/acl/policy", &body(RIGHTS)).await?.json()?;
        let policy = policy["ID"].as_str().unwrap_or_default().to_owned();
        let token = client
            .put("/v1/acl/token", &json!({"Policies": [{"ID": policy}]}))
            .await?
            .json()?;
        let token = token["SecretID"].as_str().unwrap_or_default().to_owned();
        let mut told = Told::listed(&reader(&consul, &token, queries)).await;
        for rules in [
            r#"service "s3" { policy = "read" } node_prefix "" { policy = "read" }"#,
            r#"service_prefix "" { policy = "read" }"#,
            "",
        ] {
            let (errors, listings) = (told.errors.len(), told.listings);
            let path = format!("/v1/acl/policy/{policy}");
            put(client, &path, &body(rules)).await?;
            // Something moves.
            register(client, "s3", 4, "passing").await?;
            register(client, "s3", 4, "warning").await?;
            told.until(|told| told.errors.len() > errors).await;
            told.until_quiet(Duration::from_secs(1)).await;
            assert_eq!((told.gone.len(), told.listings), (0, listings));
            assert!(
                told.kinds()
                    .iter()
                    .all(|kind| *kind == ErrorKind::Unauthorized),
                "{:?}",
                told.errors
            );
            put(client, &path, &body(RIGHTS)).await?;
            told.until(|told| told.listings > listings && told.count("s3") == Some(4))
                .await;
            assert_eq!((told.gone.len(), told.services.len()), (0, 20));
        }
    }
    Ok(())
}

pub(crate) async fn revoked(version: ConsulVersion) -> Tested {
    let consul = start(version, |s| s.acls = true).await?;
    let client = consul.client();
    for queries in [128, 0] {
        let token = consul.token(RIGHTS).await?;
        let mut told = Told::listed(&reader(&consul, &token, queries)).await;
        let of = client.with_token(Some(&token));
        let own = of.get("/v1/acl/token/self").await?.json()?;
        let path = format!(
            "/v1/acl/token/{}",
            own["AccessorID"].as_str().unwrap_or_default()
        );
        client.delete(&path).await?.success()?;
        register(client, "s3", 4, "passing").await?;
        register(client, "s3", 4, "warning").await?;
        told.until(|told| told.kinds().contains(&ErrorKind::Unauthorized))
            .await;
        told.until_quiet(Duration::from_secs(1)).await;
        assert_eq!(
            (told.gone.len(), told.listings, told.services.len()),
            (0, 1, 20)
        );
        put(
            client,
            "/v1/catalog/deregister",
            &json!({"Node": "n1", "ServiceID": "s3-4"}),
        )
        .await?;
    }
    // Without any token an access-controlled catalog is not taken for an empty one.
    let mut told = Told::by(&source(consul.url(), |_| ()));
    told.until(|told| told.kinds().contains(&ErrorKind::Unauthorized))
        .await;
    assert_eq!((told.listings, told.services.len()), (0, 0));
    Ok(())
}
