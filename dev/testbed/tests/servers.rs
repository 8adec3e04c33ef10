//! Every real server is started, broken and started again.

#[path = "servers/dns.rs"]
mod dns;
#[path = "servers/kubernetes.rs"]
mod kubernetes;

use std::time::Duration;

use consul_sync_testbed::{
    Client, Consul, ConsulSettings, ConsulVersion, Error, Etcd, Program, Programs, Result, Storage,
};
use serde_json::{Value, json};

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn etcd_is_there() -> bool {
    Programs::locate().all_or_skip(&[Program::Etcd])
}

fn api_server_is_there() -> bool {
    Programs::locate().all_or_skip(&[Program::Etcd, Program::KubeApiserver])
}

/// Runs `test` with every version of Consul that is there, at once, since most of the time goes
/// into waiting for elections; a missing version counts as a skip.
async fn each_version(test: impl AsyncFn(ConsulVersion) -> Result<()>) -> Result<()> {
    let one = async |version| {
        if Programs::locate().all_or_skip(&[Program::Consul(version)]) {
            test(version).await?;
        }
        Ok::<(), Error>(())
    };
    tokio::try_join!(one(ConsulVersion::V1_21), one(ConsulVersion::V1_22))?;
    Ok(())
}

async fn consul(version: ConsulVersion, storage: Storage, acls: bool) -> Result<Consul> {
    let mut settings = ConsulSettings::default();
    settings.version = version;
    settings.storage = storage;
    settings.acls = acls;
    Consul::start_with(settings).await
}

async fn kv(client: &Client) -> Result<u16> {
    Ok(client.get("/v1/kv/kept?consistent").await?.status)
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name },
        "spec": { "ports": [{ "port": 80 }] },
    })
}

// ---- etcd ----

#[tokio::test]
async fn etcd_keeps_its_keys_over_a_kill() -> Result<()> {
    if !etcd_is_there() {
        return Ok(());
    }
    let etcd = Etcd::start().await?;
    let client = Client::plain(etcd.url())?;
    // The gateway speaks base64: key "a", value "b".
    client
        .post("/v3/kv/put", &json!({ "key": "YQ==", "value": "Yg==" }))
        .await?
        .success()?;
    etcd.kill()?;
    etcd.restart().await?;
    let read = client
        .post("/v3/kv/range", &json!({ "key": "YQ==" }))
        .await?
        .json()?;
    assert_eq!(read["kvs"][0]["value"], "Yg==");
    etcd.stop().await
}

// ---- Consul ----

#[tokio::test]
async fn consul_on_disk_keeps_its_keys_over_a_kill_and_a_stop() -> Result<()> {
    each_version(async |version| {
        let consul = consul(version, Storage::Disk, false).await?;
        consul
            .client()
            .put("/v1/kv/kept", &json!(1))
            .await?
            .success()?;
        consul.kill()?;
        assert!(matches!(
            kv(consul.client()).await,
            Err(Error::Unanswered { .. })
        ));
        consul.restart().await?;
        assert_eq!(kv(consul.client()).await?, 200, "{version}");
        consul.stop().await?;
        consul.restart().await?;
        assert_eq!(kv(consul.client()).await?, 200, "{version}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn consul_in_memory_loses_everything_with_a_restart() -> Result<()> {
    each_version(async |version| {
        let consul = Consul::start(version).await?;
        consul
            .client()
            .put("/v1/kv/kept", &json!(1))
            .await?
            .success()?;
        consul.restart().await?;
        assert_eq!(kv(consul.client()).await?, 404, "{version}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_paused_consul_takes_connections_and_answers_after_it_is_resumed() -> Result<()> {
    each_version(async |version| {
        let consul = Consul::start(version).await?;
        consul.pause()?;
        let paused = consul.client().with_deadline(Duration::from_millis(300));
        let answer = kv(&paused).await;
        assert!(
            matches!(answer, Err(Error::Unanswered { .. })),
            "{version} {answer:?}"
        );
        consul.resume()?;
        assert_eq!(kv(consul.client()).await?, 404, "{version}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn consul_with_acls_gives_each_token_the_rights_of_its_rules() -> Result<()> {
    each_version(async |version| {
        let consul = consul(version, Storage::Disk, true).await?;
        let writer = consul
            .token(r#"key_prefix "" { policy = "write" }"#)
            .await?;
        let reader = consul.token(r#"key_prefix "" { policy = "read" }"#).await?;
        let without = consul.token("").await?;
        let status = async |token: Option<&str>| {
            Ok(consul
                .client()
                .with_token(token)
                .put("/v1/kv/kept", &json!(1))
                .await?
                .status)
        };
        assert_eq!(status(consul.management_token()).await?, 200, "{version}");
        assert_eq!(status(Some(&writer)).await?, 200, "{version}");
        for token in [
            Some(reader.as_str()),
            Some(without.as_str()),
            Some("unknown"),
            None,
        ] {
            assert_eq!(status(token).await?, 403, "{version} {token:?}");
        }
        consul.kill()?;
        consul.restart().await?;
        assert_eq!(status(Some(&writer)).await?, 200, "{version}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn consul_with_tls_serves_https_by_its_own_authority() -> Result<()> {
    each_version(async |version| {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        settings.tls = true;
        let consul = Consul::start_with(settings).await?;
        assert_eq!(kv(&consul.https_client()?).await?, 404, "{version}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_program_that_runs_is_of_the_version_that_was_asked_for() -> Result<()> {
    each_version(async |version| {
        let consul = Consul::start(version).await?;
        let agent = consul.client().get("/v1/agent/self").await?.json()?;
        let told = agent["Config"]["Version"].as_str().unwrap_or_default();
        assert!(told.starts_with(&format!("{version}.")), "{told}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_configuration_that_consul_refuses_is_reported_with_its_own_words() {
    each_version(async |version| {
        let mut settings = ConsulSettings::default();
        settings.version = version;
        settings.config = json!({ "no_such_setting": true });
        let error = Consul::start_with(settings).await.unwrap_err();
        assert!(error.to_string().contains("no_such_setting"), "{error}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nothing_is_left_when_a_server_is_dropped() -> Result<()> {
    each_version(async |version| {
        let consul = Consul::start(version).await?;
        let folder = consul.log().parent().unwrap().to_owned();
        let id = consul.process_id().unwrap();
        assert!(folder.exists());
        drop(consul);
        assert!(!folder.exists());
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
        Ok(())
    })
    .await
}
