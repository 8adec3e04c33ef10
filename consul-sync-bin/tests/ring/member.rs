//! One cluster with both directions on.

use std::collections::{BTreeMap, BTreeSet};

use consul_sync_consul::{
    Client, ClientSettings, ConsulSink, ConsulSource, Error, NamePattern, NodeName, SinkSettings,
    SourceSettings,
};
use consul_sync_core::{Driver, Owner, Settings, Sink, Source, SyncStatus};
use consul_sync_k8s::{
    ExportSettings, ImportSettings, KubeSink, KubeSource, Mode, Verb, testing::FakeCluster,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

/// Where imported services are written.
pub(crate) const IMPORTS: &str = "imports";
/// Where the cluster's own services are.
pub(crate) const SHOP: &str = "shop";
/// Says whether a Service may be exported.
pub(crate) const SERVICE_SYNC: &str = "consul.hashicorp.com/service-sync";

const OWNER: &str = "/metadata/labels/consul-sync.io~1owner";
const OBJECT: &str = "/metadata/annotations/consul-sync.io~1object";
const SLICE_OF: &str = "/metadata/labels/kubernetes.io~1service-name";

/// How every cluster of a world imports and exports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) mode: Mode,
    /// Whether names are given prefixes on the way, so that a name that went in a circle is a new one.
    pub(crate) prefixes: bool,
}

/// A cluster, and the two drivers of its installation. They end when it is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) cluster: FakeCluster,
    statuses: Vec<watch::Receiver<SyncStatus>>,
    tasks: JoinSet<()>,
}

/// What stands in a cluster for one service of Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) addresses: BTreeSet<String>,
    /// Whether it says by its annotation that it is not to be exported.
    pub(crate) is_marked: bool,
}

impl Shape {
    /// What a service of this name is called in Consul when this cluster exports it.
    pub(crate) fn exported(self, member: &str, name: &str) -> String {
        format!("{}{name}", self.export_prefix(member))
    }

    /// What a service of this name is called in a cluster that imports it.
    pub(crate) fn imported(self, name: &str) -> String {
        format!("{}{name}", self.import_prefix())
    }

    fn export_prefix(self, member: &str) -> String {
        if self.prefixes {
            format!("{member}-")
        } else {
            String::new()
        }
    }

    fn import_prefix(self) -> &'static str {
        if self.prefixes { "from-" } else { "" }
    }
}

fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

fn client(url: &str) -> Client {
    Client::new(ClientSettings::new(url)).unwrap()
}

/// The node that a cluster registers on.
pub(crate) fn node(member: &str) -> String {
    format!("k8s-{member}")
}

/// What a cluster imports: services of nobody's, and those of these other clusters.
pub(crate) fn source(url: &str, name: &str, others: &[&str]) -> Result<ConsulSource, Error> {
    let mut settings = SourceSettings::new(owner(name));
    settings.other_owners = others.iter().map(|other| owner(other)).collect();
    // The server registers itself.
    settings.deny = vec![NamePattern::new("consul").unwrap()];
    ConsulSource::new(client(url), settings)
}

impl Member {
    /// Starts both directions of the cluster of this name, which is also the owner under which it writes.
    pub(crate) fn start(
        name: &'static str,
        shape: Shape,
        exports_to: &str,
        (imports_from, others): (&str, &[&str]),
    ) -> Self {
        let cluster = FakeCluster::new();
        for name in [SHOP, IMPORTS] {
            let metadata = json!({"name": name});
            cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
        }
        let mut member = Self {
            cluster: cluster.clone(),
            statuses: Vec::new(),
            tasks: JoinSet::new(),
        };

        let export = ExportSettings {
            prefix: shape.export_prefix(name),
            ..ExportSettings::default()
        };
        let mut registrations = SinkSettings::new(owner(name));
        registrations.node = NodeName::new(node(name)).unwrap();
        member.run(
            KubeSource::new(cluster.client(), export),
            ConsulSink::new(client(exports_to), registrations),
        );

        let import = ImportSettings {
            mode: shape.mode,
            namespace: IMPORTS.to_owned(),
            prefix: shape.import_prefix().to_owned(),
            ..ImportSettings::new(owner(name))
        };
        member.run(
            source(imports_from, name, others).unwrap(),
            KubeSink::new(cluster.client(), import).unwrap(),
        );
        member
    }

