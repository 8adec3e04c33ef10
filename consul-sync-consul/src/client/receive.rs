//! From a response to an answer of Consul's.

use std::time::Duration;

use http::{StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Client, servers::Server};
use crate::{
    Error,
    answer::{Answer, Body},
    request::Request,
};

impl Client {
    /// Reads a response whole.
    pub(super) async fn receive(
        &self,
        request: &Request,
        server: &Server,
        response: http::Response<Incoming>,
    ) -> Result<Answer, Error> {
        let call = server.describe(request);
        let malformed = |problem: String| Error::Malformed {
            call: call.clone(),
            problem,
        };
        if response.version() == Version::HTTP_10 {
            // Its end is marked by the end of the connection: a cut answer could not be told from a whole one.
            return Err(malformed("the answer is HTTP/1.0".into()));
        }
        let (head, mut body) = response.into_parts();
        let is_gzip = match head.headers.get(header::CONTENT_ENCODING) {
            None => false,
            Some(coding) if coding == "identity" => false,
            Some(coding) if coding == "gzip" => true,
            Some(coding) => {
                return Err(malformed(format!("the content coding is {coding:?}")));
            }
        };
        let mut chunks = Vec::new();
        let mut length = 0_u64;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Error::Broken {
                call: call.clone(),
                source: error.into(),
            })?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            length += chunk.len() as u64;
            if length > self.0.answer_limit {
                return Err(Error::TooLarge {
                    call,
                    limit: self.0.answer_limit,
                });
            }
            chunks.push(chunk);
        }
        let body = Body::new(chunks, is_gzip, self.0.answer_limit);
        Ok(Answer::new(call, head.status, head.headers, body))
    }

    /// Tells an answer of Consul's from everything else.
    pub(super) fn judge(&self, request: &Request, answer: Answer) -> Result<Answer, Error> {
        let status = answer.status;
        if status == StatusCode::NOT_FOUND && request.may_be_absent() {
            return Ok(answer);
        }
        if status == StatusCode::OK || (status == StatusCode::CONFLICT && answer.is_json()) {
            if answer.is_json() {
                return Ok(answer);
            }
            let kind = answer.header("content-type").unwrap_or("missing");
            return Err(answer.malformed(format!("the content type is {kind}, not JSON")));
        }
        if status.is_redirection() || status.is_success() || status.is_informational() {
            // A redirect is never followed: it would carry the token to wherever it points (fault C20).
            return Err(answer.malformed(format!("the status is {status}")));
        }
        let retry_after = answer
            .header("retry-after")
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs);
        Err(Error::Status {
            status,
            text: self.redact(answer.excerpt()),
            retry_after,
            call: answer.call,
        })
    }

    /// The text without the token, should a server repeat it.
    pub(crate) fn redact(&self, text: String) -> String {
        self.0.token.redact(text)
    }
}
