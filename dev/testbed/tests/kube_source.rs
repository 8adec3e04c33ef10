//! The Kubernetes source on a real API server in RBAC mode, with the rights it says it needs and no other.

#[path = "kube_source/cluster.rs"]
mod cluster;
#[path = "kube_source/conformance.rs"]
mod conformance;
#[path = "kube_source/told.rs"]
mod told;

use std::time::Duration;

use consul_sync_core::{ErrorKind, Source};
use consul_sync_k8s::{
    ExportSettings, KubeSource, Rights, Subject, WatchSettings, owner, preflight,
};
use consul_sync_testbed::{ApiServer, ApiServerSettings, Client, Result};
use futures::StreamExt;
use serde_json::json;

use cluster::{
    RBAC, SERVICES, SLICES, brisk, client, cluster, deleted, fill, grant, is_there, service, slice,
    without_nodes,
};
use told::{Told, settled};

#[tokio::test]
async fn the_listed_rights_are_enough_for_every_kind_and_the_identity() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = ExportSettings {
        ingress: true,
        namespace_selector: "!hidden".parse().expect("a selector"),
        ..ExportSettings::default()
    };
    let client = cluster(&api, &settings).await?;
    let findings = preflight(&client, &settings, true).await;
    assert_eq!(findings.len(), 12);
    assert!(findings.iter().all(|finding| finding.good), "{findings:?}");

    let kube_system = api
        .client()
        .get("/api/v1/namespaces/kube-system")
        .await?
        .json()?;
    let owner = owner(&client).await.expect("the right is there");
    assert_eq!(owner.as_str(), kube_system["metadata"]["uid"]);

    fill(api.client()).await?;
    let mut told = Told::of(&KubeSource::new(client, settings));
    told.until(|told| told.whole == 1).await;
    assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
    assert!(told.table.contains_key("default/db"));
    api.client()
        .put(
            &format!("{SLICES}/web-1"),
            &slice("web-1", "web", &["10.1.0.3"]),
        )
        .await?
        .success()?;
    told.until(|told| told.addresses("default/web") == ["10.1.0.3"])
        .await;
    deleted(api.client().delete(&format!("{SERVICES}/db")).await?)?;
    told.until(|told| !told.table.contains_key("default/db"))
        .await;
    assert!(told.errors.is_empty(), "{:?}", told.errors);
    Ok(())
}

#[tokio::test]
async fn a_role_in_one_namespace_and_one_for_the_identity_are_enough_for_that_namespace()
-> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = ExportSettings {
        source_namespace: Some("default".to_owned()),
        ..without_nodes()
    };
    assert!(
        !Rights::needed(&settings, true)
            .to_yaml(&Subject::default())
            .contains("ClusterRole")
    );
    let client = cluster(&api, &settings).await?;
    owner(&client)
        .await
        .expect("the Role in kube-system gives it");
    let findings = preflight(&client, &settings, true).await;
    assert!(findings.iter().all(|finding| finding.good), "{findings:?}");
    fill(api.client()).await?;
    let mut told = Told::of(&KubeSource::new(client.clone(), settings));
    told.until(|told| told.whole == 1).await;
    assert!(told.table.contains_key("default/web") && told.table.contains_key("default/db"));

    // The whole cluster is another matter, and every missing right is named.
    let findings = preflight(&client, &ExportSettings::default(), false).await;
    let missing: Vec<_> = findings.iter().filter(|finding| !finding.good).collect();
    assert_eq!(missing.len(), 4, "{findings:?}");
    assert_eq!(
        missing[0].remedy.as_deref(),
        Some(r#"add {apiGroups: [""], resources: ["services"], verbs: ["list"]} to a ClusterRole"#)
    );
    let hints = findings
        .iter()
        .filter(|finding| finding.good && finding.remedy.is_some());
    assert_eq!(hints.count(), 2, "nodes: {findings:?}");
    let mut refused = KubeSource::new(client, ExportSettings::default()).watch();
    let error = loop {
        if let Some(Err(error)) = refused.next().await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(
        error
            .to_string()
            .contains("at the cluster scope); add {apiGroups: ["),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_killed_server_takes_nothing_away_and_is_followed_again_when_it_is_back() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = without_nodes();
    let client = cluster(&api, &settings).await?;
    fill(api.client()).await?;
    let mut told = Told::of(&KubeSource::new(client, settings).with_watch_settings(brisk()));
    told.until(|told| told.whole == 1).await;
    api.kill()?;
    told.until(|told| !told.errors.is_empty()).await;
    assert!(
        told.errors
            .iter()
            .all(|error| error.kind() == ErrorKind::Unavailable),
        "{:?}",
        told.errors
    );
    assert_eq!(told.table.len(), 3, "{:?}", told.table);
    let (restarted, ()) = tokio::join!(api.restart(), told.still(Duration::from_secs(1)));
    restarted?;
    deleted(api.client().delete(&format!("{SERVICES}/db")).await?)?;
    api.client()
        .post(SERVICES, &service("new"))
        .await?
        .success()?;
    told.until(|told| {
        told.table.contains_key("default/new") && !told.table.contains_key("default/db")
    })
    .await;
    assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
    Ok(())
}

#[tokio::test]
async fn fault_k05_a_version_that_the_server_forgot_leads_to_the_right_deletes() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = without_nodes();
    let client = cluster(&api, &settings).await?;
    fill(api.client()).await?;
    let mut told = Told::of(&KubeSource::new(client, settings));
    told.until(|told| told.whole == 1).await;
    told.still(Duration::from_secs(1)).await;
    // Nobody reads the stream while the server is restarted with other objects and without its past.
    deleted(api.client().delete(&format!("{SERVICES}/db")).await?)?;
    api.client()
        .post(SERVICES, &service("new"))
        .await?
        .success()?;
    deleted(api.client().delete(&format!("{SLICES}/web-1")).await?)?;
    let version = api.client().get(SERVICES).await?.json()?["metadata"]["resourceVersion"].clone();
    Client::plain(api.etcd().url())?
        .post(
            "/v3/kv/compaction",
            &json!({"revision": version, "physical": true}),
        )
        .await?
        .success()?;
    api.kill()?;
    api.restart().await?;
    told.until(|told| {
        told.table.contains_key("default/new") && !told.table.contains_key("default/db")
    })
    .await;
    told.until(|told| told.addresses("default/web").is_empty())
        .await;
    Ok(())
}

#[tokio::test]
async fn fault_k15_rights_that_are_withdrawn_take_nothing_away_and_come_back() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = without_nodes();
    let client = cluster(&api, &settings).await?;
    fill(api.client()).await?;
    let mut told =
        Told::of(&KubeSource::new(client, settings.clone()).with_watch_settings(brisk()));
    told.until(|told| told.whole == 1).await;
    let binding = format!("{RBAC}/clusterrolebindings/consul-sync");
    deleted(api.client().delete(&binding).await?)?;
    deleted(
        api.client()
            .delete(&format!("{RBAC}/clusterroles/consul-sync"))
            .await?,
    )?;
    // A watch that is open goes on to its end: only when both are refused does nothing come any more.
    told.until(|told| {
        let refused = |what: &str| {
            told.errors
                .iter()
                .any(|error| error.to_string().contains(what))
        };
        refused(" services: forbidden") && refused(" endpointslices.discovery.k8s.io: forbidden")
    })
    .await;
    for error in &told.errors {
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("; add {apiGroups: ["), "{error}");
    }
    deleted(api.client().delete(&format!("{SERVICES}/db")).await?)?;
    told.still(Duration::from_secs(3)).await;
    assert_eq!(told.table.len(), 3, "{:?}", told.table);
    grant(
        api.client(),
        &Rights::needed(&settings, true).to_yaml(&Subject::default()),
    )
    .await?;
    told.until(|told| !told.table.contains_key("default/db"))
        .await;
    Ok(())
}

