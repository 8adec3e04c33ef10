//! Requests, built from parts that are percent-encoded one by one.
//!
//! No URL is made by formatting: a service name may hold `/`, `?` or a space, and must neither leave its path
//! segment nor become a parameter.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the characters that stand for themselves in every part of a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One request to Consul's HTTP API.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    path: String,
    query: String,
    body: Option<Bytes>,
    /// How long a blocking query asks to be held.
    wait: Option<Duration>,
    /// How many times the usual deadline it may take.
    patience: u32,
    is_write: bool,
    /// Whether 404 is an answer: what was asked for is not there.
    may_be_absent: bool,
}

// === impl Request ===

impl Request {
    /// A read; nothing changes by sending it twice.
    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path, None, false)
    }

    /// A read whose question is in its body.
    pub(crate) fn ask(path: &[&str], body: Bytes) -> Self {
        Self::new(Method::POST, path, Some(body), false)
    }

    /// A write: without a clear answer it may have been applied, and it is never sent again by itself.
    pub(crate) fn put(path: &[&str], body: Bytes) -> Self {
        Self::new(Method::PUT, path, Some(body), true)
    }

    fn new(method: Method, segments: &[&str], body: Option<Bytes>, is_write: bool) -> Self {
        let mut path = String::with_capacity(64);
        path.push_str("/v1");
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, RESERVED));
        }
        Self {
            method,
            path,
            query: String::new(),
            body,
            wait: None,
            patience: 1,
            is_write,
            may_be_absent: false,
        }
    }

    /// Takes 404 for an answer: what is asked for may be absent.
    #[must_use]
    pub(crate) fn or_absent(mut self) -> Self {
        self.may_be_absent = true;
        self
    }

    /// One more parameter.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.separate();
        self.query.extend(utf8_percent_encode(key, RESERVED));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, RESERVED));
        self
    }

    /// A parameter that may be unset.
    #[must_use]
    pub(crate) fn with_optional(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Makes the leader be sure that it still leads before it answers. The only kind of read that nothing was
    /// ever seen missing from, also right after a restart (fault C01): everything that may lead to a write is
    /// read so.
    #[must_use]
    pub(crate) fn consistent(mut self) -> Self {
        self.separate();
        self.query.push_str("consistent");
        self
    }

    /// Makes it a blocking query: held until something is newer than `index`, or `wait` is over.
    #[must_use]
    pub(crate) fn blocking(self, index: u64, wait: Duration) -> Self {
        let mut request = self
            .with("index", &index.to_string())
            .with("wait", &format!("{}ms", wait.as_millis()));
        request.wait = Some(wait);
        request
    }

    /// Gives it more time than a small call needs: an answer late is better than none where the call is costly to
    /// repeat.
    #[must_use]
    pub(crate) fn patient(mut self, patience: u32) -> Self {
        self.patience = patience;
        self
    }

    fn separate(&mut self) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    pub(crate) fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    pub(crate) fn wait(&self) -> Option<Duration> {
        self.wait
    }

    pub(crate) fn patience(&self) -> u32 {
        self.patience
    }

    pub(crate) fn may_be_absent(&self) -> bool {
        self.may_be_absent
    }

    pub(crate) fn is_write(&self) -> bool {
        self.is_write
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        let request = Request::get(&["health", "service", "../a b?x=y#z%2F/ü"]);
        assert_eq!(
            request.target(),
            "/v1/health/service/..%2Fa%20b%3Fx%3Dy%23z%252F%2F%C3%BC"
        );
    }

    #[test]
    fn parameters_are_separated_and_encoded() {
        let request = Request::get(&["catalog", "node-services", "n"])
            .consistent()
            .with("ns", "a&b")
            .with_optional("dc", None)
            .blocking(7, Duration::from_secs(60));
        assert_eq!(
            request.target(),
            "/v1/catalog/node-services/n?consistent&ns=a%26b&index=7&wait=60000ms"
        );
        assert_eq!(request.wait(), Some(Duration::from_secs(60)));
    }

    proptest! {
        #[test]
        fn every_target_is_a_valid_uri_of_one_path_segment(name in "\\PC*") {
            let target = Request::get(&["health", "service", &name]).with("filter", &name).target();
            let uri: http::Uri = target.parse().unwrap();
            prop_assert_eq!(uri.path().matches('/').count(), 4);
            let (_, filter) = uri.query().unwrap().split_once('=').unwrap();
            let decoded = percent_encoding::percent_decode_str(filter).decode_utf8().unwrap();
            prop_assert_eq!(decoded, name);
        }
    }
}
