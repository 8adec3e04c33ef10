use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Annotations, PREFIX, PortChoice, parse_bool, parse_int, parse_tags};

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(format!("{PREFIX}{name}"), value.to_owned())])
}

#[test]
fn service_sync_takes_the_forms_of_go_and_no_others() {
    for text in ["1", "t", "T", "true", "TRUE", "True"] {
        assert_eq!(parse_bool(text), Some(true), "{text}");
    }
    for text in ["0", "f", "F", "false", "FALSE", "False"] {
        assert_eq!(parse_bool(text), Some(false), "{text}");
    }
    for text in ["", "yes", "tRUE", " true", "true ", "on", "2", "t\n"] {
        assert_eq!(parse_bool(text), None, "{text:?}");
    }
}

#[test]
fn tags_are_split_at_commas_without_a_backslash_and_trimmed() {
    let rows: &[(&str, &[&str])] = &[
        ("", &[]),
        (",", &[]),
        (" , ,", &[]),
        ("a", &["a"]),
        ("a,b", &["a", "b"]),
        (" a , b ", &["a", "b"]),
        ("a,,b", &["a", "b"]),
        ("a\\,b,c", &["a,b", "c"]),
        ("a\\,\\,b", &["a,,b"]),
        ("\\,", &[","]),
        ("a\\\\,b", &["a\\,b"]),
        ("a\\b", &["a\\b"]),
        ("é,ü\\,", &["é", "ü,"]),
    ];
    for (text, tags) in rows {
        assert_eq!(parse_tags(text), *tags, "{text:?}");
    }
}

#[test]
fn a_port_is_a_number_in_the_forms_of_go_else_a_name() {
    let rows: &[(&str, Option<PortChoice<'_>>)] = &[
        ("8080", Some(PortChoice::Number(8080))),
        (" 8080 ", Some(PortChoice::Number(8080))),
        ("+80", Some(PortChoice::Number(80))),
        ("-80", Some(PortChoice::Number(-80))),
        ("0x1F", Some(PortChoice::Number(31))),
        ("0b11", Some(PortChoice::Number(3))),
        ("0o17", Some(PortChoice::Number(15))),
        ("017", Some(PortChoice::Number(15))),
        ("0x_ff_ff", Some(PortChoice::Number(65_535))),
        ("0", Some(PortChoice::Number(0))),
        ("http", Some(PortChoice::Name("http"))),
        ("8080/tcp", Some(PortChoice::Name("8080/tcp"))),
        ("1_000", Some(PortChoice::Name("1_000"))),
        ("0x", Some(PortChoice::Name("0x"))),
        ("+-1", Some(PortChoice::Name("+-1"))),
        (
            "99999999999999999999",
            Some(PortChoice::Name("99999999999999999999")),
        ),
        ("", None),
        ("  ", None),
    ];
    for (text, port) in rows {
        assert_eq!(
            Annotations::new(Some(&one("service-port", text))).port(),
            *port,
            "{text:?}"
        );
    }
}

#[test]
fn a_weight_is_an_integer_above_one_that_dns_can_carry() {
    for (text, weight) in [
        ("2", Some(2)),
        ("65535", Some(65_535)),
        ("+3", Some(3)),
        ("1", None),
        ("0", None),
        ("-2", None),
        ("2.5", None),
        ("", None),
        (" 2", None),
        ("65536", None),
        ("99999999999", None),
    ] {
        assert_eq!(
            Annotations::new(Some(&one("service-weight", text))).weight(),
            weight,
            "{text:?}"
        );
    }
}

#[test]
fn a_name_is_trimmed_and_a_blank_one_is_not_an_absent_one() {
    assert_eq!(Annotations::new(None).name(), None);
    assert_eq!(
        Annotations::new(Some(&one("service-name", "  web "))).name(),
        Some("web")
    );
    assert_eq!(
        Annotations::new(Some(&one("service-name", "  "))).name(),
        Some("")
    );
}

#[test]
fn meta_is_every_pair_with_a_key() {
    let mut all = one("service-meta-team", "a");
    all.extend(one("service-meta-", "no key"));
    all.extend(one("service-metadata", "other"));
    all.extend(BTreeMap::from([(
        "example.com/service-meta-x".to_owned(),
        "foreign".to_owned(),
    )]));
    let meta: Vec<_> = Annotations::new(Some(&all)).meta().collect();
    assert_eq!(meta, [("team", "a")]);
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}|[-+0-9xXoOb_]{0,30}|[\\\\, ab\\n\\x00]{0,30}") {
        let _ = parse_bool(&text);
        if let Some(number) = parse_int(&text) {
            prop_assert!(text.contains(|c: char| c.is_ascii_hexdigit()), "{} from {:?}", number, text);
        }
        for tag in parse_tags(&text) {
            prop_assert!(!tag.is_empty());
            prop_assert_eq!(tag.trim(), tag.as_str());
        }
        let pairs = one("service-weight", &text);
        prop_assert!(Annotations::new(Some(&pairs)).weight().is_none_or(|weight| weight > 1));
        let pairs = one("service-port", &text);
        let _ = Annotations::new(Some(&pairs)).port();
    }

    /// Any list of tags can be written such that it is read back.
    #[test]
    fn tags_written_with_escapes_are_read_back(tags in prop::collection::vec("[a-z,]{1,8}", 0..6)) {
        let text = tags.iter().map(|tag| tag.replace(',', "\\,")).collect::<Vec<_>>().join(",");
        prop_assert_eq!(parse_tags(&text), tags);
    }
}
