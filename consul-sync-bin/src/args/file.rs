//! The settings file: YAML, one key for each setting, under the name of its flag without the dashes.
//!
//! ```yaml
//! consul-addr: https://consul:8501
//! allow-namespace: [shop, billing]
//! cluster-ip: false
//! ```
//!
//! It is read as text, as a variable is, so that `1.10` stays what was written. A list has its items as they are; a text in
//! place of a list is split at commas. A key without a value counts as absent.

use std::{fmt, path::Path, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{
    given::{BadValue, Origin},
    nearest::nearest,
    setting::{Row, Shape},
};

/// The largest number of bytes that a settings file may have.
pub(super) const LIMIT: u64 = 1 << 20;
/// The setting that names the file, which the file itself cannot do.
const ITSELF: &str = "config";

/// A line of a settings file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    file: Arc<Path>,
    number: usize,
}

/// Texts of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// Texts that hold lists with commas, where the setting takes several values.
    Plain(Vec<String>),
    /// The items of a list.
    List(Vec<String>),
}

/// One key of the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: &'static Row,
    pub(super) line: Line,
    pub(super) texts: Texts,
}

/// Reads a file's text. What cannot be used is told with its line, all at once, and left out.
pub(super) fn read<'a>(
    rows: &'a [&'static Row],
    path: &Path,
    text: &'a str,
) -> (Vec<Entry>, Vec<BadValue>) {
    let mut reader = Reader {
        rows,
        file: path.into(),
        parser: Parser::new_from_str(text),
        entries: Vec::new(),
        problems: Vec::new(),
    };
    if let Err(error) = reader.stream() {
        let line = reader.line(error.marker().line());
        let problem = format!("no YAML: {}", error.info());
        reader.problems.push(BadValue::at(&line, None, problem));
    }
    (reader.entries, reader.problems)
}

struct Reader<'a> {
    rows: &'a [&'static Row],
    file: Arc<Path>,
    parser: Parser<'a, StrInput<'a>>,
    entries: Vec<Entry>,
    problems: Vec<BadValue>,
}

/// A value, as far as settings have such.
enum Node {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Mapping,
    Alias,
}

impl<'a> Reader<'a> {
    fn stream(&mut self) -> Result<(), ScanError> {
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.complain(span, None, "expected one document");
                        return Ok(());
                    }
                }
                Event::MappingStart(..) => self.settings()?,
                event => match self.node(event)? {
                    Node::Nothing => {}
                    _ if documents == 0 => {}
                    _ => self.complain(span, None, "expected settings, one a line: name: value"),
                },
            }
        }
    }

    /// The document's mapping, up to its end.
    fn settings(&mut self) -> Result<(), ScanError> {
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(());
            }
            let key = self.node(event)?;
            let (event, _) = self.next()?;
            let value = self.node(event)?;
            match key {
                Node::Text(name) => self.setting(span, &name, value),
                _ => self.complain(span, None, "expected the name of a setting"),
            }
        }
    }

    fn setting(&mut self, span: Span, name: &str, value: Node) {
        let line = self.line(span.start.line());
        let Some(row) = self.rows.iter().find(|row| row.name == name) else {
            let known = self.rows.iter().map(|row| row.name);
            let hint = nearest(name, known).map_or_else(
                || "; see consul-sync run --help".to_owned(),
                |near| format!(" (is it {near}?)"),
            );
            let problem = format!("no such setting{hint}");
            return self.complain(span, Some(name.to_owned()), &problem);
        };
        if row.name == ITSELF {
            let problem = "a settings file cannot name another one; give --config or its variable";
            return self.refuse(row, line, problem);
        }
        if let Some(before) = self.entries.iter().find(|entry| entry.row.name == name) {
            let problem = format!("it is there before, on line {}", before.line.number);
            return self.refuse(row, line, &problem);
        }
        match (value, row.shape) {
            (Node::Nothing, _) => {}
            (Node::Text(text), _) => self.entries.push(Entry {
                row,
                line,
                texts: Texts::Plain(vec![text]),
            }),
            (Node::List(nodes), Shape::Many) => {
                let count = nodes.len();
                let texts: Vec<String> = nodes
                    .into_iter()
                    .filter_map(|node| match node {
                        Node::Text(text) => Some(text),
                        _ => None,
                    })
                    .collect();
                if texts.len() < count {
                    return self.refuse(row, line, "expected a list of plain values");
                }
                self.entries.push(Entry {
                    row,
                    line,
                    texts: Texts::List(texts),
                });
            }
            (Node::Alias, _) => self.refuse(row, line, "expected a value, not an alias"),
            (_, Shape::Many) => self.refuse(row, line, "expected a list, or one value"),
            (Node::List(_), Shape::Switch) => {
                self.refuse(row, line, "expected true or false, not a list");
            }
            (_, Shape::Switch) => self.refuse(row, line, "expected true or false, not a mapping"),
            (Node::List(_), Shape::One) => self.refuse(row, line, "expected one value, not a list"),
            (_, Shape::One) => self.refuse(row, line, "expected one value, not a mapping"),
        }
    }

    /// The value that begins with this event.
    fn node(&mut self, event: Event<'a>) -> Result<Node, ScanError> {
        Ok(match event {
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") =>
            {
                Node::Nothing
            }
            Event::Scalar(text, ..) => Node::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut nodes = Vec::new();
                loop {
                    let (event, _) = self.next()?;
                    if event == Event::SequenceEnd {
                        break Node::List(nodes);
                    }
                    nodes.push(self.node(event)?);
                }
            }
            Event::MappingStart(..) => loop {
                let (event, _) = self.next()?;
                if event == Event::MappingEnd {
                    break Node::Mapping;
                }
                self.node(event)?;
            },
            Event::Alias(_) => Node::Alias,
            _ => Node::Nothing,
        })
    }

    /// The next event that is about data.
    fn next(&mut self) -> Result<(Event<'a>, Span), ScanError> {
        loop {
            match self.parser.next() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..) | Event::StreamStart | Event::DocumentEnd, _))) => {}
                Some(next) => return next,
            }
        }
    }

    fn line(&self, number: usize) -> Line {
        Line {
            file: Arc::clone(&self.file),
            number,
        }
    }

    fn complain(&mut self, span: Span, text: Option<String>, problem: &str) {
        let line = self.line(span.start.line());
        self.problems.push(BadValue::at(&line, text, problem));
    }

    fn refuse(&mut self, row: &Row, line: Line, problem: &str) {
        let origin = Origin::File(line);
        self.problems
            .push(BadValue::new(row, &origin, None, problem));
    }
}

// === impl Line ===

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.number)
    }
}

#[cfg(test)]
mod tests;
