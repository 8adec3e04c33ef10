//! Annotations on a Service that say how it is registered.
//!
//! | key | meaning |
//! | --- | --- |
//! | `service-sync` | a boolean that overrides the default; unreadable: the default |
//! | `service-name` | the exact name; prefix and suffix are not applied |
//! | `service-port` | the default port, by name or number |
//! | `service-tags` | more tags, separated by commas; `\,` is a comma within a tag |
//! | `service-meta-KEY` | one more pair |
//! | `service-weight` | the weight of a passing instance, an integer above 1 |

use std::collections::BTreeMap;

/// What the names of all our annotations start with.
pub(crate) const PREFIX: &str = "consul.hashicorp.com/";

/// The largest weight: weights are answered in DNS SRV records, in 16 bits.
const MAX_WEIGHT: u32 = 65_535;

/// Our annotations of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotations<'a>(Option<&'a BTreeMap<String, String>>);

/// `service-port`, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortChoice<'a> {
    Name(&'a str),
    Number(i64),
}

impl<'a> Annotations<'a> {
    pub(crate) fn new(annotations: Option<&'a BTreeMap<String, String>>) -> Self {
        Self(annotations)
    }

    /// `service-sync`; nothing when it is absent or no boolean.
    pub(crate) fn sync(self) -> Option<bool> {
        parse_bool(self.get("service-sync")?)
    }

    /// `service-name`, trimmed. Present and empty is a name that cannot be used, not an absent one.
    pub(crate) fn name(self) -> Option<&'a str> {
        self.get("service-name").map(str::trim)
    }

    /// `service-port`; nothing when it is absent or blank.
    pub(crate) fn port(self) -> Option<PortChoice<'a>> {
        let text = self.get("service-port")?.trim();
        if text.is_empty() {
            return None;
        }
        Some(parse_int(text).map_or(PortChoice::Name(text), PortChoice::Number))
    }

    /// `service-tags`, in their order.
    pub(crate) fn tags(self) -> Vec<String> {
        self.get("service-tags").map(parse_tags).unwrap_or_default()
    }

    /// `service-weight`; nothing when it is absent or no weight.
    pub(crate) fn weight(self) -> Option<u32> {
        let weight = self.get("service-weight")?.parse().ok()?;
        (2..=MAX_WEIGHT).contains(&weight).then_some(weight)
    }

    /// Every `service-meta-KEY` with its KEY.
    pub(crate) fn meta(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let ours = self.0.into_iter().flatten();
        ours.filter_map(|(key, value)| {
            let key = key.strip_prefix(PREFIX)?.strip_prefix("service-meta-")?;
            (!key.is_empty()).then_some((key, value.as_str()))
        })
    }

    fn get(self, name: &str) -> Option<&'a str> {
        // There are at most a few, and none of their names need be put together for this.
        let ours = self.0.into_iter().flatten();
        ours.filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str())))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// The forms that Go's `strconv.ParseBool` takes, and no others.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The forms that Go's `strconv.ParseInt` takes with base 0: a sign, `0x`, `0o`, `0b`, a leading zero for octal,
/// and underscores between digits where there is a base prefix.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let prefixed = |prefix: &str| {
        let start = digits.get(..2)?;
        start
            .eq_ignore_ascii_case(prefix)
            .then(|| digits.get(2..))
            .flatten()
    };
    let (radix, digits) = if let Some(digits) = prefixed("0x") {
        (16, digits)
    } else if let Some(digits) = prefixed("0o") {
        (8, digits)
    } else if let Some(digits) = prefixed("0b") {
        (2, digits)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits.get(1..)?)
    } else {
        return magnitude(digits, 10, negative);
    };
    let digits = digits.strip_prefix('_').unwrap_or(digits);
    if digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    magnitude(&digits.replace('_', ""), radix, negative)
}

fn magnitude(digits: &str, radix: u32, negative: bool) -> Option<i64> {
    // `from_str_radix` would take a second sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// Splits at commas that no backslash stands before; trims; leaves out what is empty then.
fn parse_tags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut tag = String::new();
    for c in text.chars() {
        if c != ',' {
            tag.push(c);
        } else if tag.ends_with('\\') {
            tag.pop();
            tag.push(',');
        } else {
            tags.push(std::mem::take(&mut tag));
        }
    }
    tags.push(tag);
    tags.into_iter()
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
