//! How Consul is reached and where the instances go.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use consul_sync_consul::{Checks, NodeName, Ports, Secret};

use crate::args::{
    setting::{Section, Setting},
    value,
};

pub(crate) static ADDR: Setting<String> = Setting::many("consul-addr", "URL", value::server_address)
    .default("http://127.0.0.1:8500")
    .also(&["CONSUL_HTTP_ADDR"])
    .help(
        Section::Consul,
        "Addresses of Consul: host, host:port, or a URL with http or https.\nMay be given more than once or with commas; the \
         next one is used while one does not answer.",
    );

pub(crate) static ADDR_COMMAND: Setting<String> =
    Setting::one("consul-addr-command", "COMMAND", value::text)
        // Commands that ask a cloud have its keys among their arguments.
        .secret()
        .default_note("none")
        .help(
            Section::Consul,
            "Command that prints the addresses of Consul's servers, in place of --consul-addr.\nA program and its arguments, separated \
             by blanks; no shell reads it. It prints addresses with white space between them, within 5s, and ends with 0. It is run \
             at the start, and again when every server that it named has failed. Its arguments are never shown.",
        );

pub(crate) static PORT: Setting<u16> = Setting::one("consul-port", "PORT", value::port)
    .default_note("8500, or 8501 with TLS")
    .help(Section::Consul, "Port of addresses that name none.");

pub(crate) static TLS: Setting<bool> = Setting::switch("consul-tls", false)
    .also(&["CONSUL_HTTP_SSL"])
    .help(
        Section::Consul,
        "Whether addresses without a scheme of their own are spoken to over TLS.",
    );

pub(crate) static TOKEN: Setting<Secret> = Setting::one("consul-token", "TOKEN", value::secret)
    .secret()
    .default_note("none")
    .also(&["CONSUL_HTTP_TOKEN"])
    .help(
        Section::Consul,
        "ACL token.\nA flag is visible to everybody on the machine: give the variable or the file.",
    );

pub(crate) static TOKEN_FILE: Setting<PathBuf> = Setting::one("consul-token-file", "PATH", value::path)
    .default_note("none")
    .also(&["CONSUL_HTTP_TOKEN_FILE"])
    .help(
        Section::Consul,
        "File that holds the ACL token, read again when it changes.\nWhile it is empty or cannot be read, the last good \
         token stays in use. It goes before a token from a variable.",
    );

pub(crate) static CA_FILE: Setting<PathBuf> = Setting::one("consul-ca-file", "PATH", value::path)
    .default_note("the system's trust store")
    .also(&["CONSUL_CACERT"])
    .help(
        Section::Consul,
        "PEM file with the CA certificates that Consul's must be signed by.",
    );

pub(crate) static CA_DIR: Setting<PathBuf> = Setting::one("consul-ca-dir", "PATH", value::path)
    .default_note("none")
    .also(&["CONSUL_CAPATH"])
    .help(Section::Consul, "Directory of such files.");

pub(crate) static CA_PEM: Setting<String> = Setting::one("consul-ca-pem", "PEM", value::pem)
    .default_note("none")
    .help(
        Section::Consul,
        "The CA certificates themselves, as PEM.\nThey are trusted beside those of a file or a directory, and do not change \
         while the process runs.",
    );

pub(crate) static CLIENT_CERT: Setting<PathBuf> =
    Setting::one("consul-client-cert", "PATH", value::path)
        .default_note("none")
        .also(&["CONSUL_CLIENT_CERT"])
        .help(
            Section::Consul,
            "PEM file with our certificate, for servers that verify clients.",
        );

pub(crate) static CLIENT_KEY: Setting<PathBuf> =
    Setting::one("consul-client-key", "PATH", value::path)
        .default_note("none")
        .also(&["CONSUL_CLIENT_KEY"])
        .help(
            Section::Consul,
            "PEM file with the key of that certificate.",
        );

pub(crate) static TLS_SERVER_NAME: Setting<String> = Setting::one("consul-tls-server-name", "NAME", value::text)
    .default_note("the host of the address")
    .also(&["CONSUL_TLS_SERVER_NAME"])
    .help(
        Section::Consul,
        "Name that Consul's certificate must have.\nFor Consul's own certificates usually server.DATACENTER.consul.",
    );

pub(crate) static PARTITION: Setting<String> =
    Setting::one("consul-partition", "NAME", value::text)
        .default_note("the token's")
        .also(&["CONSUL_PARTITION"])
        .help(Section::Consul, "Admin partition (Consul Enterprise).");

