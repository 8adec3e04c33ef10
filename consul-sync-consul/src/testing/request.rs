//! What a request asks for: its query, its token, and the objects in its body.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::acl::Access;
use super::answer::Answer;
use super::decode::{DecodeError, Decoded, Fields, list};
use super::model::{Check, Instance, NamedPort, Node, TaggedAddress, Weights};
use super::server::Identity;
use super::store::Written;

/// Name of the only datacenter.
pub(super) const DATACENTER: &str = "dc1";
const WAIT_DEFAULT: Duration = Duration::from_secs(300);
const WAIT_MAX: Duration = Duration::from_secs(600);

// ---- query ------------------------------------------------------------------------------------------------------------

/// How fresh an answer was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Consistency {
    /// The leader's word, unverified.
    #[default]
    Leader,
    /// The leader's word after it made sure that it leads.
    Consistent,
    /// Any server's word.
    Stale,
}

impl Consistency {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Consistent => "consistent",
            Self::Stale => "stale",
        }
    }
}

/// The query of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    pub(super) consistency: Consistency,
    /// Index to wait past; 0 asks for an answer at once.
    pub(super) index: u64,
    pub(super) wait: Duration,
}

/// The unescaped path of `uri`.
pub(super) fn path(uri: &Uri) -> String {
    percent_decode_str(uri.path())
        .decode_utf8_lossy()
        .into_owned()
}

impl Query {
    /// Reads the query string, or says what is wrong with it.
    pub(super) fn read(uri: &Uri) -> Result<Self, Answer> {
        let mut query = Self {
            wait: WAIT_DEFAULT,
            consistency: Self::consistency_of(uri),
            ..Self::split(uri)
        };
        if query.has("stale") && query.has("consistent") {
            return Err(Answer::text(
                400,
                "Cannot specify ?stale with ?consistent, conflicting semantics.",
            ));
        }
        if let Some(text) = query.get("wait") {
            let wait = go_duration(text).ok_or_else(|| Answer::text(400, "Invalid wait time"))?;
            query.wait = if wait.is_zero() {
                WAIT_DEFAULT
            } else {
                wait.min(WAIT_MAX)
            };
        }
        if let Some(text) = query.get("index") {
            query.index = text
                .parse()
                .map_err(|_| Answer::text(400, "Invalid index"))?;
        }
        Ok(query)
    }

    /// Whether the datacenter that was asked for is there.
    pub(super) fn reachable(&self) -> Result<(), Answer> {
        match self.get("datacenter").or_else(|| self.get("dc")) {
            None | Some(DATACENTER) => Ok(()),
            Some(_) => Err(Answer::text(500, "No path to datacenter")),
        }
    }

    /// How fresh an answer was asked for.
    pub(super) fn consistency_of(uri: &Uri) -> Consistency {
        let query = Self::split(uri);
        match (query.has("consistent"), query.has("stale")) {
            (true, _) => Consistency::Consistent,
            (_, true) => Consistency::Stale,
            _ => Consistency::Leader,
        }
    }

    fn split(uri: &Uri) -> Self {
        Self {
            pairs: uri.query().map(split_query).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Whether the parameter is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// First value of a parameter, if it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A flag such as `?passing`, `?passing=true`; `Err` when its value is no boolean.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ()> {
        match (self.has(name), self.get(name)) {
            (true, None | Some("1" | "t" | "T" | "true" | "TRUE" | "True")) => Ok(true),
            (false, _) | (true, Some("0" | "f" | "F" | "false" | "FALSE" | "False")) => Ok(false),
            _ => Err(()),
        }
    }

    /// Token of the request: the query's, else `X-Consul-Token`, else the bearer's.
    pub(super) fn token(parts: &Parts) -> String {
        if let Some(token) = Self::split(&parts.uri).get("token") {
            return token.to_owned();
        }
        let header = |name: &str| {
            parts
                .headers
                .get(name)?
                .to_str()
                .ok()
                .filter(|value| !value.is_empty())
        };
        if let Some(token) = header("x-consul-token") {
            return token.to_owned();
        }
        let bearer = header("authorization").and_then(|value| value.split_once(' '));
        match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token
                .trim()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            _ => String::new(),
        }
    }
}

fn split_query(query: &str) -> Vec<(String, String)> {
    let unescape = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(key, value)| (unescape(key), unescape(value)))
        .collect()
}

