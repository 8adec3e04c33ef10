//! Who may do what: the rights that a test gives or takes away, for requests and for access reviews alike.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::{
    call::Call,
    status::Failure,
    store::{set, text},
};
use crate::{Right, Rights, Verb};

/// The rights of whoever asks.
#[derive(Debug, Default)]
pub(super) struct Access {
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    /// Everything, unless it is told.
    granted: Option<Vec<Right>>,
    denied: BTreeSet<(&'static str, String)>,
}

/// What is asked for, as RBAC judges it.
struct Attributes<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Access {
    pub(super) fn grant_only(&self, rights: &Rights) {
        self.rules().granted = Some(rights.iter().cloned().collect());
    }

    pub(super) fn grant_everything(&self) {
        self.rules().granted = None;
    }

    pub(super) fn deny(&self, verb: Verb, resource: &str) {
        self.rules()
            .denied
            .insert((verb.as_str(), resource.to_owned()));
    }

    pub(super) fn allow(&self, verb: Verb, resource: &str) {
        self.rules()
            .denied
            .remove(&(verb.as_str(), resource.to_owned()));
    }

    /// Refuses a request for lack of rights.
    pub(super) fn check(&self, call: &Call) -> Result<(), Failure> {
        let Some(verb) = call.verb else { return Ok(()) };
        let asked = Attributes {
            verb: verb.as_str(),
            group: call.group(),
            resource: call.resource(),
            namespace: call.namespace().unwrap_or_default(),
            name: call.name().unwrap_or_default(),
        };
        if self.rules().allows(&asked) {
            Ok(())
        } else {
            Err(call.forbidden())
        }
    }

    /// Answers a SelfSubjectAccessReview.
    pub(super) fn review(&self, mut review: Value) -> Value {
        let attribute = |name: &str| text(&review, &format!("/spec/resourceAttributes/{name}"));
        let asked = Attributes {
            verb: attribute("verb"),
            group: attribute("group"),
            resource: attribute("resource"),
            namespace: attribute("namespace"),
            name: attribute("name"),
        };
        let allowed = self.rules().allows(&asked);
        set(&mut review, "", "status", json!({"allowed": allowed}));
        review
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn allows(&self, asked: &Attributes<'_>) -> bool {
        let denied = self
            .denied
            .iter()
            .any(|(verb, resource)| *verb == asked.verb && resource == asked.resource);
        let granted = self
            .granted
            .as_ref()
            .is_none_or(|rights| rights.iter().any(|right| covers(right, asked)));
        granted && !denied
    }
}

fn covers(right: &Right, asked: &Attributes<'_>) -> bool {
    right.verb.as_str() == asked.verb
        && right.group == asked.group
        && right.resource == asked.resource
        && right.name.as_deref().is_none_or(|name| name == asked.name)
        && right
            .namespace
            .as_deref()
            .is_none_or(|namespace| namespace == asked.namespace)
}
