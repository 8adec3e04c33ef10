//! The part of the filter language (go-bexpr) that clients of the catalog use: `==`, `!=`, `in`, `not in`, `contains`,
//! `not contains`, `is empty`, `is not empty`, joined by `and`, `or`, `not` and parentheses.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

mod schema;

pub(super) use schema::Shape;

/// A parsed expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Match(Vec<String>, Test),
}

/// What is asked of the selected value; the flag negates.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equals(String, bool),
    Contains(String, bool),
    Empty(bool),
}

// ---- evaluation -------------------------------------------------------------------------------------------------------

impl Filter {
    /// Whether `value`, an object as it is printed, passes.
    pub(super) fn matches(&self, value: &Value) -> bool {
        match self {
            Self::And(left, right) => left.matches(value) && right.matches(value),
            Self::Or(left, right) => left.matches(value) || right.matches(value),
            Self::Not(inner) => !inner.matches(value),
            Self::Match(selector, test) => select(value, selector, test),
        }
    }
}

/// Lists on the way match when any element does; a key that a table lacks equals nothing and is empty.
fn select(value: &Value, selector: &[String], test: &Test) -> bool {
    let Some((name, rest)) = selector.split_first() else {
        return test.holds(value);
    };
    match value {
        Value::Array(items) => items.iter().any(|item| select(item, selector, test)),
        Value::Object(fields) => match (fields.get(name), name.as_str()) {
            (Some(found), _) => select(found, rest, test),
            // These are left out of the printed object when they are zero.
            (None, "Port") => select(&Value::from(0), rest, test),
            (None, "Kind" | "SocketPath" | "PeerName" | "Partition") => {
                select(&Value::Null, rest, test)
            }
            (None, _) => test.of_missing(),
        },
        _ => test.of_missing(),
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted, negated) => (text(value) == *wanted) != *negated,
            Self::Contains(wanted, negated) => contains(value, wanted) != *negated,
            Self::Empty(negated) => is_empty(value) != *negated,
        }
    }

    fn of_missing(&self) -> bool {
        match self {
            Self::Equals(_, negated) | Self::Contains(_, negated) => *negated,
            Self::Empty(negated) => !negated,
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn contains(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| text(item) == wanted),
        Value::Object(fields) => fields.contains_key(wanted),
        Value::String(whole) => whole.contains(wanted),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

// ---- parsing ----------------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Mark(&'static str),
}

impl Filter {
    /// Reads an expression about objects of `shape`, or says what is wrong with it.
    pub(super) fn new(text: &str, shape: Shape) -> Result<Self, String> {
        let filter = Self::parse(text)?;
        filter.check(shape)?;
        Ok(filter)
    }

    fn check(&self, shape: Shape) -> Result<(), String> {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.check(shape).and_then(|()| right.check(shape))
            }
            Self::Not(inner) => inner.check(shape),
            Self::Match(selector, test) => schema::check(shape, selector, test),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_select_what_go_bexpr_selects() {
        let value = json!({
            "Service": "web", "Port": 80, "Tags": ["k8s", "a b"], "Meta": {"external-source": "kubernetes", "k": ""},
            "Checks": [{"Status": "passing"}, {"Status": "critical"}],
        });
        let table = [
            (r#"Service == "web""#, true),
            ("Service == web", true),
            (r#"Service != "web""#, false),
            ("Port == 80", true),
            (r#"Meta["external-source"] == "kubernetes""#, true),
            (
                r#"Meta["external-source"] == "kubernetes" and Service == "db""#,
                false,
            ),
            (
                r#"Meta["external-source"] == "kubernetes" and not Service == "db""#,
                true,
            ),
            (r#"Meta.absent == """#, false),
            (r#"Meta.absent != "x""#, true),
            (r#"Meta["k"] is empty"#, true),
            ("Meta.absent is empty", true),
            (r#""k8s" in Tags"#, true),
            ("k8s in Tags", true),
            (r#""db" not in Tags"#, true),
            (r#"Tags contains "a b""#, true),
            (r#"Checks.Status == "critical""#, true),
            (r#"Checks.Status == "warning""#, false),
            (
                r#"(Service == "db" or Port == 80) and Tags is not empty"#,
                true,
            ),
            (r#""external-source" in Meta"#, true),
        ];
        for (text, expected) in table {
            assert_eq!(
                Filter::parse(text).map(|filter| filter.matches(&value)),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_broken_expression_is_refused() {
        for text in [
            "",
            "Service",
            "Service ==",
            r#"Service == "web"#,
            "(Service == web",
            "Service == web web",
            "== web",
            "Service = web",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
