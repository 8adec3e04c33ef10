//! Who may do what: the rights that a test takes away, for requests and for access reviews alike.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{
    call::Call,
    status::Failure,
    store::{set, text},
};
use crate::Verb;

/// The rights that are taken away.
#[derive(Debug, Default)]
pub(super) struct Access {
    denied: Mutex<BTreeSet<(Verb, String)>>,
}

impl Access {
    pub(super) fn deny(&self, verb: Verb, resource: &str) {
        self.denied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((verb, resource.to_owned()));
    }

    pub(super) fn allow(&self, verb: Verb, resource: &str) {
        self.denied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(verb, resource.to_owned()));
    }

    /// Refuses a request for lack of rights.
    pub(super) fn check(&self, call: &Call) -> Result<(), Failure> {
        let Some(verb) = call.verb else { return Ok(()) };
        if self.denies(verb.as_str(), call.resource()) {
            return Err(call.forbidden());
        }
        Ok(())
    }

    /// Answers a SelfSubjectAccessReview.
    pub(super) fn review(&self, mut review: Value) -> Value {
        let verb = text(&review, "/spec/resourceAttributes/verb");
        let resource = text(&review, "/spec/resourceAttributes/resource");
        let allowed = !self.denies(verb, resource);
        set(&mut review, "", "status", json!({"allowed": allowed}));
        review
    }

    fn denies(&self, verb: &str, resource: &str) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied
            .iter()
            .any(|(held, name)| held.as_str() == verb && name == resource)
    }
}