    fn run<S: Source, K: Sink>(&mut self, source: S, sink: K) {
        let mut settings = Settings::default();
        // The brake is another rule; here everything goes at once in the end.
        settings.brake.share = 100;
        let driver = Driver::new(source, sink).settings(settings).seed(1);
        self.statuses.push(driver.status());
        self.tasks.spawn(driver.run(std::future::pending()));
    }

    /// Whether both drivers have listed both sides and nothing is left to do.
    pub(crate) fn is_still(&self) -> bool {
        self.statuses.iter().all(|status| {
            let status = status.borrow();
            status.is_ready() && status.pending_slots == 0 && status.in_flight == 0
        })
    }

    /// What its drivers say that they cannot do.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let statuses = self.statuses.iter().map(|status| {
            let status = status.borrow();
            format!(
                "{} quarantined, {} blocked, rejected: {:?}, {:?} {:?}",
                status.quarantined, status.blocked, status.rejected, status.source, status.sink
            )
        });
        statuses.collect()
    }

    /// What its sink has written and is there, by the names of the Services.
    pub(crate) fn imports(&self) -> BTreeMap<String, Import> {
        let mut imports = BTreeMap::<String, Import>::new();
        for service in self.written("services") {
            let sync = service["metadata"]["annotations"][SERVICE_SYNC].as_str();
            let import = imports.entry(name(&service)).or_default();
            import.is_marked = sync == Some("false");
        }
        for slice in self.written("endpointslices") {
            let service = text(&slice, SLICE_OF);
            let endpoints = slice["endpoints"].as_array().into_iter().flatten();
            let addresses = endpoints.filter_map(|endpoint| endpoint["addresses"][0].as_str());
            let import = imports.entry(service).or_default();
            import.addresses.extend(addresses.map(str::to_owned));
        }
        imports
    }

    /// Objects of a sink, whichever its owner, and no copies that somebody made of them.
    fn written(&self, resource: &str) -> Vec<Value> {
        let mut objects = self.cluster.list(resource);
        objects.retain(|object| {
            let itself = format!("{}/{}", text(object, "/metadata/namespace"), name(object));
            !text(object, OWNER).is_empty() && text(object, OBJECT) == itself
        });
        objects
    }

    /// Requests so far that wrote Services and their slices, tried or done.
    pub(crate) fn writes(&self) -> u64 {
        let verbs = [Verb::Create, Verb::Patch, Verb::Update, Verb::Delete];
        let count = |resource| -> u64 {
            let each = verbs.iter().map(|verb| self.cluster.count(*verb, resource));
            each.sum()
        };
        count("services") + count("endpointslices")
    }

    /// Somebody makes a Service that is reached at these addresses, or changes it.
    pub(crate) fn put(&self, name: &str, addresses: &BTreeSet<String>) {
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": name},
            "spec": {"type": "ClusterIP", "externalIPs": addresses, "ports": [{"name": "http", "port": 80}]},
        }));
    }

    /// Somebody copies an imported Service with all that is on it, but for one thing: the copy says that it may be
    /// exported.
    pub(crate) fn copy(&self, imported: &str, namespace: &str, copy: &str) {
        let Some(mut service) = self.cluster.get("services", IMPORTS, imported) else {
            return;
        };
        let metadata = &mut service["metadata"];
        let (labels, mut annotations) = (metadata["labels"].take(), metadata["annotations"].take());
        annotations[SERVICE_SYNC] = json!("true");
        *metadata = json!({"namespace": namespace, "name": copy, "labels": labels, "annotations": annotations});
        let spec = service["spec"].as_object_mut().unwrap();
        if spec
            .get("clusterIP")
            .is_some_and(|address| address != "None")
        {
            spec.retain(|field, _| field == "ports" || field == "type");
        }
        self.cluster.put(service);
        self.cluster.put(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": namespace, "name": format!("{copy}-1"),
                "labels": {"kubernetes.io/service-name": copy}},
            "addressType": "IPv4", "ports": [{"name": "default", "port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.200.0.1"], "conditions": {"ready": true}}],
        }));
    }

    /// Somebody says of an imported Service that it may be exported.
    pub(crate) fn unmark(&self, imported: &str) {
        let change = json!({"metadata": {"annotations": {SERVICE_SYNC: "true"}}});
        // One that is not there any more is as good.
        let _: Option<Value> = self.cluster.merge("services", IMPORTS, imported, &change);
    }
}

fn text(object: &Value, pointer: &str) -> String {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn name(object: &Value) -> String {
    text(object, "/metadata/name")
}