/// Reads a duration of Go such as `1m30s` or `250ms`; negative ones are zero.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) = [
            ("ns", 1e-9),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("ms", 1e-3),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
        ]
        .into_iter()
        .find(|(unit, _)| rest.starts_with(unit))?;
        seconds += value * factor;
        rest = &rest[unit.len()..];
    }
    if negative {
        Some(Duration::ZERO)
    } else {
        Duration::try_from_secs_f64(seconds).ok()
    }
}

// ---- objects ----------------------------------------------------------------------------------------------------------

/// Fields that only the enterprise edition or service mesh uses; known, and without effect here.
const MESH: [&str; 6] = [
    "Proxy",
    "Connect",
    "PeerName",
    "Namespace",
    "Partition",
    "Locality",
];

pub(super) fn node_fields(mut fields: Fields) -> Decoded<Node> {
    let node = Node {
        id: fields.text("ID")?,
        node: fields.text("Node")?,
        address: fields.text("Address")?,
        datacenter: fields.text("Datacenter")?,
        tagged_addresses: fields.pairs("TaggedAddresses")?,
        meta: fields.pairs("Meta")?,
        create_index: fields.index("CreateIndex")?,
        modify_index: fields.index("ModifyIndex")?,
    };
    fields.ignore(&["Partition", "PeerName", "Locality"]);
    fields.finish()?;
    Ok(node)
}

/// A service inside a transaction. `Ports` is known from 1.22 on and dropped without a word.
pub(super) fn txn_service(mut fields: Fields, named_ports: bool) -> Decoded<Instance> {
    let mut instance = service_fields(&mut fields, named_ports)?;
    instance.ports.clear();
    instance.socket_path.clear();
    if instance
        .tagged_addresses
        .as_ref()
        .is_some_and(BTreeMap::is_empty)
    {
        instance.tagged_addresses = None;
    }
    fields.ignore(&["ContentHash", "Datacenter"]);
    fields.finish()?;
    Ok(instance)
}

/// A service inside a registration.
pub(super) fn register_service(mut fields: Fields, named_ports: bool) -> Decoded<Instance> {
    let instance = service_fields(&mut fields, named_ports)?;
    fields.finish()?;
    Ok(instance)
}

fn service_fields(fields: &mut Fields, named_ports: bool) -> Decoded<Instance> {
    let instance = Instance {
        node: String::new(),
        id: fields.text("ID")?,
        service: fields.text("Service")?,
        kind: fields.text("Kind")?,
        tags: fields.texts("Tags")?,
        address: fields.text("Address")?,
        tagged_addresses: tagged_addresses(fields.table("TaggedAddresses")?)?,
        meta: fields.pairs("Meta")?,
        port: fields.integer("Port")?,
        ports: if named_ports {
            ports(fields.take("Ports"))?
        } else {
            Vec::new()
        },
        socket_path: fields.text("SocketPath")?,
        weights: weights(fields.take("Weights"))?,
        enable_tag_override: fields.flag("EnableTagOverride")?,
        create_index: fields.index("CreateIndex")?,
        modify_index: fields.index("ModifyIndex")?,
    };
    fields.ignore(&MESH);
    Ok(instance)
}

fn tagged_addresses(
    table: Option<serde_json::Map<String, Value>>,
) -> Decoded<Option<BTreeMap<String, TaggedAddress>>> {
    let Some(table) = table else { return Ok(None) };
    let read = |value| -> Decoded<TaggedAddress> {
        let Some(mut fields) = Fields::open(value, "TaggedAddresses")? else {
            return Ok(TaggedAddress::default());
        };
        let address = TaggedAddress {
            address: fields.text("Address")?,
            port: fields.integer("Port")?,
        };
        fields.finish()?;
        Ok(address)
    };
    table
        .into_iter()
        .map(|(name, value)| Ok((name, read(value)?)))
        .collect::<Decoded<_>>()
        .map(Some)
}

fn ports(value: Value) -> Decoded<Vec<NamedPort>> {
    let read = |value| -> Decoded<NamedPort> {
        let Some(mut fields) = Fields::open(value, "Ports")? else {
            return Ok(NamedPort::default());
        };
        let port = NamedPort {
            name: fields.text("Name")?,
            port: fields.integer("Port")?,
            default: fields.flag("Default")?,
        };
        fields.finish()?;
        Ok(port)
    };
    list(value, "Ports")?.into_iter().map(read).collect()
}

fn weights(value: Value) -> Decoded<Weights> {
    let Some(mut fields) = Fields::open(value, "Weights")? else {
        return Ok(Weights::default());
    };
    let weights = Weights {
        passing: fields.integer("Passing")?,
        warning: fields.integer("Warning")?,
    };
    fields.finish()?;
    Ok(weights)
}

