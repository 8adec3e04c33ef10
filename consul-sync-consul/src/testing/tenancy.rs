//! Where a thing of Consul Enterprise stands: the namespace as a part of its name.
//!
//! The tables know no namespaces. What stands in another one than `default` is kept under its name with the namespace before
//! it, so that two of one name and ID in two namespaces are two; what is printed has the plain name, and the namespace beside
//! it. So the Community Edition, which has no namespaces, is the case in which nothing has another name.

/// Stands between a namespace and a name: no name holds it that anybody would write.
const BETWEEN: char = '\u{1f}';

/// The namespace of everything that names none.
pub(super) const DEFAULT: &str = "default";

/// A name as the tables have it.
pub(super) fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() || namespace == DEFAULT || name.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}{BETWEEN}{name}")
    }
}

/// The namespace of a name in the tables.
pub(super) fn namespace(name: &str) -> &str {
    name.split_once(BETWEEN)
        .map_or(DEFAULT, |(namespace, _)| namespace)
}

/// A name in the tables as everybody else spells it.
pub(super) fn plain(name: &str) -> &str {
    name.split_once(BETWEEN).map_or(name, |(_, name)| name)
}

/// The namespace to print beside a name: none where it is the one that everything is in.
pub(super) fn printed(name: &str) -> Option<&str> {
    name.split_once(BETWEEN).map(|(namespace, _)| namespace)
}
