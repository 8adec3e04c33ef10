//! JSON that is not what a reader expects.

use std::ops::Range;

use proptest::{collection::vec, prelude::*, sample};

/// What values and names are replaced by.
const REPLACEMENTS: [&str; 20] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "65536",
    "99999999999999999999999999",
    "-9223372036854775809",
    "1e400",
    "\"\"",
    "\" \"",
    "\"NaN\"",
    "\"a\\u0000b\\n\\u001b[31m\"",
    "\"\\ud83d\\ude00 \u{e9}\u{3a3} ../.. %2e %s {}\"",
    "\"\\ud800\"",
    "[]",
    "[null]",
    "[[[[[[[[1]]]]]]]]",
    "{}",
    "{\"a\": {\"a\": null}}",
];

/// How long the longest replacement is, in characters.
const LONG: usize = 70_000;

/// The text with up to four of its strings, numbers and words replaced by something else, mostly still JSON, and
/// sometimes cut off.
///
/// ```
/// use consul_sync_core::testing::any_damage;
/// use proptest::{strategy::{Strategy, ValueTree}, test_runner::TestRunner};
/// let damaged = any_damage("{\"port\": 80}").new_tree(&mut TestRunner::deterministic()).unwrap();
/// println!("{}", damaged.current());
/// ```
pub fn any_damage(text: &str) -> impl Strategy<Value = String> + use<> {
    let text = text.to_owned();
    let tokens = tokens(&text);
    let replacement = (any::<sample::Index>(), 0..=REPLACEMENTS.len());
    let cut = prop::option::weighted(0.1, any::<sample::Index>());
    (vec(replacement, 0..=4), cut).prop_map(move |(replacements, cut)| {
        let mut chosen: Vec<(Range<usize>, usize)> = replacements
            .into_iter()
            .filter_map(|(at, by)| Some((tokens.get(at.index(tokens.len().max(1)))?.clone(), by)))
            .collect();
        // From the back, so that the places before stay what they are.
        chosen.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        chosen.dedup_by(|(a, _), (b, _)| a.start == b.start);
        let mut damaged = text.clone();
        for (range, by) in chosen {
            match REPLACEMENTS.get(by) {
                Some(replacement) => damaged.replace_range(range, replacement),
                None => damaged.replace_range(range, &format!("\"{}\"", "x".repeat(LONG))),
            }
        }
        if let Some(cut) = cut {
            let ends: Vec<usize> = damaged
                .char_indices()
                .map(|(at, _)| at)
                .take(4096)
                .collect();
            if let Some(at) = ends.get(cut.index(ends.len().max(1))) {
                damaged.truncate(*at);
            }
        }
        damaged
    })
}

/// Where the strings, numbers and words of a JSON text stand.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c == '"' {
            let mut is_escaped = false;
            for (at, c) in chars.by_ref() {
                match c {
                    '"' if !is_escaped => {
                        found.push(start..at + 1);
                        break;
                    }
                    _ => is_escaped = c == '\\' && !is_escaped,
                }
            }
        } else if c.is_ascii_alphanumeric() || c == '-' {
            let mut end = start + 1;
            while let Some((at, _)) =
                chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-'))
            {
                end = at + 1;
            }
            found.push(start..end);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_name_can_be_damaged() {
        let text = r#"{"a\"b": [1, -2.5e+3, true], "c": null}"#;
        let found: Vec<&str> = tokens(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(
            found,
            [r#""a\"b""#, "1", "-2.5e+3", "true", "\"c\"", "null"]
        );
    }
}
