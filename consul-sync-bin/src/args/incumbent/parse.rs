//! Flags as Go's `flag` package reads them.

use std::collections::BTreeMap;

use super::flags::{FLAGS, Flag, Shape};
use crate::args::nearest::nearest;

/// What was given, by the flag's name; a switch is `true` or `false`.
pub(super) type Values = BTreeMap<&'static str, Vec<String>>;

/// Why flags are not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// `-h`, `-help`.
    Help,
    /// What is wrong, naming the argument.
    Bad(String),
}

/// Reads the arguments after the command's name, then the variables of flags that were not given.
///
/// `-flag`, `--flag`, `-flag=value` and `-flag value` are the same; a switch takes its value only after `=`.
///
/// # Errors
/// The first thing that is wrong, as Go would say it.
pub(super) fn parse(
    arguments: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Values, Trouble> {
    let mut values = Values::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(text) = argument.strip_prefix('-').filter(|text| !text.is_empty()) else {
            return Err(not_a_flag(argument));
        };
        let text = text.strip_prefix('-').unwrap_or(text);
        if text.is_empty() {
            // `--` ends the flags.
            match rest.next() {
                Some(argument) => return Err(not_a_flag(argument)),
                None => break,
            }
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(bad(format!("bad flag syntax: {argument}")));
        }
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
            if matches!(name, "h" | "help") {
                return Err(Trouble::Help);
            }
            return Err(bad(format!(
                "flag provided but not defined: -{name}{}",
                hint(name)
            )));
        };
        let value = match (flag.shape, value) {
            (Shape::Switch, None) => "true".to_owned(),
            (_, Some(value)) => value,
            (_, None) => match rest.next() {
                Some(value) => value.clone(),
                None => return Err(bad(format!("flag needs an argument: -{name}"))),
            },
        };
        take(&mut values, flag, value, &format!("-{name}"))?;
    }
    for flag in FLAGS
        .iter()
        .filter(|flag| !values.contains_key(flag.name))
        .collect::<Vec<_>>()
    {
        let Some(name) = flag.variable else { continue };
        let Some(text) = variable(name).filter(|text| !text.is_empty()) else {
            continue;
        };
        if flag.shape == Shape::List {
            for part in text.split(',') {
                take(&mut values, flag, part.trim().to_owned(), name)?;
            }
        } else {
            take(&mut values, flag, text, name)?;
        }
    }
    Ok(values)
}

fn take(
    values: &mut Values,
    flag: &'static Flag,
    value: String,
    given_as: &str,
) -> Result<(), Trouble> {
    let known = values.entry(flag.name).or_default();
    match flag.shape {
        Shape::List => known.push(value),
        Shape::Text => *known = vec![value],
        Shape::Switch => {
            let Some(truth) = boolean(&value) else {
                return Err(bad(format!(
                    "invalid boolean value {value:?} for {given_as}: expected true or false"
                )));
            };
            *known = vec![truth.to_string()];
        }
    }
    Ok(())
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn not_a_flag(argument: &str) -> Trouble {
    bad(format!(
        "{argument:?} is no flag: there must be nothing but flags"
    ))
}

fn bad(text: String) -> Trouble {
    Trouble::Bad(text)
}

/// A flag that differs in little, as a question.
fn hint(name: &str) -> String {
    let near = nearest(name, FLAGS.iter().map(|flag| flag.name));
    near.map_or_else(String::new, |near| format!(" (is it -{near}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Values, Trouble> {
        read_with(arguments, |_| None)
    }

    fn read_with(
        arguments: &[&str],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Values, Trouble> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        parse(&arguments, variable)
    }

    fn refusal(arguments: &[&str]) -> String {
        match read(arguments) {
            Err(Trouble::Bad(text)) => text,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    #[test]
    fn one_dash_and_two_and_both_forms_of_a_value_are_the_same() {
        let forms: [&[&str]; 4] = [
            &["-consul-domain", "x"],
            &["--consul-domain", "x"],
            &["-consul-domain=x"],
            &["--consul-domain=x"],
        ];
        for form in forms {
            assert_eq!(read(form).unwrap()["consul-domain"], ["x"], "{form:?}");
        }
        assert_eq!(read(&["-filter=a=b"]).unwrap()["filter"], ["a=b"]);
        assert_eq!(read(&["-consul-k8s-tag="]).unwrap()["consul-k8s-tag"], [""]);
    }

    #[test]
    fn a_switch_takes_its_value_only_after_an_equals_sign() {
        assert_eq!(read(&["-to-k8s"]).unwrap()["to-k8s"], ["true"]);
        for (text, truth) in [
            ("F", "false"),
            ("0", "false"),
            ("TRUE", "true"),
            ("t", "true"),
        ] {
            let given = read(&[&format!("-to-k8s={text}")]).unwrap();
            assert_eq!(given["to-k8s"], [truth], "{text}");
        }
        assert!(refusal(&["-to-k8s", "false"]).contains("\"false\" is no flag"));
        assert!(refusal(&["-to-k8s=no"]).contains("invalid boolean value \"no\" for -to-k8s"));
    }

    #[test]
    fn the_last_value_counts_and_a_list_keeps_all() {
        let given = read(&["-log-level=info", "-log-level", "debug"]).unwrap();
        assert_eq!(given["log-level"], ["debug"]);
        let given = read(&["-allow-k8s-namespace=a", "-allow-k8s-namespace", "b"]).unwrap();
        assert_eq!(given["allow-k8s-namespace"], ["a", "b"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            refusal(&["-to-consull"]),
            "flag provided but not defined: -to-consull (is it -to-consul?)"
        );
        assert!(refusal(&["-to_consul"]).ends_with("(is it -to-consul?)"));
        assert_eq!(
            refusal(&["-kubeconfig"]),
            "flag needs an argument: -kubeconfig"
        );
        assert!(refusal(&["-to-k8s", "more"]).contains("\"more\""));
        assert!(refusal(&["--", "more"]).contains("\"more\""));
        assert!(refusal(&["---to-k8s"]).contains("bad flag syntax"));
        assert_eq!(read(&["-h"]), Err(Trouble::Help));
        assert_eq!(read(&["--help"]), Err(Trouble::Help));
        assert!(read(&["--"]).unwrap().is_empty());
    }

    #[test]
    fn a_flag_beats_its_variable_and_an_empty_variable_is_none() {
        let variables = |name: &str| match name {
            "CONSUL_USE_TLS" => Some("true".to_owned()),
            "CONSUL_DATACENTER" => Some("dc9".to_owned()),
            "CONSUL_PARTITION" => Some(String::new()),
            _ => None,
        };
        let given = read_with(&["-datacenter=dc1"], variables).unwrap();
        assert_eq!(given["datacenter"], ["dc1"]);
        assert_eq!(given["use-tls"], ["true"]);
        assert!(!given.contains_key("partition"));
        let wrong = read_with(&[], |name| {
            (name == "CONSUL_USE_TLS").then(|| "maybe".to_owned())
        });
        assert_eq!(
            wrong,
            Err(Trouble::Bad(
                "invalid boolean value \"maybe\" for CONSUL_USE_TLS: expected true or false"
                    .to_owned()
            ))
        );
    }
}
