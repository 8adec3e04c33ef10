//! Everything that the requests for one kind of object have in common.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use kube::{
    Client, Resource,
    api::{ListParams, WatchParams},
    core::Request,
};

use super::{problem::Asked, settings::WatchSettings};
use crate::{
    Verb,
    slim::{EndpointSliceBody, Kind, Object},
};

/// One kind of object in one place: a namespace, or everywhere.
pub(crate) struct Place<B> {
    pub(crate) client: Client,
    pub(crate) settings: Arc<WatchSettings>,
    pub(crate) namespace: Option<Arc<str>>,
    /// Only objects with these labels, if any are named.
    pub(crate) labels: Option<Arc<str>>,
    kind: PhantomData<fn() -> B>,
}

impl<B> Clone for Place<B> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            settings: Arc::clone(&self.settings),
            namespace: self.namespace.clone(),
            labels: self.labels.clone(),
            kind: PhantomData,
        }
    }
}

impl<B: Kind> Place<B> {
    pub(crate) fn new(
        client: Client,
        settings: Arc<WatchSettings>,
        namespace: Option<Arc<str>>,
        labels: Option<Arc<str>>,
    ) -> Self {
        Self {
            client,
            settings,
            namespace,
            labels,
            kind: PhantomData,
        }
    }

    /// A request in words.
    pub(crate) fn asked(&self, verb: Verb) -> Asked<'_> {
        Asked {
            verb,
            group: B::GROUP,
            resource: B::PLURAL,
            namespace: self.namespace.as_deref(),
            name: None,
        }
    }

    /// The collection's requests.
    pub(crate) fn request(&self) -> Request {
        Request::new(Object::<B>::url_path(&(), self.namespace.as_deref()))
    }

    /// Objects in the first page of a listing; 0 for a listing in one piece.
    pub(crate) fn first_page(&self) -> u32 {
        if B::PLURAL == EndpointSliceBody::PLURAL {
            self.settings.slice_page_size
        } else {
            self.settings.page_size
        }
    }

    /// One page of a consistent listing, of so many objects; 0 for all. Without a resourceVersion the server must answer
    /// with its newest state.
    pub(crate) fn list_params(&self, token: Option<&str>, page: u32) -> ListParams {
        ListParams {
            label_selector: self.labels.as_deref().map(str::to_owned),
            limit: (page > 0).then_some(page),
            continue_token: token.map(str::to_owned),
            ..ListParams::default()
        }
    }

    /// How long the server keeps a watch open.
    pub(crate) fn watch_timeout(&self) -> Duration {
        Duration::from_secs(self.settings.watch_timeout.as_secs().max(1))
    }

    /// A watch.
    pub(crate) fn watch_params(&self) -> WatchParams {
        let seconds = self.watch_timeout().as_secs();
        WatchParams {
            label_selector: self.labels.as_deref().map(str::to_owned),
            timeout: Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
            ..WatchParams::default()
        }
    }
}

/// A version as a number, where it is one. The API promises order only for such.
pub(crate) fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}
