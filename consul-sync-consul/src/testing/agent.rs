//! What the server says about itself and about tokens.

use http::request::Parts;
use serde_json::{Value, json};

use super::acl::Access;
use super::answer::Answer;
use super::decode::{DecodeError, Decoded, Fields, first_value, list};
use super::request::{self, Query};
use super::route::access;
use super::server::{Identity, Shared};

/// Most questions in one request about rights.
const QUESTIONS: usize = 64;

/// `/v1/status/leader`
pub(super) fn leader(shared: &Shared) -> Answer {
    Answer::json(200, &shared.address.to_string())
}

/// `/v1/agent/self`
pub(super) fn describe(shared: &Shared, access: &Access) -> Result<Answer, Answer> {
    let Identity { version, node, .. } = &shared.identity;
    if !access.can_read_agent() {
        return Err(Answer::text(403, access.denied("agent:read", node)));
    }
    let body = json!({
        "Config": {
            "Datacenter": request::DATACENTER, "PrimaryDatacenter": request::DATACENTER, "NodeName": node,
            "NodeID": super::AGENT_ID, "Revision": "", "Server": true, "Version": version,
            "BuildDate": "1970-01-01T00:00:01Z", "BindAddr": "127.0.0.1",
        },
        "DebugConfig": {},
        "Coord": null,
        "Member": {
            "Name": node, "Addr": "127.0.0.1", "Port": shared.address.port(), "Status": 1,
            "Tags": { "dc": request::DATACENTER, "role": "consul", "build": version },
        },
        "Stats": {},
        "Meta": {},
    });
    Ok(Answer::json(200, &body))
}

pub(super) fn acls_are_on(shared: &Shared) -> Result<(), Answer> {
    if shared.state().acl.enabled {
        Ok(())
    } else {
        Err(Answer::text(401, "ACL support disabled"))
    }
}

/// `/v1/acl/token/self`. A request without a token has none to show, though it is allowed what the anonymous one is.
pub(super) fn token_self(shared: &Shared, parts: &Parts) -> Result<Answer, Answer> {
    acls_are_on(shared)?;
    Query::read(&parts.uri)?.reachable()?;
    let secret = Query::token(parts);
    let state = shared.state();
    let answer = match state.acl.token(&secret) {
        None => Answer::text(403, "token does not exist: ACL not found")
            .header("x-consul-index", "1")
            .header("x-consul-knownleader", "false"),
        Some(token) => Answer::json(
            200,
            &json!({
                "CreateIndex": token.index, "ModifyIndex": token.index, "AccessorID": token.accessor, "SecretID": secret,
                "Description": "", "Local": false, "CreateTime": "1970-01-01T00:00:01Z", "Hash": "",
            }),
        )
        .header("x-consul-index", &state.acl.index().to_string())
        .header("x-consul-knownleader", "true"),
    };
    Ok(answer
        .header("x-consul-lastcontact", "0")
        .header("x-consul-query-backend", "blocking-query"))
}

/// `/v1/internal/acl/authorize`
pub(super) fn authorize(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Answer, Answer> {
    acls_are_on(shared)?;
    let unreadable = |error: DecodeError| {
        Answer::text(400, format!("Failed to decode request body: {}", error.0))
    };
    let questions = first_value(body).and_then(questions).map_err(unreadable)?;
    if questions.len() > QUESTIONS {
        return Err(Answer::text(
            400,
            format!("Refusing to process more than {QUESTIONS} authorizations at once"),
        ));
    }
    if questions.is_empty() {
        return Ok(Answer::json(200, &Value::Array(Vec::new())));
    }
    let access = access(shared, parts)?;
    let answers: Result<Vec<_>, String> = questions
        .iter()
        .map(|question| question.decide(&access))
        .collect();
    answers
        .map(|answers| Answer::json(200, &answers))
        .map_err(|why| Answer::text(400, why))
}

/// One question about a right.
struct Question {
    resource: String,
    segment: String,
    access: String,
}

fn questions(body: Value) -> Decoded<Vec<Question>> {
    let mut questions = Vec::new();
    for entry in list(body, "Requests")? {
        let Some(mut fields) = Fields::open(entry, "Request")? else {
            continue;
        };
        let question = Question {
            resource: fields.text("Resource")?,
            segment: fields.text("Segment")?,
            access: fields.text("Access")?,
        };
        fields.ignore(&["Namespace", "Partition"]);
        fields.finish()?;
        questions.push(question);
    }
    Ok(questions)
}

impl Question {
    fn decide(&self, access: &Access) -> Result<Value, String> {
        let allowed = access.decide(&self.resource, &self.segment, &self.access)?;
        let mut answer =
            json!({ "Resource": self.resource, "Access": self.access, "Allow": allowed });
        if !self.segment.is_empty() {
            answer["Segment"] = self.segment.as_str().into();
        }
        Ok(answer)
    }
}
