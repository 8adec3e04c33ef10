//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Shows consul-sync at work on a small cluster: every change, and how soon Consul has it.
#[derive(Clone, Debug, Parser)]
#[command(name = "consul-sync-demo")]
pub(crate) struct Args {
    /// Servers to run on
    #[arg(long, value_enum, default_value_t)]
    pub(crate) servers: Choice,
    /// Leave everything running at the end, until ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// The consul-sync program [default: the one beside this program]
    #[arg(long, value_name = "PATH", env = "CONSUL_SYNC_PROGRAM")]
    pub(crate) program: Option<PathBuf>,
}

/// Servers to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// Real ones where they are built or on PATH, else embedded ones
    #[default]
    Auto,
    /// Real etcd, kube-apiserver and Consul
    Real,
    /// Servers within this process
    Embedded,
}
