//! Label selectors, in the grammar of Kubernetes.

use std::{collections::BTreeMap, fmt, str::FromStr};

mod parse;

/// A label selector: all its requirements must hold. The empty one selects everything.
///
/// The grammar is that of `kubectl --selector`: `key`, `!key`, `key=value`, `key==value`, `key!=value`,
/// `key in (a,b)`, `key notin (a,b)`, `key>1`, `key<1`, joined by commas. As in Kubernetes, `!=` and `notin`
/// select objects that have no such label.
///
/// ```
/// use std::collections::BTreeMap;
/// use consul_sync_k8s::Selector;
///
/// let selector: Selector = "team in (a, b), !internal, tier!=test".parse()?;
/// let labels = BTreeMap::from([("team".to_owned(), "b".to_owned())]);
/// assert!(selector.matches(&labels));
/// let error = "team in (a".parse::<Selector>().unwrap_err();
/// assert_eq!(error.to_string(), "label selector \"team in (a\": expected , or ) at the end");
/// # Ok::<(), consul_sync_k8s::InvalidSelector>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// The error of reading a label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("label selector {input:?}: {problem}")]
pub struct InvalidSelector {
    input: String,
    problem: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

// === impl Selector ===

impl Selector {
    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels.get(&requirement.key)))
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        match parse::requirements(input) {
            Ok(requirements) => Ok(Self { requirements }),
            Err(problem) => Err(InvalidSelector {
                input: input.to_owned(),
                problem,
            }),
        }
    }
}

impl fmt::Display for Selector {
    /// A form that reads back to an equal selector.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

// === impl Requirement ===

impl Requirement {
    fn holds(&self, value: Option<&String>) -> bool {
        match &self.condition {
            Condition::Exists => value.is_some(),
            Condition::Missing => value.is_none(),
            Condition::In(values) => value.is_some_and(|value| values.contains(value)),
            Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Condition::Above(bound) => number(value).is_some_and(|value| value > *bound),
            Condition::Below(bound) => number(value).is_some_and(|value| value < *bound),
        }
    }
}

fn number(value: Option<&String>) -> Option<i64> {
    value?.parse().ok()
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.condition {
            Condition::Exists => f.write_str(key),
            Condition::Missing => write!(f, "!{key}"),
            Condition::In(values) => match values.as_slice() {
                [value] => write!(f, "{key}={value}"),
                values => write!(f, "{key} in ({})", values.join(",")),
            },
            Condition::NotIn(values) => match values.as_slice() {
                [value] => write!(f, "{key}!={value}"),
                values => write!(f, "{key} notin ({})", values.join(",")),
            },
            Condition::Above(bound) => write!(f, "{key}>{bound}"),
            Condition::Below(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

#[cfg(test)]
mod tests;
