//! The flags of the incumbent's `sync-catalog`, and what each one is here.

/// A flag of the incumbent.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its name without dashes.
    pub(super) name: &'static str,
    /// The variable that is read when the flag is not given; a list has commas there.
    pub(super) variable: Option<&'static str>,
    /// How it is written.
    pub(super) shape: Shape,
    /// What it does here.
    pub(super) means: Means,
}

/// How a flag is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// With a value; the last one counts.
    Text,
    /// With or without a value, in one of Go's forms of true and false.
    Switch,
    /// With a value, any number of times.
    List,
}

/// What a flag does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// It is this setting, with the same values.
    Setting(&'static str),
    /// It is part of what several flags say together, which is these settings.
    Joined(&'static [&'static str]),
    /// It is no setting, and does this.
    Alone(&'static str),
    /// It has no meaning here, for this reason.
    Nothing(&'static str),
}

const fn text(name: &'static str, means: Means) -> Flag {
    Flag {
        name,
        variable: None,
        shape: Shape::Text,
        means,
    }
}

const fn switch(name: &'static str, means: Means) -> Flag {
    Flag {
        shape: Shape::Switch,
        ..text(name, means)
    }
}

const fn list(name: &'static str, means: Means) -> Flag {
    Flag {
        shape: Shape::List,
        ..text(name, means)
    }
}

impl Flag {
    const fn or(self, variable: &'static str) -> Self {
        Self {
            variable: Some(variable),
            ..self
        }
    }
}

use Means::{Alone, Joined, Nothing, Setting};

const EVENTS: Means = Nothing("changes are written when they happen, not at intervals");
const HTTP: Means = Nothing("Consul is spoken to over HTTP");
const RESOLVED: Means = Nothing("names are resolved whenever a connection is made");

/// Every flag.
pub(super) static FLAGS: &[Flag] = &[
    // Directions, names and namespaces.
    switch("to-consul", Setting("to-consul")),
    switch("to-k8s", Setting("to-k8s")),
    switch("k8s-default-sync", Setting("default-sync")),
    text("k8s-service-prefix", Setting("k8s-service-prefix")),
    text("consul-service-prefix", Setting("name-prefix")),
    text("k8s-source-namespace", Joined(&["allow-namespace"])),
    text("k8s-write-namespace", Setting("k8s-write-namespace")),
    text("consul-domain", Setting("consul-domain")),
    text("consul-k8s-tag", Setting("tag")),
    text("consul-node-name", Setting("consul-node")),
    text("consul-write-interval", EVENTS),
    switch("sync-clusterip-services", Setting("cluster-ip")),
    switch(
        "sync-lb-services-endpoints",
        Setting("load-balancer-endpoints"),
    ),
    text("node-port-sync-type", Joined(&["node-ports"])),
    switch("add-k8s-namespace-suffix", Setting("namespace-suffix")),
    list("allow-k8s-namespace", Joined(&["allow-namespace"])),
    list("deny-k8s-namespace", Joined(&["deny-namespace"])),
    switch("enable-ingress", Setting("ingress")),
    switch("loadBalancer-ips", Setting("ingress-load-balancer-ips")),
    // Namespaces of Consul Enterprise.
    switch(
        "enable-namespaces",
        Joined(&["consul-namespace", "consul-mirror-namespaces"]),
    ),
    text(
        "consul-destination-namespace",
        Joined(&["consul-namespace"]),
    ),
    switch(
        "enable-k8s-namespace-mirroring",
        Joined(&["consul-mirror-namespaces"]),
    ),
    text(
        "k8s-namespace-mirroring-prefix",
        Joined(&["consul-mirror-prefix"]),
    ),
    text(
        "consul-cross-namespace-acl-policy",
        Setting("consul-cross-namespace-policy"),
    ),
    // The process.
    switch("enable-metrics", Joined(&["incumbent-metrics"])),
    text("metrics-port", Joined(&["incumbent-metrics"])),
    text("metrics-path", Setting("incumbent-metrics-path")),
    text(
        "prometheus-retention-time",
        Nothing("counters are kept as long as the process runs"),
    ),
    switch(
        "purge-k8s-services-from-node",
        Alone(
            "deletes what is registered on the node, as consul-sync purge --yes --unowned, in place of running",
        ),
    ),
    text(
        "filter",
        Alone(
            "with -purge-k8s-services-from-node: only what the expression selects, as consul-sync purge --only",
        ),
    ),
    text("listen", Setting("listen")),
    text("log-level", Setting("log-level")),
    switch("log-json", Joined(&["log-format"])),
    text("kubeconfig", Setting("kubeconfig")),
    // How Consul is reached.
    text("addresses", Joined(&["consul-addr", "consul-addr-command"])).or("CONSUL_ADDRESSES"),
    text("http-port", Setting("consul-port")).or("CONSUL_HTTP_PORT"),
    text("grpc-port", HTTP).or("CONSUL_GRPC_PORT"),
    switch("use-tls", Setting("consul-tls")).or("CONSUL_USE_TLS"),
    text("tls-server-name", Setting("consul-tls-server-name")).or("CONSUL_TLS_SERVER_NAME"),
    text("ca-cert-file", Setting("consul-ca-file")).or("CONSUL_CACERT_FILE"),
    text("ca-cert-pem", Setting("consul-ca-pem")).or("CONSUL_CACERT_PEM"),
    text("token", Joined(&["consul-token"])).or("CONSUL_ACL_TOKEN"),
    text("token-file", Joined(&["consul-token-file"])).or("CONSUL_ACL_TOKEN_FILE"),
    text("auth-method-name", Setting("consul-login-method")).or("CONSUL_LOGIN_AUTH_METHOD"),
    text(
        "consul-login-bearer-token-file",
        Setting("consul-login-bearer-token-file"),
    )
    .or("CONSUL_LOGIN_BEARER_TOKEN_FILE"),
    text(
        "consul-login-datacenter",
        Setting("consul-login-datacenter"),
    )
    .or("CONSUL_LOGIN_DATACENTER"),
    text("consul-login-partition", Setting("consul-login-partition")).or("CONSUL_LOGIN_PARTITION"),
    text("consul-login-namespace", Setting("consul-login-namespace")).or("CONSUL_LOGIN_NAMESPACE"),
    list("consul-login-meta", Setting("consul-login-meta")).or("CONSUL_LOGIN_META"),
    text("namespace", Setting("consul-namespace")).or("CONSUL_NAMESPACE"),
    text("partition", Setting("consul-partition")).or("CONSUL_PARTITION"),
    text("datacenter", Setting("consul-datacenter")).or("CONSUL_DATACENTER"),
    text("api-timeout", Setting("consul-timeout")).or("CONSUL_API_TIMEOUT"),
    switch("skip-server-watch", RESOLVED).or("CONSUL_SKIP_SERVER_WATCH"),
];
