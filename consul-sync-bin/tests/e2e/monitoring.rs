//! What the shipped alerts and the dashboard ask for is what the program tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use crate::{
    both::BOTH,
    catalog::Catalog,
    program::Program,
    registered::{Cluster, Registered},
    servers::Servers,
    until::until,
    world::World,
};

/// Labels that the scraper adds, and the one of a histogram's buckets, which functions need.
const OF_THE_SCRAPER: [&str; 4] = ["namespace", "pod", "instance", "job"];

fn shipped(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart/files");
    fs::read_to_string(folder.join(file)).unwrap()
}

/// A query with the labels that are shown beside its answer.
#[derive(Debug)]
struct Query {
    expression: String,
    shown: BTreeSet<String>,
}

/// What stands between two texts, wherever they do.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let parts = text.split(open).skip(1);
    parts
        .filter_map(|part| part.split_once(close).map(|(inner, _)| inner.trim()))
        .collect()
}

impl Query {
    /// The names of series that it reads.
    fn metrics(&self) -> BTreeSet<&str> {
        let words = self
            .expression
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words
            .filter(|word| word.starts_with("consul_sync_") || word.starts_with("process_"))
            .collect()
    }

    /// The labels that it needs of each of them.
    fn labels(&self) -> BTreeSet<&str> {
        let grouped = between(&self.expression, "by (", ")");
        let grouped = grouped.iter().flat_map(|list| list.split(','));
        let chosen = between(&self.expression, "{", "}");
        let chosen = chosen.iter().flat_map(|list| list.split(','));
        let chosen = chosen.filter_map(|one| one.split(['=', '!']).next());
        let all = grouped.chain(chosen).map(str::trim);
        all.chain(self.shown.iter().map(String::as_str))
            .filter(|label| !label.is_empty() && !OF_THE_SCRAPER.contains(label))
            .collect()
    }
}

fn alerts() -> Vec<Query> {
    let rules: Vec<Value> = serde_saphyr::from_str(&shipped("alerts.yaml")).unwrap();
    let query = |rule: &Value| {
        let text = rule["annotations"].to_string();
        let shown = between(&text, "{{ $labels.", "}}");
        Query {
            expression: rule["expr"].as_str().unwrap().to_owned(),
            shown: shown.into_iter().map(str::to_owned).collect(),
        }
    };
    rules.iter().map(query).collect()
}

/// Every object with an expression, however deep.
fn panels(value: &Value, found: &mut Vec<Query>) {
    if let Some(expression) = value["expr"].as_str() {
        let legend = value["legendFormat"].as_str().unwrap_or_default();
        found.push(Query {
            expression: expression.to_owned(),
            shown: between(legend, "{{", "}}")
                .into_iter()
                .map(str::to_owned)
                .collect(),
        });
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|value| panels(value, found)),
        Value::Array(values) => values.iter().for_each(|value| panels(value, found)),
        _ => {}
    }
}

/// The labels of each series, by its name.
fn series(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let labels = series.entry(name.to_owned()).or_default();
        if line.as_bytes()[name.len()] == b'{' {
            let list = rest.split_once('}').unwrap().0;
            let keys = list.split("\",").filter_map(|pair| pair.split('=').next());
            labels.extend(keys.map(str::to_owned));
        }
    }
    series
}

#[tokio::test]
async fn every_series_and_label_of_the_alerts_and_the_dashboard_is_in_the_programs_metrics() {
    let servers = Servers::embedded().await;
    let (world, catalog) = (World(&servers.kubernetes), Catalog(&servers.consul));
    let program = Program::ready(&servers, &BOTH).await;
    // Something of everything: written both ways, and refused.
    world.web("web", &["10.1.0.1"]).await;
    catalog.until_addresses("web", &["10.1.0.1"]).await;
    Registered(&servers.consul).put("db", &["10.2.0.1"]).await;
    Cluster(&servers.kubernetes)
        .until_endpoints("db", &[("10.2.0.1", true)])
        .await;
    world
        .annotate("web", "service-name", &"x".repeat(300))
        .await;
    let metrics = until(
        "a rejected service",
        async || {
            let answer = program.admin().await.get("/metrics").await.unwrap();
            String::from_utf8(answer.body.to_vec()).unwrap()
        },
        |text| text.contains("consul_sync_rejected_services{"),
    )
    .await;
    let told = series(&metrics);

    let mut queries = alerts();
    let dashboard: Value = serde_json::from_str(&shipped("dashboard.json")).unwrap();
    panels(&dashboard, &mut queries);
    assert!(queries.len() > 15, "{queries:?}");
    for query in &queries {
        assert!(!query.metrics().is_empty(), "{query:?}");
        for metric in query.metrics() {
            let Some(labels) = told.get(metric) else {
                panic!("no series {metric}, which {query:?} reads, in\n{metrics}");
            };
            for label in query.labels() {
                assert!(
                    labels.contains(label),
                    "{metric} has {labels:?}, and not {label}, which {query:?} needs"
                );
            }
        }
    }
}
