//! `/v1/acl/login` and `/v1/acl/logout`: tokens for bearers whom an auth method knows.

use std::time::Duration;

use http::request::Parts;
use serde_json::json;
use tokio::time::Instant;

use super::acl::Rules;
use super::agent::acls_are_on;
use super::answer::Answer;
use super::decode::{Decoded, Fields, first_value};
use super::request::Query;
use super::route::refusal;
use super::server::Shared;
use super::session::uuid;

/// An auth method that takes one bearer token and binds it to the same rights always.
#[derive(Clone, Debug)]
pub(super) struct AuthMethod {
    bearer: String,
    rules: Rules,
    /// How long its tokens live; `None` for ever.
    life: Option<Duration>,
}

impl AuthMethod {
    pub(super) fn new(bearer: &str, rules: Rules, life: Option<Duration>) -> Self {
        Self {
            bearer: bearer.to_owned(),
            rules,
            life,
        }
    }
}

/// `POST /v1/acl/login`
pub(super) fn login(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Answer, Answer> {
    acls_are_on(shared)?;
    Query::read(&parts.uri)?.reachable()?;
    let (name, bearer, meta) = first_value(body).and_then(read).map_err(|error| {
        Answer::text(400, format!("Failed to decode request body: {}", error.0))
    })?;
    let mut state = shared.state();
    let Some(method) = state.acl.method(&name).cloned() else {
        let text = format!("ACL not found: auth method {name:?} not found");
        return Err(Answer::text(403, text));
    };
    if bearer.is_empty() {
        return Err(refusal("missing jwt".to_owned()));
    }
    if bearer != method.bearer {
        return Err(refusal("error validating token".to_owned()));
    }
    let description = if meta.is_empty() {
        "token created via login".to_owned()
    } else {
        format!("token created via login: {}", json!(meta))
    };
    let secret = uuid();
    state.store.raft += 1;
    let index = state.store.raft;
    let ends = method.life.map(|life| Instant::now() + life);
    state
        .acl
        .put_login(&secret, method.rules, index, ends, &description);
    let accessor = state.acl.token(&secret).map(|token| token.accessor.clone());
    let created = jiff::Timestamp::now();
    let mut answer = json!({
        "AccessorID": accessor, "SecretID": secret, "Description": description, "Local": true, "AuthMethod": name,
        "CreateTime": created.to_string(), "Hash": "", "CreateIndex": index, "ModifyIndex": index,
    });
    if let Some(life) = method.life {
        answer["ExpirationTime"] = (created + life).to_string().into();
    }
    Ok(Answer::json(200, &answer))
}

/// `POST /v1/acl/logout`
pub(super) fn logout(shared: &Shared, parts: &Parts) -> Result<Answer, Answer> {
    acls_are_on(shared)?;
    Query::read(&parts.uri)?.reachable()?;
    let secret = Query::token(parts);
    if secret.is_empty() {
        return Err(Answer::text(401, "Supplied token does not exist"));
    }
    let mut state = shared.state();
    let is_login = match state.acl.token(&secret) {
        None => return Err(Answer::text(403, "ACL not found")),
        Some(token) => token.is_of_login(),
    };
    if !is_login {
        let text = "Permission denied: token wasn't created via login";
        return Err(Answer::text(403, text));
    }
    state.store.raft += 1;
    state.acl.revoke(&secret);
    state.views.revoke(&secret);
    drop(state);
    shared.revoked();
    Ok(Answer::json(200, &true))
}

type Asked = (String, String, std::collections::BTreeMap<String, String>);

fn read(body: serde_json::Value) -> Decoded<Asked> {
    let Some(mut fields) = Fields::open(body, "LoginRequest")? else {
        return Ok(Asked::default());
    };
    let asked = (
        fields.text("AuthMethod")?,
        fields.text("BearerToken")?,
        fields.pairs("Meta")?.unwrap_or_default(),
    );
    fields.finish()?;
    Ok(asked)
}
