//! From a request to its answer: methods, tokens, bodies, blocking.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::acl::Access;
use super::answer::Answer;
use super::endpoint::Endpoint;
use super::fault::Refusal;
use super::model::Node;
use super::read::Read;
use super::request::{self, Query};
use super::server::{Shared, State};
use super::{agent, register, txn};

/// Consul spreads the ends of blocking queries over this part of the wait.
const JITTER_FRACTION: u32 = 16;
/// How long a view takes to say that its subscription failed.
const SUBSCRIPTION_FAILURE: Duration = Duration::from_secs(10);

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
    query.reachable().map_err(|answer| failed(answer, read))?;
    if let Some(name) = read.health_of().filter(|_| query.index > 0) {
        return viewing(shared, parts, read, name, &query).await;
    }
    let deadline = Instant::now() + query.wait + jitter(query.wait);
    let epoch = shared.state().epoch;
    let mut changes = shared.changes();
    let mut blocked = None;
    let mut in_time = true;
    // The token is looked at again when there is something to show, and not when the wait ends.
    let mut admitted = access(shared, parts).map_err(|answer| failed(answer, read))?;
    loop {
        let moved = {
            let state = shared.state();
            read.index(&state.store, &query) > query.index || state.epoch != epoch
        };
        if moved && blocked.is_some() {
            admitted = access(shared, parts).map_err(|answer| failed(answer, read))?;
        }
        if moved || query.index == 0 || !in_time {
            return print(shared, read, &query, &admitted);
        }
        blocked.get_or_insert_with(|| shared.count(&shared.blocked));
        in_time = timeout_at(deadline, changes.changed()).await.is_ok();
    }
}

/// A blocking query of the health of a service, which a view answers.
async fn viewing(
    shared: &Shared,
    parts: &Parts,
    read: &Read,
    name: &str,
    query: &Query,
) -> Result<Answer, Answer> {
    let token = Query::token(parts);
    let key = view_key(&token, name, query);
    let deadline = Instant::now() + query.wait;
    let mut changes = shared.changes();
    let _blocked = shared.count(&shared.blocked);
    let Ok(mut admitted) = access(shared, parts) else {
        // A view has nothing until its subscription succeeds, and a failure is told late.
        tokio::time::sleep(query.wait.min(SUBSCRIPTION_FAILURE)).await;
        if query.wait > SUBSCRIPTION_FAILURE {
            return Err(Answer::text(403, "ACL not found"));
        }
        let nothing: [Node; 0] = [];
        return Ok(print_view(Answer::json(200, &nothing), 1, query));
    };
    let mut revocations = shared.revocations();
    loop {
        {
            let mut state = shared.state();
            let State { store, views, .. } = &mut *state;
            let index = views.index(store, &key, name, &token);
            if index > query.index || Instant::now() >= deadline {
                let (answer, _) = read.answer(store, query, &admitted, &shared.identity)?;
                return Ok(print_view(answer, index, query));
            }
        }
        let news = async {
            tokio::select! {
                _ = changes.changed() => {}
                _ = revocations.changed() => {}
            }
        };
        if timeout_at(deadline, news).await.is_ok() {
            admitted = access(shared, parts)?;
        }
    }
}

/// A view does not know whether there is a leader, and says no; nor does it say what rights left out.
fn print_view(answer: Answer, index: u64, query: &Query) -> Answer {
    answer
        .header("x-consul-index", &index.to_string())
        .header("x-consul-knownleader", "false")
        .header("x-consul-lastcontact", "0")
        .header("x-consul-query-backend", "streaming")
        .header("x-consul-effective-consistency", query.consistency.as_str())
}

/// What tells one view from another: everything but index, wait and consistency.
fn view_key(token: &str, name: &str, query: &Query) -> String {
    let mut key = format!("{token}\n{name}");
    for part in ["passing", "tag", "filter", "node-meta"] {
        for value in query.all(part) {
            key.extend(["\n", part, "=", value]);
        }
    }
    key
}

fn print(shared: &Shared, read: &Read, query: &Query, access: &Access) -> Result<Answer, Answer> {
    let mut state = shared.state();
    let index = read.index(&state.store, query);
    read.side_effect(&mut state.store, &shared.identity);
    let answer = read.answer(&state.store, query, access, &shared.identity);
    let (answer, filtered) = answer.map_err(|answer| failed(answer, read))?;
    let mut answer = answer
        .header("x-consul-index", &index.to_string())
        .header("x-consul-knownleader", "true")
        .header("x-consul-lastcontact", "0")
        .header("x-consul-query-backend", "blocking-query");
    if !matches!(read, Read::UiNode(_)) {
        answer = answer.header("x-consul-effective-consistency", query.consistency.as_str());
    }
    if filtered {
        answer = answer.header("x-consul-results-filtered-by-acls", "true");
    }
    Ok(answer)
}

/// A failed read carries the headers of a query that found nothing: index 1 and no leader. Not so for the health of a
/// service, for requests that were refused before the query, and for what is not there.
fn failed(answer: Answer, read: &Read) -> Answer {
    if read.health_of().is_some() || !matches!(answer.status.as_u16(), 403 | 500) {
        return answer;
    }
    answer
        .header("x-consul-index", "1")
        .header("x-consul-knownleader", "false")
        .header("x-consul-lastcontact", "0")
        .header("x-consul-query-backend", "blocking-query")
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
        txn::read(&body, shared.identity.is_1_22()).map_err(|error| txn::unreadable(&error))?;
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
    let mut refused = txn::pre_check(&mut ops, &access, &shared.identity);
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
        txn::read_answer(outcome, &ops, &access, &shared.identity)
    } else {
        txn::answer(outcome, &shared.identity)
    })
}

async fn registration(shared: &Shared, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
    let body = whole(body).await?;
    let named_ports = shared.identity.is_1_22();
    let mut registration =
        register::read(&body, named_ports).map_err(|error| request::unreadable(&error))?;
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    register::pre_check(&state.store, &mut registration, &access, &shared.identity)
        .map_err(refusal)?;
    let result = write(shared, &mut state, |store, index| {
        register::run(store, index, registration)
    });
    result.map(|()| Answer::json(200, &true)).map_err(refusal)
}

async fn removal(shared: &Shared, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
    let body = whole(body).await?;
    let removal = register::read_removal(&body).map_err(|error| request::unreadable(&error))?;
    Query::read(&parts.uri)?.reachable()?;
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
    let (result, changed) = state.write(write);
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
