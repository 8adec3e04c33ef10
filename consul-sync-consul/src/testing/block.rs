//! Reads, and how they block.
//!
//! A query with an index is answered when the index of its listing passes it, or when its wait ends. Nearly all are
//! answered from the tables; the health of a service is answered from a view, which has rules of its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use http::request::Parts;
use tokio::time::{Instant, timeout_at};

use super::acl::Access;
use super::answer::Answer;
use super::model::Node;
use super::read::Read;
use super::request::Query;
use super::route::access;
use super::server::{Shared, State};

/// Consul spreads the ends of blocking queries over this part of the wait.
const JITTER_FRACTION: u32 = 16;
/// How long a view takes to say that its subscription failed.
const SUBSCRIPTION_FAILURE: Duration = Duration::from_secs(10);

/// A read, at once or when there is something new.
pub(super) async fn reading(shared: &Shared, parts: &Parts, read: &Read) -> Result<Answer, Answer> {
    let query = Query::read(&parts.uri)?;
    if let Some(missing) = read.missing_name() {
        return Err(Answer::text(400, missing));
    }
    query.reachable().map_err(|answer| failed(answer, read))?;
    if let Some(name) = read.health_of().filter(|_| query.is_from_view()) {
        return viewing(shared, parts, read, name, &query).await;
    }
    let deadline = Instant::now() + query.wait + jitter(query.wait);
    let epoch = shared.state().epoch;
    let mut changes = shared.changes();
    let mut blocked = None;
    let mut in_time = true;
    // The index of a missing key moves with every other one; once it blocks, only the key itself ends it.
    let mut was_missing = false;
    let mut watched = None;
    // The token is looked at again when there is something to show, and not when the wait ends.
    let mut admitted = access(shared, parts).map_err(|answer| failed(answer, read))?;
    loop {
        let (moved, is_abandoned) = {
            let state = shared.state();
            let index = read.index(&state.store, &query);
            let is_missing = read.is_missing_key(&state.store);
            let now_watched = read.watched(&state.store);
            let is_woken = blocked.is_none() || watched.is_none() || watched != now_watched;
            let is_newer = is_woken && !(is_missing && was_missing) && index > query.index;
            was_missing = is_missing;
            watched = now_watched;
            (is_newer, state.epoch != epoch)
        };
        if is_abandoned && blocked.is_some() {
            return print(shared, read, &query, &admitted, true);
        }
        if moved && blocked.is_some() {
            admitted = access(shared, parts).map_err(|answer| failed(answer, read))?;
        }
        if moved || query.index == 0 || !in_time {
            return print(shared, read, &query, &admitted, false);
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

/// A query that is held while a snapshot is restored is answered with what it showed before (`is_abandoned`): Consul
/// ends it, and does not look at the new tables for it.
fn print(
    shared: &Shared,
    read: &Read,
    query: &Query,
    access: &Access,
    is_abandoned: bool,
) -> Result<Answer, Answer> {
    let mut state = shared.state();
    let State { store, former, .. } = &mut *state;
    let store = former.as_mut().filter(|_| is_abandoned).unwrap_or(store);
    let index = read.index(store, query);
    read.side_effect(store, &shared.identity);
    let answer = read.answer(store, query, access, &shared.identity);
    let (answer, filtered) = answer.map_err(|answer| failed(answer, read))?;
    let mut answer = answer
        .header("x-consul-index", &index.to_string())
        .header("x-consul-knownleader", "true")
        .header("x-consul-lastcontact", "0")
        .header("x-consul-query-backend", "blocking-query");
    // The head of these two is written before this part of it.
    let is_early = match read {
        Read::UiNode(_) => true,
        Read::Key(_) => answer.status == 404,
        _ => false,
    };
    if !is_early {
        answer = answer.header("x-consul-effective-consistency", query.consistency.as_str());
    }
    if filtered {
        answer = answer.header("x-consul-results-filtered-by-acls", "true");
    }
    Ok(answer)
}

/// A failed read carries the headers of a query that found nothing: index 1 and no leader. Not so for keys, for the health
/// of a service, for requests that were refused before the query, and for what is not there.
fn failed(answer: Answer, read: &Read) -> Answer {
    let has_none = read.health_of().is_some() || matches!(read, Read::Key(_));
    if has_none || !matches!(answer.status.as_u16(), 403 | 500) {
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
