//! The part of an object's metadata that is used.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{decode::Decode, soft::Soft};
use crate::{annotations, mark};

/// Metadata of soft fields. `B` says which labels are kept.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct RawMeta<B: Decode> {
    #[serde(default)]
    name: Soft<String>,
    #[serde(default)]
    namespace: Soft<String>,
    #[serde(default)]
    uid: Soft<String>,
    #[serde(default)]
    resource_version: Soft<String>,
    #[serde(default)]
    creation_timestamp: Soft<String>,
    #[serde(default)]
    deletion_timestamp: Soft<String>,
    #[serde(default)]
    labels: Soft<Pairs<Labels<B>>>,
    #[serde(default)]
    annotations: Soft<Pairs<Ours>>,
}

impl<B: Decode> RawMeta<B> {
    /// The slimmed metadata and the first thing that is wrong with it.
    pub(super) fn slim(self) -> (ObjectMeta, Option<String>) {
        let mut doubt = Doubt(None);
        let metadata = ObjectMeta {
            name: doubt.keep(self.name.take("metadata.name")),
            namespace: doubt.keep(self.namespace.take("metadata.namespace")),
            uid: doubt.keep(self.uid.take("metadata.uid")),
            resource_version: doubt.keep(self.resource_version.take("metadata.resourceVersion")),
            creation_timestamp: doubt
                .keep(time(self.creation_timestamp, "metadata.creationTimestamp")),
            deletion_timestamp: doubt
                .keep(time(self.deletion_timestamp, "metadata.deletionTimestamp")),
            labels: doubt.keep(pairs(self.labels, "metadata.labels")),
            annotations: doubt.keep(pairs(self.annotations, "metadata.annotations")),
            ..ObjectMeta::default()
        };
        (metadata, doubt.0)
    }
}

struct Doubt(Option<String>);

impl Doubt {
    fn keep<T>(&mut self, value: Result<Option<T>, String>) -> Option<T> {
        value.unwrap_or_else(|problem| {
            self.0.get_or_insert(problem);
            None
        })
    }
}

fn time(text: Soft<String>, path: &str) -> Result<Option<Time>, String> {
    let Some(text) = text.take(path)? else {
        return Ok(None);
    };
    match text.parse::<Timestamp>() {
        Ok(timestamp) => Ok(Some(Time(timestamp))),
        Err(problem) => Err(format!("{path}: {text:?} is not a time: {problem}")),
    }
}

fn pairs<F>(pairs: Soft<Pairs<F>>, path: &str) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(pairs) = pairs.take(path)? else {
        return Ok(None);
    };
    match pairs.problem {
        Some((key, problem)) => Err(format!("{path}[{key:?}]: {problem}")),
        None => Ok((!pairs.kept.is_empty()).then_some(pairs.kept)),
    }
}

/// Which keys of a map are kept.
trait Filter {
    fn keeps(key: &str) -> bool;
}

/// The labels that the kind `B` needs.
#[derive(Debug)]
struct Labels<B>(PhantomData<B>);

/// Our annotations.
#[derive(Debug)]
struct Ours;

impl<B: Decode> Filter for Labels<B> {
    fn keeps(key: &str) -> bool {
        B::keeps_label(key)
    }
}

impl Filter for Ours {
    fn keeps(key: &str) -> bool {
        key.starts_with(annotations::PREFIX) || key.starts_with(mark::PREFIX)
    }
}

/// The pairs of a map of strings that are kept; the others are skipped without being stored.
#[derive(Debug)]
struct Pairs<F> {
    kept: BTreeMap<String, String>,
    problem: Option<(String, String)>,
    filter: PhantomData<F>,
}

impl<'de, F: Filter> Deserialize<'de> for Pairs<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<F>(PhantomData<F>);

        impl<'de, F: Filter> Visitor<'de> for PairsVisitor<F> {
            type Value = Pairs<F>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Pairs {
                    kept: BTreeMap::new(),
                    problem: None,
                    filter: PhantomData,
                };
                while let Some(key) = entries.next_key::<String>()? {
                    if !F::keeps(&key) {
                        entries.next_value::<serde::de::IgnoredAny>()?;
                        continue;
                    }
                    match entries.next_value::<Soft<String>>()?.or_default("value") {
                        Ok(value) => drop(pairs.kept.insert(key, value)),
                        Err(problem) => drop(pairs.problem.get_or_insert((key, problem))),
                    }
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}
