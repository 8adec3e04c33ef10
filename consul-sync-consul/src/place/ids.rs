//! Service IDs. They are the incumbent's, so that a take-over rewrites instances in place.

use sha1::{Digest, Sha1};

/// The part of an ID that is not the name: what it shows of the hash. Consul folds the case of IDs; names that stand in
/// one slot differ in nothing else, so two IDs of a slot are one to Consul exactly where this is equal. IDs of two slots
/// never are: this part has a fixed length, and the names before it differ when they are folded.
pub(super) type Hash = [u8; 6];

/// The hash of `<name>-<first 12 hex of sha1("<name>-<address>")>`.
pub(super) fn plain(name: &str, address: &str) -> Hash {
    hash(&[name, "-", address])
}

/// The form of a second instance with the same name and address: the port stands in the hash's input, too.
pub(super) fn with_port(name: &str, address: &str, port: u16) -> Hash {
    hash(&[name, "-", address, "-", &port.to_string()])
}

fn hash(input: &[&str]) -> Hash {
    let mut hash = Sha1::new();
    for part in input {
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut shown = Hash::default();
    for (shown, byte) in shown.iter_mut().zip(digest) {
        *shown = byte;
    }
    shown
}

#[cfg(test)]
mod tests {
    use consul_sync_core::{RecordId, ServiceName};

    use super::*;

    fn id(name: &str, hash: Hash) -> String {
        RecordId::hashed(&ServiceName::new(name).unwrap(), hash).to_string()
    }

    #[test]
    fn ids_are_those_of_the_incumbent_for_ever() {
        // First 12 hex digits of `printf 'web-10.0.0.1' | sha1sum` and the like.
        for (name, address, want) in [
            ("web", "10.0.0.1", "web-b9fe4d6d03e0"),
            ("web", "fd00::1", "web-539688dab710"),
            ("Web App", "lb.example.com", "Web App-4b8eda7d88be"),
        ] {
            assert_eq!(id(name, plain(name, address)), want);
        }
        let second = with_port("web", "10.0.0.1", 81);
        assert_eq!(id("web", second), "web-ba89c59bc48e");
    }
}
