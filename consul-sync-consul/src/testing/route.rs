//! From a request to its answer: methods, tokens, bodies, blocking.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::acl::Access;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::fault::Refusal;
use super::read::Read;
use super::request::{self, Query};
use super::server::{Shared, State};
use super::{agent, register, txn};

/// Consul spreads the ends of blocking queries over this part of the wait.
const JITTER_FRACTION: u32 = 16;

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
        return Answer::empty(400);
    }
    let answer = match answer(shared, &parts, body, endpoint, name, refusal).await {
        Ok(answer) | Err(answer) => answer,
    };
    if endpoint == Endpoint::Unknown {
        return answer;
    }
    answer.header(
        "x-consul-default-acl-policy",
        shared.state().acl.default.as_str(),
    )
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
        return Err(Answer::text(
            404,
            "Invalid URL path: not a recognized HTTP API endpoint\n",
        ));
    }
    if parts.method != endpoint.method() {
        let text = format!("method {} not allowed", parts.method);
        return Err(
            Answer::text(405, text).header("allow", &format!("OPTIONS,{}", endpoint.method()))
        );
    }
    if let Some(read) = Read::new(endpoint, name) {
        return reading(shared, parts, &read).await;
    }
    match endpoint {
        Endpoint::Txn => transaction(shared, parts, body, refusal).await,
        Endpoint::Register => registration(shared, parts, body).await,
        Endpoint::Deregister => removal(shared, parts, body).await,
        Endpoint::Leader => Query::read(&parts.uri).map(|_| agent::leader(shared)),
        Endpoint::TokenSelf => agent::token_self(shared, parts),
        Endpoint::Authorize => agent::authorize(shared, parts, &whole(body).await?),
        _ => agent::describe(shared, &access(shared, parts)?),
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

// ---- reads ------------------------------------------------------------------------------------------------------------

async fn reading(shared: &Shared, parts: &Parts, read: &Read) -> Result<Answer, Answer> {
    let query = Query::read(&parts.uri)?;
    if let Some(missing) = read.missing_name() {
        return Err(Answer::text(400, missing));
    }
    let mut changes = shared.changes();
    let mut blocked = None;
    let deadline = tokio::time::Instant::now() + query.wait + jitter(query.wait);
    let epoch = shared.state().epoch;
    loop {
        let access = access(shared, parts)?;
        let (index, replaced) = {
            let state = shared.state();
            (read.index(&state.store, &query), state.epoch != epoch)
        };
        if query.index == 0 || index > query.index || replaced {
            return print(shared, read, &query, &access);
        }
        blocked.get_or_insert_with(|| shared.count(&shared.blocked));
        if tokio::time::timeout_at(deadline, changes.changed())
            .await
            .is_err()
        {
            return print(shared, read, &query, &access);
        }
    }
}

fn print(shared: &Shared, read: &Read, query: &Query, access: &Access) -> Result<Answer, Answer> {
    let state = shared.state();
    let index = read.index(&state.store, query);
    let (answer, filtered) =
        read.answer(&state.store, query, access, shared.identity.named_ports())?;
    let answer = answer
        .header("x-consul-index", &index.to_string())
        .header("x-consul-knownleader", "true")
        .header("x-consul-lastcontact", "0")
        .header("x-consul-effective-consistency", query.consistency.as_str())
        .header("x-consul-query-backend", "blocking-query");
    Ok(if filtered {
        answer.header("x-consul-results-filtered-by-acls", "true")
    } else {
        answer
    })
}

/// A random part of a sixteenth of the wait.
fn jitter(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a random share needs no exactness"
    )]
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    (wait / JITTER_FRACTION).mul_f64(share)
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
        txn::read(&body, shared.identity.named_ports()).map_err(|error| txn::unreadable(&error))?;
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
    Query::read(&parts.uri)?;
    let access = access(shared, parts)?;
    let mut refused = txn::pre_check(&mut ops, &access);
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
        if let (true, Some(record)) = (outcome.is_ok(), &mut state.operations) {
            record.extend(ops.iter().map(txn::TxnOp::describe));
        }
        outcome
    };
    drop(state);
    Ok(if only_reads {
        txn::read_answer(outcome)
    } else {
        txn::answer(outcome)
    })
}

async fn registration(shared: &Shared, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
    let body = whole(body).await?;
    let named_ports = shared.identity.named_ports();
    let mut registration =
        register::read(&body, named_ports).map_err(|error| request::unreadable(&error))?;
    Query::read(&parts.uri)?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    register::pre_check(&state.store, &mut registration, &access).map_err(refusal)?;
    let result = write(shared, &mut state, |store, index| {
        register::run(store, index, registration)
    });
    result.map(|()| Answer::json(200, &true)).map_err(refusal)
}

async fn removal(shared: &Shared, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
    let body = whole(body).await?;
    let removal = register::read_removal(&body).map_err(|error| request::unreadable(&error))?;
    Query::read(&parts.uri)?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    register::pre_check_removal(&state.store, &removal, &access).map_err(refusal)?;
    let Ok(()) = write(shared, &mut state, |store, index| {
        register::run_removal(store, index, &removal);
        Ok::<(), Infallible>(())
    });
    Ok(Answer::json(200, &true))
}

/// One raft entry.
fn write<T, E>(
    shared: &Shared,
    state: &mut State,
    write: impl FnOnce(&mut super::store::Store, u64) -> Result<T, E>,
) -> Result<T, E> {
    state.writes += 1;
    let (result, changed) = state.store.entry(write);
    if changed {
        shared.changed();
    }
    result
}

/// A refused write: 403 for a missing right, 500 for everything else.
fn refusal(why: String) -> Answer {
    Answer::text(
        if why.starts_with("Permission denied") {
            403
        } else {
            500
        },
        why,
    )
}
