//! Kubernetes objects with only the fields that are used, decoded so that one bad field spoils one object.
//!
//! The stock types hold every field (83 MiB for 100,000 endpoints, against 9 MiB packed), change shape with the
//! chosen Kubernetes version, and fail a whole list page when one object in it cannot be decoded. Here metadata
//! is decoded first and always; the rest is a [`Result`], so that a watch knows *which* object is bad and goes on.
//!
//! An entry that has no name at all still fails its page: what cannot be named cannot be reported, and a listing
//! that leaves it out would not be complete.

mod address;
mod endpoint_slice;
mod ingress;
mod metadata;
mod namespace;
mod node;
mod service;
mod soft;

use std::{borrow::Cow, fmt, sync::Arc};

use consul_sync_core::Key;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer, de::Error as _};

pub(crate) use endpoint_slice::SERVICE_NAME;
pub use endpoint_slice::{AddressType, Endpoint, EndpointPort, EndpointSliceBody, TargetRef};
pub use ingress::{IngressBody, Rule};
pub use namespace::NamespaceBody;
pub use node::NodeBody;
pub use service::{LoadBalancerIngress, ServiceBody, ServicePort, ServiceType};

use metadata::RawMeta;
use soft::Soft;

/// A `v1` Service.
pub type Service = Object<ServiceBody>;
/// A `discovery.k8s.io/v1` EndpointSlice.
pub type EndpointSlice = Object<EndpointSliceBody>;
/// A `v1` Node.
pub type Node = Object<NodeBody>;
/// A `networking.k8s.io/v1` Ingress.
pub type Ingress = Object<IngressBody>;
/// A `v1` Namespace.
pub type Namespace = Object<NamespaceBody>;

/// One object: its metadata, slimmed, and the rest where it could be decoded.
///
/// Of the metadata are kept: name, namespace, uid, resourceVersion, both timestamps, the labels that the kind
/// needs, and annotations that start with `consul.hashicorp.com/` or `consul-sync.io/`.
///
/// ```
/// use consul_sync_k8s::slim;
/// let bad: slim::Service = serde_json::from_str(
///     r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"ports":[{"port":"NaN"}]}}"#,
/// )?;
/// assert_eq!(bad.key().to_string(), "shop/web");
/// assert!(bad.body.unwrap_err().to_string().starts_with("spec.ports[0].port: invalid type"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Object<B> {
    /// The slimmed metadata.
    pub metadata: ObjectMeta,
    /// The fields that are used, or why they cannot be.
    pub body: Result<B, Undecodable>,
}

/// Why an object cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Undecodable {
    /// The path of the first bad field, and what is wrong with it.
    pub message: Box<str>,
    /// Services, by name and in the object's namespace, that its readable part names.
    pub mentions: Vec<Arc<str>>,
}

/// A kind of object that this crate watches. Sealed.
pub trait Kind: decode::Decode + Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Whether it lives in a namespace.
    type Scope: Send + Sync + 'static;
    /// Its API group, empty for the core group.
    const GROUP: &'static str;
    /// Its API version.
    const VERSION: &'static str;
    /// Its kind.
    const KIND: &'static str;
    /// Its resource, as it stands in paths and in rules of access.
    const PLURAL: &'static str;
}

mod decode {
    use super::{RawMeta, Soft, Undecodable};

    /// How a kind is made of its raw form.
    pub trait Decode: Sized {
        /// The object as it is in JSON, of soft fields.
        type Raw: serde::de::DeserializeOwned + Parts<Meta = RawMeta<Self>>;

        /// The labels that are kept.
        fn keeps_label(_key: &str) -> bool {
            false
        }

        /// The body, or the first thing that is wrong with it.
        fn decode(raw: Self::Raw) -> Result<Self, Undecodable>;
    }

    /// Raw forms hold their metadata beside the body's fields.
    pub trait Parts {
        #[doc(hidden)]
        type Meta;
        #[doc(hidden)]
        fn metadata(&mut self) -> Soft<Self::Meta>;
    }
}

impl<B> Object<B> {
    /// Namespace and name; the namespace is empty for kinds that live in none.
    pub fn key(&self) -> Key {
        Key::new(
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

impl<'de, B: Kind> Deserialize<'de> for Object<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = B::Raw::deserialize(deserializer)?;
        let kind = B::KIND;
        let (metadata, doubt) = match decode::Parts::metadata(&mut raw) {
            Soft::Good(metadata) => metadata.slim(),
            Soft::Absent => return Err(D::Error::custom(format_args!("{kind} without metadata"))),
            Soft::Bad(problem) => {
                return Err(D::Error::custom(format_args!(
                    "{kind} with metadata: {problem}"
                )));
            }
        };
        if metadata.name.as_deref().unwrap_or_default().is_empty() {
            return Err(D::Error::custom(format_args!(
                "{kind} without metadata.name"
            )));
        }
        let body = match (B::decode(raw), doubt) {
            (Ok(body), None) => Ok(body),
            (Ok(_), Some(message)) => Err(Undecodable::new(message)),
            (Err(undecodable), _) => Err(undecodable),
        };
        Ok(Self { metadata, body })
    }
}

impl<B: Kind> kube::Resource for Object<B> {
    type DynamicType = ();
    type Scope = B::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        B::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        B::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        B::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        B::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Undecodable {
    /// A reason that names no service.
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self {
            message: message.into(),
            mentions: Vec::new(),
        }
    }
}

impl From<String> for Undecodable {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

#[cfg(test)]
mod tests;
