//! Consul's JSON, as far as it is used.
//!
//! Every field may be missing, `null` or of a later version's making: absent, `null` and empty are one thing
//! (fault C15), and unknown fields are passed over.

mod acl;
mod agent;
mod check;
mod health;
mod listing;
mod login;
mod namespace;
mod node;
mod service;
mod txn;

use serde::{Deserialize, Deserializer};

pub(crate) use self::{
    acl::{Access, Allowed},
    agent::AgentSelf,
    check::{Check, CheckPlace, CheckStamp},
    health::HealthEntry,
    listing::{NodeListing, each_element},
    login::{LoginAnswer, LoginRequest},
    namespace::Namespace,
    node::Node,
    service::{Service, ServiceStamp},
    txn::{TxnAnswer, TxnError, TxnResult},
};

/// `null` as the default.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
