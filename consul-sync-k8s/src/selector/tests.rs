use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Selector;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn labels(pairs: Pairs<'_>) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Selector, labels, whether they are selected.
#[test]
fn every_form_of_the_grammar_selects_as_in_kubernetes() {
    let rows: &[(&str, Pairs<'_>, bool)] = &[
        ("", &[], true),
        ("  ", &[("a", "1")], true),
        ("a", &[("a", "")], true),
        ("a", &[], false),
        ("!a", &[], true),
        ("! a", &[("a", "1")], false),
        ("a=1", &[("a", "1")], true),
        ("a = 1", &[("a", "2")], false),
        ("a==1", &[("a", "1")], true),
        ("a=", &[("a", "")], true),
        ("a=,b", &[("a", ""), ("b", "x")], true),
        ("a=", &[], false),
        ("a!=1", &[("a", "1")], false),
        ("a!=1", &[("a", "2")], true),
        ("a!=1", &[], true),
        ("a in (1,2)", &[("a", "2")], true),
        ("a in (1, 2)", &[("a", "3")], false),
        ("a in (1)", &[], false),
        ("a in (,1)", &[("a", "")], true),
        ("a in (,)", &[("a", "")], true),
        ("a notin (1,2)", &[("a", "2")], false),
        ("a notin (1,2)", &[("a", "3")], true),
        ("a notin(1,2)", &[], true),
        ("a>5", &[("a", "6")], true),
        ("a > 5", &[("a", "5")], false),
        ("a<5", &[("a", "4")], true),
        ("a<5", &[("a", "x")], false),
        ("a<5", &[], false),
        ("a=1,b!=2,!c", &[("a", "1"), ("b", "3")], true),
        ("a=1,b!=2,!c", &[("a", "1"), ("c", "")], false),
        ("in in (in)", &[("in", "in")], true),
        ("notin", &[("notin", "x")], true),
        (
            "app.kubernetes.io/name=web",
            &[("app.kubernetes.io/name", "web")],
            true,
        ),
    ];
    for (text, pairs, selected) in rows {
        let selector: Selector = text.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            selector.matches(&labels(pairs)),
            *selected,
            "{text:?} on {pairs:?}"
        );
    }
}

#[test]
fn what_is_no_selector_is_refused_by_naming_the_input() {
    let long = "x".repeat(64);
    let rows = [
        "=",
        "a=b c",
        "a in",
        "a in (",
        "a in (1",
        "a in ()",
        "a in 1",
        "a,",
        ",a",
        "a,,b",
        "a=(1)",
        "!",
        "!!a",
        "a b",
        "a=b=c",
        "a>x",
        "a>",
        "a/b/c",
        "/a",
        "-a",
        "a-",
        "a=-b",
        "a=b-",
        "A.b/c",
        "é",
        "a=é",
        "!a=1",
        ")",
        "a=1)",
        long.as_str(),
    ];
    for text in rows {
        let error = text.parse::<Selector>().expect_err(text).to_string();
        assert!(
            error.starts_with(&format!("label selector {text:?}: ")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_prints_to_itself(text in "[ab1/!=<>(), .\\-]{0,12}|\\PC{0,20}") {
        if let Ok(selector) = text.parse::<Selector>() {
            let printed = selector.to_string();
            prop_assert_eq!(printed.parse::<Selector>().unwrap(), selector, "{} printed as {}", text, printed);
        }
    }
}