#[tokio::test]
async fn a_token_that_the_server_does_not_know_is_told_as_such() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::shared().await?;
    let client = client(&api.kubeconfig_with_token("nobody's")?).await;
    let findings = preflight(&client, &without_nodes(), false).await;
    assert!(!findings[0].good, "{findings:?}");
    let mut events = KubeSource::new(client, without_nodes()).watch();
    let error = loop {
        if let Some(Err(error)) = events.next().await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(
        error
            .to_string()
            .ends_with("check that the token is current"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn streaming_lists_tell_the_same_and_a_server_without_them_is_listed_in_pages() -> Result<()>
{
    if !is_there() {
        return Ok(());
    }
    let mut old = ApiServerSettings::default();
    old.arguments
        .push("--feature-gates=WatchList=false".to_owned());
    for server in [ApiServerSettings::default(), old] {
        let api = ApiServer::start_with(server).await?;
        let settings = without_nodes();
        let client = cluster(&api, &settings).await?;
        fill(api.client()).await?;
        let streaming = WatchSettings {
            streaming_lists: true,
            ..WatchSettings::default()
        };
        let mut told = Told::of(&KubeSource::new(client, settings).with_watch_settings(streaming));
        told.until(|told| told.whole == 1).await;
        assert_eq!(told.addresses("default/web"), ["10.1.0.1", "10.1.0.2"]);
        deleted(api.client().delete(&format!("{SERVICES}/db")).await?)?;
        told.until(|told| !told.table.contains_key("default/db"))
            .await;
        assert!(told.errors.is_empty(), "{:?}", told.errors);
    }
    Ok(())
}

#[tokio::test]
async fn many_objects_are_listed_in_pages_and_changes_between_the_pages_are_seen() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let settings = without_nodes();
    let client = cluster(&api, &settings).await?;
    let made = (0..60).map(|at| {
        let admin = api.client().clone();
        async move {
            admin
                .post(SERVICES, &service(&format!("s{at:02}")))
                .await?
                .success()
                .map(drop)
        }
    });
    futures::future::try_join_all(made).await?;
    let pages = WatchSettings {
        page_size: 7,
        page_bytes: 0,
        ..WatchSettings::default()
    };
    let mut told = Told::of(&KubeSource::new(client, settings).with_watch_settings(pages));
    // The listing stands still while nobody reads it.
    settled(&mut told, 1).await;
    deleted(api.client().delete(&format!("{SERVICES}/s00")).await?)?;
    deleted(api.client().delete(&format!("{SERVICES}/s59")).await?)?;
    api.client()
        .post(SERVICES, &service("t00"))
        .await?
        .success()?;
    told.until(|told| {
        told.table.contains_key("default/t00") && !told.table.contains_key("default/s59")
    })
    .await;
    told.until(|told| !told.table.contains_key("default/s00"))
        .await;
    // 60 made, 2 gone, 1 new, and the API server's own.
    assert_eq!(told.table.len(), 60);
    Ok(())
}
