//! `consul-sync`: the services of a Kubernetes cluster in the Consul catalog.

mod admin;
mod args;
mod chain;
mod check;
mod confirm;
mod exit;
mod heartbeat;
mod log;
mod metrics;
mod narrate;
mod observe;
mod plan;
mod release;
mod settings;
mod signal;
mod stage;

fn main() {
    let _ = args::parse(std::env::args_os(), |name| std::env::var_os(name));
}
