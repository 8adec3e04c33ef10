//! The configuration file of a Consul server under test.

use std::time::Duration;

use serde_json::{Value, json};

use super::tls::Tls;
use super::{ConsulSettings, MANAGEMENT_TOKEN, Storage};
use crate::Result;
use crate::folder::Folder;
use crate::port::Port;

/// The name of the server's own node.
pub(super) const NODE: &str = "testbed";

/// The folder in which it keeps its state.
pub(super) const DATA: &str = "data";

/// A server that takes a connection and does not answer must not use up the time it is given.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// The ports that are the server's for its lifetime.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) http: Port,
    pub(super) https: Port,
    pub(super) dns: Port,
    serf: Port,
    server: Port,
}

impl Ports {
    pub(super) fn lease() -> Result<Self> {
        Ok(Self {
            http: Port::lease()?,
            https: Port::lease()?,
            dns: Port::lease()?,
            serf: Port::lease()?,
            server: Port::lease()?,
        })
    }
}

pub(super) fn config(
    settings: &ConsulSettings,
    ports: &Ports,
    folder: &Folder,
    tls: Option<&Tls>,
) -> Value {
    let mut config = json!({
        "node_name": NODE,
        "server": true,
        "bind_addr": "127.0.0.1",
        "client_addr": "127.0.0.1",
        "disable_update_check": true,
        "log_level": "info",
        "ports": {
            "http": ports.http.number(),
            "https": if tls.is_some() { i32::from(ports.https.number()) } else { -1 },
            "dns": ports.dns.number(),
            "grpc": -1,
            "grpc_tls": -1,
            "serf_lan": ports.serf.number(),
            "serf_wan": -1,
            "server": ports.server.number(),
        },
        // Tests open many connections from one address; the usual 200 would refuse them.
        "limits": { "http_max_conns_per_client": 2000 },
    });
    if settings.storage == Storage::Disk {
        let disk = json!({
            "bootstrap_expect": 1,
            "data_dir": folder.join(DATA),
            // The shortest elections there are: a restarted server leads a second later.
            "performance": { "raft_multiplier": 1 },
            // Each segment of the log is as large from its first byte; the usual 64 MiB fill disks.
            "raft_logstore": { "wal": { "segment_size_mb": 4 } },
        });
        merge(&mut config, &disk);
    }
    if settings.acls {
        let acls = json!({
            "acl": {
                "enabled": true,
                "default_policy": "deny",
                "tokens": { "initial_management": MANAGEMENT_TOKEN, "agent": MANAGEMENT_TOKEN },
            },
        });
        merge(&mut config, &acls);
    }
    if let Some(tls) = tls {
        let files = json!({
            "tls": {
                "defaults": {
                    "ca_file": tls.ca,
                    "cert_file": tls.certificate,
                    "key_file": tls.key,
                    // Clients prove themselves by token.
                    "verify_incoming": false,
                },
            },
        });
        merge(&mut config, &files);
    }
    merge(&mut config, &settings.config);
    config
}

/// Lays `top` over `base`: objects key by key, anything else whole, null not at all.
fn merge(base: &mut Value, top: &Value) {
    match (base, top) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(top)) => {
            for (key, value) in top {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, top) => *base = top.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Program;

    fn example(settings: &ConsulSettings) -> Value {
        let folder = Folder::create(Program::Etcd).unwrap();
        config(settings, &Ports::lease().unwrap(), &folder, None)
    }

    #[test]
    fn merging_keeps_what_the_top_does_not_name() {
        let mut base = json!({ "ports": { "http": 1, "dns": 2 }, "list": [1] });
        merge(
            &mut base,
            &json!({ "ports": { "dns": 3 }, "list": [2], "absent": null }),
        );
        assert_eq!(
            base,
            json!({ "ports": { "http": 1, "dns": 3 }, "list": [2], "absent": null })
        );
    }

    #[test]
    fn a_test_can_change_any_setting() {
        let settings = ConsulSettings {
            config: json!({ "log_level": "trace" }),
            ..ConsulSettings::default()
        };
        assert_eq!(example(&settings)["log_level"], "trace");
    }

    #[test]
    fn every_port_differs_and_is_set() {
        let config = example(&ConsulSettings::default());
        let ports: Vec<i64> = config["ports"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_i64)
            .collect();
        let mut open: Vec<i64> = ports.iter().copied().filter(|port| *port > 0).collect();
        assert_eq!(open.len(), 4);
        open.sort_unstable();
        open.dedup();
        assert_eq!(open.len(), 4);
    }
}
