//! The figures, as a table and as JSON.

use std::fmt;

use serde_json::{Value, json};

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What it is of.
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Option<f64>,
    /// What nothing could be better than, measured in the same run.
    pub(crate) limit: Option<f64>,
    pub(crate) goal: Option<Goal>,
}

/// What the figure should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Report {
    machine: String,
    figures: Vec<Figure>,
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

impl Figure {
    fn verdict(&self) -> Option<bool> {
        Some(self.goal?.is_met(self.ours?))
    }

    /// Ours through the limit.
    fn ratio(&self) -> Option<f64> {
        let (ours, limit) = (self.ours?, self.limit?);
        (limit > 0.0).then(|| ours / limit)
    }
}

impl Report {
    pub(crate) fn new(machine: String) -> Self {
        Self {
            machine,
            figures: Vec::new(),
        }
    }

    /// Adds a figure and shows it.
    pub(crate) fn add(&mut self, figure: Figure) {
        eprintln!("  {}: {} {}", figure.name, short(figure.ours), figure.unit);
        self.figures.push(figure);
    }

    /// Whether every goal is met.
    pub(crate) fn is_met(&self) -> bool {
        self.figures
            .iter()
            .all(|figure| figure.verdict() != Some(false))
    }

    pub(crate) fn json(&self) -> Value {
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|figure| {
                json!({
                    "name": figure.name, "unit": figure.unit, "ours": figure.ours, "limit": figure.limit,
                    "ratio": figure.ratio(), "goal": figure.goal.map(|goal| goal.to_string()), "met": figure.verdict(),
                })
            })
            .collect();
        json!({ "machine": self.machine, "figures": figures })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.figures.iter().map(|figure| figure.name.len()).max();
        let wide = widest.unwrap_or(0);
        writeln!(f, "{}\n", self.machine)?;
        writeln!(
            f,
            "{:<wide$}  {:>10}  {:>10}  {:>6}  {:>9}  met",
            "figure", "ours", "limit", "ratio", "goal"
        )?;
        for figure in &self.figures {
            let met = match figure.verdict() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            };
            writeln!(
                f,
                "{:<wide$}  {:>10}  {:>10}  {:>6}  {:>9}  {met}",
                figure.name,
                format!("{} {}", short(figure.ours), figure.unit).trim_end(),
                short(figure.limit),
                short(figure.ratio()),
                figure.goal.map(|goal| goal.to_string()).unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}

/// Three digits that mean something.
fn short(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.fract() == 0.0 || value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: f64, goal: Goal) -> Figure {
        Figure {
            name: "a figure".to_owned(),
            unit: "ms",
            ours: Some(ours),
            limit: Some(10.0),
            goal: Some(goal),
        }
    }

    #[test]
    fn a_missed_goal_is_seen_in_every_form() {
        let mut report = Report::new("a machine".to_owned());
        report.add(figure(20.0, Goal::AtMost(25.0)));
        assert!(report.is_met());
        report.add(figure(20.0, Goal::AtLeast(25.0)));
        assert!(!report.is_met());
        let text = report.to_string();
        assert!(text.contains("yes") && text.contains("NO"), "{text}");
        let json = report.json();
        assert_eq!(json["figures"][1]["met"], false);
        assert_eq!(json["figures"][1]["ratio"], 2.0);
    }
}
