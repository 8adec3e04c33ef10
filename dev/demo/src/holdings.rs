//! What Consul holds of the cluster, what it does not, and whether that is right.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    catalog::{Instance, Places},
    error::{Result, ensure},
    table::Table,
    world::{Expected, Exposed, NAMESPACE},
};

/// How meta keys begin that consul-sync writes on every instance: not what a user of the Service wrote.
const OWN_META: [&str; 2] = ["external-", "port-"];

/// What Consul holds, as a table.
pub(crate) fn held(instances: &[Instance], services: &[Exposed]) -> Table {
    let sources: BTreeMap<_, _> = services
        .iter()
        .filter_map(|service| match service.expected {
            Expected::Registered(name, _) => Some((name, service)),
            Expected::Nothing(_) | Expected::Rejected => None,
        })
        .collect();
    let mut table = Table::new(&[
        "SERVICE",
        "INSTANCE",
        "HEALTH",
        "TAGS",
        "META",
        "FROM KUBERNETES",
    ]);
    let mut last = "";
    for instance in instances {
        let is_first = instance.service != last;
        last = &instance.service;
        let pod = instance.meta.get("external-k8s-ref-name");
        let from = match (is_first, sources.get(instance.service.as_str()), pod) {
            (true, Some(source), Some(pod)) => {
                format!("{} {NAMESPACE}/{}, pod {pod}", source.kind, source.name)
            }
            (true, Some(source), None) => format!("{} {NAMESPACE}/{}", source.kind, source.name),
            (_, _, Some(pod)) => format!("pod {pod}"),
            (_, _, None) => String::new(),
        };
        let written = |key: &str| !OWN_META.iter().any(|own| key.starts_with(own));
        let meta: Vec<_> = instance
            .meta
            .iter()
            .filter(|(key, _)| written(key))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        table.push([
            if is_first {
                instance.service.clone()
            } else {
                String::new()
            },
            instance.place.clone(),
            instance.health.to_string(),
            tags(&instance.tags),
            meta.join(" "),
            from,
        ]);
    }
    table
}

/// What Consul does not hold, as a table; `plan` is what `consul-sync plan --json` printed.
pub(crate) fn absent(plan: &Value, services: &[Exposed]) -> Table {
    let mut table = Table::new(&["SERVICE", "TYPE", "WHY"]);
    for service in services {
        let key = format!("{NAMESPACE}/{}", service.name);
        let why = match &service.expected {
            Expected::Registered(..) => continue,
            Expected::Nothing(why) => (*why).to_owned(),
            Expected::Rejected => {
                let mut rejected = plan["rejected"].as_array().into_iter().flatten();
                let found = rejected.rfind(|rejected| rejected["service"] == key.as_str());
                let detail = found.and_then(|rejected| rejected["detail"].as_str());
                format!("rejected: {}", detail.unwrap_or("(no report)"))
            }
        };
        table.push([key, service.kind.to_owned(), why]);
    }
    table
}

/// Compares what Consul holds with what must come of the Services.
pub(crate) fn as_expected(instances: &[Instance], services: &[Exposed]) -> Result<()> {
    let mut held: BTreeMap<&str, Vec<Instance>> = BTreeMap::new();
    for instance in instances {
        held.entry(&instance.service)
            .or_default()
            .push(instance.clone());
    }
    for service in services {
        if let Expected::Registered(name, places) = &service.expected {
            let held = held.remove(name).unwrap_or_default();
            let (is, should_be) = (Places(&held).to_string(), places.join(", "));
            ensure(is == should_be, || {
                format!("{name}: Consul has {is}, and should have {should_be}")
            })?;
        }
    }
    ensure(held.is_empty(), || {
        let names: Vec<_> = held.keys().copied().collect();
        format!(
            "Consul has what nothing in the cluster asks for: {}",
            names.join(", ")
        )
    })
}

/// Tags apart from each other, also where one has a comma.
fn tags(tags: &[String]) -> String {
    let quoted = |tag: &String| {
        if tag.contains([',', ' ']) {
            format!("{tag:?}")
        } else {
            tag.clone()
        }
    };
    tags.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world;

    #[test]
    fn a_tag_with_a_comma_is_one_tag() {
        let read =
            |list: &[&str]| tags(&list.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["k8s", "v2", "eu,us"]), r#"k8s v2 "eu,us""#);
    }

    #[test]
    fn what_should_be_there_and_is_not_is_named() {
        let error = as_expected(&[], &world::services())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "assets: Consul has nothing, and should have assets.lb.example.com:443 no check"
        );
    }
}
