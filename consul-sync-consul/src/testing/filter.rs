//! The part of the filter language (go-bexpr) that clients of the catalog use: `==`, `!=`, `in`, `not in`, `contains`,
//! `not contains`, `is empty`, `is not empty`, joined by `and`, `or`, `not` and parentheses.

use serde_json::Value;

mod parse;
mod schema;

pub(super) use schema::Shape;

use parse::parse;

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

impl Filter {
    /// Reads an expression about objects of `shape`, or says what is wrong with it.
    pub(super) fn new(text: &str, shape: Shape) -> Result<Self, String> {
        let filter = parse(text)?;
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
                parse(text).map(|filter| filter.matches(&value)),
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
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
