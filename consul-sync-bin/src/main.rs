//! `consul-sync`: the services of a Kubernetes cluster in the Consul catalog, and those of Consul in the cluster.

mod admin;
mod args;
mod chain;
mod check;
mod cluster;
mod command;
mod confirm;
mod direction;
mod early;
mod election;
mod exit;
mod heartbeat;
mod log;
mod metrics;
mod narrate;
mod observe;
mod plan;
mod release;
mod running;
mod settings;
mod signal;
mod stage;
mod tell;
mod wire;

use std::{env, process::ExitCode};

/// Its settings are in `.cargo/config.toml`.
#[cfg(all(
    feature = "jemalloc",
    target_os = "linux",
    target_env = "gnu",
    target_arch = "x86_64"
))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything that could make a TLS configuration: kube takes the process's provider. Fails only when one
    // was installed before, and nobody did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exit = match args::read(env::args_os(), |name| env::var_os(name)) {
        Ok(asked) => command::carry_out(asked),
        Err(refusal) => refusal.report(),
    };
    exit.into()
}
