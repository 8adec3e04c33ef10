//! Consul's catalog as agents fill it: services that are measured on their way to Kubernetes.

use consul_sync_testbed::Client;
use http::Method;
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    fleet::Fleet,
    loader,
};

/// Machines that the instances are spread over.
const NODES: usize = 50;

/// Services of which each has as many instances, with a check each.
#[derive(Clone)]
pub(crate) struct Registry {
    client: Client,
    fleet: Fleet,
}

/// What is done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An instance fails its check.
    Fails,
    /// It passes again.
    Recovers,
    /// An instance gets another address.
    Moves,
    /// It gets its first one back.
    Returns,
}

/// What must be seen in Kubernetes when a change has come there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) address: String,
    pub(crate) ready: bool,
}

impl Registry {
    /// Registers everything, through transactions: the machines first.
    pub(crate) async fn fill(client: &Client, fleet: Fleet) -> Result<Self> {
        let nodes = (0..NODES).map(|number| {
            let address = format!("192.168.0.{}", number + 1);
            vec![json!({ "Node": { "Verb": "set", "Node": { "Node": node(number), "Address": address } } })]
        });
        loader::write(client, &nodes.collect::<Vec<_>>(), 1).await?;
        let services =
            (0..fleet.services).flat_map(|number| (0..fleet.endpoints).map(move |at| (number, at)));
        let services = services.map(|(number, at)| registration(fleet, number, at, 0).to_vec());
        loader::write(client, &services.collect::<Vec<_>>(), loader::UNDER_WAY).await?;
        Ok(Self {
            client: client.keeping_connections(),
            fleet,
        })
    }

    /// Makes a change of a service.
    pub(crate) async fn change(&self, number: usize, change: Change) -> Result<()> {
        let operations = match change {
            Change::Moves => registration(self.fleet, number, 0, 1).to_vec(),
            Change::Returns => registration(self.fleet, number, 0, 0).to_vec(),
            Change::Fails => vec![check(number, 1, false)],
            Change::Recovers => vec![check(number, 1, true)],
        };
        let body = Value::from(operations).to_string();
        let answer = self
            .client
            .send(Method::PUT, "/v1/txn", "application/json", body);
        answer.await?.success().map(drop).map_err(Error::from)
    }

    /// What a change leads to.
    pub(crate) fn wanted(&self, number: usize, change: Change) -> Wanted {
        let (at, life) = match change {
            Change::Moves => (0, 1),
            Change::Returns => (0, 0),
            Change::Fails | Change::Recovers => (1, 0),
        };
        Wanted {
            address: self.fleet.address(number, at, life),
            ready: change != Change::Fails,
        }
    }
}

fn node(number: usize) -> String {
    format!("machine-{}", number % NODES)
}

fn id(number: usize, at: usize) -> String {
    format!("{}-{at}", Fleet::name(number))
}

/// An instance at the address of one of its lives, and its check, which passes.
fn registration(fleet: Fleet, number: usize, at: usize, life: usize) -> [Value; 2] {
    let service = json!({
        "ID": id(number, at), "Service": Fleet::name(number), "Address": fleet.address(number, at, life), "Port": 8080,
        "Tags": ["bench", "blue"], "Meta": { "version": "1" },
    });
    [
        json!({ "Service": { "Verb": "set", "Node": node(number + at), "Service": service } }),
        check(number, at, true),
    ]
}

fn check(number: usize, at: usize, passing: bool) -> Value {
    let status = if passing { "passing" } else { "critical" };
    json!({ "Check": { "Verb": "set", "Check": {
        "Node": node(number + at), "CheckID": format!("{}-alive", id(number, at)), "Name": "alive",
        "ServiceID": id(number, at), "Status": status,
    } } })
}
