//! What goes back: a status, a few headers, and a body that may be a stream or break off.

use std::fmt;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{Response, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::Value;

use super::status::Failure;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Severed>;

/// The connection broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Severed;

impl fmt::Display for Severed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was closed")
    }
}

impl std::error::Error for Severed {}

/// How much of a body is sent, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Whole,
    /// That many bytes, then the connection breaks.
    Cut(usize),
    /// That many bytes, then an orderly end.
    Truncated(usize),
}

/// A JSON object with a status code.
pub(super) fn json(code: u16, object: &Value, length: Length) -> Response<Body> {
    respond(code, "application/json", object.to_string().into(), length)
}

/// An error in Kubernetes' format.
pub(super) fn failure(failure: &Failure) -> Response<Body> {
    let mut response = json(failure.code, &failure.status(), Length::Whole);
    if let Some(seconds) = failure.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A text with a status code.
pub(super) fn text(code: u16, body: String) -> Response<Body> {
    respond(
        code,
        "text/plain; charset=utf-8",
        body.into(),
        Length::Whole,
    )
}

/// A stream of lines.
pub(super) fn lines(
    lines: impl Stream<Item = Result<Bytes, Severed>> + Send + 'static,
    length: Length,
) -> Response<Body> {
    let body: Body = match length {
        Length::Whole => {
            BodyExt::boxed_unsync(StreamBody::new(lines.map(|line| line.map(Frame::data))))
        }
        Length::Cut(after) | Length::Truncated(after) => {
            let cut = matches!(length, Length::Cut(_));
            let mut left = after;
            let bounded = lines
                .map(move |line| {
                    let line = line?;
                    let kept = line.slice(..line.len().min(left));
                    left -= kept.len();
                    Ok((kept, left == 0))
                })
                .flat_map(move |line: Result<(Bytes, bool), Severed>| match line {
                    Ok((kept, true)) => {
                        stream::iter(vec![Some(Ok(kept)), cut.then_some(Err(Severed)), None])
                    }
                    Ok((kept, false)) => stream::iter(vec![Some(Ok(kept))]),
                    Err(severed) => stream::iter(vec![Some(Err(severed)), None]),
                })
                .take_while(|item| std::future::ready(item.is_some()))
                .filter_map(std::future::ready);
            BodyExt::boxed_unsync(StreamBody::new(bounded.map(|line| line.map(Frame::data))))
        }
    };
    with(200, "application/json", body)
}

fn respond(code: u16, content: &'static str, body: Bytes, length: Length) -> Response<Body> {
    let frames: Vec<Result<Bytes, Severed>> = match length {
        Length::Whole => {
            return with(
                code,
                content,
                http_body_util::Full::new(body)
                    .map_err(|never| match never {})
                    .boxed_unsync(),
            );
        }
        Length::Cut(after) => vec![Ok(body.slice(..after.min(body.len()))), Err(Severed)],
        Length::Truncated(after) => vec![Ok(body.slice(..after.min(body.len())))],
    };
    let body = StreamBody::new(stream::iter(frames).map(|frame| frame.map(Frame::data)));
    with(code, content, BodyExt::boxed_unsync(body))
}

fn with(code: u16, content: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    if let Ok(status) = http::StatusCode::from_u16(code) {
        *response.status_mut() = status;
    }
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content),
    );
    response
}
