//! `docs/settings.md`: the table of settings as a page. `UPDATE_GOLDEN=1` writes it, and without that it is compared.

use std::{fmt::Write, fs, path::Path};

use super::{
    incumbent,
    setting::{Row, Section, Shape},
    table,
};

const SECTIONS: [Section; 7] = [
    Section::Direction,
    Section::Kubernetes,
    Section::Export,
    Section::Import,
    Section::Consul,
    Section::Safety,
    Section::Process,
];

#[test]
fn the_page_of_settings_is_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(page, kept, "{}: UPDATE_GOLDEN=1 writes it", file.display());
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        let _ = write!(
            page,
            "\n## {}\n\n| setting | variables | `sync-catalog` | default | what it is |\n| --- | --- | --- | --- | --- |\n",
            section.heading()
        );
        for row in table::ALL.iter().filter(|row| row.section == section) {
            let _ = writeln!(page, "{}", line(row));
        }
    }
    page.push_str("\n## Flags of `sync-catalog` alone\n\n| flag | variable | what it does here |\n| --- | --- | --- |\n");
    for (flag, variable, what) in incumbent::without_a_setting() {
        let variable = variable.map_or_else(String::new, |name| format!("`{name}`"));
        let _ = writeln!(page, "| `-{flag}` | {variable} | {} |", cell(&what));
    }
    page
}

fn line(row: &Row) -> String {
    let value = match row.shape {
        Shape::One => format!(" {}", row.placeholder),
        Shape::Many => format!(" {}...", row.placeholder),
        Shape::Switch => String::new(),
    };
    let variables: Vec<String> = row
        .all_variables()
        .map(|name| format!("`{name}`"))
        .collect();
    let flags: Vec<String> = incumbent::of_setting(row.name)
        .into_iter()
        .map(|flag| format!("`-{flag}`"))
        .collect();
    let default = match (row.default_note, row.default) {
        (Some(note), _) => cell(note),
        (None, Some("") | None) => String::new(),
        (None, Some(text)) => format!("`{text}`"),
    };
    format!(
        "| `{}{}` | {} | {} | {default} | {} |",
        row.name,
        value.replace('|', "\\|"),
        variables.join(" "),
        flags.join(" "),
        cell(row.help)
    )
}

/// A text as a table's cell takes it.
fn cell(text: &str) -> String {
    text.replace('\n', " ")
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('<', "&lt;")
}

const INTRODUCTION: &str = "\
# Settings

Made from the table of settings in `consul-sync-bin/src/args/table`; a test fails when this page says something else.

Every setting can be given in four ways. The first of these that names it decides, and values of two places are never mixed:

1. the flag: `--` and the setting's name, as in `--consul-addr https://consul:8501`. A switch needs no value for true. A
   setting of several values, marked `...` below, takes its flag several times, or commas.
2. a variable: ours first, then those of other programs in the order in which they stand. An empty one counts as unset.
3. the settings file that `--config` or `CONSUL_SYNC_CONFIG` names.
4. the default. `sync-catalog` has those of the incumbent: `to-k8s` is true there, and no namespace is allowed unless it is
   named.

`consul-sync config` prints what holds and where it came from, without asking a server; secrets are not shown. What it prints
is a settings file. `consul-sync completions` and `consul-sync man` are made from the same table.

The settings file is YAML: one key for each setting, with the setting's name.

```yaml
consul-addr: https://consul.example:8501
consul-token-file: /run/secrets/token
allow-namespace: [shop, billing]
deny-namespace:
  - kube-system
namespace-suffix: true
```

A list has its items as they are; one text in place of a list is split at commas. A key without a value counts as absent. A
key that is no setting, a key that is there twice, and a value of the wrong kind are errors that name the file and the line.
The file is read once, when the program starts.
";
