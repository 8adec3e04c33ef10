//! Which selectors a listing knows, and what can be asked of them.
//!
//! Consul refuses an expression that names a field it does not have. A fake without this would answer it with an empty
//! list, and the typing error would be found in production.

use super::Test;

/// Objects that are filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    Node,
    Service,
    Catalog,
    Check,
    Health,
}

/// What a selector leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A text, a number or a flag.
    One,
    /// A text, which alone of these contains something.
    Text,
    /// A list of texts.
    Texts,
    /// A table of texts.
    Table,
    /// A table of addresses with ports.
    Addresses,
    /// A list of objects.
    List(Shape),
    /// An object.
    Object(Shape),
    /// DNS weights.
    Weights,
}

/// Refuses what Consul refuses.
pub(super) fn check(shape: Shape, selector: &[String], test: &Test) -> Result<(), String> {
    let prefix = "Failed to create boolean expression evaluator:";
    let kind = kind(shape, selector).map_err(|at| {
        format!(
            "{prefix} Selector {:?} is not valid",
            selector[..at].join(".")
        )
    })?;
    let (fits, name) = match (test, kind) {
        (Test::Equals(_, negated), kind) => (
            matches!(kind, Kind::One | Kind::Text),
            if *negated { "Not Equal" } else { "Equal" },
        ),
        (Test::Contains(_, negated), kind) => {
            let fits = matches!(
                kind,
                Kind::Text | Kind::Texts | Kind::Table | Kind::Addresses
            );
            (fits, if *negated { "Not In" } else { "In" })
        }
        (Test::Empty(negated), kind) => {
            let fits = matches!(
                kind,
                Kind::Texts | Kind::Table | Kind::Addresses | Kind::List(_)
            );
            (fits, if *negated { "Is Not Empty" } else { "Is Empty" })
        }
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "{prefix} Invalid match operator {name:?} for selector {:?}",
            selector.join(".")
        ))
    }
}

/// The kind of what `selector` leads to, or how many of its parts are needed to see that it leads nowhere.
fn kind(shape: Shape, selector: &[String]) -> Result<Kind, usize> {
    let mut kind = Kind::Object(shape);
    for (at, name) in selector.iter().enumerate() {
        kind = match kind {
            Kind::Object(shape) | Kind::List(shape) => field(shape, name),
            Kind::Table => Some(Kind::Text),
            Kind::Addresses => Some(Kind::Weights),
            Kind::Weights => match name.as_str() {
                "Passing" | "Warning" | "Port" => Some(Kind::One),
                "Address" => Some(Kind::Text),
                _ => None,
            },
            Kind::One | Kind::Text | Kind::Texts => None,
        }
        .ok_or(at + 1)?;
    }
    Ok(kind)
}

fn field(shape: Shape, name: &str) -> Option<Kind> {
    match shape {
        Shape::Node => of_node(name),
        Shape::Service => of_service(name),
        Shape::Catalog => of_catalog(name),
        Shape::Check => of_check(name),
        Shape::Health => of_health(name),
    }
}

fn of_node(name: &str) -> Option<Kind> {
    match name {
        "ID" | "Node" | "Address" | "Datacenter" | "Partition" | "PeerName" => Some(Kind::Text),
        "TaggedAddresses" | "Meta" => Some(Kind::Table),
        _ => None,
    }
}

fn of_service(name: &str) -> Option<Kind> {
    match name {
        "Kind" | "ID" | "Service" | "Address" | "SocketPath" | "PeerName" => Some(Kind::Text),
        "Port" | "EnableTagOverride" => Some(Kind::One),
        "Tags" => Some(Kind::Texts),
        "Meta" => Some(Kind::Table),
        "TaggedAddresses" => Some(Kind::Addresses),
        "Weights" => Some(Kind::Weights),
        _ => None,
    }
}

/// A service joined with its node: the node's fields, and the service's under longer names.
fn of_catalog(name: &str) -> Option<Kind> {
    match name {
        "NodeMeta" => Some(Kind::Table),
        "ServiceName" => Some(Kind::Text),
        "Meta" | "ServiceService" => None,
        _ => of_node(name).or_else(|| of_service(name.strip_prefix("Service")?)),
    }
}

fn of_check(name: &str) -> Option<Kind> {
    match name {
        "Node" | "CheckID" | "Name" | "Status" | "Notes" | "Output" | "ServiceID"
        | "ServiceName" | "Type" | "Interval" | "Timeout" | "PeerName" => Some(Kind::Text),
        "ExposedPort" => Some(Kind::One),
        "ServiceTags" => Some(Kind::Texts),
        _ => None,
    }
}

fn of_health(name: &str) -> Option<Kind> {
    match name {
        "Node" => Some(Kind::Object(Shape::Node)),
        "Service" => Some(Kind::Object(Shape::Service)),
        "Checks" => Some(Kind::List(Shape::Check)),
        _ => None,
    }
}
