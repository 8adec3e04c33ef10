//! Which services of Consul appear in Kubernetes, and as what.

use consul_sync_consul::NamePattern;
use consul_sync_core::Owner;
use consul_sync_k8s::{IpNet, Mode, ModeRule};

use crate::args::{
    setting::{Section, Setting},
    value::{self, import},
};

pub(crate) static WRITE_NAMESPACE: Setting<String> =
    Setting::one("k8s-write-namespace", "NAMESPACE", import::kubernetes_namespace)
        .default("default")
        .help(
            Section::Import,
            "Kubernetes namespace that services of Consul are written to.\nIt must exist. When nothing else names namespaces, \
             a Role in this one is enough.",
        );

pub(crate) static SERVICE_PREFIX: Setting<String> =
    Setting::one("k8s-service-prefix", "TEXT", import::kubernetes_prefix)
        .default_note("none")
        .help(
            Section::Import,
            "Text before the name of every Service that is written.\nIt keeps them apart from Services of the cluster's own.",
        );

pub(crate) static MODE: Setting<Mode> = Setting::one("k8s-mode", "MODE", import::mode)
    .default("external-name")
    .help(
        Section::Import,
        "What a service of Consul becomes: external-name, endpoints or headless.\nexternal-name is an alias of its name in \
         Consul's DNS, as the incumbent writes it, with the namespace, partition, datacenter or peer that was named to import from: nothing is written when instances change, but the cluster's DNS must \
         forward Consul's domain, and kube-proxy, Ingresses and Gateways have no use for it. endpoints is a Service with an \
         address of its own and EndpointSlices of the instances: kube-proxy, Ingresses and Gateways send traffic to those \
         that are passing, and Consul's DNS is not needed; the best choice where nothing depends on the alias. headless is \
         the same without an address: for clients that choose an instance by themselves, such as those of databases.",
    );

pub(crate) static MODE_FOR: Setting<ModeRule> = Setting::many("k8s-mode-for", "PATTERN=MODE", import::mode_rule)
    .default_note("none")
    .help(
        Section::Import,
        "Modes of services by their names in Consul.\nMay be given more than once or with commas; * is any text, and the \
         first that fits holds: db-*=headless,web=endpoints.",
    );

pub(crate) static MODE_BY_META: Setting<bool> = Setting::switch("k8s-mode-by-meta", true).help(
    Section::Import,
    "Whether a service may choose its mode by its meta kubernetes-mode.\nWithout it, and with no other mode than \
     external-name, no right to EndpointSlices is needed. With the rights to list, watch and delete them, those that another \
     mode left are removed.",
);

pub(crate) static MIRROR_NAMESPACES: Setting<bool> = Setting::switch("k8s-mirror-namespaces", false).help(
    Section::Import,
    "Whether each Consul namespace is written to a Kubernetes namespace of its name.\nWhat has none goes to default. Services of \
     another datacenter, partition or peer go to a namespace such as default-dc2-dc. The namespaces must exist. Needs \
     rights in every namespace.",
);

pub(crate) static MIRROR_PREFIX: Setting<String> =
    Setting::one("k8s-mirror-prefix", "TEXT", import::kubernetes_prefix)
        .default_note("none")
        .help(
            Section::Import,
            "Text before the names of mirrored Kubernetes namespaces.",
        );

pub(crate) static META_NAMESPACES: Setting<String> =
    Setting::many("k8s-meta-namespaces", "NAMESPACE", import::kubernetes_namespace)
        .default_note("none")
        .help(
            Section::Import,
            "Namespaces that a service may choose by its meta kubernetes-namespace.\nMay be given more than once or with \
             commas.",
        );

pub(crate) static REFUSED_NETWORKS: Setting<IpNet> =
    Setting::many("k8s-refused-networks", "CIDR", import::network)
        .default_note("none")
        .help(
            Section::Import,
            "Networks whose addresses no EndpointSlice gets.\nMay be given more than once or with commas. Name those of the \
             cluster's own pods and Services where not everybody who writes in Consul may lead traffic there. Loopback and \
             link-local addresses and those where clouds hand out credentials are refused anyhow.",
        );

pub(crate) static EVENTS: Setting<bool> = Setting::switch("k8s-events", true).help(
    Section::Import,
    "Whether a Service that stands in the way is told so by an Event.\nOne for each Service that is not ours and has the \
     name of a service of Consul. Needs the right to create events.",
);

