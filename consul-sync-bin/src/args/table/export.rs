//! Which Services are registered, and as what.

use consul_sync_k8s::{NameRule, NodePorts, Selector};

use crate::args::{
    setting::{Section, Setting},
    value,
};

pub(crate) static DEFAULT_SYNC: Setting<bool> = Setting::switch("default-sync", true).help(
    Section::Export,
    "Whether a Service without the annotation consul.hashicorp.com/service-sync is registered.",
);

pub(crate) static ALLOW_NAMESPACE: Setting<String> = Setting::many("allow-namespace", "NAMESPACE", value::text)
    .default("*")
    .help(
        Section::Export,
        "Kubernetes namespaces whose Services are registered; * is all of them.\nMay be given more than once or with \
         commas. With a single one, rights in that namespace are enough.",
    );

pub(crate) static DENY_NAMESPACE: Setting<String> = Setting::many("deny-namespace", "NAMESPACE", value::text)
    .default_note("none")
    .help(
        Section::Export,
        "Kubernetes namespaces whose Services are not registered, whatever allows them.\nMay be given more than once or \
         with commas.",
    );

pub(crate) static NAMESPACE_SELECTOR: Setting<Selector> =
    Setting::one("namespace-selector", "SELECTOR", value::selector).default_note("all").help(
        Section::Export,
        "Labels of the Kubernetes namespaces whose Services are registered.\nAs for kubectl --selector: team=a, \
         'env in (a,b)', !internal. Needs the right to list and watch namespaces.",
    );

pub(crate) static SERVICE_SELECTOR: Setting<Selector> =
    Setting::one("service-selector", "SELECTOR", value::selector)
        .default_note("all")
        .help(
            Section::Export,
            "Labels of the Services that are registered, as for kubectl --selector.",
        );

pub(crate) static NAME_PREFIX: Setting<String> = Setting::one("name-prefix", "TEXT", value::any)
    .default_note("none")
    .help(
        Section::Export,
        "Text before the name of every service in Consul.\nA name from the annotation \
         consul.hashicorp.com/service-name stays as it is.",
    );

pub(crate) static NAMESPACE_SUFFIX: Setting<bool> = Setting::switch("namespace-suffix", false).help(
    Section::Export,
    "Whether a dash and the Kubernetes namespace follow the name in Consul.\nWithout it, Services of one name in two \
     namespaces become instances of one service in Consul.",
);

pub(crate) static ALLOW_NAMES: Setting<NameRule> = Setting::many("allow-names", "NAMESPACE=PATTERN", value::name_rule)
    .default_note("any name")
    .help(
        Section::Export,
        "Names in Consul that the Services of a Kubernetes namespace may have.\nMay be given more than once or with \
         commas; * is any namespace, or any text in a name, and {namespace} in a name is the namespace: shop=web, \
         '*=*-{namespace}'. Once one is given, a Service with another name is rejected, whether it has its name from \
         an annotation or not, and what was registered for it is deleted.",
    );

pub(crate) static MAX_SERVICES_PER_NAMESPACE: Setting<usize> =
    Setting::one("max-services-per-namespace", "COUNT", value::count).default("0").help(
        Section::Export,
        "Number of Services of one Kubernetes namespace that are registered at most; 0 is any.\nThe oldest ones hold the \
         places. The others are rejected, and registered when a place gets free.",
    );

pub(crate) static TAG: Setting<String> =
    Setting::one("tag", "TEXT", value::any).default("k8s").help(
        Section::Export,
        "First tag of every service in Consul; empty for none.",
    );

pub(crate) static CLUSTER_IP: Setting<bool> = Setting::switch("cluster-ip", true).help(
    Section::Export,
    "Whether Services of type ClusterIP, headless ones too, are registered by their pods.",
);

pub(crate) static LOAD_BALANCER_ENDPOINTS: Setting<bool> = Setting::switch("load-balancer-endpoints", false).help(
    Section::Export,
    "Whether Services of type LoadBalancer are registered by their pods.\nOtherwise by the addresses of the load \
     balancer.",
);

pub(crate) static NODE_PORTS: Setting<NodePorts> = Setting::one("node-ports", "ADDRESSES", value::node_ports)
    .default("external-only")
    .help(
        Section::Export,
        "Addresses at which NodePort Services are registered.\nexternal-only, internal-only, external-first, or off to \
         register none and to need no right to read nodes.",
    );

pub(crate) static INGRESS: Setting<bool> = Setting::switch("ingress", false).help(
    Section::Export,
    "Whether hosts of Ingresses stand for the ClusterIP Services behind them.\nOnly rules for the path / count. Needs the \
     right to list and watch ingresses.",
);

pub(crate) static INGRESS_LOAD_BALANCER_IPS: Setting<bool> =
    Setting::switch("ingress-load-balancer-ips", false).help(
        Section::Export,
        "Whether the IP addresses of an Ingress stand in place of its hosts.",
    );

pub(crate) static SERVE_TERMINATING: Setting<bool> = Setting::switch("serve-terminating", false).help(
    Section::Export,
    "Whether terminating pods that still serve stay healthy while no pod is ready.\nAs kube-proxy does it; otherwise they \
     are critical at once.",
);
