//! One HTTP answer before it goes out.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// Bodies below this are sent as they are, as Consul's gzip layer does.
const GZIP_FROM: usize = 1400;

/// Status, headers and body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Boxed because answers travel in `Result`s.
    pub(super) headers: Box<HeaderMap>,
    pub(super) body: Bytes,
}

impl Answer {
    /// An answer in JSON.
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self::with(status, "application/json", body.into()),
            Err(error) => Self::text(500, format!("cannot print the answer: {error}")),
        }
    }

    /// An answer in plain text, Consul's form of errors.
    pub(super) fn text(status: u16, body: impl Into<String>) -> Self {
        Self::with(status, "text/plain; charset=utf-8", body.into().into())
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        let mut answer = Self::with(status, "", Bytes::new());
        answer.headers.remove(http::header::CONTENT_TYPE);
        answer
    }

    fn with(status: u16, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static(content_type),
        );
        headers.insert(
            http::header::VARY,
            HeaderValue::from_static("Accept-Encoding"),
        );
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            headers,
            body,
        }
    }

    /// Adds a header; a value that cannot be sent is left out.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Takes a header away.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Compresses the body if that pays.
    pub(super) fn gzipped(mut self) -> Self {
        if self.body.len() < GZIP_FROM {
            return self;
        }
        let mut encoder =
            GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
        if encoder.write_all(&self.body).is_ok()
            && let Ok(body) = encoder.finish()
        {
            self.body = body.into();
            return self.header("content-encoding", "gzip");
        }
        self
    }
}
