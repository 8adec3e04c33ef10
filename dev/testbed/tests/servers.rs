//! Every real server is started, broken and started again.

use std::net::IpAddr;
use std::time::Duration;

use consul_sync_testbed::{
    ApiServer, ApiServerSettings, Client, Consul, ConsulSettings, ConsulVersion, CoreDns, Error,
    Etcd, Program, Programs, Result, Storage, User,
    dns::{self, Answer, Kind},
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

// ---- API server ----

#[tokio::test]
async fn an_api_server_keeps_its_objects_and_its_address_over_kills_and_a_pause() -> Result<()> {
    if !api_server_is_there() {
        return Ok(());
    }
    let api = ApiServer::start().await?;
    let client = api.client();
    let created = client.post(SERVICES, &service("web")).await?.json()?;
    let path = format!("{SERVICES}/web");

    api.kill()?;
    assert!(matches!(
        client.get(&path).await,
        Err(Error::Unanswered { .. })
    ));
    api.restart().await?;
    assert_eq!(
        client.get(&path).await?.json()?["metadata"]["uid"],
        created["metadata"]["uid"]
    );

    api.etcd().kill()?;
    api.etcd().restart().await?;
    api.restart().await?;
    assert_eq!(
        client.get(&path).await?.json()?["metadata"]["uid"],
        created["metadata"]["uid"]
    );

    api.pause()?;
    let paused = client
        .with_deadline(Duration::from_millis(300))
        .get(&path)
        .await;
    assert!(
        matches!(paused, Err(Error::Unanswered { .. })),
        "{paused:?}"
    );
    api.resume()?;
    client.get(&path).await?.success()?;
    api.stop().await
}

#[tokio::test]
async fn users_of_an_api_server_have_only_the_rights_that_are_bound_to_them() -> Result<()> {
    if !api_server_is_there() {
        return Ok(());
    }
    let mut settings = ApiServerSettings::default();
    settings.users.push(User {
        name: "jane".to_owned(),
        token: "janes-token".to_owned(),
        groups: vec!["developers".to_owned(), "readers".to_owned()],
    });
    let api = ApiServer::start_with(settings).await?;
    let account = api.service_account("tools", "sync").await?;
    assert_eq!(account.user, "system:serviceaccount:tools:sync");

    let client = api.client();
    let jane = client.with_token(Some("janes-token"));
    let sync = client.with_token(Some(&account.token));
    let nobody = client.with_token(Some("unknown"));
    for (client, status) in [(client, 200), (&jane, 403), (&sync, 403), (&nobody, 401)] {
        assert_eq!(client.get(SERVICES).await?.status, status);
    }

    // Not `view`: the cluster's own aggregated roles are filled in by a controller.
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({
        "metadata": { "name": "services" },
        "rules": [{ "apiGroups": [""], "resources": ["services"], "verbs": ["list"] }],
    });
    client
        .post(&format!("{rbac}/clusterroles"), &role)
        .await?
        .success()?;
    let bindings = format!("{rbac}/clusterrolebindings");
    for (name, subject) in [
        (
            "group",
            json!({ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "readers" }),
        ),
        (
            "account",
            json!({ "kind": "ServiceAccount", "namespace": "tools", "name": "sync" }),
        ),
    ] {
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "services" },
            "subjects": [subject],
        });
        client.post(&bindings, &binding).await?.success()?;
    }
    for client in [&jane, &sync] {
        // The server's own view of a new binding is a moment late.
        while client.get(SERVICES).await?.status != 200 {}
        assert_eq!(client.post(SERVICES, &service("web")).await?.status, 403);
    }
    Ok(())
}