pub(super) fn check_fields(mut fields: Fields) -> Decoded<Check> {
    let definition = Fields::open(fields.take("Definition"), "Definition")?
        .map(Fields::remaining)
        .unwrap_or_default();
    let check = Check {
        node: fields.text("Node")?,
        check_id: fields.text("CheckID")?,
        name: fields.text("Name")?,
        status: fields.text("Status")?,
        notes: fields.text("Notes")?,
        output: fields.text("Output")?,
        service_id: fields.text("ServiceID")?,
        service_name: fields.text("ServiceName")?,
        service_tags: fields.texts("ServiceTags")?,
        kind: fields.text("Type")?,
        interval: fields.text("Interval")?,
        timeout: fields.text("Timeout")?,
        exposed_port: fields.integer("ExposedPort")?,
        definition: definition
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        create_index: fields.index("CreateIndex")?,
        modify_index: fields.index("ModifyIndex")?,
    };
    fields.ignore(&["Namespace", "Partition", "PeerName"]);
    fields.finish()?;
    Ok(check)
}

// ---- what Consul refuses before a raft entry --------------------------------------------------------------------------

pub(super) fn vet_node(name: &str, id: &str) -> Written<()> {
    if name.is_empty() {
        return Err("Must provide node".to_owned());
    }
    if id.is_empty() {
        return Ok(());
    }
    fault_of_id(id).map_or(Ok(()), |fault| Err(format!("Bad node ID: {fault}")))
}

fn fault_of_id(id: &str) -> Option<&'static str> {
    if id.len() != 36 {
        return Some("uuid string is wrong length");
    }
    let groups: Vec<_> = id.split('-').collect();
    let formed = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    (!formed).then_some("uuid is improperly formatted")
}

/// From 1.22 on; before that such a service gets as far as it can.
const NAMELESS: &str = "service name (Service.Service) is required; both Service ID (Service.ID) and Service Name cannot \
                        be empty";

pub(super) fn vet_service(
    instance: &mut Instance,
    access: &Access,
    identity: &Identity,
) -> Written<()> {
    vet_ports(instance)?;
    if instance.id.is_empty() && instance.service.is_empty() && identity.is_1_22() {
        return Err(NAMELESS.to_owned());
    }
    if instance.id.is_empty() {
        instance.id.clone_from(&instance.service);
    }
    if !instance.id.is_empty() && instance.service.is_empty() {
        return Err(
            "Must provide service name (Service.Service) when service ID is provided".to_owned(),
        );
    }
    if matches!(instance.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return Err("Invalid service address".to_owned());
    }
    if instance.service == "consul" {
        Ok(())
    } else {
        access.service_write(&instance.service)
    }
}

fn vet_ports(instance: &Instance) -> Written<()> {
    let ports = &instance.ports;
    if ports.is_empty() {
        return Ok(());
    }
    let mut faults = Vec::new();
    if instance.port != 0 {
        faults.push("Cannot set both Port and Ports".to_owned());
    }
    if let Some(fault) = fault_of_ports(ports) {
        faults.push(fault);
    }
    match faults.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("1 error occurred:\n\t* {one}\n\n")),
        many => Err(format!(
            "{} errors occurred:\n\t* {}\n\n",
            many.len(),
            many.join("\n\t* ")
        )),
    }
}

fn fault_of_ports(ports: &[NamedPort]) -> Option<String> {
    let mut default = false;
    for (at, port) in ports.iter().enumerate() {
        if port.name.trim().is_empty() {
            return Some("Ports.Name cannot be empty".to_owned());
        }
        if port.port <= 0 {
            return Some("Ports.Port must be greater than zero".to_owned());
        }
        if ports[..at].iter().any(|other| other.name == port.name) {
            return Some(format!("Ports.Name {:?} has to be unique", port.name));
        }
        if default && port.default {
            return Some("Only one port can be marked as default".to_owned());
        }
        default |= port.default;
    }
    (!default).then(|| "One of the Ports must be marked as Default".to_owned())
}

pub(super) fn default_check_id(check: &mut Check) {
    if check.check_id.is_empty() {
        check.check_id.clone_from(&check.name);
    }
}

/// Answer to a body that cannot be read.
pub(super) fn unreadable(error: &DecodeError) -> Answer {
    Answer::text(400, format!("Request decode failed: {}", error.0))
}
