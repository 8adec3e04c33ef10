//! The chart: its flags are the program's, its rights are those that the program prints, and the API server takes all of it.
//!
//! What it renders with the values of `deploy/chart/ci` is kept in `deploy/chart/golden`, so that a change is seen in review. Where
//! Helm is built it is rendered anew and compared; `UPDATE_GOLDEN=1` writes it. `deploy/manifests` has the first of them without
//! what only Helm needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use consul_sync_testbed::{Client, ConsulVersion, Program as Server, Programs};
use http::Method;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    catalog::Catalog,
    program::{Program, run},
    registered::Cluster,
    servers::Servers,
    until::until,
    world::World,
};

const RELEASE: &str = "consul-sync";
const NAMESPACE: &str = "consul-sync";
/// A Helm that is built from its module knows of no version.
const KUBERNETES: &str = "--kube-version=1.35.0";

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart")
}

/// The names of the values that it is rendered with.
fn cases() -> Vec<String> {
    let files = fs::read_dir(chart().join("ci")).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix("-values.yaml")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 3, "{names:?}");
    names
}

fn golden(case: &str) -> String {
    let file = chart().join("golden").join(format!("{case}.yaml"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn documents(yaml: &str) -> Vec<Value> {
    let documents = yaml
        .split("\n---\n")
        .map(|text| text.trim_start_matches("---\n"));
    let has_content = |text: &&str| {
        text.lines()
            .any(|line| !line.is_empty() && !line.starts_with('#'))
    };
    documents
        .filter(has_content)
        .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

/// The flags of its container, without the command.
fn flags(rendered: &[Value]) -> Vec<String> {
    let deployment = rendered
        .iter()
        .find(|one| one["kind"] == "Deployment")
        .unwrap();
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array();
    let arguments = arguments
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned());
    let arguments: Vec<String> = arguments.collect();
    assert_eq!(arguments[0], "run");
    arguments[1..].to_vec()
}

/// Every right: the place (empty: everywhere), group, resource, object and verb.
fn rights(documents: &[Value]) -> BTreeSet<[String; 5]> {
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for role in documents {
        if role["kind"] != "Role" && role["kind"] != "ClusterRole" {
            continue;
        }
        let place = role["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().unwrap() {
            let mut names = texts(&rule["resourceNames"]);
            if names.is_empty() {
                names.push(String::new());
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for name in &names {
                        for verb in texts(&rule["verbs"]) {
                            let right = [place, &group, &resource, name, &verb];
                            rights.insert(right.map(str::to_owned));
                        }
                    }
                }
            }
        }
    }
    rights
}

/// A right in one place that is had everywhere is no other right.
fn without_doubles(rights: BTreeSet<[String; 5]>) -> BTreeSet<[String; 5]> {
    let everywhere = rights.clone();
    let is_narrow = |[place, rest @ ..]: &[String; 5]| {
        let mut wide = vec![String::new()];
        wide.extend_from_slice(rest);
        place.is_empty() || !everywhere.iter().any(|one| one[..] == wide[..])
    };
    rights.into_iter().filter(is_narrow).collect()
}

#[tokio::test]
async fn flags_and_rights_of_the_chart_are_the_programs() {
    for case in cases() {
        let rendered = documents(&golden(&case));
        let flags = flags(&rendered);
        let printed = Command::new(env!("CARGO_BIN_EXE_consul-sync"))
            .arg("rbac")
            .args(&flags)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&printed.stderr);
        assert!(printed.status.success(), "{case}: {error}");
        let printed = documents(&String::from_utf8(printed.stdout).unwrap());
        assert_eq!(
            without_doubles(rights(&rendered)),
            without_doubles(rights(&printed)),
            "{case}: {flags:?}"
        );
    }
}

/// For those who have no Helm.
fn plain(rendered: &str) -> String {
    let of_helm = [
        "helm.sh/chart:",
        "app.kubernetes.io/managed-by:",
        "# Source:",
    ];
    let is_plain = |line: &&str| {
        !of_helm
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    let mut text: Vec<&str> = rendered.lines().filter(is_plain).collect();
    text.insert(
        0,
        "# Made from the chart with its default values: see consul-sync-bin/tests/e2e/chart.rs.",
    );
    text.join("\n") + "\n"
}

fn kept_is(file: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, text).unwrap();
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(text, kept, "{}: UPDATE_GOLDEN=1 writes it", file.display());
}

#[test]
fn what_is_kept_is_what_helm_renders() {
    if !Programs::locate().all_or_skip(&[Server::Helm]) {
        return;
    }
    let helm = Programs::locate().path(Server::Helm).unwrap();
    for case in cases() {
        let values = chart().join("ci").join(format!("{case}-values.yaml"));
        let rendered = Command::new(helm)
            .args(["template", RELEASE, KUBERNETES, "--namespace", NAMESPACE])
            .arg("--values")
            .arg(&values)
            .arg(chart())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success(), "{case}: {error}");
        let rendered = String::from_utf8(rendered.stdout).unwrap();
        let file = chart().join("golden").join(format!("{case}.yaml"));
        kept_is(&file, &rendered);
        if case == "default" {
            let file = chart().join("../manifests/consul-sync.yaml");
            kept_is(&file, &plain(&rendered));
        }
    }
}

