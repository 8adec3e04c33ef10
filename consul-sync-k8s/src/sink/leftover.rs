//! EndpointSlices that another mode left behind.
//!
//! Where no service may have slices they are not watched, and no right to them is needed. There may be some from before,
//! when the settings were others, and nobody else takes them away: so they are looked for once for each stream, and watched
//! if there are any. Without the right to list them that is told, and the rest goes on.

use consul_sync_core::{ErrorKind, SinkError};
use kube::{Api, api::ListParams};
use tokio::time::timeout;

use super::{Inner, write::LIMIT};
use crate::{
    Verb, mark,
    slim::{EndpointSlice, EndpointSliceBody, Kind},
    watch::{Asked, Problem},
};

impl Inner {
    /// Whether slices have to be watched.
    ///
    /// # Errors
    /// When the API server does not say whether there are any.
    pub(super) async fn has_slices(&self) -> Result<bool, SinkError> {
        let settings = &self.placement.settings;
        if settings.writes_slices() {
            return Ok(true);
        }
        for namespace in settings.scope().namespaces() {
            let asked = Asked {
                verb: Verb::List,
                group: EndpointSliceBody::GROUP,
                resource: EndpointSliceBody::PLURAL,
                namespace: namespace.as_deref(),
                name: None,
            };
            match self.has_slices_in(asked).await {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Unauthorized => tracing::info!(
                    rule = asked.rule(),
                    "EndpointSlices that another mode left behind cannot be looked for without the right to list them"
                ),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    async fn has_slices_in(&self, asked: Asked<'_>) -> Result<bool, SinkError> {
        let client = self.client.clone();
        let slices: Api<EndpointSlice> = match asked.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let selector = format!(
            "{}={},{}={}",
            mark::MANAGED_BY,
            mark::MANAGER,
            mark::OWNER,
            self.placement.owner
        );
        let one = ListParams::default().labels(&selector).limit(1);
        match timeout(LIMIT, slices.list(&one)).await {
            Ok(Ok(list)) => Ok(!list.items.is_empty()),
            Ok(Err(error)) => Err(Problem::of(asked, error).error),
            Err(_) => Err(Problem::timeout(asked, LIMIT).error),
        }
    }
}
