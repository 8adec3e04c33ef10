//! Ingresses.

use std::{collections::BTreeSet, sync::Arc};

use consul_sync_core::Address;
use serde::Deserialize;

use super::{
    Kind, RawMeta, Soft, Undecodable,
    decode::{Decode, Parts},
    service::{RawStatus, load_balancer},
};

/// What is used of an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressBody {
    /// The rules that send path `/` to a Service, one entry per Service.
    pub rules: Vec<Rule>,
    /// `status.loadBalancer.ingress` that have an IP address.
    pub load_balancer_ips: Vec<Address>,
}

/// A rule that sends path `/` of a host to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `host`; empty for a rule of every host.
    pub host: Arc<str>,
    /// Whether the host stands under `spec.tls`.
    pub tls: bool,
    /// The name of the Service.
    pub service: Arc<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawIngress {
    metadata: Soft<RawMeta<IngressBody>>,
    spec: Soft<RawSpec>,
    status: Soft<RawStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawSpec {
    rules: Soft<Vec<Soft<RawRule>>>,
    tls: Soft<Vec<Soft<RawTls>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRule {
    host: Soft<String>,
    http: Soft<RawHttp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawHttp {
    paths: Soft<Vec<Soft<RawPath>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPath {
    path: Soft<String>,
    backend: Soft<RawBackend>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawBackend {
    service: Soft<RawService>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawService {
    name: Soft<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTls {
    hosts: Soft<Vec<Soft<String>>>,
}

impl Kind for IngressBody {
    type Scope = k8s_openapi::NamespaceResourceScope;
    const GROUP: &'static str = "networking.k8s.io";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Ingress";
    const PLURAL: &'static str = "ingresses";
}

impl Parts for RawIngress {
    type Meta = RawMeta<IngressBody>;

    fn metadata(&mut self) -> Soft<Self::Meta> {
        std::mem::take(&mut self.metadata)
    }
}

impl Decode for IngressBody {
    type Raw = RawIngress;

    fn decode(raw: RawIngress) -> Result<Self, Undecodable> {
        let mentions = mentions(&raw.spec);
        decode(raw).map_err(|message| Undecodable {
            message: message.into(),
            mentions,
        })
    }
}

fn decode(raw: RawIngress) -> Result<IngressBody, String> {
    let spec = raw.spec.or_default("spec")?;
    let mut secured = BTreeSet::new();
    for (at, tls) in spec.tls.or_default("spec.tls")?.into_iter().enumerate() {
        let tls = tls.or_default(format_args!("spec.tls[{at}]"))?;
        for host in tls.hosts.or_default(format_args!("spec.tls[{at}].hosts"))? {
            secured.extend(host.take(format_args!("spec.tls[{at}].hosts"))?);
        }
    }
    let mut body = IngressBody::default();
    for (at, rule) in spec.rules.or_default("spec.rules")?.into_iter().enumerate() {
        let rule = rule.or_default(format_args!("spec.rules[{at}]"))?;
        let host: Arc<str> = rule
            .host
            .or_default(format_args!("spec.rules[{at}].host"))?
            .into();
        let http = rule
            .http
            .or_default(format_args!("spec.rules[{at}].http"))?;
        let path = format_args!("spec.rules[{at}].http.paths");
        for entry in http.paths.or_default(path)? {
            let entry = entry.or_default(path)?;
            if entry.path.or_default(path)? != "/" {
                continue;
            }
            let service = entry.backend.or_default(path)?.service.or_default(path)?;
            let name = service.name.or_default(path)?;
            if !name.is_empty() {
                let tls = secured.contains(host.as_ref());
                body.rules.push(Rule {
                    host: Arc::clone(&host),
                    tls,
                    service: name.into(),
                });
            }
        }
    }
    body.load_balancer_ips = load_balancer(raw.status)?
        .into_iter()
        .filter_map(|entry| entry.ip)
        .collect();
    Ok(body)
}

/// The Services that any readable path names, so that a bad Ingress is reported on each of them.
fn mentions(spec: &Soft<RawSpec>) -> Vec<Arc<str>> {
    let mut names = BTreeSet::new();
    for rule in items(spec.good().map(|spec| &spec.rules)) {
        for path in items(rule.http.good().map(|http| &http.paths)) {
            let service = path
                .backend
                .good()
                .and_then(|backend| backend.service.good());
            names.extend(
                service
                    .and_then(|service| service.name.good())
                    .filter(|name| !name.is_empty()),
            );
        }
    }
    names
        .into_iter()
        .map(|name| Arc::from(name.as_str()))
        .collect()
}

fn items<T>(list: Option<&Soft<Vec<Soft<T>>>>) -> impl Iterator<Item = &T> {
    list.and_then(Soft::good)
        .into_iter()
        .flatten()
        .filter_map(Soft::good)
}
