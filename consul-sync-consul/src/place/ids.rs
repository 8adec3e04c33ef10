//! Service IDs. They are the incumbent's, so that a take-over rewrites instances in place.

use consul_sync_core::RecordId;
use sha1::{Digest, Sha1};

/// How many bytes of the hash an ID shows.
const SHOWN: usize = 6;

/// `<name>-<first 12 hex of sha1("<name>-<address>")>`.
pub(super) fn plain(name: &str, address: &str) -> Option<RecordId> {
    id(name, &[name, "-", address])
}

/// The form of a second instance with the same name and address: the port stands in the hash's input, too.
pub(super) fn with_port(name: &str, address: &str, port: u16) -> Option<RecordId> {
    id(name, &[name, "-", address, "-", &port.to_string()])
}

/// The part of an ID that is not the name. Consul folds the case of IDs; names that stand in one slot differ in
/// nothing else, so two IDs of a slot are one to Consul exactly where this is equal. IDs of two slots never are:
/// this part has a fixed length, and the names before it differ when they are folded.
pub(super) fn hash(id: &RecordId) -> &[u8] {
    let text = id.as_str().as_bytes();
    text.get(text.len().saturating_sub(2 * SHOWN)..)
        .unwrap_or(text)
}

fn id(name: &str, input: &[&str]) -> Option<RecordId> {
    let mut hash = Sha1::new();
    for part in input {
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut text = String::with_capacity(name.len() + 1 + 2 * SHOWN);
    text.push_str(name);
    text.push('-');
    for byte in digest.iter().take(SHOWN) {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    // A name that passed `rules::check` always gives an ID.
    RecordId::new(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_incumbent_for_ever() {
        // First 12 hex digits of `printf 'web-10.0.0.1' | sha1sum` and the like.
        for (name, address, want) in [
            ("web", "10.0.0.1", "web-b9fe4d6d03e0"),
            ("web", "fd00::1", "web-539688dab710"),
            ("Web App", "lb.example.com", "Web App-4b8eda7d88be"),
        ] {
            assert_eq!(plain(name, address).unwrap().as_str(), want);
        }
        let second = with_port("web", "10.0.0.1", 81).unwrap();
        assert_eq!(second.as_str(), "web-ba89c59bc48e");
    }
}
