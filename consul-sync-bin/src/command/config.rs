//! `config`: the settings as they hold, and where each came from.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::args::{
    given::{Effective, Origin},
    setting::Shape,
    value,
};

/// The setting that names the settings file; it cannot stand in one.
const FILE: &str = "config";

/// The settings as a settings file with remarks, or as JSON.
///
/// # Errors
/// When the JSON cannot be written, which no setting causes.
pub(super) fn render(settings: &[Effective], json: bool) -> Result<String, String> {
    if json {
        let settings: Vec<Value> = settings.iter().map(object).collect();
        let whole = json!({ "format": 1, "settings": settings });
        let text = serde_json::to_string_pretty(&whole).map_err(|error| error.to_string())?;
        return Ok(text + "\n");
    }
    let mut text = String::new();
    for setting in settings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line(setting));
    }
    Ok(text)
}

fn line(setting: &Effective) -> String {
    let row = setting.row;
    let origin = match &setting.origin {
        Origin::Flag => "flag".to_owned(),
        Origin::Variable(name) => format!("environment {name}"),
        Origin::File(line) => format!("file {line}"),
        Origin::Default => "default".to_owned(),
    };
    let (value, origin) = match &setting.texts {
        Some(texts) if row.shape == Shape::Many => {
            let texts: Vec<String> = texts.iter().map(|text| scalar(text)).collect();
            (format!("[{}]", texts.join(", ")), origin)
        }
        Some(texts) => (
            texts.last().map_or_else(String::new, |text| scalar(text)),
            origin,
        ),
        None if setting.origin == Origin::Default => {
            let note = row.default_note.unwrap_or("none");
            (String::new(), format!("default: {note}"))
        }
        None => ("(secret)".to_owned(), origin),
    };
    // What is not set, a secret, and what cannot stand in a file are remarks.
    let mark = if setting.texts.is_none() || row.name == FILE {
        "# "
    } else {
        ""
    };
    let left = format!("{mark}{}: {value}", row.name);
    format!("{left:<48}  # {origin}")
}

/// A text as YAML, bare where it can be nothing but that text.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '='))
        && !text.eq_ignore_ascii_case("null");
    if is_plain {
        text.to_owned()
    } else {
        // A JSON text is a YAML one.
        Value::from(text).to_string()
    }
}

fn object(setting: &Effective) -> Value {
    let row = setting.row;
    let (source, from) = match &setting.origin {
        Origin::Flag => ("flag", None),
        Origin::Variable(name) => ("environment", Some(name.clone())),
        Origin::File(line) => ("file", Some(line.to_string())),
        Origin::Default => ("default", None),
    };
    let last = |texts: &Vec<String>| texts.last().cloned();
    let value = match (&setting.texts, row.shape) {
        (None, _) => Value::Null,
        (Some(texts), Shape::Many) => json!(texts),
        (Some(texts), Shape::One) => json!(last(texts)),
        (Some(texts), Shape::Switch) => {
            json!(last(texts).and_then(|text| value::boolean(&text).ok()))
        }
    };
    json!({
        "name": row.name,
        "value": value,
        "source": source,
        "from": from,
        "secret": row.secret,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        args::{given::Given, table},
        settings::Settings,
    };

    /// Settings with the text that their file has, and what they lead to.
    fn given(file: &str, flag: Option<(&str, &str)>) -> (Vec<Effective>, String) {
        let mut given = Given::collect(
            table::ALL,
            |row| {
                let (name, text) = flag?;
                (row.name == name).then(|| vec![text.to_owned()])
            },
            |name| (name == "CONSUL_HTTP_TOKEN").then(|| "hush".into()),
        );
        given.add_file(table::ALL, Path::new("s.yaml"), file);
        let effective = given.effective(table::ALL);
        let settings = Settings::read(&mut given, true);
        (effective, format!("{:?}", given.finish(settings).unwrap()))
    }

    const FILE: &str = "\
tag: ''
allow-namespace: [a, \"b c\"]
deny-namespace: x
namespace-selector: 'env in (a,b)'
listen: ':1'
to-k8s: true
";

    #[test]
    fn what_it_prints_is_a_settings_file_of_the_same_settings() {
        let (effective, settings) = given(FILE, Some(("brake-share", "20")));
        let printed = render(&effective, false).unwrap();
        for line in [
            "tag: \"\"                                           # file s.yaml:1",
            "brake-share: 20                                   # flag",
            "# consul-token: (secret)                          # environment CONSUL_HTTP_TOKEN",
            "# kube-context:                                   # default: the file's current one",
            "to-consul: true                                   # default",
        ] {
            assert!(
                printed.lines().any(|one| one == line),
                "{line}\nis not in\n{printed}"
            );
        }
        assert!(!printed.contains("hush"), "{printed}");
        let (_, again) = given(&printed, None);
        assert_eq!(again, settings);
    }

    #[test]
    fn as_json_each_setting_has_its_kind_of_value_and_its_origin() {
        let (effective, _) = given(FILE, None);
        let printed = render(&effective, true).unwrap();
        assert!(!printed.contains("hush"), "{printed}");
        let value: Value = serde_json::from_str(&printed).unwrap();
        let of = |name: &str| {
            let all = value["settings"].as_array().unwrap();
            all.iter().find(|one| one["name"] == name).unwrap().clone()
        };
        assert_eq!(of("allow-namespace")["value"], json!(["a", "b c"]));
        assert_eq!(of("to-k8s")["value"], json!(true));
        assert_eq!(of("to-k8s")["from"], json!("s.yaml:6"));
        assert_eq!(of("tag")["value"], json!(""));
        assert_eq!(of("kubeconfig")["value"], Value::Null);
        let token = of("consul-token");
        assert_eq!(
            (
                &token["value"],
                &token["source"],
                &token["from"],
                &token["secret"]
            ),
            (
                &Value::Null,
                &json!("environment"),
                &json!("CONSUL_HTTP_TOKEN"),
                &json!(true)
            )
        );
    }
}
