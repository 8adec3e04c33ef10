//! Label and field selectors, as far as clients of this project write them.

use serde_json::Value;

use super::status::Failure;

/// A conjunction of requirements on an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`, for a kind whose objects live in namespaces or do not.
    pub(super) fn parse(labels: &str, fields: &str, namespaced: bool) -> Result<Self, Failure> {
        // A comma at the end promises another label, but no other field.
        let parts = if labels.trim().is_empty() {
            Vec::new()
        } else {
            split(labels)
        };
        let labels = parts
            .into_iter()
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields: Vec<_> = split(fields)
            .into_iter()
            .filter(|part| !part.trim().is_empty())
            .map(requirement)
            .collect::<Result<_, _>>()?;
        for field in &fields {
            match field {
                Requirement::In(key, _) | Requirement::NotIn(key, _)
                    if key == "metadata.name" || (namespaced && key == "metadata.namespace") => {}
                Requirement::In(key, _)
                | Requirement::NotIn(key, _)
                | Requirement::Exists(key)
                | Requirement::Absent(key) => {
                    return Err(Failure::bad_request(format!(
                        "field label not supported: {key}"
                    )));
                }
            }
        }
        Ok(Self { labels, fields })
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether it selects this object.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let metadata = object.get("metadata");
        let label = |key: &str| metadata?.get("labels")?.get(key)?.as_str();
        let field = |key: &str| {
            let part = key.strip_prefix("metadata.")?;
            Some(metadata?.get(part)?.as_str().unwrap_or_default())
        };
        self.labels
            .iter()
            .all(|requirement| requirement.holds(label))
            && self
                .fields
                .iter()
                .all(|requirement| requirement.holds(field))
    }
}

impl Requirement {
    fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Exists(key) => value(key).is_some(),
            Self::Absent(key) => value(key).is_none(),
            Self::In(key, values) => {
                value(key).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Self::NotIn(key, values) => {
                value(key).is_none_or(|value| values.iter().all(|wanted| wanted != value))
            }
        }
    }
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(text: &str) -> Result<Requirement, Failure> {
    let text = text.trim();
    let set = |values: &str| -> Vec<String> {
        values
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect()
    };
    let parsed = if let Some((key, values)) = text.split_once(" notin ") {
        Requirement::NotIn(key.trim().to_owned(), set(values))
    } else if let Some((key, values)) = text.split_once(" in ") {
        Requirement::In(key.trim().to_owned(), set(values))
    } else if let Some((key, value)) = text.split_once("!=") {
        Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()])
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Requirement::In(key.trim().to_owned(), vec![value.trim().to_owned()])
    } else if let Some(key) = text.strip_prefix('!') {
        Requirement::Absent(key.trim().to_owned())
    } else {
        Requirement::Exists(text.to_owned())
    };
    match &parsed {
        Requirement::Exists(key)
        | Requirement::Absent(key)
        | Requirement::In(key, _)
        | Requirement::NotIn(key, _)
            if key.is_empty() || key.contains(char::is_whitespace) =>
        {
            Err(Failure::bad_request(format!(
                "unable to parse requirement: {text:?}"
            )))
        }
        _ => Ok(parsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_have_every_operator_of_kubernetes() {
        let object = serde_json::json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        let matches = |text: &str| Selector::parse(text, "", true).unwrap().matches(&object);
        for yes in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "!zone",
            "zone!=a",
            "app in (db, web)",
            "app notin (db),tier",
            "zone notin (a)",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in [
            "zone",
            "app=db",
            "app!=web",
            "!app",
            "app in (db)",
            "app notin (web,db)",
            "app,zone",
        ] {
            assert!(!matches(no), "{no}");
        }
        assert!(Selector::parse("a b", "", true).is_err());
        assert!(Selector::parse("app=web,", "", true).is_err());
    }

    #[test]
    fn field_selectors_know_name_and_namespace_alone() {
        let object = serde_json::json!({"metadata": {"name": "web", "namespace": "a"}});
        assert!(
            Selector::parse("", "metadata.name=web,metadata.namespace!=b", true)
                .unwrap()
                .matches(&object)
        );
        assert!(
            !Selector::parse("", "metadata.name=db", true)
                .unwrap()
                .matches(&object)
        );
        assert!(Selector::parse("", "spec.type=ClusterIP", true).is_err());
        assert!(Selector::parse("", "metadata.namespace=a", false).is_err());
    }
}
