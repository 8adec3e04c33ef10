//! Answers: a body within its limits, and the headers that say how far it can be trusted.

use std::{
    fmt,
    io::{self, Read},
};

use bytes::{Buf, Bytes};
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::{Call, Error};

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) call: Call,
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

/// A body as it came over the wire. It is kept compressed and decoded while it is parsed: a listing of
/// 100,000 instances is 41 MB of text and one of the wire.
#[derive(Clone)]
pub(crate) struct Body {
    chunks: Vec<Bytes>,
    is_gzip: bool,
    /// The most that is decoded (fault C14).
    limit: u64,
}

// === impl Answer ===

impl Answer {
    pub(crate) fn new(call: Call, status: StatusCode, headers: HeaderMap, body: Body) -> Self {
        Self {
            call,
            status,
            headers,
            body,
        }
    }

    /// `X-Consul-Index`, at least 1.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is missing or no number (fault C04).
    pub(crate) fn index(&self) -> Result<u64, Error> {
        let text = self.header("x-consul-index");
        match text.map(str::parse::<u64>) {
            // 0 would turn the next blocking query into a busy loop (fault C03).
            Some(Ok(index)) => Ok(index.max(1)),
            Some(Err(_)) => Err(self.malformed(format!(
                "X-Consul-Index is {:?}, not a number",
                text.unwrap_or_default()
            ))),
            None => Err(self.malformed("X-Consul-Index is missing".into())),
        }
    }

    /// Whether what the token may not read was left out.
    pub(crate) fn is_filtered(&self) -> bool {
        self.header("x-consul-results-filtered-by-acls") == Some("true")
    }

    /// Makes sure that a read that was asked to be consistent was served so (fault C18). Servers that do not
    /// say are believed.
    pub(crate) fn require_consistent(&self) -> Result<(), Error> {
        match self.header("x-consul-effective-consistency") {
            None | Some("consistent") => Ok(()),
            Some(other) => Err(Error::Incomplete {
                call: self.call.clone(),
                problem: format!("a consistent read was served as {other:?}"),
            }),
        }
    }

    /// Makes sure that the servers' tables were read, and not a view of them that the agent keeps: what a view
    /// left out is not said, and it may be behind (Consul 1.10 and later).
    pub(crate) fn require_tables(&self) -> Result<(), Error> {
        if self.header("x-consul-query-backend") != Some("streaming") {
            return Ok(());
        }
        Err(Error::Incomplete {
            call: self.call.clone(),
            problem: "the answer comes from a view of the agent and not from the servers".into(),
        })
    }

    /// The body as JSON. It is decoded first: a parser that asks for one byte after the other takes three times as
    /// long.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.parse(|reader| {
            let mut text = Vec::new();
            reader
                .read_to_end(&mut text)
                .map_err(serde_json::Error::io)?;
            serde_json::from_slice(&text)
        })
    }

    /// Runs a parser over the body's bytes while they are decoded, as is right for what may be large.
    pub(crate) fn parse<T>(
        &self,
        parser: impl FnOnce(&mut dyn Read) -> serde_json::Result<T>,
    ) -> Result<T, Error> {
        let mut reader = io::BufReader::with_capacity(16 * 1024, self.body.reader());
        parser(&mut reader).map_err(|error| {
            if reader.get_ref().is_over() {
                Error::TooLarge {
                    call: self.call.clone(),
                    limit: self.body.limit,
                }
            } else {
                self.malformed(format!("the body cannot be read: {error}"))
            }
        })
    }

    /// The length on the wire in bytes.
    pub(crate) fn wire_length(&self) -> usize {
        self.body.chunks.iter().map(Bytes::len).sum()
    }

    /// The first line of the body, short and printable, for messages.
    pub(crate) fn excerpt(&self) -> String {
        let mut bytes = Vec::new();
        let _ = self.body.reader().take(512).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let line = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        line.trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(300)
            .collect()
    }

    pub(crate) fn malformed(&self, problem: String) -> Error {
        Error::Malformed {
            call: self.call.clone(),
            problem,
        }
    }

    /// Something was left out of it for want of this rule.
    pub(crate) fn denied(&self, rule: String, text: &str) -> Error {
        Error::Denied {
            call: self.call.clone(),
            rule,
            text: text.to_owned(),
        }
    }

    /// Its index is lower than one that was seen.
    pub(crate) fn went_backwards(&self, from: u64, to: u64) -> Error {
        Error::went_backwards(self.call.clone(), from, to)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn is_json(&self) -> bool {
        self.header(header::CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.starts_with("application/json"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("call", &self.call)
            .field("status", &self.status)
            .field("length", &self.wire_length())
            .finish_non_exhaustive()
    }
}

// === impl Body ===

impl Body {
    pub(crate) fn new(chunks: Vec<Bytes>, is_gzip: bool, limit: u64) -> Self {
        Self {
            chunks,
            is_gzip,
            limit,
        }
    }

    fn reader(&self) -> Capped<Box<dyn Read + '_>> {
        let raw = Chunks {
            rest: &self.chunks,
            at: 0,
        };
        let inner: Box<dyn Read + '_> = if self.is_gzip {
            Box::new(MultiGzDecoder::new(raw))
        } else {
            Box::new(raw)
        };
        Capped {
            inner,
            left: self.limit,
            is_over: false,
        }
    }
}

/// Reads chunks one after the other.
struct Chunks<'a> {
    rest: &'a [Bytes],
    at: usize,
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let [first, rest @ ..] = self.rest {
            let mut left = &first[self.at..];
            if left.is_empty() {
                self.rest = rest;
                self.at = 0;
                continue;
            }
            let count = left.len().min(buffer.len());
            left.copy_to_slice(&mut buffer[..count]);
            self.at += count;
            return Ok(count);
        }
        Ok(0)
    }
}

/// Fails once more than the limit was read: an answer that is cut off must not look like a whole one.
struct Capped<R> {
    inner: R,
    left: u64,
    is_over: bool,
}

impl<R> Capped<R> {
    fn is_over(&self) -> bool {
        self.is_over
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            self.is_over = true;
            return Err(io::Error::other("longer than the limit"));
        };
        self.left = left;
        Ok(count)
    }
}