#[test]
fn a_mistyped_value_is_refused_by_its_name() {
    if !Programs::locate().all_or_skip(&[Server::Helm]) {
        return;
    }
    let helm = Programs::locate().path(Server::Helm).unwrap();
    for (given, named) in [
        ("toConsull=true", "toConsull"),
        ("consul.adresses={a}", "adresses"),
        ("nodePortSyncType=All", "nodePortSyncType"),
        ("leaderElection.kind=none", "leaderElection.kind"),
        ("leaderElection.kind=lese", "kind"),
        ("cleanupNodeOnRemoval=true", "cleanupNodeOnRemoval"),
    ] {
        let rendered = Command::new(helm)
            .args(["template", RELEASE, KUBERNETES, "--set", given])
            .arg(chart())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&rendered.stderr);
        assert!(
            !rendered.status.success() && error.contains(named),
            "{given}: {error}"
        );
    }
}

/// Where an object is made.
fn collection(object: &Value) -> Option<String> {
    let version = object["apiVersion"].as_str().unwrap();
    // Kinds of Prometheus' operator, which is not there.
    if version.starts_with("monitoring.coreos.com/") {
        return None;
    }
    let kind = object["kind"].as_str().unwrap();
    let plural = match kind {
        "Namespace" => return Some("/api/v1/namespaces".to_owned()),
        "NetworkPolicy" => "networkpolicies".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    let root = if version == "v1" {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{version}")
    };
    Some(if kind.starts_with("Cluster") {
        format!("{root}/{plural}")
    } else {
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(NAMESPACE);
        format!("{root}/namespaces/{namespace}/{plural}")
    })
}

async fn post(client: &Client, path: &str, object: &Value) {
    let answer = client
        .send(Method::POST, path, "application/json", object.to_string())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 201, "{path}: {} {text}", answer.status);
}

async fn namespaces(client: &Client, rendered: &BTreeMap<String, Vec<Value>>) {
    let named = rendered.values().flatten();
    let named = named.filter_map(|object| object["metadata"]["namespace"].as_str());
    let named: BTreeSet<&str> = named.chain([NAMESPACE]).collect();
    for name in named {
        let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        // Some are there from the beginning.
        let _ = client.post("/api/v1/namespaces", &namespace).await.unwrap();
    }
}

/// What the chart renders by default, applied to a real cluster: everything but the pods. What comes back reaches it with the
/// rights of its service account, Consul with the policy that is shipped, and takes the container's arguments.
async fn installed(version: ConsulVersion) -> Option<(Servers, Vec<String>)> {
    let mut servers = Servers::real_with_acls(version).await?;
    let (api, consul) = servers.as_real();
    let rendered = documents(&golden("default"));
    api.namespace(NAMESPACE).await.unwrap();
    for object in &rendered {
        if object["kind"] != "Deployment" {
            post(api.client(), &collection(object).unwrap(), object).await;
        }
    }
    let account = rendered
        .iter()
        .find(|one| one["kind"] == "ServiceAccount")
        .unwrap();
    let account = account["metadata"]["name"].as_str().unwrap();
    let account = api.service_account(NAMESPACE, account).await.unwrap();
    let policy = fs::read_to_string(chart().join("../consul/policy.hcl")).unwrap();
    let token = consul.token(&policy).await.unwrap();
    servers.kubeconfig = account.kubeconfig;
    servers.token = Some(token);
    // Where servers are is this test's business, and so are the address to listen on and how it logs.
    let is_ours = |flag: &String| {
        let others = [
            "--consul-addr=",
            "--listen=",
            "--log-level=",
            "--log-format=",
        ];
        !others.iter().any(|other| flag.starts_with(other))
    };
    let flags = flags(&rendered).into_iter().filter(is_ours).collect();
    Some((servers, flags))
}

