//! From a request to its answer: paths, methods, tokens, bodies.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::acl::Access;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::fault::{Applied, Refusal};
use super::read::Read;
use super::request::{self, Query};
use super::server::{Shared, State};
use super::{agent, block, login, namespace, register, session, txn};

const NO_SUCH_ENDPOINT: &str = "Invalid URL path: not a recognized HTTP API endpoint\n";
const NO_API: &str =
    "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n";

/// Answers one request. `name` is what stands behind the endpoint in the path.
pub(super) async fn route(
    shared: &Shared,
    request: Request<Incoming>,
    endpoint: Endpoint,
    name: &str,
    refusal: Option<&Refusal>,
) -> Answer {
    let (parts, body) = request.into_parts();
    if request::path(&parts.uri).chars().any(char::is_control) {
        return Answer::empty(400).without("vary");
    }
    if let Some(clean) = cleaned(parts.uri.path()) {
        return redirect(&clean);
    }
    let answer = match answer(shared, &parts, body, endpoint, name, refusal).await {
        Ok(answer) | Err(answer) => answer,
    };
    if endpoint == Endpoint::Unknown {
        return answer.without("vary");
    }
    answer.header(
        "x-consul-default-acl-policy",
        shared.state().acl.default.as_str(),
    )
}

/// The path without `//`, `.` and `..`, if that makes a difference.
fn cleaned(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    let clean = format!("/{}{slash}", parts.join("/"));
    (clean != path).then_some(clean)
}

/// Go's router sends clients to the clean form of a path.
fn redirect(path: &str) -> Answer {
    let body = format!("<a href=\"{path}\">Temporary Redirect</a>.\n\n");
    Answer::text(307, body)
        .header("content-type", "text/html; charset=utf-8")
        .header("location", path)
        .without("vary")
}

async fn answer(
    shared: &Shared,
    parts: &Parts,
    body: Incoming,
    endpoint: Endpoint,
    name: &str,
    refusal: Option<&Refusal>,
) -> Result<Answer, Answer> {
    if endpoint == Endpoint::Unknown {
        let api = request::path(&parts.uri).contains("/v1/");
        return Err(Answer::text(
            404,
            if api { NO_SUCH_ENDPOINT } else { NO_API },
        ));
    }
    let allowed = format!("OPTIONS,{}", endpoint.method());
    if parts.method == Method::OPTIONS {
        let content_type = if shared.identity.is_1_22() {
            "application/json; charset=utf-8"
        } else {
            "application/json"
        };
        return Ok(Answer::empty(200)
            .header("content-type", content_type)
            .header("allow", &allowed));
    }
    let is_more =
        endpoint == Endpoint::Namespace && matches!(parts.method, Method::PUT | Method::DELETE);
    if parts.method != endpoint.method() && !is_more {
        let text = format!("method {} not allowed", parts.method);
        return Err(Answer::text(405, text).header("allow", &allowed));
    }
    if let Some(read) = Read::new(endpoint, name) {
        let namespace = read_namespace(shared, parts, &read)?;
        let read = read.within(&namespace);
        return block::reading(shared, parts, &read).await;
    }
    match endpoint {
        Endpoint::Txn => transaction(shared, parts, body, refusal).await,
        Endpoint::Register => registration(shared, parts, body).await,
        Endpoint::Deregister => removal(shared, parts, body).await,
        Endpoint::SessionCreate => session::create(shared, parts, &whole(body).await?),
        Endpoint::SessionRenew => session::renew(shared, parts, name),
        Endpoint::SessionDestroy => session::destroy(shared, parts, name),
        Endpoint::Leader => {
            Query::read(&parts.uri)?.reachable()?;
            Ok(agent::leader(shared))
        }
        Endpoint::TokenSelf => agent::token_self(shared, parts),
        Endpoint::Login => login::login(shared, parts, &whole(body).await?),
        Endpoint::Logout => login::logout(shared, parts),
        Endpoint::Namespaces => namespace::list_all(shared, parts),
        Endpoint::NamespaceCreate => namespace::create(shared, parts, &whole(body).await?),
        Endpoint::Namespace => namespace::named(shared, parts, name, &whole(body).await?),
        Endpoint::Authorize => agent::authorize(shared, parts, &whole(body).await?),
        _ => agent::describe(shared, &access(shared, parts)?),
    }
}

/// The namespace that a read asks about; empty for none. The Community Edition refuses to be asked, but for nodes, which
/// stand in none.
fn read_namespace(shared: &Shared, parts: &Parts, read: &Read) -> Result<String, Answer> {
    let query = Query::split(&parts.uri);
    match query.get("ns") {
        None => Ok(String::new()),
        Some(_) if *read == Read::Nodes => Ok(String::new()),
        Some(namespace) if shared.identity.is_enterprise => Ok(namespace.to_owned()),
        Some(_) => Err(Answer::text(
            400,
            "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
        )),
    }
}

