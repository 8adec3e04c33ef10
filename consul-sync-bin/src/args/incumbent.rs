//! `sync-catalog`: the command line of the incumbent, read as it reads it and said in our own words.
//!
//! Someone who changes one program path keeps every flag and variable. What a value means is read from the same table as
//! everywhere; here is only how flags are written, which names they have, and which defaults are others.

mod flags;
mod parse;

use std::{collections::BTreeMap, ffi::OsString, fmt::Write, path::Path};

use self::{
    flags::{FLAGS, Means},
    parse::{Trouble, Values},
};

/// What the incumbent's program is called.
const PROGRAM: &str = "consul-k8s-control-plane";
/// Its command.
pub(crate) const COMMAND: &str = "sync-catalog";

/// Settings whose empty text is not the same as none.
const EMPTY_SAYS_SOMETHING: [&str; 3] = ["tag", "name-prefix", "k8s-service-prefix"];

/// The same in our words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    /// A command and its flags, without the program's name.
    pub(crate) arguments: Vec<String>,
    /// What to tell of flags that do nothing, a line each.
    pub(crate) notes: Vec<String>,
}

/// Why there is no command to carry out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Help was asked for: this is it.
    Help(String),
    /// A flag cannot be used; the text names it.
    Bad(String),
}

/// The flags of the incumbent, where it is what was called: by its program's name or by its command.
///
/// # Errors
/// When another command of its program is called, or an argument is no text.
pub(crate) fn flags(arguments: &[OsString]) -> Result<Option<Vec<String>>, Refused> {
    let program = arguments.first().map(Path::new).and_then(Path::file_stem);
    let command = arguments.get(1);
    if command.is_none_or(|command| command != COMMAND) {
        return match command {
            _ if program.is_none_or(|program| program != PROGRAM) => Ok(None),
            Some(command) => Err(Refused::Bad(format!(
                "{PROGRAM} {}: only {COMMAND} is here",
                command.to_string_lossy()
            ))),
            None => Err(Refused::Bad(format!("{PROGRAM}: only {COMMAND} is here"))),
        };
    }
    let texts = arguments[2..].iter().map(|argument| {
        let text = argument.to_str().map(ToOwned::to_owned);
        text.ok_or_else(|| Refused::Bad(format!("{} is no UTF-8", argument.display())))
    });
    texts.collect::<Result<_, _>>().map(Some)
}

/// Says the flags that follow `sync-catalog` in our words.
///
/// # Errors
/// The first flag that cannot be used, and why.
pub(crate) fn translate(
    arguments: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Translated, Refused> {
    let values = parse::parse(arguments, variable).map_err(|trouble| match trouble {
        Trouble::Help => Refused::Help(help()),
        Trouble::Bad(text) => Refused::Bad(text),
    })?;
    let mut notes = Vec::new();
    let mut ours: BTreeMap<&str, String> = BTreeMap::from([("to-k8s", "true".to_owned())]);
    for flag in FLAGS {
        let Some(given) = values.get(flag.name) else {
            continue;
        };
        match flag.means {
            // An empty text is what the incumbent's chart writes for none.
            Means::Setting(name)
                if given.join("").is_empty() && !EMPTY_SAYS_SOMETHING.contains(&name) => {}
            Means::Setting(name) => {
                ours.insert(name, given.join(","));
            }
            Means::Joined(_) | Means::Alone(_) => {}
            Means::Nothing(why) => notes.push(format!("-{} does nothing: {why}", flag.name)),
        }
    }
    let given = Given(&values);
    given.consul_namespaces(&mut ours);
    given.addresses(&mut ours);
    given.token(&mut ours);
    given.metrics(&mut ours)?;
    if let Some(kind) = given.text("node-port-sync-type") {
        ours.insert("node-ports", node_ports(kind)?.to_owned());
    }
    if given.is_on("log-json") {
        ours.insert("log-format", "json".to_owned());
    }
    let mut command = vec!["run".to_owned()];
    if given.is_on("purge-k8s-services-from-node") {
        // The incumbent removes what is on the node, whoever made it, and nothing in the cluster.
        command = ["purge", "--yes", "--unowned"].map(str::to_owned).into();
        command.extend(given.text("filter").map(|text| format!("--only={text}")));
        ours.insert("to-consul", "true".to_owned());
        ours.insert("to-k8s", "false".to_owned());
    } else {
        if given.text("filter").is_some() {
            notes.push("-filter does nothing without -purge-k8s-services-from-node".to_owned());
        }
        given.namespaces(&mut ours, &mut notes);
    }
    let flags = ours
        .into_iter()
        .map(|(name, text)| format!("--{name}={text}"));
    Ok(Translated {
        arguments: command.into_iter().chain(flags).collect(),
        notes,
    })
}

struct Given<'a>(&'a Values);

