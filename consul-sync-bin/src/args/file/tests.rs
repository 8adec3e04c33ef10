//! What a settings file may say, and how it is told what is wrong.

use super::*;
use crate::args::{
    given::Given,
    setting::{Section, Setting},
    value,
};

static NAME: Setting<String> = Setting::one("name", "TEXT", value::any)
    .default("x")
    .help(Section::Process, "A text.");
static PLACES: Setting<String> =
    Setting::many("places", "PLACE", value::text).help(Section::Process, "Some places.");
static LOUD: Setting<bool> = Setting::switch("loud", false).help(Section::Process, "A switch.");
static TOKEN: Setting<u8> = Setting::one("token", "TOKEN", value::percent)
    .secret()
    .help(Section::Process, "A secret.");
static CONFIG: Setting<String> =
    Setting::one("config", "PATH", value::any).help(Section::Process, "The file.");

static ROWS: &[&Row] = &[&NAME.row, &PLACES.row, &LOUD.row, &TOKEN.row, &CONFIG.row];

fn given(text: &str, flag: Option<&str>) -> Given {
    let mut given = Given::collect(
        ROWS,
        |row| (row.name == "name").then(|| flag.map(|flag| vec![flag.to_owned()]))?,
        |name| {
            (name == "CONSUL_SYNC_PLACES")
                .then(|| "v".into())
                .filter(|_| flag.is_some())
        },
    );
    given.add_file(ROWS, Path::new("s.yaml"), text);
    given
}

fn problems(text: &str) -> Vec<String> {
    let mut given = given(text, None);
    given.one(&NAME);
    given.many(&PLACES);
    given.one(&LOUD);
    given.optional(&TOKEN);
    match given.finish(()) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn values_are_texts_as_they_are_written() {
    for (yaml, text) in [
        ("name: 1.10", "1.10"),
        ("name: 'a: b'", "a: b"),
        ("name: true", "true"),
        ("name: \"\"", ""),
        ("name: |\n  a\n  b\n", "a\nb\n"),
        ("# a comment\nname: a # and one\n", "a"),
        ("---\nname: a\n", "a"),
    ] {
        assert_eq!(given(yaml, None).one(&NAME), text, "{yaml}");
        assert_eq!(problems(yaml), [""; 0], "{yaml}");
    }
    assert!(given("loud: true", None).one(&LOUD));
}

#[test]
fn a_key_without_a_value_counts_as_absent_and_so_does_an_empty_file() {
    for yaml in [
        "name:",
        "name: null",
        "name: ~",
        "",
        "# nothing\n",
        "---\n",
        "{}",
    ] {
        assert_eq!(given(yaml, None).one(&NAME), "x", "{yaml:?}");
        assert_eq!(problems(yaml), [""; 0], "{yaml:?}");
    }
}

#[test]
fn a_list_has_its_items_as_they_are_and_a_text_is_split() {
    for (yaml, places) in [
        ("places: [a, 'b,c']", &["a", "b,c"][..]),
        ("places:\n- a\n- b\n", &["a", "b"]),
        ("places: a, b", &["a", "b"]),
        ("places: []", &[]),
    ] {
        assert_eq!(given(yaml, None).many(&PLACES), places, "{yaml}");
    }
}

#[test]
fn a_flag_and_a_variable_beat_the_file() {
    let mut given = given("name: a\nplaces: [b]\nloud: true\n", Some("flag"));
    assert_eq!(given.one(&NAME), "flag");
    assert_eq!(given.many(&PLACES), ["v"]);
    assert!(given.one(&LOUD));
    let origin = given.origin(&LOUD);
    assert!(
        matches!(&origin, Origin::File(line) if line.to_string() == "s.yaml:3"),
        "{origin:?}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_would_be_good() {
    for (yaml, problem) in [
        (
            "nmae: a",
            "s.yaml:1 \"nmae\": no such setting (is it name?)",
        ),
        (
            "\nzzzzzz: a",
            "s.yaml:2 \"zzzzzz\": no such setting; see consul-sync run --help",
        ),
        (
            "loud: maybe",
            "s.yaml:1: loud \"maybe\": expected true or false",
        ),
        (
            "loud: [true]",
            "s.yaml:1: loud: expected true or false, not a list",
        ),
        (
            "name: [a]",
            "s.yaml:1: name: expected one value, not a list",
        ),
        (
            "name: {a: [b]}",
            "s.yaml:1: name: expected one value, not a mapping",
        ),
        (
            "places: {a: b}",
            "s.yaml:1: places: expected a list, or one value",
        ),
        (
            "places: [a, [b]]",
            "s.yaml:1: places: expected a list of plain values",
        ),
        (
            "name: a\nname: b",
            "s.yaml:2: name: it is there before, on line 1",
        ),
        (
            "token: &t 5\nname: *t",
            "s.yaml:2: name: expected a value, not an alias",
        ),
        (
            "- name",
            "s.yaml:1: expected settings, one a line: name: value",
        ),
        ("name: a\n---\nname: b", "s.yaml:2: expected one document"),
        (
            "config: other.yaml",
            "s.yaml:1: config: a settings file cannot name another one; give --config or its variable",
        ),
    ] {
        assert_eq!(problems(yaml), [problem], "{yaml}");
    }
    let broken = problems("name: [a\n");
    assert!(
        broken[0].starts_with("s.yaml:") && broken[0].contains("no YAML"),
        "{broken:?}"
    );
}

#[test]
fn every_problem_is_told_at_once_and_no_secret_with_it() {
    let told = problems("token: hush\nloud: 3\nplcaes: [a]\n");
    assert_eq!(
        told,
        [
            "s.yaml:3 \"plcaes\": no such setting (is it places?)",
            "s.yaml:2: loud \"3\": expected true or false",
            "s.yaml:1: token: expected a whole number of percent from 0 to 100",
        ]
    );
}
