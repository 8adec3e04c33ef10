//! Asking the fake as a program does.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt, api::WatchEvent};
use serde_json::{Value, json};

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": name, "labels": {"app": name}},
        "spec": {"ports": [{"port": 80}]},
    })
}

pub(crate) fn typed<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

pub(crate) fn services(client: &Client) -> Api<Service> {
    Api::namespaced(client.clone(), "default")
}

pub(crate) fn code<T>(result: Result<T, kube::Error>) -> (u16, String) {
    match result {
        Ok(_) => (200, String::new()),
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
        Err(other) => panic!("{other}"),
    }
}

/// The next event: its type, and the object's name where it has one.
pub(crate) async fn next(
    events: &mut (impl futures::Stream<Item = kube::Result<WatchEvent<Service>>> + Unpin),
) -> String {
    match events.next().await {
        None => "end".to_owned(),
        Some(Err(error)) => format!("error {error}"),
        Some(Ok(event)) => match event {
            WatchEvent::Added(object) => format!("added {}", object.name_any()),
            WatchEvent::Modified(object) => format!("modified {}", object.name_any()),
            WatchEvent::Deleted(object) => format!("deleted {}", object.name_any()),
            WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.is_empty() => {
                "bookmark".to_owned()
            }
            WatchEvent::Bookmark(_) => "end of list".to_owned(),
            WatchEvent::Error(status) => format!("status {}", status.code),
        },
    }
}
