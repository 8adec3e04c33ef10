//! Looking before leaping: can the API server be reached, and is every right there that the settings need?

use std::time::Duration;

use consul_sync_core::Finding;
use http::Request;
use kube::Client;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    ExportSettings, Verb,
    rights::{Right, Rights},
    slim::{Kind, NodeBody},
    watch::{Asked, Problem},
};

const LIMIT: Duration = Duration::from_secs(10);
/// The first minor version of Kubernetes 1 that serves everything that is asked for (EndpointSlices as `v1`).
const OLDEST: u32 = 21;

/// Looks at the API server, its version, and each right that the settings need. `identity`: whether the owner is to
/// be read from the cluster. Nothing is changed, and nothing is tried again.
///
/// Nodes are not watched before the first NodePort Service that is exported comes up, so a missing right to them is
/// good with a remedy: a [hint](Finding::hint).
///
/// # Examples
/// ```
/// use consul_sync_k8s::{ExportSettings, Verb, preflight, testing::FakeCluster};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cluster = FakeCluster::new();
/// cluster.deny(Verb::Watch, "services");
/// let findings = preflight(&cluster.client(), &ExportSettings::default(), true).await;
/// let bad: Vec<_> = findings.iter().filter(|finding| !finding.good).collect();
/// assert_eq!(bad.len(), 1);
/// assert_eq!(
///     bad[0].remedy.as_deref(),
///     Some(r#"add {apiGroups: [""], resources: ["services"], verbs: ["watch"]} to a ClusterRole"#)
/// );
/// # }
/// ```
pub async fn preflight(client: &Client, settings: &ExportSettings, identity: bool) -> Vec<Finding> {
    preflight_rights(client, &Rights::needed(settings, identity)).await
}

/// Looks at the API server, its version, and each of some rights; for what else [`preflight`] does.
///
/// # Examples
/// ```
/// use consul_sync_core::Owner;
/// use consul_sync_k8s::{ImportSettings, Rights, Verb, preflight_rights, testing::FakeCluster};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = FakeCluster::new();
/// cluster.deny(Verb::Patch, "services");
/// let rights = Rights::to_import(&ImportSettings::new(Owner::new("cluster-a")?), false);
/// let findings = preflight_rights(&cluster.client(), &rights).await;
/// let bad: Vec<_> = findings.iter().filter(|finding| !finding.good).collect();
/// assert_eq!(bad.len(), 1);
/// assert_eq!(
///     bad[0].remedy.as_deref(),
///     Some(r#"add {apiGroups: [""], resources: ["services"], verbs: ["patch"]} to a Role in namespace default"#)
/// );
/// # Ok(()) }
/// ```
pub async fn preflight_rights(client: &Client, rights: &Rights) -> Vec<Finding> {
    let version = match version(client).await {
        Ok(version) => version,
        Err(finding) => return vec![finding],
    };
    let mut findings = vec![version];
    for right in rights.iter() {
        findings.push(allowed(client, right).await);
    }
    findings
}

#[derive(Debug, Deserialize)]
struct Version {
    major: String,
    minor: String,
    #[serde(rename = "gitVersion")]
    full: String,
}

async fn version(client: &Client) -> Result<Finding, Finding> {
    let asked = Asked {
        verb: Verb::Get,
        group: "",
        resource: "/version",
        namespace: None,
        name: None,
    };
    let version: Version = ask(client, asked, Request::get("/version").body(Vec::new()))
        .await
        .map_err(|remedy| Finding::bad("the API server does not say its version", remedy))?;
    // Some distributions write "21+".
    let number = |text: &str| {
        text.trim_end_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap_or(0_u32)
    };
    let message = format!("the API server is Kubernetes {}", version.full);
    if (number(&version.major), number(&version.minor)) < (1, OLDEST) {
        return Ok(Finding::bad(
            message,
            format!("upgrade the cluster to 1.{OLDEST} or newer"),
        ));
    }
    Ok(Finding::good(message))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Review {
    status: ReviewStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ReviewStatus {
    allowed: bool,
    reason: String,
}

async fn allowed(client: &Client, right: &Right) -> Finding {
    let asked = Asked {
        verb: right.verb,
        group: right.group,
        resource: right.resource,
        namespace: right.namespace.as_deref(),
        name: right.name.as_deref(),
    };
    // A namespace counts as being in itself, for this review as for the request it stands for.
    let namespace = right.namespace.as_deref().or(right.name.as_deref());
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": right.verb.as_str(),
            "group": right.group,
            "resource": right.resource,
            "namespace": namespace.unwrap_or_default(),
            "name": right.name.as_deref().unwrap_or_default(),
        }},
    });
    let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(review.to_string().into_bytes());
    let reviewed = Asked {
        verb: Verb::Create,
        group: "authorization.k8s.io",
        resource: "selfsubjectaccessreviews",
        namespace: None,
        name: None,
    };
    match ask::<Review>(client, reviewed, request).await {
        Ok(review) if review.status.allowed => Finding::good(format!("{asked}: allowed")),
        Ok(review) => {
            let reason = match review.status.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            let message = format!("{asked}: not allowed{reason}");
            let remedy = format!("add {}", asked.rule());
            if right.resource == NodeBody::PLURAL {
                let when = "needed from the first Service of type NodePort on that is exported; with node ports off, never";
                return Finding::hint(format!("{message}; {when}"), remedy);
            }
            Finding::bad(message, remedy)
        }
        Err(remedy) => Finding::bad(format!("{asked}: cannot be found out"), remedy),
    }
}

/// Asks, and puts a failure in words.
async fn ask<T: serde::de::DeserializeOwned>(
    client: &Client,
    asked: Asked<'_>,
    request: Result<Request<Vec<u8>>, http::Error>,
) -> Result<T, String> {
    let request = request.map_err(|error| error.to_string())?;
    let problem = match timeout(LIMIT, client.request_text(request)).await {
        Ok(Ok(text)) => match serde_json::from_str(&text) {
            Ok(value) => return Ok(value),
            Err(error) => Problem::garbled(asked, error),
        },
        Ok(Err(error)) => Problem::of(asked, error),
        Err(_) => Problem::timeout(asked, LIMIT),
    };
    let mut words = problem.error.to_string();
    let mut cause = std::error::Error::source(&problem.error);
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors repeat their cause in their own words.
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = error.source();
    }
    Err(words)
}
