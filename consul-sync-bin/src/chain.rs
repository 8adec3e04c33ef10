//! An error with its causes in one line.

use std::{error::Error, fmt};

/// Shows an error, then each cause that its effect's text does not already hold: some libraries repeat
/// theirs, and a line that says everything twice is read by nobody.
#[derive(Debug)]
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = one_line(self.0);
        f.write_str(&shown)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = one_line(error);
            if !text.is_empty() && !shown.contains(&text) {
                write!(f, ": {text}")?;
                shown = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

fn one_line(error: &dyn Error) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use consul_sync_core::{AdapterError, ErrorKind};

    use super::*;

    fn error(message: &str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> AdapterError {
        AdapterError::new(ErrorKind::Unavailable, message).because(cause)
    }

    #[test]
    fn causes_follow_their_effect() {
        let error = error("cannot list services", "connection refused");
        assert_eq!(
            Chain(&error).to_string(),
            "cannot list services: connection refused"
        );
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let error = error("outer: inner", error("inner", "deep"));
        assert_eq!(Chain(&error).to_string(), "outer: inner: deep");
    }

    #[test]
    fn line_breaks_are_folded() {
        assert_eq!(Chain(&error("a\n  b", "c\nd")).to_string(), "a b: c d");
    }
}
