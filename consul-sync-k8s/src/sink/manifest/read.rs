//! A manifest out of an object as the cluster holds it.

use std::sync::Arc;

use consul_sync_core::{Address, HeldRecord, Port, Standing};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Content, Endpoint, Manifest, ObjectVersion, service_id, slice_id};
use crate::{
    mark,
    slim::{AddressType, EndpointSlice, EndpointSliceBody, Service, ServiceBody, ServiceType},
};

impl Manifest {
    /// A Service as the engine takes it. `owner`: the value of our label.
    pub(crate) fn of_service(object: &Service, owner: &Arc<str>) -> HeldRecord<Self> {
        let metadata = &object.metadata;
        let standing = mark::standing(metadata, owner);
        let mut manifest = Self {
            id: service_id(),
            owner: Arc::clone(owner),
            namespace: text(metadata.namespace.as_deref()),
            service: text(metadata.name.as_deref()),
            origin: Arc::default(),
            content: Content::Unread,
            damage: Vec::new(),
        };
        if standing != Standing::Foreign {
            manifest.read_marks(metadata);
            manifest.expect_label(metadata, mark::FROM_CONSUL, Some("true"));
            if mark::annotation(metadata, mark::SERVICE_SYNC) != Some("false") {
                manifest.damaged(mark::SERVICE_SYNC);
            }
            match &object.body {
                Ok(body) => manifest.read_service(metadata, body),
                Err(problem) => manifest.damaged(&problem.message),
            }
        }
        held(manifest, metadata, standing)
    }

    /// A slice of a Service as the engine takes it; none where its name can be no id.
    pub(crate) fn of_slice(
        object: &EndpointSlice,
        service: &Arc<str>,
        owner: &Arc<str>,
    ) -> Option<HeldRecord<Self>> {
        let metadata = &object.metadata;
        // What the incumbent left are Services: slices without our mark are somebody's.
        let standing = match mark::standing(metadata, owner) {
            Standing::Orphan if mark::label(metadata, mark::OWNER) != Some(owner) => {
                Standing::Foreign
            }
            standing => standing,
        };
        let mut manifest = Self {
            id: slice_id(metadata.name.as_deref().unwrap_or_default())?,
            owner: Arc::clone(owner),
            namespace: text(metadata.namespace.as_deref()),
            service: Arc::clone(service),
            origin: Arc::default(),
            content: Content::Unread,
            damage: Vec::new(),
        };
        if standing != Standing::Foreign {
            manifest.read_marks(metadata);
            match &object.body {
                Ok(body) => manifest.read_slice(metadata, body),
                Err(problem) => manifest.damaged(&problem.message),
            }
        }
        Some(held(manifest, metadata, standing))
    }

    fn damaged(&mut self, what: &str) {
        self.damage.push(what.into());
    }

    fn expect_label(&mut self, metadata: &ObjectMeta, key: &str, value: Option<&str>) {
        if mark::label(metadata, key) != value {
            self.damaged(key);
        }
    }

    fn read_marks(&mut self, metadata: &ObjectMeta) {
        let owner = Arc::clone(&self.owner);
        self.expect_label(metadata, mark::OWNER, Some(&owner));
        self.origin = text(mark::annotation(metadata, mark::CONSUL_NAMESPACE));
    }

    fn read_service(&mut self, metadata: &ObjectMeta, body: &ServiceBody) {
        let consul = text(mark::annotation(metadata, mark::CONSUL_NAME));
        if body.selects {
            self.damaged("spec.selector");
        }
        if !body.external_ips.is_empty() {
            self.damaged("spec.externalIPs");
        }
        if body.other_protocols {
            self.damaged("spec.ports[].protocol");
        }
        let ports = || {
            let port = |port: &crate::slim::ServicePort| Port {
                name: Arc::clone(&port.name),
                number: port.port,
            };
            sorted(body.ports.iter().map(port))
        };
        self.content = match body.type_ {
            ServiceType::ExternalName => {
                if !body.ports.is_empty() {
                    self.damaged("spec.ports");
                }
                Content::ExternalName {
                    consul,
                    host: body.external_name.clone().unwrap_or_default(),
                }
            }
            ServiceType::ClusterIp => {
                if body.external_name.is_some() {
                    self.damaged("spec.externalName");
                }
                Content::ClusterIp {
                    consul,
                    headless: body.headless,
                    ports: ports(),
                }
            }
            ServiceType::NodePort | ServiceType::LoadBalancer => {
                self.damaged("spec.type");
                Content::ClusterIp {
                    consul,
                    headless: false,
                    ports: ports(),
                }
            }
        };
    }

    fn read_slice(&mut self, metadata: &ObjectMeta, body: &EndpointSliceBody) {
        let headless = mark::label(metadata, mark::HEADLESS);
        if headless.is_some_and(|value| !value.is_empty()) {
            self.damaged(mark::HEADLESS);
        }
        let port = |port: &crate::slim::EndpointPort| Port {
            name: Arc::clone(&port.name),
            number: port.number,
        };
        let mut endpoints = Vec::with_capacity(body.endpoints.len());
        let mut is_damaged = false;
        for endpoint in &body.endpoints {
            let Address::Ip(address) = endpoint.address else {
                is_damaged = true;
                continue;
            };
            let ready = endpoint.ready.unwrap_or(true);
            is_damaged |= endpoint.serving != Some(ready) || endpoint.terminating == Some(true);
            endpoints.push(Endpoint { address, ready });
        }
        if is_damaged {
            self.damaged("endpoints");
        }
        if body.other_protocols {
            self.damaged("ports[].protocol");
        }
        endpoints.sort_unstable();
        self.content = Content::Slice {
            headless: headless.is_some(),
            ipv6: body.address_type == AddressType::IPv6,
            ports: sorted(body.ports.iter().map(port)),
            endpoints: endpoints.into(),
        };
    }
}

fn held(manifest: Manifest, metadata: &ObjectMeta, standing: Standing) -> HeldRecord<Manifest> {
    HeldRecord {
        record: Arc::new(manifest),
        version: ObjectVersion::of(metadata),
        standing,
    }
}

impl ObjectVersion {
    /// The version of an object with this metadata.
    pub(crate) fn of(metadata: &ObjectMeta) -> Self {
        Self {
            uid: text(metadata.uid.as_deref()),
            resource_version: text(metadata.resource_version.as_deref()),
        }
    }
}

fn text(text: Option<&str>) -> Arc<str> {
    text.unwrap_or_default().into()
}

fn sorted(ports: impl Iterator<Item = Port>) -> Arc<[Port]> {
    let mut ports: Vec<Port> = ports.collect();
    ports.sort_unstable();
    ports.into()
}
