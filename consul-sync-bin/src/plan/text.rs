//! A plan for people: grouped by service, `+ ~ ^ -` before each registration, a last line that sums it up.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use consul_sync_core::FieldChange;

use super::{Named, Operation, Report};
use crate::direction::Direction;

const CREATE: Style = AnsiColor::Green.on_default();
const UPDATE: Style = AnsiColor::Yellow.on_default();
const ADOPT: Style = AnsiColor::Cyan.on_default();
const DELETE: Style = AnsiColor::Red.on_default();
const STRONG: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Names of things that are listed in full; more than these are counted.
const LISTED: usize = 20;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To show what `run` would do.
    Run,
    /// To be carried out by `purge`: it only deletes.
    Purge,
}

/// What differs between the directions in words.
struct Words {
    nothing: &'static str,
    rejected: &'static str,
    blocked: &'static str,
}

/// What `run` would do.
pub(crate) fn render_plan(report: &Report) -> String {
    render(report, Purpose::Run)
}

/// What `purge` is about to do.
pub(crate) fn render_purge(report: &Report) -> String {
    render(report, Purpose::Purge)
}

impl Words {
    fn of(direction: Direction) -> Self {
        match direction {
            Direction::ToConsul => Self {
                nothing: "No changes: the catalog is as the cluster wants it.",
                rejected: "what was registered of them stays",
                blocked: "somebody else's registration has the ID, and is left alone",
            },
            Direction::ToK8s => Self {
                nothing: "No changes: the cluster is as the catalog wants it.",
                rejected: "what was written of them stays",
                blocked: "somebody else's object has the name, and is left alone",
            },
        }
    }
}

/// The text, with escape codes that the terminal's writer strips where they do not belong.
fn render(report: &Report, purpose: Purpose) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut out, report, purpose);
    out
}

fn write_all(out: &mut String, report: &Report, purpose: Purpose) -> std::fmt::Result {
    let words = Words::of(report.direction);
    let (title, nothing, summary) = match purpose {
        Purpose::Run => ("What consul-sync run would do", words.nothing, "Plan"),
        Purpose::Purge => (
            "What consul-sync purge deletes",
            "Nothing to delete.",
            "Purge",
        ),
    };
    let preposition = match report.direction {
        Direction::ToConsul => "on",
        Direction::ToK8s => "in",
    };
    writeln!(
        out,
        "{title} {preposition} {} as owner {}:",
        report.place, report.owner
    )?;
    for service in &report.services {
        writeln!(out, "\n  {STRONG}{}{STRONG:#}", printable(&service.name))?;
        for operation in &service.operations {
            write_operation(out, operation)?;
        }
    }
    if !report.rejected.is_empty() {
        writeln!(out, "\n{WARNING}Rejected{WARNING:#} ({}):", words.rejected)?;
        for rejected in &report.rejected {
            let (service, detail) = (printable(&rejected.service), printable(&rejected.detail));
            writeln!(out, "  {service}: {}: {detail}", rejected.reason)?;
        }
    }
    write_names(out, WARNING, "Blocked", words.blocked, &report.blocked)?;
    let note =
        "nobody's mark is on them and no service wants them; see purge --unowned and --orphans";
    write_names(out, STRONG, "Orphans", note, &report.orphans)?;
    if report.brake {
        writeln!(
            out,
            "\n{WARNING}Brake{WARNING:#}: these deletes are more than --brake-share allows; run would hold them until \
             consul-sync release-brake confirms them."
        )?;
    }
    out.push('\n');
    if report.is_empty() {
        write!(out, "{nothing}")?;
    } else {
        let numbers = match purpose {
            Purpose::Run => report.summary.to_string(),
            Purpose::Purge => format!("{} to delete", report.summary.delete),
        };
        write!(out, "{STRONG}{summary}: {numbers}.{STRONG:#}")?;
    }
    if report.unchanged > 0 {
        write!(out, " {} unchanged.", report.unchanged)?;
    }
    out.push('\n');
    Ok(())
}

fn write_operation(out: &mut String, operation: &Operation) -> std::fmt::Result {
    let (mark, style, note) = match operation.verb {
        "create" => ('+', CREATE, ""),
        "update" => ('~', UPDATE, ""),
        "adopt" => ('^', ADOPT, " (nobody's so far; taken over in place)"),
        _ => ('-', DELETE, ""),
    };
    writeln!(
        out,
        "  {style}{mark} {}{style:#}{note}",
        printable(&operation.id)
    )?;
    let shown = || {
        operation
            .changes
            .iter()
            .filter(|change| is_shown(change, operation.verb))
    };
    let width = shown()
        .map(|change| change.field.chars().count())
        .max()
        .unwrap_or(0);
    for change in shown() {
        let field = printable(&change.field);
        writeln!(
            out,
            "      {field:<width$}  {}",
            value(change, operation.verb)
        )?;
    }
    Ok(())
}

/// Of what is deleted, its address tells enough; the JSON has everything.
fn is_shown(change: &FieldChange, verb: &str) -> bool {
    verb != "delete" || matches!(&*change.field, "address" | "port")
}

/// A created or deleted registration has one value a field; a changed one shows both, and an absent one by a word
/// that no quoted value looks like.
fn value(change: &FieldChange, verb: &str) -> String {
    let word = |text: &Option<String>| {
        text.as_deref()
            .map_or_else(|| "(none)".to_owned(), printable)
    };
    match verb {
        "create" => word(&change.after),
        "update" | "adopt" => format!("{} -> {}", word(&change.before), word(&change.after)),
        _ => word(&change.before),
    }
}

fn write_names(
    out: &mut String,
    style: Style,
    title: &str,
    note: &str,
    names: &[Named],
) -> std::fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{style}{title}{style:#}: {} ({note})", names.len())?;
    for named in names.iter().take(LISTED) {
        writeln!(
            out,
            "  {} {}",
            printable(&named.service),
            printable(&named.id)
        )?;
    }
    if names.len() > LISTED {
        writeln!(out, "  and {} more", names.len() - LISTED)?;
    }
    Ok(())
}

/// Names and values come from users of the cluster and of Consul; what could move a terminal's cursor is shown as
/// an escape. An empty value is shown as quotes.
fn printable(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    text.chars()
        .flat_map(|c| {
            let escaped: Vec<char> = if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            };
            escaped
        })
        .collect()
}
