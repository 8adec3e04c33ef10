//! A client that logs in, at an auth method of the catalog in memory.

use std::path::PathBuf;

use super::*;
use crate::{
    Login, LoginSettings,
    testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Right, Rules},
};

const JWT: &str = "canary-jwt";

struct World {
    consul: FakeConsul,
    folder: PathBuf,
    client: Client,
    login: Login,
}

impl World {
    /// An auth method whose tokens live for so long.
    async fn start(name: &str, life: Option<Duration>) -> Self {
        let consul = FakeConsul::builder()
            .acl(DefaultPolicy::Deny)
            .auth_method("k8s", JWT, Rules::sync("n"), life)
            .start()
            .await
            .unwrap();
        let folder = format!("consul-sync-login-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("jwt"), format!("{JWT}\n")).unwrap();
        let mut settings = LoginSettings::new("k8s");
        settings.bearer_token_file = folder.join("jwt");
        settings.meta.insert("component".into(), "sync".into());
        let login = Login::new(settings);
        let client = Self::client(&consul, &login);
        Self {
            consul,
            folder,
            client,
            login,
        }
    }

    fn client(consul: &FakeConsul, login: &Login) -> Client {
        let mut settings = ClientSettings::new(consul.url());
        settings.token = TokenSource::Login(login.clone());
        Client::new(settings).unwrap()
    }

    /// The secrets of the logins that are not logged out.
    fn secrets(&self) -> Vec<String> {
        let logins = self.consul.logins().into_iter();
        logins.map(|(secret, _)| secret).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn clients_of_one_login_log_in_once_and_a_logout_leaves_nothing() {
    let world = World::start("once", None).await;
    let other = World::client(&world.consul, &world.login);
    let request = read();
    let calls = (0..8).map(|n| if n % 2 == 0 { &world.client } else { &other });
    let calls = calls.map(|client| client.call(&request));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(world.consul.requests(Endpoint::Login), 1);
    let logins = world.consul.logins();
    assert_eq!(logins.len(), 1);
    assert_eq!(
        logins[0].1,
        r#"token created via login: {"component":"sync"}"#
    );
    world.client.log_out(Duration::from_secs(20)).await;
    assert!(world.consul.logins().is_empty());
    other.log_out(Duration::from_secs(20)).await;
    assert_eq!(world.consul.requests(Endpoint::Logout), 1);
}

#[tokio::test]
async fn an_expired_token_is_followed_by_another_before_a_request_fails() {
    let life = Duration::from_millis(300);
    let world = World::start("expired", Some(life)).await;
    world.client.call(&read()).await.unwrap();
    let first = world.secrets();
    world.consul.inject(
        Fault::new()
            .error_before(500, "No cluster leader")
            .on(Endpoint::Login),
    );
    tokio::time::sleep(life).await;
    assert!(world.consul.logins().is_empty(), "it has expired");
    world.client.call(&write()).await.unwrap_err();
    assert_eq!(world.consul.requests(Endpoint::Txn), 0, "nothing is sent");
    world.consul.clear_faults();
    world.client.call(&write()).await.unwrap();
    assert_eq!(world.consul.requests(Endpoint::Txn), 1);
    assert_ne!(world.secrets(), first);
}

#[tokio::test]
async fn the_next_token_is_there_before_the_first_one_ends_though_nothing_is_asked() {
    let world = World::start("idle", Some(Duration::from_millis(500))).await;
    world.client.call(&read()).await.unwrap();
    for logins in 2..4 {
        let is_renewed = |consul: &FakeConsul| consul.requests(Endpoint::Logout) == logins - 1;
        world.consul.until(is_renewed).await;
        assert_eq!(world.consul.requests(Endpoint::Login), logins);
        assert_eq!(world.consul.logins().len(), 1);
    }
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_token_in_use() {
    let life = Duration::from_secs(20);
    let world = World::start("renewal", Some(life)).await;
    world.client.call(&read()).await.unwrap();
    let first = world.secrets();
    tokio::time::pause();
    tokio::time::advance(life.mul_f64(0.9)).await;
    tokio::time::resume();
    world.consul.inject(
        Fault::new()
            .error_before(500, "No cluster leader")
            .on(Endpoint::Login),
    );
    let is_tried = |consul: &FakeConsul| consul.requests(Endpoint::Login) == 2;
    world.consul.until(is_tried).await;
    world.client.call(&read()).await.unwrap();
    assert_eq!(world.secrets(), first);
    assert_eq!(world.consul.requests(Endpoint::Login), 2, "not at once");
}

#[tokio::test]
async fn a_deleted_token_is_followed_by_another_also_while_a_query_blocks() {
    let world = World::start("deleted", None).await;
    let index = world.client.call(&read()).await.unwrap().index().unwrap();
    let blocking = read().blocking(index, Duration::from_secs(60));
    let client = world.client.clone();
    let query = tokio::spawn(async move { client.call(&blocking).await.map(|_| ()) });
    world.consul.until(|consul| consul.blocked() == 1).await;
    for secret in world.secrets() {
        world.consul.revoke_token(&secret);
    }
    world.client.call(&write()).await.unwrap();
    assert_eq!(world.consul.requests(Endpoint::Login), 2);
    let node = crate::testing::Node {
        node: "n".into(),
        address: "127.0.0.1".into(),
        ..Default::default()
    };
    world.consul.put_node(node).unwrap();
    query.await.unwrap().unwrap();
    assert_eq!(world.consul.requests(Endpoint::Login), 2);
}

#[tokio::test]
async fn a_missing_right_is_told_and_is_no_reason_to_log_in_again() {
    let world = World::start("right", None).await;
    let kv = br#"[{"KV":{"Verb":"set","Key":"a","Value":""}}]"#;
    for _ in 0..3 {
        let request = Request::put(&["txn"], Bytes::from_static(kv));
        // Refused in the transaction or as a whole, as Consul does it.
        match world.client.call(&request).await {
            Ok(answer) => assert_eq!(answer.status.as_u16(), 409),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unauthorized),
        }
    }
    let agent = Request::get(&["agent", "self"]);
    for _ in 0..3 {
        let error = world.client.call(&agent).await.unwrap_err();
        assert!(error.to_string().contains("agent:read"), "{error}");
    }
    assert_eq!(world.consul.requests(Endpoint::Login), 1);
    world
        .consul
        .put_token(&world.secrets()[0], Rules::new().agents(Right::Read));
    world.client.call(&agent).await.unwrap();
}

#[tokio::test]
async fn a_login_that_is_refused_says_what_to_look_at_and_tells_no_secret() {
    let world = World::start("refused", None).await;
    let client = |method: &str, bearer: &str| {
        std::fs::write(world.folder.join("other"), bearer).unwrap();
        let mut settings = LoginSettings::new(method);
        settings.bearer_token_file = world.folder.join("other");
        World::client(&world.consul, &Login::new(settings))
    };
    for (method, bearer, kind, parts) in [
        (
            "other",
            JWT,
            ErrorKind::Unauthorized,
            ["auth method \"other\"", "not found", "binding rule"],
        ),
        (
            "k8s",
            "canary-other",
            ErrorKind::Unavailable,
            [
                "auth method \"k8s\"",
                "error validating token",
                "bearer token one that",
            ],
        ),
    ] {
        let client = client(method, bearer);
        let error = client.call(&write()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.may_have_been_applied());
        let told = format!("{error} {error:?}");
        let told = format!("{told} {}", AdapterError::from(error));
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("canary"), "{told}");
    }
    assert_eq!(world.consul.requests(Endpoint::Txn), 0);
}

#[tokio::test]
async fn a_bearer_token_is_read_at_each_login_and_one_that_is_missing_is_named() {
    let world = World::start("bearer", None).await;
    let file = world.folder.join("jwt");
    world.client.call(&read()).await.unwrap();
    std::fs::write(&file, " \n").unwrap();
    for secret in world.secrets() {
        world.consul.revoke_token(&secret);
    }
    let error = world.client.call(&read()).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("jwt of the login: it is empty"), "{told}");
    std::fs::write(&file, JWT).unwrap();
    world.client.call(&read()).await.unwrap();

    std::fs::remove_file(&file).unwrap();
    let mut settings = ClientSettings::new(world.consul.url());
    settings.token = TokenSource::Login(world.login.clone());
    let error = Client::new(settings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn requests_that_wait_for_a_login_are_no_more_than_connections_and_are_all_answered() {
    let world = World::start("permits", None).await;
    let mut settings = ClientSettings::new(world.consul.url());
    settings.connections = 1;
    settings.token = TokenSource::Login(world.login.clone());
    let client = Client::new(settings).unwrap();
    let request = read();
    let calls = (0..4).map(|_| client.call(&request));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(world.consul.requests(Endpoint::Login), 1);
}
