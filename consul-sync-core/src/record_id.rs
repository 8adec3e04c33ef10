//! The identity of a record.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{InvalidText, ServiceName};

/// How many bytes of a hash an ID ends with, where it ends with one.
const HASH: usize = 6;
/// Their text: a hyphen, and two digits each.
const TAIL: usize = 1 + 2 * HASH;

/// Identity of one record within its slot: for Consul the service ID.
///
/// IDs of a service's instances are mostly its name and a hash. Such an ID is made of the two, and neither of them is
/// copied for it. How an ID was made has no meaning: IDs of one text are equal.
///
/// ```
/// use consul_sync_core::{RecordId, ServiceName};
/// let id = RecordId::hashed(&ServiceName::new("web")?, [0xb9, 0xfe, 0x4d, 0x6d, 0x03, 0xe0]);
/// assert_eq!(id, RecordId::new("web-b9fe4d6d03e0")?);
/// assert!(RecordId::new("").is_err());
/// # Ok::<(), consul_sync_core::InvalidText>(())
/// ```
#[derive(Clone)]
pub struct RecordId(Inner);

#[derive(Clone)]
enum Inner {
    Whole(Arc<str>),
    Hashed { name: Arc<str>, hash: [u8; HASH] },
}

impl RecordId {
    /// Takes any text that is not empty and holds no control character.
    ///
    /// # Errors
    /// [`InvalidText`] names what was empty or unprintable.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidText> {
        let text = text.into();
        InvalidText::check("record id", &text)?;
        Ok(Self(Inner::Whole(text)))
    }

    /// The name, a hyphen, and the hash in lower-case hexadecimal digits.
    pub fn hashed(name: &ServiceName, hash: [u8; HASH]) -> Self {
        let name = name.shared();
        Self(Inner::Hashed { name, hash })
    }

    /// The hash in a text that is such an ID of this name.
    ///
    /// ```
    /// use consul_sync_core::RecordId;
    /// assert_eq!(RecordId::hash_in("web-b9fe4d6d03e0", "web"), Some([0xb9, 0xfe, 0x4d, 0x6d, 0x03, 0xe0]));
    /// assert_eq!(RecordId::hash_in("web-1", "web"), None);
    /// ```
    pub fn hash_in(text: &str, name: &str) -> Option<[u8; HASH]> {
        let digits = text.strip_prefix(name)?.strip_prefix('-')?.as_bytes();
        if digits.len() != 2 * HASH {
            return None;
        }
        let mut hash = [0; HASH];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(hash)
    }

    /// The text.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Inner::Whole(text) => Cow::Borrowed(text),
            Inner::Hashed { .. } => Cow::Owned(self.to_string()),
        }
    }

    /// The text, where the ID was made of it and not of a name and a hash.
    ///
    /// ```
    /// use consul_sync_core::RecordId;
    /// assert_eq!(RecordId::new("slice/web-1")?.whole(), Some("slice/web-1"));
    /// # Ok::<(), consul_sync_core::InvalidText>(())
    /// ```
    pub fn whole(&self) -> Option<&str> {
        match &self.0 {
            Inner::Whole(text) => Some(text),
            Inner::Hashed { .. } => None,
        }
    }

    /// How its text stands to another one, by bytes.
    ///
    /// ```
    /// use consul_sync_core::RecordId;
    /// assert!(RecordId::new("a")?.cmp_text("b").is_lt());
    /// # Ok::<(), consul_sync_core::InvalidText>(())
    /// ```
    pub fn cmp_text(&self, other: &str) -> Ordering {
        let tail = self.tail();
        let (name, tail) = self.parts(&tail);
        cmp((name, tail), (other.as_bytes(), &[]))
    }

    /// The text of its hash with the hyphen; unused where it has none.
    fn tail(&self) -> [u8; TAIL] {
        let mut tail = [b'-'; TAIL];
        if let Inner::Hashed { hash, .. } = &self.0 {
            for (byte, pair) in hash.iter().zip(tail[1..].chunks_exact_mut(2)) {
                pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
        }
        tail
    }

    /// Its text in two parts.
    fn parts<'a>(&'a self, tail: &'a [u8; TAIL]) -> (&'a [u8], &'a [u8]) {
        match &self.0 {
            Inner::Whole(text) => (text.as_bytes(), &[]),
            Inner::Hashed { name, .. } => (name.as_bytes(), tail),
        }
    }
}

