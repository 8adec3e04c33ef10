//! The two directions in which services are synchronised, and what differs between them in words.

use serde::Serialize;

/// A direction: where services come from, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// From Kubernetes to Consul.
    ToConsul,
    /// From Consul to Kubernetes.
    ToK8s,
}

impl Direction {
    /// Every direction.
    pub(crate) const ALL: [Self; 2] = [Self::ToConsul, Self::ToK8s];

    /// The direction as a label, a field of JSON and the name of a span.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ToConsul => "to_consul",
            Self::ToK8s => "to_k8s",
        }
    }

    /// The direction that a setting or a request names.
    ///
    /// # Errors
    /// Says what would be good.
    pub(crate) fn named(text: &str) -> Result<Self, String> {
        crate::args::value::choice(
            text,
            &[("to-consul", Self::ToConsul), ("to-k8s", Self::ToK8s)],
        )
    }

    /// What is written there, for people.
    pub(crate) fn record(self) -> &'static str {
        match self {
            Self::ToConsul => "registration",
            Self::ToK8s => "object",
        }
    }

    /// A span for everything that is logged of it. It is shown at every level.
    pub(crate) fn span(self) -> tracing::Span {
        match self {
            Self::ToConsul => tracing::error_span!("to_consul"),
            Self::ToK8s => tracing::error_span!("to_k8s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_found_by_its_label_and_by_its_flag() {
        for direction in Direction::ALL {
            assert_eq!(Direction::named(direction.as_str()), Ok(direction));
            assert_eq!(serde_json::to_value(direction).unwrap(), direction.as_str());
            assert_eq!(
                Direction::named(&direction.as_str().replace('_', "-")),
                Ok(direction)
            );
        }
        assert_eq!(
            Direction::named("both"),
            Err("expected to-consul or to-k8s".to_owned())
        );
    }
}
