//! What slots hold now, asked of the API server itself.

use std::sync::{Arc, atomic::Ordering};

use consul_sync_core::{Held, HeldRecord, Record, SinkError, Slot};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, api::ListParams};
use tokio::time::timeout;

use super::{Inner, manifest::Manifest, place::parts, write::LIMIT};
use crate::{
    Verb, mark,
    slim::{EndpointSlice, EndpointSliceBody, Kind, SERVICE_NAME, Service, ServiceBody},
    watch::{Asked, Problem},
};

/// How many slots are read at once.
const AT_ONCE: usize = 16;

impl Inner {
    /// See [`consul_sync_core::Sink::read`].
    pub(super) async fn read(
        &self,
        slots: &[Slot],
    ) -> Result<Vec<(Slot, Held<Manifest>)>, SinkError> {
        stream::iter(slots.to_vec())
            .map(|slot| async move {
                let held = self.read_slot(&slot).await?;
                Ok((slot, held))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// The Service, and the slices that name it. Neither is asked of a cache.
    pub(super) async fn read_slot(&self, slot: &Slot) -> Result<Held<Manifest>, SinkError> {
        let (namespace, name) = parts(slot);
        let owner = &self.placement.owner;
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let asked = request::<ServiceBody>(Verb::Get, namespace);
        let service = answer(asked, services.get_opt(name)).await?;
        let service = service.map(|service| Manifest::of_service(&service, owner));
        let mut records: Vec<HeldRecord<Manifest>> = service.into_iter().collect();
        if self.slices.load(Ordering::Relaxed) {
            let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
            let selector = format!(
                "{SERVICE_NAME}={name},{}={}",
                mark::MANAGED_BY,
                mark::MANAGER
            );
            let params = ListParams::default().labels(&selector);
            let asked = request::<EndpointSliceBody>(Verb::List, namespace);
            let listed = answer(asked, slices.list(&params)).await?;
            let service: Arc<str> = name.into();
            let slices = listed.items.iter();
            records.extend(slices.filter_map(|slice| Manifest::of_slice(slice, &service, owner)));
        }
        records.sort_by_key(|held| held.record.id());
        Ok(Held { records })
    }
}

fn request<B: Kind>(verb: Verb, namespace: &str) -> Asked<'_> {
    Asked {
        verb,
        group: B::GROUP,
        resource: B::PLURAL,
        namespace: Some(namespace),
        name: None,
    }
}

async fn answer<T>(
    asked: Asked<'_>,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, SinkError> {
    match timeout(LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Problem::of(asked, error).error),
        Err(_) => Err(Problem::timeout(asked, LIMIT).error),
    }
}
