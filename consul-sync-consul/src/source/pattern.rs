//! Patterns of service names.

use std::fmt;

use crate::{Error, registration::fold};

/// A pattern of service names: `*` stands for any run of characters, everything else for itself, in any case.
///
/// ```
/// use consul_sync_consul::NamePattern;
/// let pattern = NamePattern::new("web-*")?;
/// assert!(pattern.matches("Web-shop") && !pattern.matches("db"));
/// # Ok::<(), consul_sync_consul::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NamePattern(Box<str>);

// === impl NamePattern ===

impl NamePattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// [`Error::Settings`] for an empty one, which would match nothing.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self, Error> {
        let pattern = pattern.as_ref().trim();
        if pattern.is_empty() {
            return Err(Error::Settings(
                "a pattern of service names is empty; use * for all of them".into(),
            ));
        }
        Ok(Self(fold(pattern).into()))
    }

    /// Whether it fits a name.
    pub fn matches(&self, name: &str) -> bool {
        self.matches_folded(&fold(name))
    }

    pub(super) fn matches_folded(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// The one name that it fits, if it is one.
    pub(super) fn exact(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        NamePattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_star_is_any_run_of_characters_and_case_does_not_count() {
        for (pattern, name) in [
            ("web", "WEB"),
            ("*", "x"),
            ("web-*", "web-"),
            ("*-proxy", "web-sidecar-proxy"),
            ("a*b*c", "a-b-b-c"),
            ("a*", "a"),
            ("*a*", "bab"),
            ("ab*ba", "abba"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("web", "web2"),
            ("web-*", "web"),
            ("a*b*c", "a-c"),
            ("ab*ba", "aba"),
            ("a.c", "abc"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        assert!(NamePattern::new(" ").is_err());
    }

    proptest! {
        /// Against the definition, letter by letter.
        #[test]
        fn it_is_as_the_definition_says(pattern in "[ab*]{1,6}", name in "[ab]{0,6}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match pattern {
                    [] => name.is_empty(),
                    [b'*', rest @ ..] => (0..=name.len()).any(|at| slow(rest, &name[at..])),
                    [letter, rest @ ..] => name.first() == Some(letter) && slow(rest, &name[1..]),
                }
            }
            prop_assert_eq!(fits(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