#[tokio::test]
async fn kubeconfigs_name_the_address_the_authority_and_the_user() -> Result<()> {
    if !api_server_is_there() {
        return Ok(());
    }
    let api = ApiServer::shared().await?;
    let read = |path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let admin = read(api.kubeconfig().to_owned());
    assert_eq!(admin["clusters"][0]["cluster"]["server"], api.url());
    assert_eq!(
        admin["clusters"][0]["cluster"]["certificate-authority"],
        api.ca().to_str().unwrap()
    );
    assert_eq!(
        admin["users"][0]["user"],
        json!({ "token": api.admin_token() })
    );

    let other = read(api.kubeconfig_as("jane", &["readers"])?);
    assert_eq!(other["users"][0]["user"]["as"], "jane");
    assert_eq!(other["users"][0]["user"]["as-groups"], json!(["readers"]));
    let token = read(api.kubeconfig_with_token("stale")?);
    assert_eq!(token["users"][0]["user"], json!({ "token": "stale" }));
    Ok(())
}

#[tokio::test]
async fn an_argument_that_the_server_does_not_know_is_reported_with_its_own_words() {
    if !api_server_is_there() {
        return;
    }
    let mut settings = ApiServerSettings::default();
    settings.arguments.push("--no-such-flag".to_owned());
    let error = ApiServer::start_with(settings).await.unwrap_err();
    assert!(matches!(error, Error::Exited { .. }), "{error}");
    assert!(
        error.to_string().contains("unknown flag: --no-such-flag"),
        "{error}"
    );
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
async fn consul_answers_dns_for_what_is_registered() -> Result<()> {
    each_version(async |version| {
        let consul = Consul::start(version).await?;
        let registration = json!({
            "Node": "outside",
            "Address": "10.1.2.3",
            "Service": { "Service": "web", "Port": 80 },
        });
        consul
            .client()
            .put("/v1/catalog/register", &registration)
            .await?
            .success()?;
        let expected: IpAddr = [10, 1, 2, 3].into();
        for name in ["web.service.consul", "web.service.dc1.dc.consul"] {
            assert_eq!(consul.resolve(name).await?, [expected], "{version} {name}");
        }
        // Without namespaces it knows no name that has one.
        assert_eq!(
            consul.resolve("web.service.default.ns.consul").await?,
            [] as [IpAddr; 0],
            "{version}"
        );
        assert_eq!(
            consul.resolve("nobody.service.consul").await?,
            [] as [IpAddr; 0],
            "{version}"
        );
        Ok(())
    })
    .await
}

// ---- CoreDNS ----

/// Asks for the addresses of a Service until there are some, for a while: its server follows the cluster.
async fn addresses(server: &CoreDns, service: &str) -> Result<Answer> {
    let name = format!("{service}.default.svc.cluster.local");
    let mut answer = dns::ask(server.dns_addr(), &name, Kind::A).await?;
    for _ in 0..500 {
        if !answer.addresses().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = dns::ask(server.dns_addr(), &name, Kind::A).await?;
    }
    Ok(answer)
}

#[tokio::test]
async fn coredns_answers_for_services_and_follows_an_alias_to_consul() -> Result<()> {
    let version = ConsulVersion::default();
    let needed = [
        Program::Etcd,
        Program::KubeApiserver,
        Program::Consul(version),
        Program::CoreDns,
    ];
    if !Programs::locate().all_or_skip(&needed) {
        return Ok(());
    }
    let (api, consul) = tokio::try_join!(ApiServer::start(), Consul::start(version))?;
    let server = CoreDns::start(&api, &consul).await?;
    let own = addresses(&server, "kubernetes").await?;
    assert_eq!(own.addresses(), [IpAddr::from([10, 0, 0, 1])]);

    let mut alias = service("consul");
    alias["spec"] = json!({ "type": "ExternalName", "externalName": "consul.service.consul" });
    api.client().post(SERVICES, &alias).await?.success()?;
    let followed = addresses(&server, "consul").await?;
    assert_eq!(followed.targets(), ["consul.service.consul"]);
    assert_eq!(followed.addresses(), [IpAddr::from([127, 0, 0, 1])]);

    server.kill()?;
    let name = "nobody.default.svc.cluster.local";
    assert!(matches!(
        dns::ask(server.dns_addr(), name, Kind::A).await,
        Err(Error::Unanswered { .. })
    ));
    server.restart().await?;
    let unknown = dns::ask(server.dns_addr(), name, Kind::A).await?;
    assert_eq!((unknown.code, unknown.records.len()), (3, 0));
    Ok(())
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
