//! One request, read: verb, target and parameters, as RBAC and the faults see them.

use http::Method;

use super::{
    kind::{self, Target},
    status::Failure,
    store::kind_of,
};
use crate::Verb;

/// One request. What is no object's path (`/version`) has neither verb nor target.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) verb: Option<Verb>,
    pub(super) target: Option<Target>,
    query: Vec<(String, String)>,
}

impl Call {
    pub(super) fn read(method: &Method, path: &str, query: &str) -> Self {
        let query = kind::parse_query(query);
        let target = kind::parse_path(path);
        let mut call = Self {
            path: path.to_owned(),
            verb: None,
            target,
            query,
        };
        let Some(target) = &call.target else {
            return call;
        };
        let named = target.name.is_some();
        call.verb = match *method {
            Method::GET if call.flag("watch") => Some(Verb::Watch),
            Method::GET if named => Some(Verb::Get),
            Method::GET => Some(Verb::List),
            Method::POST => Some(Verb::Create),
            Method::PUT => Some(Verb::Update),
            Method::PATCH => Some(Verb::Patch),
            Method::DELETE if named => Some(Verb::Delete),
            Method::DELETE => Some(Verb::DeleteCollection),
            _ => None,
        };
        call
    }

    /// A query parameter, or the empty text.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// A query parameter that is on or off.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "true" | "1")
    }

    /// A query parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.parameter(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Failure::bad_request(format!(
                    "invalid value {text:?} of {name}: must be a number"
                ))
            }),
        }
    }

    /// The resource's plural, or the path of what is none.
    pub(super) fn resource(&self) -> &str {
        self.target
            .as_ref()
            .map_or(&self.path, |target| kind_of(target.kind).plural)
    }

    /// The API group.
    pub(super) fn group(&self) -> &'static str {
        self.target
            .as_ref()
            .map_or("", |target| kind_of(target.kind).group)
    }

    /// The namespace that RBAC judges by. A namespace itself counts as being in itself.
    pub(super) fn namespace(&self) -> Option<&str> {
        let target = self.target.as_ref()?;
        if target.kind == kind::NAMESPACES {
            return target.name.as_deref();
        }
        target.namespace.as_deref()
    }

    /// The object's name. A collection narrowed to one name is judged by that name.
    pub(super) fn name(&self) -> Option<&str> {
        let named = self.target.as_ref()?.name.as_deref();
        named.or_else(|| {
            self.parameter("fieldSelector")
                .strip_prefix("metadata.name=")
        })
    }

    /// Which page of a listing is asked for, from 0.
    pub(super) fn page(&self) -> u64 {
        super::read::page_of(self.parameter("continue"))
    }

    /// The refusal of this request for lack of rights.
    pub(super) fn forbidden(&self) -> Failure {
        let verb = self.verb.map_or("get", Verb::as_str);
        let resource = self.target.as_ref().map_or_else(
            || self.path.clone(),
            |target| {
                let qualified = kind_of(target.kind).qualified();
                target
                    .name
                    .as_ref()
                    .map_or(qualified.clone(), |name| format!("{qualified} {name:?}"))
            },
        );
        let place = match self.namespace() {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        Failure::forbidden(
            self.target.as_ref().map(|target| kind_of(target.kind)),
            self.name().unwrap_or_default(),
            format!(
                "{resource} is forbidden: User \"system:serviceaccount:consul-sync:consul-sync\" cannot {verb} resource {:?} in API group {:?} {place}",
                self.resource(),
                self.group(),
            ),
        )
    }
}
