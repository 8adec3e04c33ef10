//! How the API server is reached.

use std::path::PathBuf;

use consul_sync_k8s::Subject;

use crate::args::{
    setting::{Section, Setting},
    value,
};

pub(crate) static KUBECONFIG: Setting<PathBuf> = Setting::one("kubeconfig", "PATH", value::path)
    .default_note("KUBECONFIG, else ~/.kube/config, else the service account of the pod")
    .help(
        Section::Kubernetes,
        "File that says how the API server is reached.",
    );

pub(crate) static CONTEXT: Setting<String> = Setting::one("kube-context", "NAME", value::text)
    .default_note("the file's current one")
    .help(Section::Kubernetes, "Context of the kubeconfig to use.");

pub(crate) static STREAMING_LISTS: Setting<bool> = Setting::switch("streaming-lists", true).help(
    Section::Kubernetes,
    "Whether listings are asked for as streams, which spare the API server memory.\nA server that has none, before \
     Kubernetes 1.34, is listed in pages.",
);

pub(crate) static SERVICE_ACCOUNT: Setting<Subject> =
    Setting::one("service-account", "NAMESPACE/NAME", value::service_account)
        .default_note("consul-sync/consul-sync")
        .help(
            Section::Kubernetes,
            "Service account that is given the rights that rbac prints.",
        );
