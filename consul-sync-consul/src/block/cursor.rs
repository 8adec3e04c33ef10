//! The index of one blocking query.

/// Where a blocking query stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    /// What the next query names; 0 before the first answer, which makes it return at once.
    index: u64,
    /// A lower index than before was seen; what is there now must be confirmed by a second read.
    suspect: Option<u64>,
}

/// What an answer's index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something may have changed.
    Moved,
    /// The same index: the answer is the one that is known.
    Same,
    /// The index went backwards: the answer is not authoritative until it is confirmed.
    Backwards {
        /// What was seen before.
        from: u64,
    },
}

// === impl Cursor ===

impl Cursor {
    /// What the next query names.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Takes an answer's index. After [`Step::Backwards`] the next answer with at least that index is taken.
    pub(crate) fn observe(&mut self, index: u64) -> Step {
        if index >= self.index {
            let step = if index == self.index {
                Step::Same
            } else {
                Step::Moved
            };
            self.index = index;
            self.suspect = None;
            return step;
        }
        if self.suspect.is_some_and(|suspect| index >= suspect) {
            self.index = index;
            self.suspect = None;
            return Step::Moved;
        }
        self.suspect = Some(index);
        Step::Backwards { from: self.index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c02_a_lower_index_is_taken_only_when_a_second_read_confirms_it() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.observe(50), Step::Moved);
        assert_eq!(cursor.observe(50), Step::Same);
        assert_eq!(cursor.observe(20), Step::Backwards { from: 50 });
        assert_eq!(cursor.index(), 50);
        assert_eq!(cursor.observe(10), Step::Backwards { from: 50 });
        assert_eq!(cursor.observe(12), Step::Moved);
        assert_eq!(cursor.index(), 12);
    }

    #[test]
    fn a_server_that_was_behind_for_one_answer_changes_nothing() {
        let mut cursor = Cursor::default();
        cursor.observe(50);
        assert_eq!(cursor.observe(20), Step::Backwards { from: 50 });
        assert_eq!(cursor.observe(51), Step::Moved);
        assert_eq!(cursor.observe(30), Step::Backwards { from: 51 });
    }
}
