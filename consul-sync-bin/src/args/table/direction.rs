//! Which way services go.

use crate::{
    args::setting::{Section, Setting},
    direction::Direction,
};

pub(crate) static TO_CONSUL: Setting<bool> = Setting::switch("to-consul", true).help(
    Section::Direction,
    "Whether Services of Kubernetes are registered in Consul.",
);

pub(crate) static TO_K8S: Setting<bool> = Setting::switch("to-k8s", false).help(
    Section::Direction,
    "Whether services of Consul become Services of Kubernetes.\nOff unless it is asked for. Both directions can run in one \
     process or in two; what one of them wrote is never taken up by the other.",
);

pub(crate) static DIRECTION: Setting<Direction> =
    Setting::one("direction", "DIRECTION", Direction::named)
        .default_note("the one whose brake is engaged")
        .help(
            Section::Direction,
            "Direction whose held deletes are confirmed: to-consul or to-k8s.\nNeeded where both brakes are engaged.",
        );
