//! The API server, as `kubectl` uses it: objects as JSON.

use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// A client of the API server that may do everything.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: kube::Client,
}

impl Cluster {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Creates an object, with its status where it has one.
    pub(crate) async fn create(&self, object: &Value) -> Result<()> {
        let collection = collection(object);
        self.send(Method::POST, &collection, "application/json", object)
            .await?;
        // A controller would write it; there is none here, and a plain write leaves it out.
        if let Some(status) = object.get("status") {
            let path = format!("{collection}/{}/status", text(object, "/metadata/name"));
            self.merge(&path, &json!({ "status": status })).await?;
        }
        Ok(())
    }

    /// Changes parts of the object at this path: a JSON merge patch.
    pub(crate) async fn merge(&self, path: &str, change: &Value) -> Result<()> {
        self.send(Method::PATCH, path, "application/merge-patch+json", change)
            .await
    }

    /// Deletes the object at this path.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, "application/json", &json!({}))
            .await
    }

    /// Asks once, so that the first change that is measured does not pay for the connection.
    pub(crate) async fn version(&self) -> Result<String> {
        let version = self.client.apiserver_version().await;
        let version = version.map_err(|source| Error::Cluster {
            what: "GET /version".to_owned(),
            source: Box::new(source),
        })?;
        Ok(format!("{}.{}", version.major, version.minor))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &'static str,
        body: &Value,
    ) -> Result<()> {
        let failed = |source| Error::Cluster {
            what: format!("{method} {path}"),
            source: Box::new(source),
        };
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::CONTENT_TYPE, content)
            .body(body.to_string().into_bytes())
            .map_err(|error| failed(kube::Error::HttpError(error)))?;
        self.client
            .request_text(request)
            .await
            .map(drop)
            .map_err(failed)
    }
}

/// Where objects of this one's kind and namespace are, as in `/api/v1/namespaces/shop/services`.
pub(crate) fn collection(object: &Value) -> String {
    let version = text(object, "/apiVersion");
    let root = if version.contains('/') { "apis" } else { "api" };
    // Every kind that is used here has a plain plural.
    let plural = format!("{}s", text(object, "/kind").to_lowercase());
    match text(object, "/metadata/namespace") {
        "" => format!("/{root}/{version}/{plural}"),
        namespace => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_found_by_group_kind_and_namespace() {
        let path = |api_version: &str, kind: &str, namespace: Option<&str>| {
            collection(&json!({
                "apiVersion": api_version,
                "kind": kind,
                "metadata": { "namespace": namespace },
            }))
        };
        assert_eq!(path("v1", "Node", None), "/api/v1/nodes");
        assert_eq!(
            path("v1", "Service", Some("shop")),
            "/api/v1/namespaces/shop/services"
        );
        assert_eq!(
            path("discovery.k8s.io/v1", "EndpointSlice", Some("shop")),
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        );
    }
}
