//! The grammar of label selectors.

use super::{Condition, Requirement};

/// Reads all requirements of a selector.
pub(super) fn requirements(input: &str) -> Result<Vec<Requirement>, String> {
    let mut tokens = Tokens { rest: input };
    let mut found = Vec::new();
    if tokens.peek().is_none() {
        return Ok(found);
    }
    loop {
        found.push(requirement(&mut tokens)?);
        match tokens.next() {
            None => return Ok(found),
            Some(Token::Symbol(",")) => {}
            Some(other) => return Err(format!("expected , before {}", other.text())),
        }
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, String> {
    let missing = tokens.take("!");
    let key = match tokens.next() {
        Some(Token::Word(word)) => label_key(word)?,
        other => return Err(format!("expected a label key {}", before(other))),
    };
    if missing {
        return Ok(Requirement {
            key,
            condition: Condition::Missing,
        });
    }
    let condition = match tokens.peek() {
        None | Some(Token::Symbol(",")) => Condition::Exists,
        Some(Token::Symbol("=" | "==")) => {
            tokens.next();
            Condition::In(vec![value(tokens)?])
        }
        Some(Token::Symbol("!=")) => {
            tokens.next();
            Condition::NotIn(vec![value(tokens)?])
        }
        Some(Token::Symbol(">")) => {
            tokens.next();
            Condition::Above(number(tokens)?)
        }
        Some(Token::Symbol("<")) => {
            tokens.next();
            Condition::Below(number(tokens)?)
        }
        Some(Token::Word("in")) => {
            tokens.next();
            Condition::In(values(tokens)?)
        }
        Some(Token::Word("notin")) => {
            tokens.next();
            Condition::NotIn(values(tokens)?)
        }
        other => {
            return Err(format!(
                "expected one of = == != in notin > < , {}",
                before(other)
            ));
        }
    };
    Ok(Requirement { key, condition })
}

/// A value, which may be empty.
fn value(tokens: &mut Tokens<'_>) -> Result<String, String> {
    match tokens.peek() {
        Some(Token::Word(word)) => {
            tokens.next();
            label_value(word)
        }
        None | Some(Token::Symbol("," | ")")) => Ok(String::new()),
        other => Err(format!("expected a value {}", before(other))),
    }
}

/// `(a,b)`, sorted, each once.
fn values(tokens: &mut Tokens<'_>) -> Result<Vec<String>, String> {
    if !tokens.take("(") {
        return Err(format!("expected ( {}", before(tokens.peek())));
    }
    if tokens.take(")") {
        return Err("expected at least one value in ()".to_owned());
    }
    let mut found = Vec::new();
    loop {
        found.push(value(tokens)?);
        match tokens.next() {
            Some(Token::Symbol(",")) => {}
            Some(Token::Symbol(")")) => break,
            other => return Err(format!("expected , or ) {}", before(other))),
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn number(tokens: &mut Tokens<'_>) -> Result<i64, String> {
    let word = value(tokens)?;
    word.parse()
        .map_err(|_| format!("{word:?} is not a number"))
}

/// A qualified name: an optional DNS prefix and a slash, then at most 63 characters.
fn label_key(word: &str) -> Result<String, String> {
    let (prefix, name) = match word.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, word),
    };
    let good_prefix = prefix.is_none_or(|prefix| {
        (1..=253).contains(&prefix.len())
            && prefix.split('.').all(|part| {
                !part.is_empty()
                    && !part.starts_with('-')
                    && !part.ends_with('-')
                    && part.bytes().all(|byte| {
                        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
                    })
            })
    });
    if good_prefix && !name.is_empty() && is_label_text(name) {
        Ok(word.to_owned())
    } else {
        Err(format!("{word:?} is not a label key"))
    }
}

fn label_value(word: &str) -> Result<String, String> {
    if is_label_text(word) {
        Ok(word.to_owned())
    } else {
        Err(format!("{word:?} is not a label value"))
    }
}

/// Empty, or at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= 63 && bytes.iter().all(inner) && outer(bytes.first()) && outer(bytes.last())
}

#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Symbol(&'a str),
    Word(&'a str),
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Symbol(text) | Self::Word(text) => text,
        }
    }
}

fn before(token: Option<Token<'_>>) -> String {
    match token {
        Some(token) => format!("before {:?}", token.text()),
        None => "at the end".to_owned(),
    }
}

/// Longest first, so that `==` is not read as `=` twice.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return None;
        }
        for symbol in SYMBOLS {
            if let Some(rest) = self.rest.strip_prefix(symbol) {
                self.rest = rest;
                return Some(Token::Symbol(symbol));
            }
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || "=!(),><".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Token::Word(word))
    }

    fn peek(&self) -> Option<Token<'a>> {
        Tokens { rest: self.rest }.next()
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(text)) if text == symbol);
        if found {
            self.next();
        }
        found
    }
}
