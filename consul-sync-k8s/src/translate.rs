//! What follows from Kubernetes objects for a service: pure functions.
//!
//! | type of Service | one instance per | port | check |
//! | --- | --- | --- | --- |
//! | any, with `spec.externalIPs` | external IP | service port | none |
//! | LoadBalancer | IP of the balancer, else host name | service port | none |
//! | LoadBalancer, by endpoints | endpoint address | endpoint port | readiness |
//! | NodePort | endpoint with a node, at that node's address | node port | readiness |
//! | ClusterIP, headless too | endpoint address | endpoint port | readiness |
//! | ClusterIP behind an Ingress | host, or IP of the Ingress's balancer | 80, or 443 under `tls` | that any endpoint is ready |
//! | ExternalName | nothing | | |
//!
//! The readiness of an endpoint, from its conditions (absent ones stand for what the API says they do):
//!
//! | ready | terminating | serving | check |
//! | --- | --- | --- | --- |
//! | true | any | any | passing: a Service that publishes addresses that are not ready says so this way |
//! | absent | not true | any | passing |
//! | false | not true | any | critical |
//! | false or absent | true | true, or absent beside an absent ready | critical; passing while *no* endpoint of the Service is ready, if the settings say so |
//! | false or absent | true | otherwise | critical |
//!
//! An endpoint's address that several slices hold is one instance when its ports are equal too, and of differing
//! readiness the better one holds. Equal inputs, in whatever order, give equal outputs.

mod endpoints;
mod head;
mod ingress;
mod instances;
mod node_ports;
mod ports;

use std::collections::BTreeMap;

use consul_sync_core::{Rejection, Service};

pub(crate) use endpoints::Slice;
pub(crate) use head::{Head, undecodable};
pub(crate) use instances::{Inputs, service};
pub(crate) use ports::ServicePort;

use crate::{
    ExportSettings,
    slim::{self, IngressBody, NodeBody},
    strings::{Strings, Words},
};

/// The objects that one service follows from. All but the Service itself may hold more than concerns it.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// The Service.
    pub service: &'a slim::Service,
    /// EndpointSlices.
    pub slices: &'a [slim::EndpointSlice],
    /// Nodes.
    pub nodes: &'a [slim::Node],
    /// Ingresses.
    pub ingresses: &'a [slim::Ingress],
}

/// The service that follows from some objects; nothing when it is not to be exported.
///
/// The [`Index`](crate::Index) does the same and keeps what can be kept between two changes. Labels of namespaces
/// are not looked at here.
///
/// # Errors
/// A rejection that names the object or the annotation that cannot be used.
///
/// # Examples
/// ```
/// use consul_sync_k8s::{ExportSettings, slim, translate};
///
/// let service: slim::Service = serde_json::from_str(
///     r#"{"metadata":{"name":"web","namespace":"shop"},
///         "spec":{"type":"LoadBalancer","ports":[{"name":"http","port":80}]},
///         "status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}"#,
/// )?;
/// let objects = translate::Objects { service: &service, slices: &[], nodes: &[], ingresses: &[] };
/// let web = translate::translate(&ExportSettings::default(), &objects)?.expect("exported by default");
/// assert_eq!(web.name.as_str(), "web");
/// assert_eq!(web.instances[0].default_port(), Some(80));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn translate(
    settings: &ExportSettings,
    objects: &Objects<'_>,
) -> Result<Option<Service>, Rejection> {
    let mut strings = Strings::default();
    let words = Words::default();
    let Some(head) = Head::new(settings, objects.service, &mut strings, &words)? else {
        return Ok(None);
    };
    let namespace = objects.service.metadata.namespace.as_deref();
    let name = objects.service.metadata.name.as_deref();
    let mut slices = Vec::new();
    for slice in objects.slices {
        if slice.metadata.namespace.as_deref() == namespace && slice.service() == name {
            let body = slice.body.as_ref().map_err(|bad| undecodable(slice, bad))?;
            slices.push(Slice::new(body, None, &mut strings, &words));
        }
    }
    let mut nodes: BTreeMap<&str, &NodeBody> = BTreeMap::new();
    for node in objects.nodes {
        let body = node.body.as_ref().map_err(|bad| undecodable(node, bad))?;
        nodes.insert(node.metadata.name.as_deref().unwrap_or_default(), body);
    }
    let mut ingresses: Vec<&IngressBody> = Vec::new();
    for ingress in objects.ingresses {
        if settings.ingress && ingress.metadata.namespace.as_deref() == namespace {
            ingresses.push(
                ingress
                    .body
                    .as_ref()
                    .map_err(|bad| undecodable(ingress, bad))?,
            );
        }
    }
    Ok(Some(service(&Inputs {
        settings,
        words: &words,
        head: &head,
        slices: slices.iter().collect(),
        ingresses,
        node: &|name| nodes.get(name).copied(),
    })))
}

#[cfg(test)]
mod tests;
