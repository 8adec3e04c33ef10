//! What is read after each step.

use super::step::Step;

/// How long a blocking read waits where nothing is expected to move. What a write moved, it had moved when it was
/// answered.
const UNMOVED: &str = "2ms";
/// How long one that a view answers, which is fed after the write.
const VIEW_UNMOVED: &str = "15ms";

#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) path: String,
    /// Whether it is also read blocking.
    pub(crate) blocking: bool,
}

impl Look {
    pub(crate) fn step(&self) -> Step {
        Step::get(self.path.as_str())
    }

    /// A blocking read past `index`.
    pub(crate) fn past(&self, index: Option<u64>, wait: &str) -> Step {
        let glue = if self.path.contains('?') { '&' } else { '?' };
        Step::get(format!(
            "{}{glue}index={}&wait={wait}",
            self.path,
            index.unwrap_or(1)
        ))
    }

    /// Whether the read may change something: the UI's does.
    pub(crate) fn writes(&self) -> bool {
        self.path.starts_with("/v1/internal/ui/")
    }

    /// How long a blocking read waits where nothing is expected to move.
    pub(crate) fn unmoved(&self) -> &'static str {
        if self.is_view() {
            VIEW_UNMOVED
        } else {
            UNMOVED
        }
    }

    /// Whether a blocking read is answered by a view.
    pub(crate) fn is_view(&self) -> bool {
        self.path.starts_with("/v1/health/service/") && !self.path.contains("near=")
    }
}

/// Everything, with views read blocking or not.
pub(crate) fn looks(views: bool) -> Vec<Look> {
    let mut paths = vec![
        "/v1/catalog/nodes".to_owned(),
        "/v1/catalog/services".to_owned(),
        "/v1/catalog/services?node-meta=k:v".to_owned(),
        "/v1/kv/~lock".to_owned(),
    ];
    for node in ["~n1", "~N2", "~gone"] {
        for family in [
            "catalog/node-services",
            "catalog/node",
            "health/node",
            "internal/ui/node",
        ] {
            paths.push(format!("/v1/{family}/{node}"));
        }
    }
    for service in ["~web", "~API"] {
        for family in ["catalog/service", "health/service", "health/checks"] {
            paths.push(format!("/v1/{family}/{service}"));
        }
        paths.push(format!("/v1/health/service/{service}?passing"));
        // As the source reads: near to no node, which is not answered by a view.
        paths.push(format!(
            "/v1/health/service/{service}?near=consul-sync-nowhere"
        ));
    }
    let mut looks: Vec<_> = paths
        .into_iter()
        .map(|path| Look {
            path,
            blocking: true,
        })
        .collect();
    for look in &mut looks {
        look.blocking = views || !look.is_view();
    }
    looks.sort_by_key(|look| !look.writes());
    looks
}
