//! Shows consul-sync at work: a small cluster, a Consul, the program between them, and what happens to each.
//!
//! It is what `make demo` runs. It starts the servers and the program, changes one thing after the other, and prints for
//! each how long it took until Consul had it, or Kubernetes what Consul has. It ends with an error when a step does not go as it should, so it is also
//! the quickest proof that a build works as a whole.

mod addresses;
mod args;
mod catalog;
mod child;
mod cluster;
mod error;
mod holdings;
mod imports;
mod program;
mod report;
mod servers;
mod show;
mod signal;
mod stage;
mod steps;
mod table;
mod world;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(show::run(args)),
        Err(error) => {
            anstream::eprintln!("demo: no threads can be started: {error}");
            ExitCode::FAILURE
        }
    }
}