/// What the token of a request may do.
pub(super) fn access(shared: &Shared, parts: &Parts) -> Result<Access, Answer> {
    let token = Query::token(parts);
    shared
        .state()
        .acl
        .access(&token)
        .ok_or_else(|| Answer::text(403, "ACL not found"))
}

// ---- writes -----------------------------------------------------------------------------------------------------------

/// The body, or `None` when it is longer than `limit`.
async fn within(body: Incoming, limit: usize) -> Result<Option<Bytes>, Answer> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(Some(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => Err(Answer::text(
            400,
            format!("cannot read the request body: {error}"),
        )),
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Answer> {
    within(body, usize::MAX)
        .await
        .map(Option::unwrap_or_default)
}

async fn transaction_body(parts: &Parts, body: Incoming) -> Result<Bytes, Answer> {
    let limit = txn::BODY_LIMIT;
    let docs =
        "See https://developer.hashicorp.com/docs/agent/config/config-files#txn_max_req_len.";
    let length = parts.headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = length.filter(|length| *length > limit) {
        return Err(Answer::text(
            413,
            format!("Request body({length} bytes) too large, max size: {limit} bytes. {docs}"),
        ));
    }
    let too_large = || {
        Answer::text(
            413,
            format!("Request body too large, max size: {limit} bytes. {docs}"),
        )
    };
    within(body, limit).await?.ok_or_else(too_large)
}

async fn transaction(
    shared: &Shared,
    parts: &Parts,
    body: Incoming,
    refusal: Option<&Refusal>,
) -> Result<Answer, Answer> {
    let body = transaction_body(parts, body).await?;
    let mut ops =
        txn::read(&body, shared.identity.knows()).map_err(|error| txn::unreadable(&error))?;
    let most = shared.identity.txn_ops;
    if ops.len() > most {
        return Err(Answer::text(
            413,
            format!(
                "Transaction contains too many operations ({} > {most})",
                ops.len()
            ),
        ));
    }
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    let delayed = shared.state().clocks.delayed();
    let mut refused = txn::pre_check(&mut ops, &access, &shared.identity, &delayed);
    refused.extend(
        refusal
            .into_iter()
            .flat_map(|refusal| txn::judge(&ops, refusal)),
    );
    let only_reads = !txn::writes(&ops);
    let mut state = shared.state();
    let outcome = if !refused.is_empty() {
        Err(refused)
    } else if only_reads {
        txn::run(&mut state.store, 0, &ops, &access)
    } else {
        let outcome = write(shared, &mut state, |store, index| {
            txn::run(store, index, &ops, &access)
        });
        if outcome.is_ok() {
            record(&mut state, Query::token(parts), &ops);
        }
        outcome
    };
    drop(state);
    Ok(if only_reads {
        txn::read_answer(outcome, &ops, &access, &shared.identity)
    } else {
        txn::answer(outcome, &shared.identity)
    })
}

fn record(state: &mut State, token: String, ops: &[txn::TxnOp]) {
    let State { store, applied, .. } = state;
    let Some(applied) = applied else { return };
    let holder = |session: &str| store.session(session).map(|session| session.name.clone());
    let locks = store
        .keys()
        .filter_map(|entry| Some((entry.key.clone(), holder(&entry.session)?)));
    applied.push(Applied {
        token,
        operations: ops.iter().map(txn::TxnOp::describe).collect(),
        locks: locks.collect(),
    });
}

async fn registration(shared: &Shared, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
    let body = whole(body).await?;
    let knows = shared.identity.knows();
    let mut registration =
        register::read(&body, knows).map_err(|error| register::unreadable(&error))?;
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    if shared.identity.is_enterprise
        && let Some(service) = &registration.service
    {
        state.store.has_namespace_of(&service.id).map_err(refusal)?;
    }
    register::pre_check(&state.store, &mut registration, &access, &shared.identity)
        .map_err(refusal)?;
    let result = write(shared, &mut state, |store, index| {
        register::run(store, index, registration)
    });
    result.map(|()| Answer::json(200, &true)).map_err(refusal)
}

async fn removal(shared: &Shared, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
    let body = whole(body).await?;
    let knows = shared.identity.knows();
    let removal =
        register::read_removal(&body, knows).map_err(|error| register::unreadable(&error))?;
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    register::pre_check_removal(&state.store, &removal, &access).map_err(refusal)?;
    let result = write(shared, &mut state, |store, index| {
        register::run_removal(store, index, &removal)
    });
    result.map(|()| Answer::json(200, &true)).map_err(refusal)
}

/// One raft entry.
pub(super) fn write<T, E>(
    shared: &Shared,
    state: &mut State,
    write: impl FnOnce(&mut super::store::Store, u64) -> Result<T, E>,
) -> Result<T, E> {
    state.writes += 1;
    let (result, changed) = state.write(write);
    if changed {
        shared.changed();
    }
    result
}

/// A refused write: 403 for a missing right, 500 for everything else.
pub(super) fn refusal(why: String) -> Answer {
    Answer::text(
        if why.starts_with("Permission denied") {
            403
        } else {
            500
        },
        why,
    )
}
