//! Which place decides, and how problems are told.

use super::*;
use crate::args::{setting::Section, value};

static WAIT: Setting<String> = Setting::one("wait", "TEXT", value::text)
    .default("5s")
    .also(&["OTHER_WAIT"])
    .help(Section::Process, "How long.");
static NAMES: Setting<String> =
    Setting::many("name", "NAME", value::text).help(Section::Process, "Names.");
static SHARE: Setting<u8> =
    Setting::one("share", "PERCENT", value::percent).help(Section::Process, "Share.");
static TOKEN: Setting<u8> = Setting::one("token", "TOKEN", value::percent)
    .secret()
    .help(Section::Process, "Token.");

fn given(flags: &[(&str, &[&str])], variables: &[(&str, &str)]) -> Given {
    Given::collect(
        &[&WAIT.row, &NAMES.row, &SHARE.row, &TOKEN.row],
        |row| {
            let (_, texts) = flags.iter().find(|(name, _)| *name == row.name)?;
            Some(texts.iter().map(ToString::to_string).collect())
        },
        |name| {
            variables
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, text)| OsString::from(text))
        },
    )
}

#[test]
fn a_flag_beats_our_variable_which_beats_another_programs_which_beats_the_default() {
    let ours = ("CONSUL_SYNC_WAIT", "2s");
    let other = ("OTHER_WAIT", "3s");
    assert_eq!(given(&[("wait", &["1s"])], &[ours, other]).one(&WAIT), "1s");
    assert_eq!(given(&[], &[other, ours]).one(&WAIT), "2s");
    assert_eq!(given(&[], &[other]).one(&WAIT), "3s");
    assert_eq!(given(&[], &[]).one(&WAIT), "5s");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    assert_eq!(
        given(&[], &[("CONSUL_SYNC_WAIT", ""), ("OTHER_WAIT", "3s")]).one(&WAIT),
        "3s"
    );
    assert_eq!(
        given(&[], &[("CONSUL_SYNC_SHARE", "")]).optional(&SHARE),
        None
    );
}

#[test]
fn values_of_two_places_are_never_mixed() {
    let mut given = given(&[("name", &["a,b", "c"])], &[("CONSUL_SYNC_NAME", "d")]);
    assert_eq!(given.many(&NAMES), ["a", "b", "c"]);
}

#[test]
fn a_list_is_split_at_commas_without_blanks_and_empty_parts() {
    assert_eq!(
        given(&[], &[("CONSUL_SYNC_NAME", " a, b,,")]).many(&NAMES),
        ["a", "b"]
    );
}

#[test]
fn a_bad_value_is_named_by_its_flag_or_variable_and_all_are_told() {
    let mut given = given(&[("share", &["150"])], &[("CONSUL_SYNC_TOKEN", "hush")]);
    given.optional(&SHARE);
    given.optional(&TOKEN);
    assert_eq!(
        given.finish(()).unwrap_err().to_string(),
        "--share \"150\": expected a whole number of percent from 0 to 100\n\
         CONSUL_SYNC_TOKEN: expected a whole number of percent from 0 to 100"
    );
}

#[test]
fn a_secret_is_in_no_debug_output() {
    let given = given(&[("token", &["hush"])], &[]);
    let shown = format!("{given:?}");
    assert!(
        !shown.contains("hush") && shown.contains("<secret>"),
        "{shown}"
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused_by_name() {
    use std::os::unix::ffi::OsStringExt;
    let given = Given::collect(
        &[&WAIT.row],
        |_| None,
        |_| Some(OsString::from_vec(vec![0xff])),
    );
    assert_eq!(
        given.finish(()).unwrap_err().to_string(),
        "CONSUL_SYNC_WAIT: expected UTF-8 text"
    );
}