pub(crate) static NAMESPACE: Setting<String> =
    Setting::one("consul-namespace", "NAME", value::text)
        .default_note("namespaces are not used")
        .also(&["CONSUL_NAMESPACE"])
        .help(
            Section::Consul,
            "Namespace in which services are registered (Consul Enterprise).",
        );

pub(crate) static MIRROR_NAMESPACES: Setting<bool> =
    Setting::switch("consul-mirror-namespaces", false).help(
        Section::Consul,
        "Whether each Kubernetes namespace has a Consul namespace of its name (Consul Enterprise).",
    );

pub(crate) static MIRROR_PREFIX: Setting<String> =
    Setting::one("consul-mirror-prefix", "TEXT", value::any)
        .default_note("none")
        .help(
            Section::Consul,
            "Text before the names of mirrored Consul namespaces.",
        );

pub(crate) static CREATE_NAMESPACES: Setting<bool> =
    Setting::switch("consul-create-namespaces", true).help(
        Section::Consul,
        "Whether Consul namespaces are made when they are first used (Consul Enterprise).\n\
         One that is there is never changed. It takes the right that consul-sync rbac --consul-policy prints for it, and says\n\
         nothing where no namespaces are used.",
    );

pub(crate) static CROSS_NAMESPACE_POLICY: Setting<String> =
    Setting::one("consul-cross-namespace-policy", "NAME", value::text)
        .default_note("none")
        .help(
            Section::Consul,
            "ACL policy that tokens of such a namespace have by default (Consul Enterprise).\n\
             As a rule one that may read services and nodes of all namespaces.",
        );

pub(crate) static DATACENTER: Setting<String> =
    Setting::one("consul-datacenter", "NAME", value::text)
        .default_note("the server's")
        .also(&["CONSUL_DATACENTER"])
        .help(Section::Consul, "Datacenter.");

pub(crate) static TIMEOUT: Setting<Duration> =
    Setting::one("consul-timeout", "DURATION", value::duration)
        .default("10s")
        .help(Section::Consul, "How long Consul may take for one answer.");

pub(crate) static WAIT: Setting<Duration> = Setting::one("consul-wait", "DURATION", value::wait)
    .default("60s")
    .help(
        Section::Consul,
        "How long a blocking query asks to be held, from 1s to 10m.\nA change is seen at once; this is how soon a connection \
         that died without a word is noticed.",
    );

pub(crate) static CONNECTIONS: Setting<usize> =
    Setting::one("consul-connections", "COUNT", value::positive)
        .default("6")
        .help(
            Section::Consul,
            "Most requests to Consul at once, blocking queries not counted.",
        );

pub(crate) static ANSWER_LIMIT: Setting<usize> = Setting::one("consul-answer-limit", "MIB", value::positive)
    .default("256")
    .help(
        Section::Consul,
        "Most MiB that one answer of Consul may hold, decoded.\n100,000 instances on the node are about 82 MiB.",
    );

pub(crate) static NODE: Setting<NodeName> = Setting::one("consul-node", "NAME", value::node_name)
    .default("k8s-sync")
    .help(
        Section::Consul,
        "Node in Consul's catalog that all instances are registered on.\nAt most 63 letters, digits and dashes. It is made \
         when it is missing and must not be the node of a Consul agent.",
    );

pub(crate) static PORTS: Setting<Ports> = Setting::one("consul-ports", "WHEN", value::ports)
    .default("never")
    .help(
        Section::Consul,
        "Whether instances have a list of named ports: never, auto or always.\nConsul 1.22 and newer \
         know such lists and take them only one by one and unconditionally: a change that somebody makes in the same moment \
         is lost, and large catalogs are written far more slowly. auto writes them where Consul is new enough, and needs \
         the right to read agents. Without a list every instance has its default port, which is what DNS answers with.",
    );

pub(crate) static CHECKS: Setting<Checks> = Setting::one("consul-checks", "WHICH", value::checks)
    .default("always")
    .help(
        Section::Consul,
        "Which instances have their readiness as a check in Consul: always or failing.\nConsul's own work for each write \
         grows with the checks on the node: it takes about 10 ms for a new instance beside 10,000 of them. With failing, only \
         instances that are not ready have one, and writes are as fast as Consul's log; DNS and queries for healthy \
         instances answer the same. For catalogs of several thousand instances.",
    );

pub(crate) static NODE_ADDRESS: Setting<IpAddr> = Setting::one(
    "consul-node-address",
    "IP",
    value::ip,
)
.default("127.0.0.1")
.help(
    Section::Consul,
    "Address of that node.\nNothing is reached at it: every instance has an address of its own.",
);
