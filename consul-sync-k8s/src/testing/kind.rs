//! The kinds of object that the fake serves, and how its URL paths name them.

/// One kind of object, as discovery would describe it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) name: &'static str,
    pub(super) namespaced: bool,
    /// Whether `status` is a subresource that a plain write cannot change.
    pub(super) has_status: bool,
}

/// A kind's place in [`KINDS`]: cheap to copy, ordered.
pub(super) type KindId = usize;

const fn kind(
    group: &'static str,
    plural: &'static str,
    name: &'static str,
    namespaced: bool,
    has_status: bool,
) -> Kind {
    Kind {
        group,
        version: "v1",
        plural,
        name,
        namespaced,
        has_status,
    }
}

/// Every kind that is served.
pub(super) const KINDS: [Kind; 7] = [
    kind("", "services", "Service", true, true),
    kind("", "nodes", "Node", false, true),
    kind("", "namespaces", "Namespace", false, true),
    kind("", "events", "Event", true, false),
    kind(
        "discovery.k8s.io",
        "endpointslices",
        "EndpointSlice",
        true,
        false,
    ),
    kind("networking.k8s.io", "ingresses", "Ingress", true, true),
    kind("coordination.k8s.io", "leases", "Lease", true, false),
];

/// The namespaces kind, which others' namespaces are looked up in.
pub(super) const NAMESPACES: KindId = 2;

impl Kind {
    /// `v1` or `group/v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether an update of an object that does not exist makes it.
    pub(super) fn created_by_update(&self) -> bool {
        matches!(self.name, "Service" | "Lease" | "Event")
    }

    /// Whether the fake serves its `status` as a subresource: read, and changed by a patch. Nothing in this project
    /// writes another status, or a whole one.
    pub(super) fn serves_status(&self) -> bool {
        self.has_status && self.name != "Namespace"
    }

    /// `services` or `ingresses.networking.k8s.io`, as error messages name it.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// The kind with this plural.
pub(super) fn by_plural(plural: &str) -> Option<KindId> {
    KINDS.iter().position(|kind| kind.plural == plural)
}

/// The kind that an object says it is.
pub(super) fn by_object(object: &serde_json::Value) -> Option<KindId> {
    let api_version = object.get("apiVersion")?.as_str()?;
    let name = object.get("kind")?.as_str()?;
    KINDS
        .iter()
        .position(|kind| kind.name == name && kind.api_version() == api_version)
}

/// What a URL path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: KindId,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// Reads a path such as `/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/b`.
pub(super) fn parse_path(path: &str) -> Option<Target> {
    let mut parts = path.trim_matches('/').split('/');
    let group = match parts.next()? {
        "api" => "",
        "apis" => parts.next()?,
        _ => return None,
    };
    let version = parts.next()?;
    let rest: Vec<String> = parts.map(decode).collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let find = |plural: &str| {
        KINDS.iter().position(|kind| {
            kind.group == group && kind.version == version && kind.plural == plural
        })
    };
    let target = |plural: &str, namespace: Option<&str>, name: Option<&str>, sub: Option<&str>| {
        Some(Target {
            kind: find(plural)?,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            subresource: sub.map(str::to_owned),
        })
    };
    match rest.as_slice() {
        [plural] => target(plural, None, None, None),
        ["namespaces", name, sub @ ("status" | "finalize")] => {
            target("namespaces", None, Some(name), Some(sub))
        }
        ["namespaces", name] => target("namespaces", None, Some(name), None),
        ["namespaces", namespace, plural] => target(plural, Some(namespace), None, None),
        ["namespaces", namespace, plural, name] => {
            target(plural, Some(namespace), Some(name), None)
        }
        ["namespaces", namespace, plural, name, sub] => {
            target(plural, Some(namespace), Some(name), Some(sub))
        }
        [plural, name] => target(plural, None, Some(name), None),
        [plural, name, sub] => target(plural, None, Some(name), Some(sub)),
        _ => None,
    }
    .filter(|target| {
        let namespaced = KINDS.get(target.kind).is_some_and(|kind| kind.namespaced);
        // An object is addressed in its namespace; a collection may be addressed across them.
        if namespaced {
            target.name.is_none() || target.namespace.is_some()
        } else {
            target.namespace.is_none()
        }
    })
}

/// Undoes percent-encoding.
pub(super) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// The pairs of a query string.
pub(super) fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(&key.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_kind_a_namespace_a_name_and_a_subresource() {
        let read = |path: &str| {
            parse_path(path).map(|target| {
                (
                    KINDS[target.kind].plural,
                    target.namespace.unwrap_or_default(),
                    target.name.unwrap_or_default(),
                    target.subresource.unwrap_or_default(),
                )
            })
        };
        let some = |plural, namespace: &str, name: &str, sub: &str| {
            Some((
                plural,
                namespace.to_owned(),
                name.to_owned(),
                sub.to_owned(),
            ))
        };
        assert_eq!(read("/api/v1/services"), some("services", "", "", ""));
        assert_eq!(
            read("/api/v1/namespaces/a/services"),
            some("services", "a", "", "")
        );
        assert_eq!(
            read("/api/v1/namespaces/a/services/b"),
            some("services", "a", "b", "")
        );
        assert_eq!(
            read("/api/v1/namespaces/a/services/b/status"),
            some("services", "a", "b", "status")
        );
        assert_eq!(read("/api/v1/namespaces"), some("namespaces", "", "", ""));
        assert_eq!(
            read("/api/v1/namespaces/a"),
            some("namespaces", "", "a", "")
        );
        assert_eq!(
            read("/api/v1/namespaces/a/status"),
            some("namespaces", "", "a", "status")
        );
        assert_eq!(
            read("/api/v1/nodes/n/status"),
            some("nodes", "", "n", "status")
        );
        assert_eq!(
            read("/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/b"),
            some("endpointslices", "a", "b", "")
        );
        assert_eq!(read("/apis/discovery.k8s.io/v1/services"), None);
        assert_eq!(read("/api/v1/namespaces/a/nodes"), None);
        assert_eq!(read("/healthz"), None);
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(
            parse_query("labelSelector=a%3Db%2Cc&limit=1&x=a+b"),
            [
                ("labelSelector".to_owned(), "a=b,c".to_owned()),
                ("limit".to_owned(), "1".to_owned()),
                ("x".to_owned(), "a b".to_owned()),
            ]
        );
    }
}
