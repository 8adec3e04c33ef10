//! The relist bracket of one table: what was listed, and whether what is known is complete.

/// Where one table stands between incomplete and complete.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    generation: u32,
    open: bool,
    listed: bool,
    complete: bool,
}

impl Listing {
    /// A complete listing begins: until it ends, what is known is not complete.
    pub(crate) fn start(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.open = true;
        self.complete = false;
    }

    /// The listing ended. Returns false when none had begun: then nothing may be concluded from it.
    pub(crate) fn finish(&mut self) -> bool {
        if !self.open {
            return false;
        }
        self.open = false;
        self.listed = true;
        self.complete = true;
        true
    }

    /// What was known may no longer be complete; only a new listing mends that.
    pub(crate) fn weaken(&mut self) {
        self.complete = false;
    }

    /// The mark for entries seen now.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether a listing is under way.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether a complete listing was ever seen.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Whether what is known now is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_done_without_a_start_proves_nothing() {
        let mut listing = Listing::default();
        assert!(!listing.finish());
        assert!(!listing.is_complete());
    }

    #[test]
    fn a_weakened_table_is_complete_again_only_after_a_new_listing() {
        let mut listing = Listing::default();
        listing.start();
        assert!(listing.finish());
        listing.weaken();
        assert!(!listing.finish(), "the old listing is spent");
        assert!(!listing.is_complete());
        listing.start();
        assert!(!listing.is_complete(), "not before it ends");
        assert!(listing.finish());
        assert!(listing.is_complete());
    }
}
