//! The files that tell a client where the API server is and who asks.
//!
//! They are JSON, which every reader of YAML takes.

use std::path::PathBuf;

use serde_json::{Value, json};

/// Where the API server is, and what its certificate is checked against.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) url: String,
    pub(super) ca: PathBuf,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Login(Value);

impl Login {
    pub(super) fn token(token: &str) -> Self {
        Self(json!({ "token": token }))
    }

    /// `user` in `groups`, by way of someone who may impersonate them.
    pub(super) fn impersonate(token: &str, user: &str, groups: &[&str]) -> Self {
        Self(json!({ "token": token, "as": user, "as-groups": groups }))
    }
}

impl Cluster {
    pub(super) fn kubeconfig(&self, user: &str, login: &Login) -> String {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "testbed",
            "contexts": [{ "name": "testbed", "context": { "cluster": "testbed", "user": user } }],
            "clusters": [{
                "name": "testbed",
                "cluster": { "server": self.url, "certificate-authority": self.ca },
            }],
            "users": [{ "name": user, "user": login.0 }],
        });
        format!("{kubeconfig:#}\n")
    }
}
