//! What was given, by whom, before it is read.
//!
//! The strongest place that names a setting decides it alone: a flag beats a variable, our own variable beats
//! another program's, a variable beats the settings file, and that beats the default. Values of two places are never
//! mixed.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use super::{
    file::{self, Line, Texts},
    setting::{Row, Setting, Shape},
};

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
    /// This line of the settings file.
    File(Line),
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

/// A setting as it holds, for people to look at.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// The setting.
    pub(crate) row: &'static Row,
    /// Its texts; none where it is not set and has no default of one text, or where it is secret.
    pub(crate) texts: Option<Vec<String>>,
    /// Where they came from.
    pub(crate) origin: Origin,
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
                given.put(row, &Origin::Flag, &Texts::Plain(texts));
                continue;
            }
            let set = row
                .all_variables()
                .find_map(|name| Some((variable(&name).filter(|text| !text.is_empty())?, name)));
            let Some((text, name)) = set else { continue };
            let origin = Origin::Variable(name);
            if let Ok(text) = text.into_string() {
                given.put(row, &origin, &Texts::Plain(vec![text]));
            } else {
                let problem = BadValue::new(row, &origin, None, "expected UTF-8 text");
                given.problems.push(problem);
            }
        }
        given
    }

    /// Adds what a settings file says of settings that neither a flag nor a variable gave.
    pub(crate) fn add_file(&mut self, rows: &[&'static Row], path: &Path, text: &str) {
        let (entries, problems) = file::read(rows, path, text);
        self.problems.extend(problems);
        for entry in entries {
            if !self.values.contains_key(entry.row.name) {
                self.put(entry.row, &Origin::File(entry.line), &entry.texts);
            }
        }
    }

    fn put(&mut self, row: &Row, origin: &Origin, texts: &Texts) {
        let value = |text: &str| Value {
            text: text.to_owned(),
            origin: origin.clone(),
            secret: row.secret,
        };
        let values = match (row.shape, texts) {
            (Shape::Many, Texts::Plain(texts)) => texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(value)
                .collect(),
            (_, Texts::Plain(texts) | Texts::List(texts)) => {
                texts.iter().map(|text| value(text)).collect()
            }
        };
        self.values.insert(row.name, values);
    }

    /// What holds of each of these settings, and who said so.
    pub(crate) fn effective(&self, rows: &[&'static Row]) -> Vec<Effective> {
        let effective = |row: &&'static Row| {
            let given = self.values.get(row.name);
            let texts = match given {
                Some(values) => Some(values.iter().map(|value| value.text.clone()).collect()),
                None => row.default.map(|text| vec![text.to_owned()]),
            };
            Effective {
                row,
                texts: texts.filter(|_| !row.secret),
                origin: given
                    .and_then(|values| values.first())
                    .map_or(Origin::Default, |value| value.origin.clone()),
            }
        };
        rows.iter().map(effective).collect()
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
        Origin::File(line) => format!("{line}: {}", row.name),
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
    pub(super) fn new(
        row: &Row,
        origin: &Origin,
        text: Option<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            name: name(row, origin),
            text: text.map(without_password),
            expected: expected.into(),
        }
    }

    /// A line of the settings file that is about no setting.
    pub(super) fn at(line: &Line, text: Option<String>, problem: impl Into<String>) -> Self {
        Self {
            name: line.to_string(),
            text,
            expected: problem.into(),
        }
    }
}

/// What stands before an @ in a URL is a password as like as not.
pub(crate) fn without_password(text: String) -> String {
    match text.rsplit_once('@') {
        Some((before, host)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://...@{host}"),
            None => format!("...@{host}"),
        },
        None => text,
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
mod tests;
