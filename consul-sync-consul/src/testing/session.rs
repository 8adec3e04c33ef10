//! `/v1/session/…`: sessions are made, renewed and ended, by requests and by the clock.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use http::request::Parts;
use serde_json::json;
use tokio::time::sleep_until;

use super::answer::Answer;
use super::decode::{DecodeError, Decoded, Fields, first_value};
use super::lock::Session;
use super::request::{Query, go_duration};
use super::route::{access, refusal, write};
use super::server::Shared;

/// No session lives longer without being renewed.
const LONGEST_TTL: Duration = Duration::from_secs(86_400);
/// Lock delays below this are seconds, as in old clients' numbers.
const NUMBERS_ARE_SECONDS_BELOW: Duration = Duration::from_micros(1);

/// `PUT /v1/session/create`
pub(super) fn create(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Answer, Answer> {
    let asked = match body {
        [] => Ok(None),
        body => first_value(body).and_then(|value| Fields::open(value, "Session")),
    };
    let session = asked.and_then(|fields| read(fields, &shared.identity.node));
    let mut session = session
        .map_err(|error| Answer::text(400, format!("Request decode failed: {}", error.0)))?;
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    access.session_write(&session.node).map_err(refusal)?;
    check(&mut session, shared.identity.session_ttl_min).map_err(refusal)?;
    session.id = uuid();
    let id = session.id.clone();
    let mut state = shared.state();
    write(shared, &mut state, |store, index| {
        store.make_session(index, session)
    })
    .map_err(|why| refusal(format!("apply failed: {why}")))?;
    if let Some(session) = state.store.session(&id).cloned() {
        state.clocks.reset(&session);
    }
    drop(state);
    shared.renewed();
    Ok(Answer::json(200, &json!({ "ID": id })))
}

/// `PUT /v1/session/renew/ID`
pub(super) fn renew(shared: &Shared, parts: &Parts, id: &str) -> Result<Answer, Answer> {
    Query::read(&parts.uri)?.reachable()?;
    named(id)?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    let Some(session) = state.store.session(id).cloned() else {
        return Err(Answer::text(404, format!("Session id '{id}' not found")));
    };
    access.session_write(&session.node).map_err(refusal)?;
    state.clocks.reset(&session);
    drop(state);
    shared.renewed();
    Ok(Answer::json(200, &[&*session]))
}

/// `PUT /v1/session/destroy/ID`
pub(super) fn destroy(shared: &Shared, parts: &Parts, id: &str) -> Result<Answer, Answer> {
    Query::read(&parts.uri)?.reachable()?;
    named(id)?;
    let access = access(shared, parts)?;
    let mut state = shared.state();
    if let Some(session) = state.store.session(id) {
        access.session_write(&session.node).map_err(refusal)?;
        let Ok(()) = write(shared, &mut state, |store, index| {
            store.end_session(index, id);
            Ok::<(), Infallible>(())
        });
    }
    Ok(Answer::json(200, &true))
}

/// Ends sessions that were not renewed, for as long as it is polled.
pub(super) async fn expire(shared: &Shared) {
    let mut renewals = shared.renewals();
    loop {
        let next = {
            let mut state = shared.state();
            for id in state.clocks.ended() {
                let (Ok(()), changed) = state.write(|store, index| {
                    store.end_session(index, &id);
                    Ok::<(), Infallible>(())
                });
                if changed {
                    shared.changed();
                }
            }
            state.clocks.next_end()
        };
        let end = async {
            match next {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = renewals.changed() => {}
            () = end => {}
        }
    }
}

fn named(id: &str) -> Result<(), Answer> {
    if id.is_empty() {
        return Err(Answer::text(400, "Missing session"));
    }
    Ok(())
}

/// What was asked for, over the defaults: on the server's own node, as long as that is alive.
fn read(fields: Option<Fields>, own: &str) -> Decoded<Session> {
    let mut session = Session {
        node: own.to_owned(),
        node_checks: Some(vec!["serfHealth".to_owned()]),
        lock_delay: Duration::from_secs(15),
        ..Session::default()
    };
    let Some(mut fields) = fields else {
        return Ok(session);
    };
    session.name = fields.text("Name")?;
    session.behavior = fields.text("Behavior")?;
    session.ttl = fields.text("TTL")?;
    let node = fields.text("Node")?;
    if !node.is_empty() {
        session.node = node;
    }
    if let Some(checks) = fields.texts("NodeChecks")? {
        session.node_checks = Some(checks);
    }
    let delay = fields.text("LockDelay")?;
    if !delay.is_empty() {
        let parsed = go_duration(&delay);
        let parsed =
            parsed.ok_or_else(|| DecodeError(format!("time: invalid duration {delay:?}")))?;
        session.lock_delay = if parsed < NUMBERS_ARE_SECONDS_BELOW {
            Duration::from_secs(u64::try_from(parsed.as_nanos()).unwrap_or(0))
        } else {
            parsed
        };
    }
    Ok(session)
}

/// What Consul refuses before it makes a raft entry; fills in the behaviour.
fn check(session: &mut Session, ttl_min: Duration) -> Result<(), String> {
    match session.behavior.as_str() {
        "" => "release".clone_into(&mut session.behavior),
        "release" | "delete" => {}
        other => return Err(format!("Invalid Behavior setting '{other}'")),
    }
    if session.ttl.is_empty() {
        return Ok(());
    }
    let ttl = &session.ttl;
    let Some(parsed) = go_duration(ttl) else {
        return Err(format!(
            "Session TTL '{ttl}' invalid: time: invalid duration {ttl:?}"
        ));
    };
    if !parsed.is_zero() && !(ttl_min..=LONGEST_TTL).contains(&parsed) {
        return Err(format!(
            "Invalid Session TTL '{}', must be between [{}s=24h0m0s]",
            parsed.as_nanos(),
            ttl_min.as_secs()
        ));
    }
    Ok(())
}

/// Not a secret: 122 random bits of the standard library's.
pub(super) fn uuid() -> String {
    let part = || RandomState::new().build_hasher().finish();
    let (high, low) = (part(), part());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}
