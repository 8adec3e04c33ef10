//! Namespaces of Consul Enterprise, made when something is first to be written into them.
//!
//! Consul refuses what is registered into a namespace that does not exist, so each one is looked at before the first write
//! into it. One that is there is never written: its description, its meta and its default policies are its owner's. What was
//! found or made is remembered, so that a namespace costs two requests in the life of a sink and not two a transaction; the
//! refusal that says that it is gone makes the sink forget it ([`Namespaces::forget`]).
//!
//! Nothing of it is conditional: Consul has no write of a namespace that depends on its absence, nor one that a fence could
//! hold back. Between the look and the write somebody else may make the same namespace, and would find our description and
//! policy on it. A process that was stopped in between and no longer leads makes one that the next leader would make, too, or
//! that nobody needs any more; it takes nothing from anybody. The transaction after it is fenced as ever.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use consul_sync_core::{Reason, Rejection};
use http::StatusCode;
use serde::Serialize;

use super::{Inner, SinkSettings};
use crate::{
    Error,
    registration::{KUBERNETES, SOURCE_META},
    request::Request,
    wire::Namespace,
};

/// The namespace that every Consul has.
const DEFAULT: &str = "default";

/// The namespaces that are known to be there.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    known: Mutex<HashSet<Box<str>>>,
    /// Held while one is looked for and made: two batches that need the same one make it once.
    making: tokio::sync::Mutex<()>,
}

/// Why nothing can be written into a namespace.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// What is to be written there is refused; the rest is not concerned.
    Refused(Rejection),
    /// It could not be found out; nothing of the batch would fare better.
    Failed(Error),
}

/// The body of the request that makes one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct New<'a> {
    name: &'a str,
    description: &'static str,
    #[serde(rename = "ACLs", skip_serializing_if = "Option::is_none")]
    acls: Option<Acls<'a>>,
    meta: Meta,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Acls<'a> {
    policy_defaults: [Link<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Link<'a> {
    name: &'a str,
}

struct Meta;

impl Serialize for Meta {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(SOURCE_META, KUBERNETES)])
    }
}

// === impl SinkSettings ===

impl SinkSettings {
    /// Whether namespaces may have to be made: they are used, made on demand, and others than the one that every Consul has.
    /// That takes rights of its own.
    ///
    /// ```
    /// use consul_sync_consul::SinkSettings;
    /// use consul_sync_core::Owner;
    /// let mut settings = SinkSettings::new(Owner::new("cluster-a")?);
    /// assert!(!settings.makes_namespaces());
    /// settings.namespace = Some("shop".into());
    /// assert!(settings.makes_namespaces());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn makes_namespaces(&self) -> bool {
        let is_other = |name: &String| self.all_namespaces || !name.eq_ignore_ascii_case(DEFAULT);
        self.create_namespaces && self.namespace.as_ref().is_some_and(is_other)
    }
}

// === impl Namespaces ===

impl Namespaces {
    fn is_known(&self, name: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(name)
    }

    fn learn(&self, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.into());
    }

    /// Consul said that it is not there. Whether it was thought to be.
    pub(crate) fn forget(&self, name: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(name)
    }
}

// === impl Inner ===

impl Inner {
    /// Whether a namespace still has to be looked at before something is written into it.
    pub(crate) fn is_namespace_due(&self, name: &str) -> bool {
        // `*` is every namespace in a read, and none that could be made.
        self.settings.create_namespaces
            && !name.eq_ignore_ascii_case(DEFAULT)
            && name != "*"
            && !self.namespaces.is_known(name)
    }

    /// Makes sure that a namespace is there; it is made where it is not.
    pub(crate) async fn ensure_namespace(&self, name: &str) -> Result<(), Unusable> {
        let _making = self.namespaces.making.lock().await;
        if !self.is_namespace_due(name) {
            return Ok(());
        }
        match self.find_namespace(name).await {
            Ok(Some(found)) if found.deleted_at.is_some() => {
                return Err(refused(format!(
                    "the consul namespace {name:?} is being deleted; it is made anew when it is gone"
                )));
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                let made = self.make_namespace(name).await;
                made.map_err(|error| self.judge(name, error))?;
                tracing::info!(namespace = name, "made a namespace in consul");
            }
            Err(error) => return Err(self.judge(name, error)),
        }
        self.namespaces.learn(name);
        Ok(())
    }

    /// A namespace, where it is there.
    pub(crate) async fn find_namespace(&self, name: &str) -> Result<Option<Namespace>, Error> {
        let path = ["namespace", name];
        let request = self
            .client
            .scoped(Request::get(&path).consistent().or_absent());
        let answer = self.client.call(&request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.require_consistent()?;
        answer.json().map(Some)
    }

    async fn make_namespace(&self, name: &str) -> Result<(), Error> {
        let policy = self.settings.namespace_policy.as_deref();
        let body = New {
            name,
            description: "Auto-generated by consul-sync",
            acls: policy.map(|name| Acls {
                policy_defaults: [Link { name }],
            }),
            meta: Meta,
        };
        let body = serde_json::to_vec(&body)
            .map_err(|error| Error::Settings(format!("encode a namespace: {error}")))?;
        let request = Request::put(&["namespace"], Bytes::from(body));
        self.client.call(&self.client.scoped(request)).await?;
        Ok(())
    }

    /// The rules that making a namespace takes.
    fn namespace_rules(&self, name: &str) -> String {
        let policy = if self.settings.namespace_policy.is_some() {
            "acl = \"write\" "
        } else {
            ""
        };
        match self.client.partition() {
            // There are no operators of a partition.
            Some(partition) => format!(
                "partition \"{partition}\" {{ mesh = \"write\" {policy}namespace \"{name}\" {{ policy = \"write\" }} }}"
            ),
            None => format!("operator = \"write\" {policy}")
                .trim_end()
                .to_owned(),
        }
    }

    /// What a failed request means for what is to be written into the namespace.
    fn judge(&self, name: &str, error: Error) -> Unusable {
        /// What Consul answers with status 500 and will always answer.
        const SIGNS: [&str; 3] = ["No such ACL", "nvalid", "is being deleted"];
        let Error::Status { status, text, .. } = &error else {
            return Unusable::Failed(error);
        };
        let why = match status.as_u16() {
            401 | 403 if !error.is_of_unknown_token() => format!(
                "{text}; make it, or add to the token's policy: {}",
                self.namespace_rules(name)
            ),
            404 | 405 => "this consul has none; they are a feature of Consul Enterprise".to_owned(),
            500 if SIGNS.iter().any(|sign| text.contains(sign)) => text.clone(),
            401 | 403 | 429 | 500..=599 => return Unusable::Failed(error),
            _ => text.clone(),
        };
        refused(format!(
            "the consul namespace {name:?} cannot be made: {why}"
        ))
    }
}

fn refused(why: String) -> Unusable {
    Unusable::Refused(Rejection::new(Reason::Refused, why))
}
