//! The events of one watch connection, decoded line by line.
//!
//! `Client::request_events` is not used: an event that it cannot decode comes out of it as an empty error of the
//! API, because every text with braces reads as a `Status` whose fields are all optional.

use futures::{AsyncBufReadExt, StreamExt, stream::BoxStream};
use http::{Request, header};
use kube::{Client, api::WatchEvent};
use serde::de::DeserializeOwned;

use super::problem::{Asked, Problem};

/// How a connection ended before its time.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It broke off, perhaps in the middle of an event.
    Off(String),
    /// It said something that is no event.
    Garbled(serde_json::Error),
}

/// The events of one connection, of objects of one type.
pub(crate) type Events<T> = BoxStream<'static, Result<WatchEvent<T>, Broken>>;

/// Starts a watch.
pub(crate) async fn events<T: DeserializeOwned + 'static>(
    client: &Client,
    asked: Asked<'_>,
    mut request: Request<Vec<u8>>,
) -> Result<Events<T>, Problem> {
    // Newer servers compress each event by itself, of which a client's layer may read only the first.
    let identity = header::HeaderValue::from_static("identity");
    request
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, identity);
    let body = client
        .request_stream(request)
        .await
        .map_err(|error| Problem::of(asked, error))?;
    let events = body.lines().map(|line| {
        let line = line.map_err(|error| Broken::Off(error.to_string()))?;
        serde_json::from_str(&line).map_err(|error| {
            // What ends in the middle was cut off, and comes again.
            if error.is_eof() {
                Broken::Off(error.to_string())
            } else {
                Broken::Garbled(error)
            }
        })
    });
    Ok(events.boxed())
}
