//! Which names in the destination a namespace may claim.

use std::{fmt, str::FromStr};

/// What stands for the namespace itself in a pattern.
const NAMESPACE: &str = "{namespace}";
/// What stands for every namespace.
const ALL: &str = "*";

/// Rules that say which names in the destination the services of which namespaces may have (fault N08).
///
/// Without a rule every name is allowed. With rules, a name is allowed where one of them says so.
///
/// ```
/// use consul_sync_k8s::NameRules;
///
/// let rules: NameRules = ["shop=web", "*=*-{namespace}"].into_iter().map(str::parse).collect::<Result<_, _>>()?;
/// assert!(rules.allow("shop", "Web") && rules.allow("team-a", "web-team-a"));
/// assert!(!rules.allow("team-a", "web"));
/// # Ok::<(), consul_sync_k8s::InvalidNameRule>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameRules(Vec<NameRule>);

/// One rule, written `NAMESPACE=PATTERN`.
///
/// The namespace `*` stands for all of them. In the pattern `*` stands for any text, also for none, and
/// `{namespace}` for the namespace of the service. Case has no meaning, as it has none in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRule {
    namespace: String,
    pattern: String,
}

/// The error of reading a [`NameRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not NAMESPACE=PATTERN, such as shop=web-*")]
pub struct InvalidNameRule(String);

// === impl NameRules ===

impl NameRules {
    /// Whether services of a namespace may have a name.
    pub fn allow(&self, namespace: &str, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|rule| rule.allows(namespace, name))
    }
}

impl FromIterator<NameRule> for NameRules {
    fn from_iter<I: IntoIterator<Item = NameRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

// === impl NameRule ===

impl NameRule {
    fn allows(&self, namespace: &str, name: &str) -> bool {
        if self.namespace != ALL && self.namespace != namespace {
            return false;
        }
        let pattern = self.pattern.replace(NAMESPACE, namespace).to_lowercase();
        matches(&pattern, &name.to_lowercase())
    }
}

impl FromStr for NameRule {
    type Err = InvalidNameRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNameRule(text.to_owned());
        let (namespace, pattern) = text.split_once('=').ok_or_else(invalid)?;
        let (namespace, pattern) = (namespace.trim(), pattern.trim());
        if namespace.is_empty() || pattern.is_empty() {
            return Err(invalid());
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            pattern: pattern.to_owned(),
        })
    }
}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.namespace, self.pattern)
    }
}

/// Whether a text is of a pattern: the parts between its asterisks, in their order. Cost: O(pattern × text).
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once(ALL) else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once(ALL).unwrap_or(("", rest));
    for part in middle.split(ALL) {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(rules: &[&str]) -> NameRules {
        rules
            .iter()
            .map(|rule| rule.parse::<NameRule>().unwrap())
            .collect()
    }

    #[test]
    fn fault_n08_a_name_is_allowed_where_a_rule_says_so() {
        let rules = rules(&["shop=web", "shop=shop-*", "*=*-{namespace}", "ops = *"]);
        for (namespace, name, allowed) in [
            ("shop", "web", true),
            ("shop", "WEB", true),
            ("shop", "shop-", true),
            ("shop", "shop-api", true),
            ("shop", "api-shop", true),
            ("shop", "webs", false),
            ("shop", "myshop-api", false),
            ("evil", "web", false),
            ("evil", "shop-api", false),
            ("evil", "web-evil", true),
            ("evil", "web-evil-2", false),
            ("ops", "anything at all", true),
        ] {
            assert_eq!(rules.allow(namespace, name), allowed, "{namespace} {name}");
        }
        assert!(NameRules::default().allow("evil", "web"), "without rules");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["", "shop", "=web", "shop=", " = "] {
            let error = text.parse::<NameRule>().unwrap_err();
            assert!(error.to_string().contains("NAMESPACE=PATTERN"), "{error}");
        }
        let rule: NameRule = "shop=a=b".parse().unwrap();
        assert_eq!(rule.to_string(), "shop=a=b");
    }

    /// The same, by trying every length that an asterisk may stand for.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
            Some((c, rest)) => text
                .split_first()
                .is_some_and(|(t, text)| t == c && slow(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_its_parts_say(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
