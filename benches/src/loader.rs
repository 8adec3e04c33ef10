//! The bare loader: the same registrations, through transactions, or the same objects, and nothing else.
//!
//! It knows beforehand what to write, compares nothing, waits for nobody and checks no version. What it needs is the
//! least that any program could need.

use std::time::Duration;

use consul_sync_testbed::Client;
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    catalog::NODE,
    error::{Error, Result},
};

/// The most operations that Consul takes in a transaction, since 1.14.
const OPS: usize = 128;
/// The most bytes of a transaction.
const BYTES: usize = 512 * 1024;
/// Transactions under way: the next is on its way while Consul works on one. More gain nothing, there is one log.
pub(crate) const UNDER_WAY: usize = 2;

/// Writes all of it into an empty Consul; how long that took.
pub(crate) async fn load(client: &Client, writes: &[Vec<Value>]) -> Result<Duration> {
    // The node must be there before what is on it, and its transaction be answered before the others start.
    let node =
        json!({ "Node": { "Verb": "set", "Node": { "Node": NODE, "Address": "127.0.0.1" } } });
    let first = write(client, &[vec![node]], 1).await?;
    Ok(first + write(client, writes, UNDER_WAY).await?)
}

/// Writes all of it through transactions, so many at once; how long that took.
pub(crate) async fn write(
    client: &Client,
    writes: &[Vec<Value>],
    under_way: usize,
) -> Result<Duration> {
    let client = client.keeping_connections();
    let bodies = bodies(writes);
    let begun = Instant::now();
    stream::iter(bodies)
        .map(|body| put(&client, body))
        .buffer_unordered(under_way)
        .try_collect::<()>()
        .await?;
    Ok(begun.elapsed())
}

/// Creates objects in Kubernetes, so many lists of them at once, each list in its order; how long that took.
pub(crate) async fn create(
    client: &Client,
    lists: &[Vec<(String, Value)>],
    under_way: usize,
) -> Result<Duration> {
    let client = client.keeping_connections();
    let begun = Instant::now();
    stream::iter(lists)
        .map(|list| {
            let client = client.clone();
            async move {
                for (path, object) in list {
                    client.post(path, object).await?.success()?;
                }
                Ok::<_, Error>(())
            }
        })
        .buffer_unordered(under_way)
        .try_collect::<()>()
        .await?;
    Ok(begun.elapsed())
}

fn bodies(writes: &[Vec<Value>]) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut length = 0;
    for write in writes {
        let write: Vec<String> = write.iter().map(ToString::to_string).collect();
        let more = write.iter().map(|part| part.len() + 1).sum::<usize>();
        if parts.len() + write.len() > OPS || length + more + 2 > BYTES {
            bodies.push(format!("[{}]", parts.join(",")));
            parts.clear();
            length = 0;
        }
        parts.extend(write);
        length += more;
    }
    if !parts.is_empty() {
        bodies.push(format!("[{}]", parts.join(",")));
    }
    bodies
}

async fn put(client: &Client, body: String) -> Result<()> {
    let answer = client
        .send(Method::PUT, "/v1/txn", "application/json", body)
        .await?
        .json()?;
    match &answer["Errors"] {
        Value::Null => Ok(()),
        errors => Err(Error::wrong(format!(
            "the loader's transaction failed: {errors}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_as_large_as_consul_takes() {
        let writes = vec![vec![json!({ "a": 1 }), json!({ "b": 2 })]; 100];
        let sizes: Vec<usize> = bodies(&writes)
            .iter()
            .map(|body| serde_json::from_str::<Vec<Value>>(body).unwrap().len())
            .collect();
        assert_eq!(sizes, [128, 72]);
        let large = vec![vec![json!("x".repeat(200_000)), json!(1)]; 5];
        assert_eq!(bodies(&large).len(), 3);
    }
}
