//! The test's own hand in the catalog: the vandal, the operator, the power cut.

use super::acl::Rules;
use super::builder::fresh_store;
use super::fault::Fault;
use super::model::{Check, Instance, Node};
use super::namespace::Namespace;
use super::store::{Store, Written};
use super::{AGENT_NODE, FakeConsul};

/// A catalog that can be put back with [`FakeConsul::restore`].
#[derive(Clone, Debug)]
pub struct Snapshot(Store);

// ---- the vandal -------------------------------------------------------------------------------------------------------

impl FakeConsul {
    /// Registers a node, or changes it. Indexes in `node` are ignored.
    ///
    /// # Errors
    ///
    /// Consul's words for why it cannot be.
    pub fn put_node(&self, node: Node) -> Result<(), String> {
        self.write(|store, index| store.set_node(index, node))
    }

    /// Removes a node with everything on it.
    pub fn remove_node(&self, node: &str) {
        let _: Written<()> = self.write(|store, index| {
            store.remove_node(index, node);
            Ok(())
        });
    }

    /// Registers an instance, or changes it. Indexes in `instance` are ignored.
    ///
    /// # Errors
    ///
    /// Consul's words for why it cannot be, such as a missing node.
    pub fn put_instance(&self, instance: Instance) -> Result<(), String> {
        self.write(|store, index| store.set_instance(index, instance))
    }

    /// Removes an instance with its checks.
    pub fn remove_instance(&self, node: &str, id: &str) {
        let _: Written<()> = self.write(|store, index| {
            store.remove_instance(index, node, id);
            Ok(())
        });
    }

    /// Registers a check, or changes it. Indexes in `check` are ignored.
    ///
    /// # Errors
    ///
    /// Consul's words for why it cannot be, such as a missing instance.
    pub fn put_check(&self, check: Check) -> Result<(), String> {
        self.write(|store, index| store.set_check(index, check))
    }

    /// Removes a check.
    pub fn remove_check(&self, node: &str, id: &str) {
        let _: Written<()> = self.write(|store, index| {
            store.remove_check(index, node, id);
            Ok(())
        });
    }

    /// Ends a session: what it held is released.
    pub fn destroy_session(&self, id: &str) {
        let _: Written<()> = self.write(|store, index| {
            store.end_session(index, id);
            Ok(())
        });
    }

    /// Removes a key.
    pub fn remove_key(&self, key: &str) {
        let _: Written<()> = self.write(|store, index| {
            store.remove_key(index, key);
            Ok(())
        });
    }

    /// Makes a namespace of Consul Enterprise, or changes it. Indexes in `namespace` are ignored.
    ///
    /// # Errors
    ///
    /// It is being deleted.
    pub fn put_namespace(&self, namespace: Namespace) -> Result<(), String> {
        self.write(|store, index| store.put_namespace(index, namespace))
    }

    /// Removes a namespace of Consul Enterprise with all that is in it.
    pub fn remove_namespace(&self, name: &str) {
        let _: Written<()> = self.write(|store, index| {
            store.remove_namespace(index, name);
            Ok(())
        });
    }

    /// Lets a namespace of Consul Enterprise be one that is being deleted, until [`remove_namespace`](Self::remove_namespace).
    pub fn doom_namespace(&self, name: &str) {
        let mut state = self.shared.state();
        if let Some(namespace) = state.store.namespaces.get_mut(name) {
            namespace.is_doomed = true;
        }
    }

    fn write(&self, write: impl FnOnce(&mut Store, u64) -> Written<()>) -> Written<()> {
        let (result, changed) = self.shared.state().write(write);
        if changed {
            self.shared.changed();
        }
        result
    }
}

// ---- the operator -----------------------------------------------------------------------------------------------------

impl FakeConsul {
    /// Adds a token or gives an existing one other rules. The empty secret is that of requests without a token.
    pub fn put_token(&self, secret: &str, rules: Rules) {
        let mut state = self.shared.state();
        state.store.raft += 1;
        let index = state.store.raft;
        state.acl.put(secret, rules, index);
    }

    /// The tokens that logins made and that are still good, each with its description.
    pub fn logins(&self) -> Vec<(String, String)> {
        self.shared.state().acl.logins()
    }

    /// Deletes a token. Queries that block with it learn of it when they next look at the catalog; those
    /// that block on the health of a service at once.
    pub fn revoke_token(&self, secret: &str) {
        let mut state = self.shared.state();
        state.acl.revoke(secret);
        state.views.revoke(secret);
        drop(state);
        self.shared.revoked();
    }

    /// Copies the catalog.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.shared.state().store.clone())
    }

    /// Puts the catalog back to `snapshot`: what was written since is gone, and the indexes of the listings go back. Blocked
    /// queries are answered at once, with what they showed before.
    pub fn restore(&self, snapshot: &Snapshot) {
        let mut state = self.shared.state();
        let mut store = snapshot.0.clone();
        store.raft = state.store.raft.max(store.raft) + 1;
        state.replace(store);
        drop(state);
        self.shared.renewed();
        self.shared.changed();
    }
}

// ---- the power cut ----------------------------------------------------------------------------------------------------

impl FakeConsul {
    /// Makes something go wrong with requests to come.
    pub fn inject(&self, fault: Fault) {
        self.shared.state().faults.add(fault);
    }

    /// Forgets all faults; held requests are handled now.
    pub fn clear_faults(&self) {
        self.shared.clear_faults();
    }

    /// Resets every open connection. The catalog stays.
    pub fn disconnect(&self) {
        self.shared.end_connections();
    }

    /// Restarts the server with its data gone, as in development mode: connections are reset, the catalog holds the server's
    /// own node, and the raft index starts over.
    pub fn restart(&self) {
        let mut state = self.shared.state();
        state.replace(fresh_store(&self.shared.identity));
        drop(state);
        self.shared.end_connections();
        self.shared.changed();
    }

    /// Name of the server's own node.
    pub fn agent_node(&self) -> &'static str {
        AGENT_NODE
    }
}