pub(crate) static DOMAIN: Setting<String> =
    Setting::one("consul-domain", "DOMAIN", import::dns_domain)
        .default("consul")
        .help(
            Section::Import,
            "Domain of Consul's DNS, which the aliases of mode external-name end in.",
        );

pub(crate) static ALLOW_NAMES: Setting<NamePattern> =
    Setting::many("import-allow-names", "PATTERN", import::name_pattern)
        .default_note("any name")
        .help(
            Section::Import,
            "Names of the services of Consul that are imported.\nMay be given more than once or with commas; * is any text, \
             and case has no meaning.",
        );

pub(crate) static DENY_NAMES: Setting<NamePattern> = Setting::many("import-deny-names", "PATTERN", import::name_pattern)
    .default_note("none")
    .help(
        Section::Import,
        "Names of the services of Consul that are not imported, whatever allows them.\nMay be given more than once or with \
         commas: *-sidecar-proxy,consul.",
    );

pub(crate) static FILTER: Setting<String> = Setting::one("filter", "EXPRESSION", import::filter)
    .default_note("none")
    .help(
        Section::Import,
        "Filter expression of Consul that an imported service has an instance for.\nAs for /v1/catalog/services: \
         'ServiceMeta.team == \"a\"'. All instances of such a service are imported.",
    );

pub(crate) static INSTANCE_FILTER: Setting<String> =
    Setting::one("import-instance-filter", "EXPRESSION", import::filter)
        .default_note("none")
        .help(
            Section::Import,
            "Filter expression of Consul that imported instances fit.\nAs for /v1/health/service: 'Node.Meta.zone == \"a\"'.",
        );

pub(crate) static REQUIRED_TAGS: Setting<String> =
    Setting::many("import-required-tags", "TAG", value::text)
        .default_note("none")
        .help(
            Section::Import,
            "Tags that an instance must have to be imported, each of them.",
        );

pub(crate) static REFUSED_TAGS: Setting<String> =
    Setting::many("import-refused-tags", "TAG", value::text)
        .default_note("none")
        .help(
            Section::Import,
            "Tags of which an imported instance has none.",
        );

pub(crate) static PASSING_ONLY: Setting<bool> = Setting::switch("import-passing-only", false).help(
    Section::Import,
    "Whether instances that are not passing are left out.\nOtherwise they are endpoints that are not ready. Either way \
     they get no traffic.",
);

pub(crate) static DATACENTERS: Setting<String> = Setting::many("import-datacenters", "NAME", import::consul_part)
    .default_note("the one of --consul-datacenter")
    .help(
        Section::Import,
        "Datacenters whose services are imported.\nWhere several have a service of one name and it is written to one \
         namespace, the first by its name is imported; see --k8s-mirror-namespaces.",
    );

pub(crate) static PARTITIONS: Setting<String> =
    Setting::many("import-partitions", "NAME", import::consul_part)
        .default_note("the one of --consul-partition")
        .help(
            Section::Import,
            "Admin partitions whose services are imported (Consul Enterprise).",
        );

pub(crate) static NAMESPACES: Setting<String> =
    Setting::many("import-namespaces", "NAME", import::consul_part)
        .default_note("the one of --consul-namespace")
        .help(
            Section::Import,
            "Consul namespaces whose services are imported (Consul Enterprise).",
        );

pub(crate) static PEERS: Setting<String> = Setting::many("import-peers", "NAME", import::consul_part)
    .default_note("none")
    .help(
        Section::Import,
        "Cluster peers whose services are imported as well.\nConsul does not list the services of a peer: each has to be \
         named in full by --import-allow-names.",
    );

pub(crate) static OTHER_OWNERS: Setting<Owner> = Setting::many("import-owners", "OWNER", value::owner)
    .default_note("none")
    .help(
        Section::Import,
        "Owners of other clusters whose exported services are imported.\nThe UID of their namespace kube-system, or their \
         --owner. Nothing else that comes from a Kubernetes cluster is imported, and nothing of our own ever.",
    );

pub(crate) static QUERIES: Setting<usize> = Setting::one("import-queries", "COUNT", value::positive)
    .default("128")
    .help(
        Section::Import,
        "Number of services and nodes that are each followed by a query of their own.\nEach takes a connection, of which Consul \
         gives a client 200 (limits.http_max_conns_per_client). With more services than that, up to seven of eight \
         queries are for nodes, which tell what changed there; with more nodes than that, the services without a query are \
         looked at one by one whenever anything is registered.",
    );
