//! The commands and flags as `clap` wants them, and with them the help.

mod printed;

use clap::{Arg, ArgAction};

pub(super) use self::printed::page;
use super::{
    setting::{Row, Section, Shape},
    table,
};

/// The program's commands and their flags.
pub(super) fn command() -> clap::Command {
    clap::Command::new("consul-sync")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps the services of a Kubernetes cluster in Consul and those of Consul in the cluster, at once and safely")
        .after_help(
            "Every flag has a variable (see --help of a command) and may stand in a settings file (--config); a flag beats a \
             variable, a variable beats the file, and an empty variable counts as unset.\nExit codes: 0 done or nothing to do, 1 failed or misused, 2 plan found changes.\nconsul-sync sync-catalog takes \
             the flags and variables of consul-k8s; see consul-sync sync-catalog -h.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(110)
        .subcommands([
            with_settings(
                clap::Command::new("run")
                    .about("Keep Consul as the cluster wants it, and the cluster as Consul does, until SIGTERM")
                    .long_about(
                        "Keep Consul as the cluster wants it, with --to-k8s also the cluster as Consul wants it.\n\nServices of \
                         Kubernetes are registered in Consul; that direction is on by default. With --to-k8s services that \
                         others registered in Consul appear in Kubernetes: by default as aliases in Consul's DNS, which is what \
                         the incumbent does; --k8s-mode endpoints makes Services of them that need no DNS of Consul's. Both \
                         directions can run in one process or in two, and what one of them wrote is never taken up by the \
                         other.\n\nIt starts while Kubernetes or Consul is away and waits for them, live and not ready. \
                         SIGTERM or SIGINT ends it within 5 s, after the batch under way, and deletes nothing; a second \
                         signal ends it at once.",
                    ),
            ),
            with_settings(
                clap::Command::new("plan")
                    .about("Show what run would do, and write nothing")
                    .long_about(
                        "Show what run would do, and write nothing.\n\nExit code 0: nothing to do; 2: there are changes; 1: it \
                         failed.",
                    )
                    .arg(switch("json", "Print one JSON object"))
                    .after_long_help(
                        "JSON: one object for each direction that is on: format (1), direction (to_consul, to_k8s), owner, \
                         place, node (null for to_k8s), summary {create, update, adopt, delete}, unchanged, services [{name, \
                         operations [{verb, id, changes [{field, before, after}]}]}], rejected [{service, reason, detail}], \
                         blocked and orphans [{service, id}], brake (whether run would hold the deletes). Later versions add \
                         fields and change none within a format.",
                    ),
            ),
            with_settings(
                clap::Command::new("check")
                    .about("Find out whether run could work: reach, rights, and what is missing")
                    .long_about(
                        "Find out whether run could work: can both sides be reached, is every right there that these settings \
                         need, and what to do about what is missing. Writes nothing.\n\nExit code 0: all is well; 1: something is \
                         missing.",
                    )
                    .arg(switch("json", "Print one JSON object"))
                    .after_long_help(
                        "JSON: format (1), ok, checks [{side (kubernetes, consul), state (ok, failed), message, fix}]. Later \
                         versions add fields and change none within a format.",
                    ),
            ),
            with_settings(
                clap::Command::new("purge")
                    .about("Delete every registration that is ours, after asking")
                    .long_about(
                        "Delete every registration that carries this owner's mark on the node; nothing else. With --to-k8s also \
                         every Service and EndpointSlice that carries it in the namespaces that are written to. It lists them \
                         and asks. Stop run before, or it writes them again.",
                    )
                    .arg(
                        Arg::new("only")
                            .long("only")
                            .value_name("EXPRESSION")
                            .help("Only registrations in Consul that this filter expression of Consul selects, as in 'Service == \"web\"'"),
                    )
                    .arg(switch("unowned", "Also delete registrations that a synchroniser made and that carry nobody's mark"))
                    .arg(switch("yes", "Do not ask; needed where standard input is no terminal")),
            ),
            with_settings(
                clap::Command::new("rbac")
                    .about("Print the least rights that run needs with these settings")
                    .long_about(
                        "Print the least rights that run needs with these settings, ready for kubectl apply -f -, or with \
                         --consul-policy for consul acl policy create -rules -. Asks no server.",
                    )
                    .arg(switch("consul-policy", "Print the rules of a Consul ACL policy in place of Kubernetes manifests")),
            ),
            with_settings(
                clap::Command::new("release-brake")
                    .about("Confirm the deletes that a running process holds")
                    .long_about(
                        "Confirm the deletes that a running process holds because they were too many at once. Run it on the \
                         machine, or in the pod, of that process; it is POST /brake/release on its admin address, which answers \
                         to loopback alone.",
                    ),
            ),
            with_settings(printed::config()),
            printed::completions(),
            printed::man(),
            clap::Command::new("version").about("Print the version"),
        ])
}

/// Every settings flag on every command, so that a command line or a pod's environment that works for one works
/// for all of them; the help shows those that matter to the command.
fn with_settings(command: clap::Command) -> clap::Command {
    let name = command.get_name().to_owned();
    table::ALL.iter().fold(command, |command, row| {
        command.arg(argument(row).hide(!matters(&name, row)))
    })
}

fn matters(command: &str, row: &Row) -> bool {
    match command {
        "release-brake" => matches!(row.name, "listen" | "direction"),
        _ if row.name == "direction" => false,
        "run" => !matches!(row.name, "service-account" | "timeout"),
        _ if row.name == "config" => true,
        "config" => true,
        "rbac" => {
            matches!(
                row.section,
                Section::Direction | Section::Export | Section::Import
            ) || RIGHTS.contains(&row.name)
        }
        _ if matches!(row.name, "timeout" | "log-level" | "log-format" | "owner") => true,
        _ if row.name == "service-account" => false,
        "plan" => row.section != Section::Process,
        "check" => !matches!(row.section, Section::Process | Section::Safety),
        _ => {
            matches!(
                row.section,
                Section::Direction | Section::Kubernetes | Section::Consul
            ) || PLACES.contains(&row.name)
        }
    }
}

/// Settings of the import that say where objects are looked for.
const PLACES: &[&str] = &[
    "k8s-write-namespace",
    "k8s-meta-namespaces",
    "k8s-mirror-namespaces",
    "k8s-mode",
    "k8s-mode-for",
    "k8s-mode-by-meta",
];

/// Settings outside the export and the import that change which rights are needed.
const RIGHTS: &[&str] = &[
    "service-account",
    "owner",
    "leader-election",
    "leader-election-lease",
    "leader-election-namespace",
    "leader-election-prefix",
    "consul-node",
    "consul-namespace",
    "consul-mirror-namespaces",
    "consul-create-namespaces",
    "consul-cross-namespace-policy",
    "consul-partition",
];

fn argument(row: &Row) -> Arg {
    let arg = Arg::new(row.name)
        .long(row.name)
        .value_name(row.placeholder)
        .help(row.headline())
        .long_help(row.text())
        .help_heading(row.section.heading());
    match row.shape {
        Shape::One => arg.action(ArgAction::Set),
        Shape::Many => arg.action(ArgAction::Append),
        Shape::Switch => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}
