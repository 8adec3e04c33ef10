//! A digest that stays the same over versions, machines and restarts: names of objects are made of it.
//!
//! It is FNV-1a with the last mixing step of `SplitMix64`, so that every bit depends on every byte. It keeps apart what
//! differs by chance; what was chosen to collide is dealt with where the digest is used.

/// 64 bits of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    seeded(0xcbf2_9ce4_8422_2325, bytes)
}

/// 64 bits as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("{:016x}", hash(bytes))
}

/// 128 bits as text: fewer would be too few for what nobody can compare with its original.
pub(crate) fn hex128(bytes: &[u8]) -> String {
    format!(
        "{:016x}{:016x}",
        hash(bytes),
        seeded(0x9e37_79b9_7f4a_7c15, bytes)
    )
}

fn seeded(seed: u64, bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(seed, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (folded ^ (folded >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_text_never_changes() {
        // Were they to change, a new version would rename every slice.
        assert_eq!(hex(b""), "f52a15e9a9b5e89b");
        assert_eq!(hex(b"web"), "c850f03f92a375f3");
    }
}
