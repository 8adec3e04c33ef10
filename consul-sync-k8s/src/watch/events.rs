//! The events of one watch connection, decoded line by line.
//!
//! `Client::request_events` is not used: an event that it cannot decode comes out of it as an empty error of the
//! API, because every text with braces reads as a `Status` whose fields are all optional.

use futures::{AsyncBufReadExt, StreamExt, stream::BoxStream};
use http::{Request, header};
use kube::{Client, api::WatchEvent};

use super::problem::{Asked, Problem};
use crate::slim::{Kind, Object};

/// One event of a connection, or how it ended before its time.
#[derive(Debug)]
pub(crate) enum Said<B> {
    Event(WatchEvent<Object<B>>),
    /// It broke off, perhaps in the middle of an event.
    BrokeOff(String),
    /// It said something that is no event.
    Garbled(serde_json::Error),
}

/// The events of one connection.
pub(crate) type Events<B> = BoxStream<'static, Said<B>>;

/// Starts a watch.
pub(crate) async fn events<B: Kind>(
    client: &Client,
    asked: Asked<'_>,
    mut request: Request<Vec<u8>>,
) -> Result<Events<B>, Problem> {
    // Newer servers compress each event by itself, of which a client's layer may read only the first.
    let identity = header::HeaderValue::from_static("identity");
    request
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, identity);
    let body = client
        .request_stream(request)
        .await
        .map_err(|error| Problem::of(asked, error))?;
    let lines = body.lines().map(|line| match line {
        Err(error) => Said::BrokeOff(error.to_string()),
        Ok(line) => match serde_json::from_str(&line) {
            Ok(event) => Said::Event(event),
            // What ends in the middle was cut off, and comes again.
            Err(error) if error.is_eof() => Said::BrokeOff(error.to_string()),
            Err(error) => Said::Garbled(error),
        },
    });
    Ok(lines.boxed())
}
