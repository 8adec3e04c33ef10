//! Text in columns.

use std::fmt;

/// Rows of cells, each column as wide as its widest cell.
///
/// ```text
/// SERVICE  INSTANCE
/// cart     10.0.0.1:80
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: usize = 2;

impl Table {
    /// A table with these headings and nothing under them.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()],
        }
    }

    /// Adds a row. It may be shorter than others.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The lines, without spaces at their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let widths = self.widths();
        self.rows.iter().map(move |row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - columns(cell) + GAP));
            }
            line.truncate(line.trim_end().len());
            line
        })
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = columns(cell).max(*width);
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.lines().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line)?;
        }
        Ok(())
    }
}

/// Characters, which are columns for all that is shown here.
fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> String {
        let mut table = Table::new(rows[0]);
        for row in &rows[1..] {
            table.push(row.iter().map(|&cell| cell.to_owned()));
        }
        table.to_string()
    }

    #[test]
    fn every_column_is_as_wide_as_its_widest_cell() {
        assert_eq!(
            table(&[&["A", "BB", "C"], &["long", "b", "c"], &["x", "longer", ""]]),
            "A     BB      C\nlong  b       c\nx     longer"
        );
    }

    #[test]
    fn width_is_counted_in_characters() {
        assert_eq!(table(&[&["é", "b"], &["ab", "c"]]), "é   b\nab  c");
    }

    #[test]
    fn a_row_may_have_fewer_or_more_cells_than_the_headings() {
        assert_eq!(
            table(&[&["A", "B"], &["a"], &["a", "b", "c"]]),
            "A  B\na\na  b  c"
        );
    }
}
