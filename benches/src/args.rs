//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::fleet::Fleet;

/// Measures consul-sync between a real Kubernetes API server and a real Consul, beside the least that any program
/// would need, and prints figures, limits and goals.
#[derive(Debug, Parser)]
#[command(name = "consul-sync-bench")]
pub(crate) struct Args {
    /// How much there is.
    #[arg(long, value_enum, default_value_t = Size::Normal)]
    pub(crate) size: Size,
    /// What is measured; everything unless it is given.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) stages: Vec<Stage>,
    /// Memory with the API server of the tests, as in every size but large: it is filled in seconds, and its listings
    /// are a little shorter.
    #[arg(long)]
    pub(crate) fake_cluster: bool,
    /// The consul-sync to measure; the one beside this program unless it is given.
    #[arg(long)]
    pub(crate) program: Option<PathBuf>,
    /// Where the figures go as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// 100 services, 1,000 instances: to see that it works.
    Small,
    /// 1,000 services, 10,000 instances.
    Normal,
    /// 10,000 services, 100,000 instances: hours, nearly all of them Consul's.
    Large,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Everything is in Kubernetes, nothing in Consul.
    Cold,
    /// Changes at a steady rate.
    Changes,
    /// A restart with nothing changed, and a while without a change.
    Rest,
    /// The other direction: services of Consul in Kubernetes.
    Import,
    /// Memory with 100,000 endpoints.
    Memory,
}

impl Args {
    pub(crate) fn measures(&self, stage: Stage) -> bool {
        self.stages.is_empty() || self.stages.contains(&stage)
    }
}

impl Size {
    pub(crate) const fn fleet(self) -> Fleet {
        let services = match self {
            Self::Small => 100,
            Self::Normal => 1_000,
            Self::Large => 10_000,
        };
        Fleet {
            services,
            endpoints: 10,
        }
    }
}
