//! Namespaces.

use serde::Deserialize;

use super::{
    Kind, RawMeta, Soft, Undecodable,
    decode::{Decode, Parts},
};

/// What is used of a Namespace: nothing but its labels, which stand in its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceBody;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawNamespace {
    metadata: Soft<RawMeta<NamespaceBody>>,
}

impl Kind for NamespaceBody {
    type Scope = k8s_openapi::ClusterResourceScope;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "Namespace";
    const PLURAL: &'static str = "namespaces";
}

impl Parts for RawNamespace {
    type Meta = RawMeta<NamespaceBody>;

    fn metadata(&mut self) -> Soft<Self::Meta> {
        std::mem::take(&mut self.metadata)
    }
}

impl Decode for NamespaceBody {
    type Raw = RawNamespace;

    /// All of them: a label selector may name any.
    fn keeps_label(_key: &str) -> bool {
        true
    }

    fn decode(_raw: RawNamespace) -> Result<Self, Undecodable> {
        Ok(Self)
    }
}
