//! What a request asks for: its query and its token.

use std::time::Duration;

use http::Uri;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::answer::Answer;

/// Name of the only datacenter.
pub(super) const DATACENTER: &str = "dc1";
const WAIT_DEFAULT: Duration = Duration::from_secs(300);
const WAIT_MAX: Duration = Duration::from_secs(600);

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

    /// The parameters alone, which cannot be wrong.
    pub(super) fn split(uri: &Uri) -> Self {
        Self {
            pairs: uri.query().map(split_query).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Whether the parameter is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// Whether the health of a service is answered from a view: what blocks is, unless an order by nearness is asked for.
    pub(super) fn is_from_view(&self) -> bool {
        self.index > 0 && self.get("near").is_none()
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
