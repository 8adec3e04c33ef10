//! The chart: its flags are the program's, and its rights are those that the program prints.
//!
//! What it renders with the values of `deploy/chart/ci` is kept in `deploy/chart/golden`, so that a change is seen in review. Where
//! Helm is built it is rendered anew and compared; `UPDATE_GOLDEN=1` writes it. `deploy/manifests` has the first of them without
//! what only Helm needs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use consul_sync_testbed::{Program as Server, Programs};
use serde_json::Value;

const RELEASE: &str = "consul-sync";
pub(crate) const NAMESPACE: &str = "consul-sync";
/// A Helm that is built from its module knows of no version.
const KUBERNETES: &str = "--kube-version=1.35.0";

pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart")
}

/// The names of the values that it is rendered with.
pub(crate) fn cases() -> Vec<String> {
    let files = fs::read_dir(chart().join("ci")).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix("-values.yaml")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 3, "{names:?}");
    names
}

pub(crate) fn golden(case: &str) -> String {
    let file = chart().join("golden").join(format!("{case}.yaml"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn documents(yaml: &str) -> Vec<Value> {
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
pub(crate) fn flags(rendered: &[Value]) -> Vec<String> {
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