#[tokio::test]
async fn the_api_server_takes_everything_of_every_rendering() {
    let Some(servers) = Servers::real(ConsulVersion::V1_22).await else {
        return;
    };
    let rendered: BTreeMap<String, Vec<Value>> = cases()
        .into_iter()
        .map(|case| (case.clone(), documents(&golden(&case))))
        .collect();
    let client = &servers.kubernetes;
    namespaces(client, &rendered).await;
    for object in rendered.values().flatten() {
        if let Some(path) = collection(object) {
            let path = format!("{path}?dryRun=All&fieldValidation=Strict");
            post(client, &path, object).await;
        }
    }
}

#[tokio::test]
async fn the_accounts_rights_and_the_shipped_policy_are_enough() {
    for version in [ConsulVersion::V1_21, ConsulVersion::V1_22] {
        let Some((servers, flags)) = installed(version).await else {
            return;
        };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let checked = run(&servers, &[&["check"], &flags[..]].concat()).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert!(!checked.out.contains("warn"), "{checked:?}");
        let planned = run(&servers, &[&["plan"], &flags[..]].concat()).await;
        assert!(matches!(planned.code, Some(0 | 2)), "{planned:?}");
        World(&servers.kubernetes).web("web", &["10.1.0.1"]).await;
        let program = Program::ready(&servers, &flags).await;
        let catalog = Catalog(&servers.consul);
        catalog.until_addresses("web-default", &["10.1.0.1"]).await;
        let cluster = Cluster(&servers.kubernetes);
        cluster.until_service("consul", true).await;
        assert!(!program.log().contains("WARN"), "{}", program.log());
    }
}

async fn until_leading(program: &Program) {
    for direction in ["to_consul", "to_k8s"] {
        until(
            "the lead",
            async || program.metric_of(direction, "consul_sync_leading").await,
            |leading| leading.as_deref() == Some("1"),
        )
        .await;
    }
}

#[tokio::test]
async fn fault_p04_two_replicas_of_the_chart_go_on_when_their_leader_is_killed_or_stopped() {
    let Some((servers, flags)) = installed(ConsulVersion::V1_22).await else {
        return;
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let mut first = Program::ready(&servers, &flags).await;
    until_leading(&first).await;
    let second = Program::ready(&servers, &flags).await;
    second.until_logged("standing by").await;
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web-default", &["10.1.0.1"]).await;

    first.kill();
    until_leading(&second).await;
    world.scale("web", &["10.1.0.2"]).await;
    catalog.until_addresses("web-default", &["10.1.0.2"]).await;

    // As the Deployment would start another one.
    let third = Program::ready(&servers, &flags).await;
    third.until_logged("standing by").await;
    second.signal(Signal::STOP);
    until_leading(&third).await;
    world.scale("web", &["10.1.0.3"]).await;
    catalog.until_addresses("web-default", &["10.1.0.3"]).await;
    let before = catalog.write_index().await;
    second.signal(Signal::CONT);
    second.until_logged("the lead is lost").await;
    // At its start, and now that it went on, in each direction.
    until(
        "the stopped one among the others",
        async || second.log().matches("standing by").count(),
        |count| *count == 4,
    )
    .await;
    assert_eq!(catalog.write_index().await, before);
    until_leading(&third).await;
}

#[tokio::test]
async fn the_plain_manifests_are_applied_in_the_order_of_their_kustomization() {
    let Some(servers) = Servers::real(ConsulVersion::V1_22).await else {
        return;
    };
    let folder = chart().join("../manifests");
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&read("kustomization.yaml")).unwrap();
    let resources = kustomization["resources"].as_array().unwrap();
    let files: BTreeSet<&str> = resources
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    let there = fs::read_dir(&folder).unwrap();
    let there = there.map(|file| file.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|file| file != "kustomization.yaml").collect();
    assert!(there.iter().map(String::as_str).eq(files), "{there:?}");
    let mut kinds = BTreeSet::new();
    for file in resources {
        for object in documents(&read(file.as_str().unwrap())) {
            let path = collection(&object).unwrap();
            post(
                &servers.kubernetes,
                &format!("{path}?fieldValidation=Strict"),
                &object,
            )
            .await;
            kinds.insert(object["kind"].to_string());
        }
    }
    assert!(kinds.len() > 7, "{kinds:?}");
}
