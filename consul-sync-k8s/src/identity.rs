//! Who the cluster is: the UID of a namespace that every cluster has, for as long as it lives.

use std::time::Duration;

use consul_sync_core::{AdapterError, ErrorKind, Owner};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::{
    Verb,
    rights::KUBE_SYSTEM,
    slim::{Kind, Namespace, NamespaceBody},
    watch::{Asked, Problem},
};

const LIMIT: Duration = Duration::from_secs(30);

/// The owner that marks what is written on behalf of this cluster: the UID of namespace `kube-system`.
///
/// # Errors
/// When the server does not answer, or the right to read that namespace is missing; the message names the rule that
/// gives it. Nothing is tried again.
///
/// # Examples
/// ```
/// use consul_sync_k8s::{owner, testing::FakeCluster};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = FakeCluster::new();
/// assert_eq!(owner(&cluster.client()).await?.as_str(), cluster.uid());
/// # Ok(()) }
/// ```
pub async fn owner(client: &Client) -> Result<Owner, AdapterError> {
    let asked = Asked {
        verb: Verb::Get,
        group: NamespaceBody::GROUP,
        resource: NamespaceBody::PLURAL,
        namespace: None,
        name: Some(KUBE_SYSTEM),
    };
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = timeout(LIMIT, api.get(KUBE_SYSTEM))
        .await
        .map_err(|_| Problem::timeout(asked, LIMIT).error)?
        .map_err(|error| {
            let error = Problem::of(asked, error).error;
            match error.kind() {
                ErrorKind::Unauthorized => AdapterError::new(
                    ErrorKind::Unauthorized,
                    format!("{error}, or name the owner with --owner"),
                ),
                _ => error,
            }
        })?;
    let uid = namespace.metadata.uid.unwrap_or_default();
    Owner::new(uid).map_err(|error| {
        AdapterError::new(
            ErrorKind::Protocol,
            format!("{asked}: the answer has no UID that can be used"),
        )
        .because(error)
    })
}
