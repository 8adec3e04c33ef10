//! `/v1/namespace` and `/v1/namespaces` of Consul Enterprise: namespaces are made, changed, shown and deleted.
//!
//! It follows Consul's documentation, and unlike the rest of the fake no server: there is none to hold it against without a
//! license. A deleted namespace goes at once with all that is in it; on Consul it is shown with the time of its deletion until
//! what is in it is gone, as [`FakeConsul::doom_namespace`](super::FakeConsul::doom_namespace) leaves it.

use http::Method;
use http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};

use super::acl::Access;
use super::answer::Answer;
use super::decode::{DecodeError, Decoded, Fields, first_value, list};
use super::model::Pairs;
use super::request::Query;
use super::route::{access, refusal, write};
use super::server::Shared;
use super::store::Written;
use super::tenancy::DEFAULT;

/// A namespace of Consul Enterprise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Names of the policies that every token made in it has.
    pub policies: Vec<String>,
    /// Meta.
    pub meta: Pairs,
    /// Whether it is being deleted, and stays until what is in it is gone.
    pub is_doomed: bool,
    /// Raft index of the write that created it.
    pub create_index: u64,
    /// Raft index of the last write that changed it.
    pub modify_index: u64,
}

impl Namespace {
    /// The one that is always there.
    pub(super) fn builtin() -> Self {
        Self {
            name: DEFAULT.to_owned(),
            description: "Builtin Default Namespace".to_owned(),
            create_index: 1,
            modify_index: 1,
            ..Self::default()
        }
    }

    fn print(&self) -> Value {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Link<'a> {
            #[serde(rename = "ID")]
            id: &'a str,
            name: &'a str,
        }
        let links: Vec<Link<'_>> = self
            .policies
            .iter()
            .map(|name| Link { id: "", name })
            .collect();
        let mut body = json!({
            "Name": self.name, "Description": self.description,
            "ACLs": { "PolicyDefaults": links, "RoleDefaults": null }, "Meta": self.meta,
            "CreateIndex": self.create_index, "ModifyIndex": self.modify_index,
        });
        if self.is_doomed {
            body["DeletedAt"] = "2020-01-01T00:00:00Z".into();
        }
        body
    }
}

/// `/v1/namespaces`
pub(super) fn list_all(shared: &Shared, parts: &Parts) -> Result<Answer, Answer> {
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    let state = shared.state();
    let all = state.store.namespaces.values();
    let shown: Vec<Value> = all
        .filter(|_| access.can_see_namespaces())
        .map(Namespace::print)
        .collect();
    Ok(Answer::json(200, &shown))
}

/// `PUT /v1/namespace`
pub(super) fn create(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Answer, Answer> {
    Query::read(&parts.uri)?.reachable()?;
    let namespace = decoded(body)?;
    let access = access(shared, parts)?;
    put(shared, &access, namespace)
}

/// `/v1/namespace/NAME`
pub(super) fn named(
    shared: &Shared,
    parts: &Parts,
    name: &str,
    body: &[u8],
) -> Result<Answer, Answer> {
    Query::read(&parts.uri)?.reachable()?;
    let access = access(shared, parts)?;
    if parts.method == Method::GET {
        if !access.can_see_namespaces() {
            return Err(refusal(access.denied("operator:read", "")));
        }
        let state = shared.state();
        let found = state.store.namespaces.get(name);
        return found.map_or_else(
            || Err(Answer::empty(404)),
            |found| Ok(Answer::json(200, &found.print())),
        );
    }
    if parts.method == Method::PUT {
        let mut namespace = decoded(body)?;
        name.clone_into(&mut namespace.name);
        return put(shared, &access, namespace);
    }
    access.operator_write().map_err(refusal)?;
    let mut state = shared.state();
    let gone = write(shared, &mut state, |store, index| -> Written<()> {
        store.remove_namespace(index, name);
        Ok(())
    });
    gone.map(|()| Answer::json(200, &true)).map_err(refusal)
}

fn put(shared: &Shared, access: &Access, namespace: Namespace) -> Result<Answer, Answer> {
    access.operator_write().map_err(refusal)?;
    if !namespace.policies.is_empty() {
        access.acl_write().map_err(refusal)?;
    }
    if namespace.name.is_empty() || namespace.name == "*" {
        return Err(Answer::text(400, "Must specify a Name for the Namespace"));
    }
    let name = namespace.name.clone();
    let mut state = shared.state();
    write(shared, &mut state, |store, index| {
        store.put_namespace(index, namespace)
    })
    .map_err(refusal)?;
    let written = state.store.namespaces.get(&name).map(Namespace::print);
    Ok(Answer::json(200, &written))
}

fn decoded(body: &[u8]) -> Result<Namespace, Answer> {
    read(body)
        .map_err(|DecodeError(why)| Answer::text(400, format!("Request decode failed: {why}")))
}

fn read(body: &[u8]) -> Decoded<Namespace> {
    let Some(mut fields) = Fields::open(first_value(body)?, "Namespace")? else {
        return Ok(Namespace::default());
    };
    let mut namespace = Namespace {
        name: fields.text("Name")?,
        description: fields.text("Description")?,
        meta: fields.pairs("Meta")?.unwrap_or_default(),
        ..Namespace::default()
    };
    if let Some(mut acls) = Fields::open(fields.take("ACLs"), "ACLs")? {
        for link in list(acls.take("PolicyDefaults"), "PolicyDefaults")? {
            if let Some(mut link) = Fields::open(link, "PolicyDefaults")? {
                namespace.policies.push(link.text("Name")?);
                link.ignore(&["ID"]);
                link.finish()?;
            }
        }
        acls.ignore(&["RoleDefaults"]);
        acls.finish()?;
    }
    fields.ignore(&["Partition"]);
    fields.finish()?;
    Ok(namespace)
}
