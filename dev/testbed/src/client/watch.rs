//! An answer that goes on for as long as it is read.

use std::mem;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::Client;
use crate::{Error, Result};

/// A Kubernetes watch: its events, one a line. It ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    url: String,
    body: Incoming,
    /// What came and was not given out.
    rest: Vec<u8>,
}

impl Client {
    /// Opens a watch, as at `/api/v1/services?watch=1&resourceVersion=7`.
    ///
    /// # Errors
    ///
    /// [`Error::Unanswered`], or [`Error::Refused`] when the status is not of the 2xx kind.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(api: consul_sync_testbed::ApiServer) -> consul_sync_testbed::Result<()> {
    /// let mut watch = api.client().watch("/api/v1/services?watch=1").await?;
    /// while let Some(event) = watch.next().await? {
    ///     println!("{} {}", event["type"], event["object"]["metadata"]["name"]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn watch(&self, path: &str) -> Result<Watch> {
        let url = format!("{}{path}", self.base());
        let mut request = Request::get(path);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Bytes::new())
            .map_err(|error| Error::Unanswered {
                method: "GET".to_owned(),
                url: url.clone(),
                reason: error.to_string(),
            })?;
        let answer = self.pass(request).await?;
        if answer.status().is_success() {
            return Ok(Watch {
                url,
                body: answer.into_body(),
                rest: Vec::new(),
            });
        }
        Err(Error::Refused {
            method: "GET".to_owned(),
            url,
            status: answer.status().as_u16(),
            body: String::new(),
        })
    }
}

impl Watch {
    /// The next event; nothing at the end.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Unanswered`] when the connection breaks, [`Error::Unreadable`] when a line is not JSON.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let after = self.rest.split_off(end + 1);
                let line = mem::replace(&mut self.rest, after);
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|_| Error::Unreadable {
                        url: self.url.clone(),
                        body: String::from_utf8_lossy(&line).into_owned(),
                    });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => self.rest.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    return Err(Error::Unanswered {
                        method: "GET".to_owned(),
                        url: self.url.clone(),
                        reason: error.to_string(),
                    });
                }
            }
        }
    }
}
