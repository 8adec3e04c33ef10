//! GET and LIST: consistent listings in pages.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    call::Call,
    kind::Target,
    selector::Selector,
    status::Failure,
    store::{Shared, Store, kind_of, path},
};

/// One object.
pub(super) fn get(store: &Store, target: &Target) -> Result<Shared, Failure> {
    let name = target.name.as_deref().unwrap_or_default();
    let path = path(target.namespace.as_deref().unwrap_or_default(), name);
    store
        .get(target.kind, &path)
        .map(Arc::clone)
        .ok_or_else(|| Failure::not_found(kind_of(target.kind), name))
}

/// A collection, or a page of it. `stale`: as of this older version.
pub(super) fn list(
    store: &Store,
    call: &Call,
    target: &Target,
    stale: Option<u64>,
) -> Result<Value, Failure> {
    check_match(call)?;
    let selector = Selector::parse(
        call.parameter("labelSelector"),
        call.parameter("fieldSelector"),
        kind_of(target.kind).namespaced,
    )?;
    let limit = usize::try_from(call.number("limit")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let token = call.parameter("continue");
    let (revision, start, page) = if token.is_empty() {
        (
            stale.map_or_else(|| version(store, call), Ok)?,
            String::new(),
            0,
        )
    } else {
        let token = Token::read(token)
            .ok_or_else(|| Failure::bad_request("continue key is not valid: cannot decode it"))?;
        let revision = token.revision.unwrap_or_else(|| store.revision());
        if revision < store.compacted() {
            let anew = Token {
                revision: None,
                ..token
            };
            return Err(Failure::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new \
                 list without the continue parameter, or use the continue token in this response to retrieve the \
                 remainder of the results.",
            )
            .with_continue(&anew.write()));
        }
        (revision, token.start, token.page)
    };
    // "Any version" is answered from the server's cache, which knows no pages.
    let limit = if call.parameter("resourceVersion") == "0" || limit == 0 {
        usize::MAX
    } else {
        limit
    };
    let prefix = target
        .namespace
        .as_ref()
        .map_or_else(String::new, |namespace| format!("{namespace}/"));
    let objects: BTreeMap<String, Shared> = if revision == store.revision() {
        store
            .of(target.kind)
            .map(|(path, object)| (path.to_owned(), Arc::clone(object)))
            .collect()
    } else {
        store.at(target.kind, revision)?
    };
    let mut left = objects
        .range(start..)
        .filter(|(path, _)| path.starts_with(&prefix))
        .peekable();
    let mut items = Vec::new();
    while items.len() < limit
        && let Some((_, object)) = left.next()
    {
        if selector.matches(object) {
            items.push(without_type(object));
        }
    }
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    // Whether what is left is selected is not looked at: the last page may be empty.
    if let (Some((next, _)), Some(map)) = (left.peek(), metadata.as_object_mut()) {
        let token = Token {
            revision: Some(revision),
            page: page + 1,
            start: (*next).clone(),
        };
        map.insert("continue".to_owned(), json!(token.write()));
        if selector.is_empty() {
            map.insert("remainingItemCount".to_owned(), json!(left.count()));
        }
    }
    let kind = kind_of(target.kind);
    Ok(json!({
        "kind": format!("{}List", kind.name),
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items,
    }))
}

/// Refuses a way to match versions that does not go with the rest of the query, as `ValidateListOptions` of
/// k8s.io/apimachinery does.
fn check_match(call: &Call) -> Result<(), Failure> {
    let problem = match (
        call.parameter("resourceVersionMatch"),
        call.parameter("resourceVersion"),
    ) {
        ("", _) => return Ok(()),
        (_, "") => "resourceVersionMatch is forbidden unless resourceVersion is provided",
        _ if !call.parameter("continue").is_empty() => {
            "resourceVersionMatch is forbidden when continue is provided"
        }
        ("Exact", "0") => "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ("Exact" | "NotOlderThan", _) => return Ok(()),
        _ => "supported values: \"Exact\", \"NotOlderThan\"",
    };
    Err(Failure::invalid_options(&format!(
        "resourceVersionMatch: {problem}"
    )))
}

/// The version at which a listing is answered.
fn version(store: &Store, call: &Call) -> Result<u64, Failure> {
    let current = store.revision();
    let asked = call.number("resourceVersion")?.unwrap_or(0);
    if call.parameter("resourceVersionMatch") == "Exact" {
        return if asked > current {
            Err(Failure::too_large(asked, current))
        } else {
            Ok(asked)
        };
    }
    if asked > current {
        return Err(Failure::too_large(asked, current));
    }
    Ok(current)
}

/// Items of a list carry no type of their own.
fn without_type(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    object
}

/// Which page a continue token stands for.
pub(super) fn page_of(token: &str) -> u64 {
    Token::read(token).map_or(0, |token| token.page)
}

/// What a continue token holds. Without a revision: go on with whatever is there now.
struct Token {
    revision: Option<u64>,
    page: u64,
    start: String,
}

impl Token {
    fn write(&self) -> String {
        let text = format!(
            "{}.{}.{}",
            self.revision.unwrap_or(0),
            self.page,
            self.start
        );
        text.bytes()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect()
    }

    fn read(token: &str) -> Option<Self> {
        if token.is_empty() || !token.is_ascii() || !token.len().is_multiple_of(2) {
            return None;
        }
        let bytes: Option<Vec<u8>> = (0..token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok())
            .collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.splitn(3, '.');
        let revision: u64 = parts.next()?.parse().ok()?;
        Some(Self {
            revision: (revision != 0).then_some(revision),
            page: parts.next()?.parse().ok()?,
            start: parts.next()?.to_owned(),
        })
    }
}
