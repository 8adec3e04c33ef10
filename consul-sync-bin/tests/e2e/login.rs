//! The program with a token by login: what it proves itself by is a JWT that the test signs.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use consul_sync_testbed::{Client, ConsulVersion};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    catalog::Catalog,
    program::{Program, Reach, run},
    servers::Servers,
    until::until,
    world::World,
};

const METHOD: &str = "clusters";

/// Who signs the proofs of identity, as a Kubernetes cluster does those of its service accounts.
struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { key, random }
    }

    /// The public key as PEM: the bytes before it say that it is a point of P-256 (RFC 5480).
    fn public_key(&self) -> String {
        const P256: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let der = [&P256, self.key.public_key().as_ref()].concat();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        )
    }

    /// A proof that holds for an hour (RFC 7515).
    fn proof(&self) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = json!({ "iss": "test", "aud": "consul", "sub": "consul-sync", "iat": now, "exp": now + 3600 });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!(
            "{}.{}",
            part(json!({ "alg": "ES256", "typ": "JWT" })),
            part(claims)
        );
        let signature = self.key.sign(&self.random, text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Servers with an auth method whose tokens have the printed rights, and the file with the proof.
struct Auth {
    servers: Servers,
    proof: String,
    folder: TempDir,
}

impl Auth {
    async fn start(version: ConsulVersion, life: &str) -> Option<Self> {
        let servers = Servers::real_with_acls(version).await?;
        let rules = run(&servers, &["rbac", "--consul-policy"]).await;
        let issuer = Issuer::new();
        for (path, body) in [
            (
                "/v1/acl/policy",
                json!({ "Name": "sync", "Rules": rules.out }),
            ),
            (
                "/v1/acl/role",
                json!({ "Name": "sync", "Policies": [{ "Name": "sync" }] }),
            ),
            (
                "/v1/acl/auth-method",
                json!({
                    "Name": METHOD, "Type": "jwt", "MaxTokenTTL": life,
                    "Config": {
                        "JWTValidationPubKeys": [issuer.public_key()], "JWTSupportedAlgs": ["ES256"],
                        "BoundIssuer": "test", "BoundAudiences": ["consul"],
                    },
                }),
            ),
            (
                "/v1/acl/binding-rule",
                json!({ "AuthMethod": METHOD, "BindType": "role", "BindName": "sync" }),
            ),
        ] {
            let answer = servers.consul.put(path, &body).await.unwrap();
            answer.success().unwrap();
        }
        let auth = Self {
            servers,
            proof: issuer.proof(),
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(auth.file(), &auth.proof).unwrap();
        Some(auth)
    }

    fn file(&self) -> String {
        let file = self.folder.path().join("proof");
        file.to_str().unwrap().to_owned()
    }

    fn arguments(&self) -> [String; 4] {
        [
            format!("--consul-login-method={METHOD}"),
            format!("--consul-login-bearer-token-file={}", self.file()),
            "--consul-login-meta=component=consul-sync".to_owned(),
            // So that a request comes along often.
            "--consul-wait=2s".to_owned(),
        ]
    }

    /// The tokens of logins that are not logged out, as accessor and secret.
    async fn tokens(&self) -> Vec<(String, String)> {
        let path = format!("/v1/acl/tokens?authmethod={METHOD}");
        let listed = get(&self.servers.consul, &path).await;
        let mut tokens = Vec::new();
        for token in listed.as_array().unwrap() {
            let accessor = token["AccessorID"].as_str().unwrap();
            assert_eq!(
                token["Description"],
                "token created via login: {\"component\":\"consul-sync\"}"
            );
            let path = format!("/v1/acl/token/{accessor}");
            let answer = self.servers.consul.get(&path).await.unwrap();
            if answer.status == 403 {
                // It ended after it was listed.
                continue;
            }
            let token = answer.json().unwrap();
            let secret = token["SecretID"].as_str().unwrap_or_default();
            tokens.push((accessor.to_owned(), secret.to_owned()));
        }
        tokens
    }
}

async fn get(consul: &Client, path: &str) -> Value {
    consul.get(path).await.unwrap().json().unwrap()
}

async fn a_token_is_had_renewed_on_refusal_and_left(version: ConsulVersion) {
    let Some(auth) = Auth::start(version, "1h").await else {
        return;
    };
    let servers = &auth.servers;
    assert!(servers.token().is_none());
    let arguments = auth.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));

    let checked = run(servers, &[&["check"], &arguments[..]].concat()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    world.web("web", &["10.1.0.1"]).await;
    let planned = run(servers, &[&["plan"], &arguments[..]].concat()).await;
    assert_eq!(planned.code, Some(2), "{planned:?}");
    assert_eq!(auth.tokens().await, [], "a command leaves no token behind");

    let mut program = Program::ready(servers, &arguments).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    let first = auth.tokens().await;
    assert_eq!(first.len(), 1);

    let path = format!("/v1/acl/token/{}", first[0].0);
    let deleted = servers.consul.delete(&path).await.unwrap();
    deleted.success().unwrap();
    world.scale("web", &["10.1.0.1", "10.1.0.2"]).await;
    catalog
        .until_addresses("web", &["10.1.0.1", "10.1.0.2"])
        .await;
    let second = auth.tokens().await;
    assert_eq!(second.len(), 1);
    assert_ne!(second, first);

    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
    assert_eq!(auth.tokens().await, [], "it is logged out");
    let log = program.log();
    assert!(
        log.contains("logged in to Consul") && log.contains(&second[0].0),
        "{log}"
    );
    for secret in [&auth.proof, &first[0].1, &second[0].1] {
        assert!(
            !secret.is_empty() && !log.contains(secret.as_str()),
            "{log}"
        );
    }
}

#[tokio::test]
async fn a_token_is_had_renewed_on_refusal_and_left_on_consul_1_21() {
    a_token_is_had_renewed_on_refusal_and_left(ConsulVersion::V1_21).await;
}

#[tokio::test]
async fn a_token_is_had_renewed_on_refusal_and_left_on_consul_1_22() {
    a_token_is_had_renewed_on_refusal_and_left(ConsulVersion::V1_22).await;
}

/// A minute is the shortest life that Consul gives.
#[tokio::test]
async fn a_token_that_ends_soon_is_followed_by_another_before_its_end() {
    let Some(auth) = Auth::start(ConsulVersion::V1_22, "60s").await else {
        return;
    };
    let arguments = auth.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut program = Program::ready(&auth.servers, &arguments).await;
    let first = auth.tokens().await;
    let second = until(
        "another token",
        async || auth.tokens().await,
        |tokens| !tokens.is_empty() && *tokens != first,
    )
    .await;
    let log = program.log();
    assert_eq!(log.matches("logged in to Consul").count(), 2, "{log}");
    assert!(!log.contains("ACL not found"), "{log}");
    assert!(!second.contains(&first[0]), "the first one is logged out");
    program.signal(Signal::TERM);
    assert!(program.ended().await.success());
    assert_eq!(auth.tokens().await, []);
}

#[tokio::test]
async fn a_login_that_is_refused_says_what_to_look_at() {
    let Some(auth) = Auth::start(ConsulVersion::V1_22, "1h").await else {
        return;
    };
    let file = format!("--consul-login-bearer-token-file={}", auth.file());
    let unknown = run(
        &auth.servers,
        &["check", "--consul-login-method=others", &file],
    )
    .await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(
        unknown.out.contains("log in by the auth method \"others\"")
            && unknown.out.contains("have a binding rule"),
        "{unknown:?}"
    );
    // Signed by somebody else.
    let foreign = Issuer::new().proof();
    std::fs::write(auth.file(), &foreign).unwrap();
    let refused = run(
        &auth.servers,
        &["check", "--consul-login-method=clusters", &file],
    )
    .await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let told = format!("{}{}", refused.out, refused.err);
    assert!(
        told.contains("is the bearer token one that the auth method takes?"),
        "{told}"
    );
    assert!(!told.contains(&foreign), "{told}");
}
