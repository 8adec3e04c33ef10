//! What was given, by whom, before it is read.
//!
//! The strongest place that names a setting decides it alone: a flag beats a variable, our own variable beats
//! another program's, and a variable beats the default. Values of two places are never mixed.

use std::{collections::BTreeMap, ffi::OsString, fmt};

use super::setting::{Row, Setting, Shape};

/// The texts of settings with where they came from.
#[derive(Debug, Default)]
pub(crate) struct Given {
    values: BTreeMap<&'static str, Vec<Value>>,
    problems: Vec<BadValue>,
}

/// One text and where it came from.
#[derive(Clone)]
struct Value {
    text: String,
    origin: Origin,
    secret: bool,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A flag.
    Flag,
    /// The variable of this name.
    Variable(String),
    /// Nobody said anything.
    Default,
}

/// A value that cannot be used. The message names its flag or variable, the value, and what would be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    name: String,
    text: Option<String>,
    expected: String,
}

/// Every bad value, so that one run shows them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadValues(Vec<BadValue>);

// === impl Given ===

impl Given {
    /// Collects what the flags and the variables say of these rows.
    ///
    /// A variable that is set and empty counts as unset: charts and shells leave such ones behind.
    pub(crate) fn collect(
        rows: &[&'static Row],
        flag: impl Fn(&Row) -> Option<Vec<String>>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let mut given = Self::default();
        for row in rows {
            if let Some(texts) = flag(row) {
                given.put(row, &Origin::Flag, &texts);
                continue;
            }
            let set = row
                .all_variables()
                .find_map(|name| Some((variable(&name).filter(|text| !text.is_empty())?, name)));
            let Some((text, name)) = set else { continue };
            let origin = Origin::Variable(name);
            if let Ok(text) = text.into_string() {
                given.put(row, &origin, &[text]);
            } else {
                let problem = BadValue::new(row, &origin, None, "expected UTF-8 text");
                given.problems.push(problem);
            }
        }
        given
    }

    fn put(&mut self, row: &Row, origin: &Origin, texts: &[String]) {
        let value = |text: &str| Value {
            text: text.to_owned(),
            origin: origin.clone(),
            secret: row.secret,
        };
        let values = texts
            .iter()
            .flat_map(|text| match row.shape {
                Shape::Many => text
                    .split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                    .map(value)
                    .collect(),
                Shape::One | Shape::Switch => vec![value(text)],
            })
            .collect();
        self.values.insert(row.name, values);
    }

    /// Where the setting came from.
    pub(crate) fn origin<T>(&self, setting: &Setting<T>) -> Origin {
        self.values
            .get(setting.row.name)
            .and_then(|values| values.first())
            .map_or(Origin::Default, |value| value.origin.clone())
    }

    /// The value, or the default's, or nothing. A bad value is noted and counts as nothing.
    pub(crate) fn optional<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let value = match self
            .values
            .get(setting.row.name)
            .and_then(|values| values.last())
        {
            Some(value) => value.clone(),
            None => Value {
                text: setting.row.default?.to_owned(),
                origin: Origin::Default,
                secret: false,
            },
        };
        self.read(setting, &value)
    }

    /// The value, or the default's. A bad value is noted and the default's stands in for it.
    ///
    /// For settings whose default can be read; a test reads every default of the table.
    pub(crate) fn one<T: Default>(&mut self, setting: &Setting<T>) -> T {
        self.optional(setting).unwrap_or_default()
    }

    /// Every value, or the default's. Bad values are noted and left out.
    pub(crate) fn many<T>(&mut self, setting: &Setting<T>) -> Vec<T> {
        let values = self
            .values
            .get(setting.row.name)
            .cloned()
            .unwrap_or_else(|| {
                let default = setting.row.default.unwrap_or_default();
                default
                    .split(',')
                    .filter(|text| !text.is_empty())
                    .map(|text| Value {
                        text: text.to_owned(),
                        origin: Origin::Default,
                        secret: false,
                    })
                    .collect()
            });
        values
            .iter()
            .filter_map(|value| self.read(setting, value))
            .collect()
    }

    /// Notes that a setting's value does not go with the others.
    pub(crate) fn refuse<T>(&mut self, setting: &Setting<T>, expected: impl Into<String>) {
        let value = self
            .values
            .get(setting.row.name)
            .and_then(|values| values.last());
        let origin = value.map_or(Origin::Default, |value| value.origin.clone());
        let text = value
            .filter(|value| !value.secret)
            .map(|value| value.text.clone());
        self.problems
            .push(BadValue::new(&setting.row, &origin, text, expected));
    }

    /// The settings, unless a value was bad.
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn finish<T>(self, settings: T) -> Result<T, BadValues> {
        if self.problems.is_empty() {
            Ok(settings)
        } else {
            Err(BadValues(self.problems))
        }
    }

    fn read<T>(&mut self, setting: &Setting<T>, value: &Value) -> Option<T> {
        match (setting.parse)(&value.text) {
            Ok(read) => Some(read),
            Err(expected) => {
                let text = (!value.secret).then(|| value.text.clone());
                self.problems
                    .push(BadValue::new(&setting.row, &value.origin, text, expected));
                None
            }
        }
    }
}

fn name(row: &Row, origin: &Origin) -> String {
    match origin {
        Origin::Flag => row.flag(),
        Origin::Variable(variable) => variable.clone(),
        Origin::Default => format!("{} (or {})", row.flag(), row.variable()),
    }
}

// === impl Value ===

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.secret { "<secret>" } else { &self.text };
        write!(f, "{text:?} from {:?}", self.origin)
    }
}

// === impl BadValue ===

impl BadValue {
    fn new(row: &Row, origin: &Origin, text: Option<String>, expected: impl Into<String>) -> Self {
        Self {
            name: name(row, origin),
            text,
            expected: expected.into(),
        }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(text) = &self.text {
            write!(f, " {text:?}")?;
        }
        write!(f, ": {}", self.expected)
    }
}

impl fmt::Display for BadValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for BadValues {}

#[cfg(test)]
mod tests {
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
}
