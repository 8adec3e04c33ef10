//! What the token may do.
//!
//! Consul answers a read for which rights are missing with what is left, and to a client without a token it
//! does not even say so: an empty catalog and a forbidden one look alike (fault C09).

use bytes::Bytes;

use crate::{
    Client, Error,
    request::Request,
    wire::{Access, Allowed},
};

/// Answers to questions about rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Consul has no access control: everything is allowed.
    Off,
    /// One answer per question.
    Known(Vec<bool>),
    /// This server cannot be asked.
    Unknown,
}

/// Asks whether the token has these rights where the client's requests go.
pub(crate) async fn ask(client: &Client, questions: &[Access<'_>]) -> Result<Rights, Error> {
    ask_there(client, None, None, questions).await
}

/// Asks whether the token has these rights in another datacenter or partition.
pub(crate) async fn ask_there(
    client: &Client,
    datacenter: Option<&str>,
    partition: Option<&str>,
    questions: &[Access<'_>],
) -> Result<Rights, Error> {
    let body = serde_json::to_vec(questions)
        .map_err(|error| Error::Settings(format!("questions about rights: {error}")))?;
    let request = Request::ask(&["internal", "acl", "authorize"], Bytes::from(body));
    let request = client.scoped_to(request, datacenter, partition);
    match client.call(&request).await {
        Ok(answer) => {
            let allowed: Vec<Allowed> = answer.json()?;
            if allowed.len() == questions.len() {
                Ok(Rights::Known(allowed.iter().map(|a| a.allow).collect()))
            } else {
                Err(answer.malformed("not every question was answered".into()))
            }
        }
        Err(Error::Status { status, text, .. })
            if status.as_u16() == 401 && text.contains("ACL support disabled") =>
        {
            Ok(Rights::Off)
        }
        Err(Error::Status { status, .. }) if matches!(status.as_u16(), 404 | 405) => {
            Ok(Rights::Unknown)
        }
        Err(error) => Err(error),
    }
}
