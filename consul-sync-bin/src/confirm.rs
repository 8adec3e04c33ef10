//! Asking a person, where there is one.

use std::io::{self, BufRead, IsTerminal, Write};

/// What a person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes, in full or by its first letter.
    Yes,
    /// Anything else.
    No,
    /// Nobody is there to ask: standard input is no terminal.
    Nobody,
}

/// Asks on the terminal; no answer is no.
///
/// # Errors
/// When the terminal cannot be read or written.
pub(crate) fn ask(question: &str) -> io::Result<Answer> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(Answer::Nobody);
    }
    ask_on(question, &mut input.lock(), &mut io::stderr())
}

fn ask_on(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Answer> {
    write!(output, "{question} [y/N] ")?;
    output.flush()?;
    let mut line = String::new();
    input.read_line(&mut line)?;
    let is_yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (text, answer) in [
            ("y\n", Answer::Yes),
            ("YES\n", Answer::Yes),
            (" yes ", Answer::Yes),
            ("\n", Answer::No),
            ("", Answer::No),
            ("yep\n", Answer::No),
            ("no\ny\n", Answer::No),
        ] {
            let mut output = Vec::new();
            assert_eq!(
                ask_on("Delete?", &mut text.as_bytes(), &mut output).unwrap(),
                answer,
                "{text:?}"
            );
            assert_eq!(output, b"Delete? [y/N] ");
        }
    }
}
