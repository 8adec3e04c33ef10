//! Secrets are planted wherever the program takes one, and looked for in everything that it says.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use consul_sync_consul::testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Rules};
use consul_sync_k8s::testing::FakeApiServer;
use consul_sync_testbed::Client;
use http::Method;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    catalog::Catalog,
    program::{Printed, Program, Reach, run, run_with},
    until::until,
    world::World,
};

const TOKEN: &str = "canary-token-4c1d";
const JWT: &str = "canary-jwt-9a2e";
const PASSWORD: &str = "canary-password-77f0";
const CLOUD_KEY: &str = "canary-cloud-key-3b8c";
const URL_PASSWORD: &str = "canary-url-password-0d5a";
/// The heart of a key, as base64.
const KEY: &str = "Y2FuYXJ5LWtleS1mNjFi";

/// Every line of every crate.
const EVERYTHING: &str = "--log-level=trace,consul_sync=trace";

struct Planted {
    api: FakeApiServer,
    consul: FakeConsul,
    folder: TempDir,
    kubeconfig: PathBuf,
    url: String,
    token: Option<&'static str>,
}

impl Reach for Planted {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn consul(&self) -> &str {
        &self.url
    }

    fn token(&self) -> Option<&str> {
        self.token
    }
}

impl Planted {
    async fn start(token: Option<&'static str>) -> Self {
        let api = FakeApiServer::start().await.unwrap();
        let consul = FakeConsul::builder()
            .acl(DefaultPolicy::Deny)
            .token(TOKEN, Rules::sync("k8s-sync"))
            .token("management", Rules::management())
            .auth_method(
                "k8s",
                JWT,
                Rules::sync("k8s-sync"),
                Some(Duration::from_secs(3600)),
            )
            .start()
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let yaml = api.kubeconfig_yaml();
        let with_password = yaml.replace(
            "user: {}",
            &format!("user: {{username: someone, password: {PASSWORD}}}"),
        );
        assert_ne!(yaml, with_password);
        std::fs::write(&kubeconfig, with_password).unwrap();
        for (file, text) in [
            ("token", TOKEN.to_owned()),
            ("jwt", JWT.to_owned()),
            (
                "key.pem",
                format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"),
            ),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        Self {
            url: consul.url(),
            api,
            consul,
            folder,
            kubeconfig,
            token,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// What every process sends to Consul, which might repeat it.
    fn sent(&self) -> &'static str {
        if self.consul.requests(Endpoint::Login) > 0 {
            JWT
        } else {
            TOKEN
        }
    }

    /// What nobody may be told: also the tokens that logins gave.
    fn secrets(&self) -> Vec<String> {
        let planted = [TOKEN, JWT, PASSWORD, CLOUD_KEY, URL_PASSWORD, KEY];
        let logins = self.consul.logins().into_iter().map(|(secret, _)| secret);
        planted
            .map(str::to_owned)
            .into_iter()
            .chain(logins)
            .collect()
    }
}

fn told(printed: &Printed) -> String {
    format!("{}{}", printed.out, printed.err)
}

/// What each command prints.
async fn printed(world: &Planted, arguments: &[&str]) -> Vec<String> {
    let mut said = Vec::new();
    for command in [
        &["plan"][..],
        &["plan", "--json"],
        &["check"],
        &["check", "--json"],
        &["config"],
        &["config", "--output=json"],
        &["rbac"],
    ] {
        let loud = if command[0] == "config" {
            &[][..]
        } else {
            &[EVERYTHING]
        };
        let printed = run(world, &[command, arguments, loud].concat()).await;
        assert!(!told(&printed).is_empty(), "{command:?}");
        said.push(told(&printed));
    }
    said
}

/// Runs and asks everything that these arguments lead to, and gives all that was said.
async fn everything_said(world: &Planted, arguments: &[&str]) -> (Vec<String>, Vec<String>) {
    let cluster = Client::plain(&world.api.url()).unwrap();
    let management = Client::plain(&world.url)
        .unwrap()
        .with_token(Some("management"));
    let mut said = Vec::new();
    let mut secrets = world.secrets();

    World(&cluster).web("web", &["10.1.0.1"]).await;
    let mut program = Program::start(
        world,
        &[arguments, &[EVERYTHING, "--incumbent-metrics=127.0.0.1:0"]].concat(),
    );
    program.until_ready().await;
    Catalog(&management)
        .until_addresses("web", &["10.1.0.1"])
        .await;
    secrets.extend(world.secrets());
    let admin = program.admin().await;
    for path in [
        "/metrics",
        "/readyz?verbose",
        "/livez",
        "/healthz",
        "/health/ready",
        "/debug",
        "/",
    ] {
        let answer = admin.get(path).await.unwrap();
        said.push(String::from_utf8_lossy(&answer.body).into_owned());
    }
    let level = admin.send(Method::PUT, "/log-level", "text/plain", "loud".to_owned());
    said.push(String::from_utf8_lossy(&level.await.unwrap().body).into_owned());

    said.extend(printed(world, arguments).await);
    secrets.extend(world.secrets());

    // What the server says holds the secrets, and then every call fails in another way.
    for status in [400, 403, 500] {
        world.consul.clear_faults();
        let text = format!("no luck with {}", world.sent());
        world
            .consul
            .inject(Fault::new().error_before(status, &text));
        let checked = run(world, &[&["check"], arguments, &[EVERYTHING]].concat()).await;
        assert!(
            told(&checked).contains("no luck with [token]"),
            "{checked:?}"
        );
        said.push(told(&checked));
    }
    // The one token that the running process alone has.
    for (secret, _) in world.consul.logins() {
        world.consul.clear_faults();
        let text = format!("hard luck with {secret}");
        let fault = Fault::new().error_before(500, &text).on(Endpoint::Txn);
        world.consul.inject(fault);
        World(&cluster).scale("web", &["10.1.0.9"]).await;
        program.until_logged("hard luck with [token]").await;
    }
    world.consul.clear_faults();
    world
        .consul
        .inject(Fault::new().reset_after().on(Endpoint::Txn));
    World(&cluster).scale("web", &["10.1.0.2"]).await;
    world
        .consul
        .until(|consul| consul.requests(Endpoint::Txn) > 1)
        .await;
    world.consul.clear_faults();
    for (secret, _) in world.consul.logins() {
        world.consul.revoke_token(&secret);
    }
    world.consul.revoke_token(TOKEN);
    World(&cluster).scale("web", &["10.1.0.3"]).await;
    if world.consul.requests(Endpoint::Login) == 0 {
        program.until_logged("ACL not found").await;
    }
    secrets.extend(world.secrets());
    program.signal(Signal::TERM);
    until(
        "its end",
        async || program.log(),
        |log| log.contains("stopped"),
    )
    .await;
    program.ended().await;
    said.push(program.log());
    (said, secrets)
}

#[track_caller]
fn nothing_is_told(said: &[String], secrets: &[String]) {
    for text in said {
        for secret in secrets {
            assert!(
                !text.contains(secret.as_str()),
                "{secret} stands in:\n{text}"
            );
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_anything_that_is_said_with_a_token_from_a_variable() {
    let world = Planted::start(Some(TOKEN)).await;
    let (said, secrets) = everything_said(&world, &[]).await;
    nothing_is_told(&said, &secrets);
}

#[tokio::test]
async fn no_secret_is_in_anything_that_is_said_with_a_token_from_a_file_and_a_settings_file() {
    let world = Planted::start(None).await;
    let settings = world.file("settings.yaml");
    let text = format!("consul-token-file: {}\n", world.file("token"));
    std::fs::write(&settings, text).unwrap();
    let (said, secrets) = everything_said(&world, &["--config", &settings]).await;
    nothing_is_told(&said, &secrets);
}

#[tokio::test]
async fn no_secret_is_in_anything_that_is_said_with_a_login() {
    let world = Planted::start(None).await;
    let file = format!("--consul-login-bearer-token-file={}", world.file("jwt"));
    let (said, secrets) = everything_said(&world, &["--consul-login-method=k8s", &file]).await;
    assert!(secrets.len() > 7, "logins gave tokens: {secrets:?}");
    nothing_is_told(&said, &secrets);
}

#[tokio::test]
async fn no_secret_is_in_what_is_said_of_settings_and_files_that_cannot_be_used() {
    let world = Planted::start(Some(TOKEN)).await;
    let secret_file = world.file("secret.yaml");
    std::fs::write(
        &secret_file,
        format!("consul-token: [{TOKEN}]\nconsul-addr-command: {{a: {CLOUD_KEY}}}\n"),
    )
    .unwrap();
    let key = world.file("key.pem");
    let url = format!("http://someone:{URL_PASSWORD}@127.0.0.1:1");
    let command = format!("/nowhere/discover secret_access_key={CLOUD_KEY}");
    let jwt = world.file("jwt");
    let mut said = Vec::new();
    for arguments in [
        &["check", "--consul-addr", &url][..],
        &["config", "--consul-addr", &url],
        &["check", "--consul-addr-command", &command],
        &["config", "--consul-addr-command", &command],
        &["config", "--output=json", "--consul-addr-command", &command],
        &["check", "--config", &secret_file],
        // A file with a secret where another one is meant.
        &[
            "check",
            "--consul-addr=https://127.0.0.1:1",
            "--consul-ca-file",
            &key,
        ],
        &[
            "check",
            "--consul-addr=https://127.0.0.1:1",
            "--consul-client-cert",
            &key,
            "--consul-client-key",
            &key,
        ],
        &["check", "--config", &jwt],
        &["check", "--kubeconfig", &key],
        &["check", "--consul-addr=127.0.0.1:1"],
        &["plan", "--consul-addr=127.0.0.1:1", "--timeout=2s"],
        &[
            "purge",
            "--yes",
            "--consul-addr=127.0.0.1:1",
            "--timeout=2s",
        ],
        &["run", "--consul-token", TOKEN, "--brake-share=x"],
        &["run", "--consul-token", "", "--consul-login-method=k8s"],
    ] {
        let printed = run(&world, arguments).await;
        assert!(!told(&printed).is_empty(), "{arguments:?}");
        said.push(told(&printed));
    }
    for variable in ["CONSUL_HTTP_ADDR", "CONSUL_SYNC_CONSUL_ADDR"] {
        said.push(told(
            &run_with(&world, &["check"], &[(variable, &url)]).await,
        ));
    }
    nothing_is_told(&said, &world.secrets());
}