impl Given<'_> {
    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// A text that is not empty: an empty one is what the incumbent's chart writes for none.
    fn text(&self, name: &str) -> Option<&str> {
        let last = self.all(name).last().map(String::as_str);
        last.filter(|text| !text.is_empty())
    }

    fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A service in no allowed namespace is not registered, and without a flag none is allowed.
    fn namespaces(&self, ours: &mut BTreeMap<&str, String>, notes: &mut Vec<String>) {
        let mut denied = self.all("deny-k8s-namespace").to_vec();
        match self.text("k8s-source-namespace") {
            Some(only) => {
                ours.insert("allow-namespace", only.to_owned());
            }
            None if self.all("allow-k8s-namespace").is_empty() => {
                notes.push(
                    "no namespace is allowed, so no service of Kubernetes is registered: give -allow-k8s-namespace='*'"
                        .to_owned(),
                );
                denied = vec!["*".to_owned()];
            }
            None => {
                let allowed = self.all("allow-k8s-namespace");
                ours.insert("allow-namespace", allowed.join(","));
            }
        }
        if !denied.is_empty() {
            ours.insert("deny-namespace", denied.join(","));
        }
    }

    fn consul_namespaces(&self, ours: &mut BTreeMap<&str, String>) {
        if !self.is_on("enable-namespaces") {
            return;
        }
        if self.is_on("enable-k8s-namespace-mirroring") {
            ours.remove("consul-namespace");
            ours.insert("consul-mirror-namespaces", "true".to_owned());
            if let Some(prefix) = self.text("k8s-namespace-mirroring-prefix") {
                ours.insert("consul-mirror-prefix", prefix.to_owned());
            }
        } else {
            let place = self
                .text("consul-destination-namespace")
                .unwrap_or("default");
            ours.insert("consul-namespace", place.to_owned());
        }
    }

    fn addresses(&self, ours: &mut BTreeMap<&str, String>) {
        if let Some(address) = self.text("addresses") {
            match address.strip_prefix("exec=") {
                Some(command) => ours.insert("consul-addr-command", command.to_owned()),
                None => ours.insert("consul-addr", address.to_owned()),
            };
        }
    }

    /// At a port of their own, as those who scrape expect it.
    fn metrics(&self, ours: &mut BTreeMap<&str, String>) -> Result<(), Refused> {
        let port = self.text("metrics-port").unwrap_or("20300");
        let is_good = port.parse().is_ok_and(|port: u16| port >= 1024);
        if !is_good {
            return Err(Refused::Bad(format!(
                "-metrics-port={port}: expected a port from 1024 to 65535"
            )));
        }
        if self.is_on("enable-metrics") {
            ours.insert("incumbent-metrics", format!(":{port}"));
        }
        Ok(())
    }

    /// A login goes before a token that is there as well.
    fn token(&self, ours: &mut BTreeMap<&str, String>) {
        if self.text("auth-method-name").is_some() {
            return;
        }
        for (flag, name) in [
            ("token", "consul-token"),
            ("token-file", "consul-token-file"),
        ] {
            if let Some(text) = self.text(flag) {
                ours.insert(name, text.to_owned());
            }
        }
    }
}

fn node_ports(kind: &str) -> Result<&'static str, Refused> {
    match kind {
        "ExternalOnly" => Ok("external-only"),
        "InternalOnly" => Ok("internal-only"),
        "ExternalFirst" => Ok("external-first"),
        _ => Err(Refused::Bad(format!(
            "-node-port-sync-type={kind}: expected ExternalOnly, InternalOnly or ExternalFirst"
        ))),
    }
}

/// The flags that say this setting, alone or with others.
#[cfg(test)]
pub(super) fn of_setting(name: &str) -> Vec<&'static str> {
    let says = |means: &Means| match means {
        Means::Setting(setting) => *setting == name,
        Means::Joined(settings) => settings.contains(&name),
        _ => false,
    };
    let flags = FLAGS.iter().filter(|flag| says(&flag.means));
    flags.map(|flag| flag.name).collect()
}

/// The flags that say no setting, with their variable and what they do.
#[cfg(test)]
pub(super) fn without_a_setting()
-> impl Iterator<Item = (&'static str, Option<&'static str>, String)> {
    FLAGS.iter().filter_map(|flag| {
        let what = match flag.means {
            Means::Setting(_) | Means::Joined(_) => return None,
            Means::Alone(what) => what.to_owned(),
            Means::Nothing(why) => format!("nothing: {why}"),
        };
        Some((flag.name, flag.variable, what))
    })
}

fn help() -> String {
    let mut text = format!(
        "Usage: consul-sync {COMMAND} [flags]\n\nThe flags and variables of the incumbent's {COMMAND}, as -flag, --flag, \
         -flag=value or -flag value.\nconsul-sync run has the same and more under names of its own.\n\nFlags:\n"
    );
    for flag in FLAGS {
        let what = match flag.means {
            Means::Setting(name) => format!("--{name} of consul-sync run"),
            Means::Joined(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("--{name}")).collect();
                format!(
                    "as in the incumbent; see {} of consul-sync run",
                    names.join(", ")
                )
            }
            Means::Alone(what) => what.to_owned(),
            Means::Nothing(why) => format!("does nothing: {why}"),
        };
        let variable = flag
            .variable
            .map_or_else(String::new, |name| format!(" [env: {name}]"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  -{:<32} {what}{variable}", flag.name);
    }
    text
}

#[cfg(test)]
mod tests;
