//! Reads expressions.

use std::iter::Peekable;
use std::str::Chars;

use super::{Filter, Test};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Mark(&'static str),
}

/// Reads an expression, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let mut tokens = tokens(text)?;
    tokens.reverse();
    let mut parser = Parser { tokens };
    let filter = parser.either()?;
    match parser.tokens.pop() {
        None => Ok(filter),
        Some(token) => Err(format!(
            "Failed to create boolean expression evaluator: unexpected {token:?}"
        )),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(&next) = chars.peek() {
        let token = match next {
            ' ' | '\t' | '\r' | '\n' => {
                chars.next();
                continue;
            }
            '"' | '`' => Token::Quoted(quoted(&mut chars)?),
            '(' | ')' | '[' | ']' | '.' | '=' | '!' => Token::Mark(mark(&mut chars)?),
            _ => Token::Word(word(&mut chars)?),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let quote = chars.next();
    let mut text = String::new();
    loop {
        match chars.next() {
            None => {
                return Err(
                    "Failed to create boolean expression evaluator: unterminated string".to_owned(),
                );
            }
            Some('\\') if quote == Some('"') => text.extend(chars.next()),
            end if end == quote => return Ok(text),
            Some(other) => text.push(other),
        }
    }
}

fn mark(chars: &mut Peekable<Chars<'_>>) -> Result<&'static str, String> {
    let first = chars.next();
    let doubled = matches!(first, Some('=' | '!')) && chars.next_if_eq(&'=').is_some();
    Ok(match (first, doubled) {
        (Some('('), _) => "(",
        (Some(')'), _) => ")",
        (Some('['), _) => "[",
        (Some(']'), _) => "]",
        (Some('.'), _) => ".",
        (Some('='), true) => "==",
        (Some('!'), true) => "!=",
        _ => {
            return Err(
                "Failed to create boolean expression evaluator: unknown operator".to_owned(),
            );
        }
    })
}

fn word(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(next) =
        chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':'))
    {
        text.push(next);
    }
    match chars.peek() {
        Some(other) if text.is_empty() => Err(format!(
            "Failed to create boolean expression evaluator: unexpected {other:?}"
        )),
        _ => Ok(text),
    }
}

/// Tokens in reverse order.
struct Parser {
    tokens: Vec<Token>,
}

impl Parser {
    fn either(&mut self) -> Result<Filter, String> {
        let left = self.both()?;
        if self.keyword("or") {
            Ok(Filter::Or(Box::new(left), Box::new(self.either()?)))
        } else {
            Ok(left)
        }
    }

    fn both(&mut self) -> Result<Filter, String> {
        let left = self.one()?;
        if self.keyword("and") {
            Ok(Filter::And(Box::new(left), Box::new(self.both()?)))
        } else {
            Ok(left)
        }
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.keyword("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.mark("(") {
            let inner = self.either()?;
            return if self.mark(")") {
                Ok(inner)
            } else {
                Err(self.unexpected())
            };
        }
        if let Some(Token::Quoted(value)) = self.tokens.last().cloned() {
            self.tokens.pop();
            let negated = self.keyword("not");
            return if self.keyword("in") {
                Ok(Filter::Match(
                    self.selector()?,
                    Test::Contains(value, negated),
                ))
            } else {
                Err(self.unexpected())
            };
        }
        let selector = self.selector()?;
        let test = self.test(&selector)?;
        Ok(match test {
            Ok(test) => Filter::Match(selector, test),
            Err(reversed) => reversed,
        })
    }

    /// The test behind a selector; `Err` inside is a whole match, for a bare word that turned out to be a value.
    fn test(&mut self, selector: &[String]) -> Result<Result<Test, Filter>, String> {
        if self.mark("==") {
            return Ok(Ok(Test::Equals(self.value()?, false)));
        }
        if self.mark("!=") {
            return Ok(Ok(Test::Equals(self.value()?, true)));
        }
        if self.keyword("is") {
            let negated = self.keyword("not");
            return if self.keyword("empty") {
                Ok(Ok(Test::Empty(negated)))
            } else {
                Err(self.unexpected())
            };
        }
        let negated = self.keyword("not");
        if self.keyword("contains") {
            return Ok(Ok(Test::Contains(self.value()?, negated)));
        }
        if self.keyword("in") {
            return Ok(Err(Filter::Match(
                self.selector()?,
                Test::Contains(selector.join("."), negated),
            )));
        }
        Err(self.unexpected())
    }

    fn selector(&mut self) -> Result<Vec<String>, String> {
        let mut path = vec![self.word()?];
        loop {
            if self.mark(".") {
                path.push(self.word()?);
            } else if self.mark("[") {
                path.push(self.value()?);
                if !self.mark("]") {
                    return Err(self.unexpected());
                }
            } else {
                return Ok(path);
            }
        }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.tokens.pop() {
            Some(Token::Word(word)) => Ok(word),
            other => {
                self.tokens.extend(other);
                Err(self.unexpected())
            }
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.tokens.pop() {
            Some(Token::Word(value) | Token::Quoted(value)) => Ok(value),
            other => {
                self.tokens.extend(other);
                Err(self.unexpected())
            }
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.skip(|token| matches!(token, Token::Word(own) if own == word))
    }

    fn mark(&mut self, mark: &str) -> bool {
        self.skip(|token| matches!(token, Token::Mark(own) if *own == mark))
    }

    fn skip(&mut self, wanted: impl Fn(&Token) -> bool) -> bool {
        let found = self.tokens.last().is_some_and(wanted);
        if found {
            self.tokens.pop();
        }
        found
    }

    fn unexpected(&self) -> String {
        match self.tokens.last() {
            None => "Failed to create boolean expression evaluator: unexpected end".to_owned(),
            Some(token) => {
                format!("Failed to create boolean expression evaluator: unexpected {token:?}")
            }
        }
    }
}
