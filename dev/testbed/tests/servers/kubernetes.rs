//! The API server.

use std::time::Duration;

use consul_sync_testbed::{ApiServer, ApiServerSettings, Error, Result, User};
use serde_json::{Value, json};

use super::{SERVICES, api_server_is_there, service};

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