/// Compares two texts of two parts each.
fn cmp(one: (&[u8], &[u8]), other: (&[u8], &[u8])) -> Ordering {
    let both = one.0.len().min(other.0.len());
    let first = one.0[..both].cmp(&other.0[..both]);
    first.then_with(|| {
        let one = one.0[both..].iter().chain(one.1);
        one.cmp(other.0[both..].iter().chain(other.1))
    })
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}

impl PartialEq for RecordId {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RecordId {}

impl PartialOrd for RecordId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RecordId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (
                Inner::Hashed { name, hash },
                Inner::Hashed {
                    name: other_name,
                    hash: other_hash,
                },
            ) if name == other_name => hash.cmp(other_hash),
            _ => {
                let (one, two) = (self.tail(), other.tail());
                cmp(self.parts(&one), other.parts(&two))
            }
        }
    }
}

impl Hash for RecordId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let tail = self.tail();
        // One text is divided in one way, however the ID was made.
        let (first, last) = match self.parts(&tail) {
            (text, []) => text.split_at(text.len().saturating_sub(TAIL)),
            parts => parts,
        };
        state.write(first);
        state.write(last);
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Whole(text) => f.write_str(text),
            Inner::Hashed { name, .. } => {
                f.write_str(name)?;
                f.write_str(str::from_utf8(&self.tail()).map_err(|_| fmt::Error)?)
            }
        }
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use proptest::prelude::*;

    use super::*;

    /// An ID and its text: made of a name and a hash, or of a text that may look like those.
    fn any_id() -> impl Strategy<Value = (RecordId, String)> {
        let name = prop_oneof![Just("a"), Just("b"), Just("a-"), Just("a-000000000000")];
        let byte = prop_oneof![Just(0_u8), Just(0xab)];
        let hash = prop::array::uniform6(byte).prop_filter("of few", |h| h[1..] == [h[1]; 5]);
        let made = (name, hash, any::<bool>()).prop_map(|(name, hash, is_whole)| {
            let hashed = RecordId::hashed(&ServiceName::new(name).unwrap(), hash);
            let text = hashed.to_string();
            let whole = RecordId::new(text.as_str()).unwrap();
            (if is_whole { whole } else { hashed }, text)
        });
        let other = "[ab-]{1,3}|[ab]-[0ab]{11,13}|é{1,9}";
        let other = other.prop_map(|text| (RecordId::new(text.as_str()).unwrap(), text));
        prop_oneof![made, other]
    }

    fn digest(id: &RecordId) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
    }

    proptest! {
        #[test]
        fn an_id_is_its_text(one in any_id(), other in any_id()) {
            let ((one, text), (other, other_text)) = (one, other);
            prop_assert_eq!(one.text(), text.as_str());
            prop_assert_eq!(format!("{one:?}"), format!("{text:?}"));
            prop_assert_eq!(one.cmp(&other), text.cmp(&other_text));
            prop_assert_eq!(one == other, text == other_text);
            prop_assert_eq!(one.cmp_text(&other_text), text.cmp(&other_text));
            if text == other_text {
                prop_assert_eq!(digest(&one), digest(&other));
            }
        }

        #[test]
        fn a_hash_is_found_where_one_is_and_nowhere_else(name in "[a-f0-9-]{1,3}", rest in "-?[0-9a-fA]{11,13}") {
            let text = format!("{name}{rest}");
            match RecordId::hash_in(&text, &name) {
                Some(hash) => {
                    let id = RecordId::hashed(&ServiceName::new(name).unwrap(), hash);
                    prop_assert_eq!(id.to_string(), text);
                }
                None => prop_assert!(rest.len() != TAIL || !rest.starts_with('-') || rest.contains('A')),
            }
        }
    }
}
