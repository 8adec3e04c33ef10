//! Authoritative reads.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};

use consul_sync_core::{Held, HeldRecord, Record, Slot};

use super::Inner;
use crate::{
    Error,
    answer::Answer,
    journal::Seen,
    registration::{Interner, Registration},
    request::Request,
    rights::{self, Rights},
    table::{Table, assemble},
    wire::{Access, HealthEntry},
};

/// How many slots are read at once.
const AT_ONCE: usize = 4;
/// Above so many slots one listing is cheaper than a read of each.
const FEW: usize = 48;
/// A service name for asking about all of them.
const ANY_SERVICE: &str = "consul-sync-any-service";

/// A complete and authoritative listing.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) table: Table,
    /// How long it took to parse each of the two reads.
    pub(crate) services: Duration,
    pub(crate) checks: Duration,
    /// Whether Consul has no access control.
    pub(crate) is_open: bool,
    /// The first answer, for reports.
    pub(crate) answer: Answer,
}

impl Inner {
    /// What slots hold now.
    pub(crate) async fn read(
        &self,
        slots: &[Slot],
    ) -> Result<Vec<(Slot, Held<Registration>)>, Error> {
        if slots.len() > FEW {
            let table = self.list().await?.table;
            let index = table.services_index;
            let owner = &self.settings.owner;
            return Ok(slots
                .iter()
                .map(|slot| {
                    let held = table.held(slot, owner);
                    self.tell(slot, &held, index);
                    (slot.clone(), held)
                })
                .collect());
        }
        let read: Vec<_> = stream::iter(slots.to_vec())
            .map(|slot| async move {
                let (held, index) = self.read_slot(&slot).await?;
                self.tell(&slot, &held, index);
                Ok((slot, held))
            })
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await
            .map_err(|error: Error| error)?;
        if read.iter().any(|(_, held)| held.records.is_empty()) {
            self.trust_absence().await?;
        }
        Ok(read)
    }

    /// What one slot holds now, and the index of the answer.
    pub(crate) async fn read_slot(&self, slot: &Slot) -> Result<(Held<Registration>, u64), Error> {
        let (namespace, name) = match self.settings.namespace {
            Some(_) => slot.as_str().split_once('/').unzip(),
            None => (None, Some(slot.as_str())),
        };
        let name = name.unwrap_or(slot.as_str());
        let request = Request::get(&["health", "service", name]).consistent();
        let node = self.settings.node.as_str();
        let request = self
            .client
            .scoped(request)
            .with_optional("ns", namespace)
            .with("filter", &format!("Node.Node == \"{node}\""));
        let answer = self.client.call(&request).await?;
        answer.require_consistent()?;
        self.refuse_filtered(&answer)?;
        let index = answer.index()?;
        let entries: Vec<HealthEntry> = answer.json()?;
        let mut interner = Interner::default();
        let has_namespaces = self.has_namespaces();
        let mut records: Vec<HeldRecord<Registration>> = entries
            .iter()
            .filter_map(|entry| {
                assemble(
                    &entry.service,
                    &entry.checks,
                    has_namespaces,
                    &mut interner,
                    &self.placement.known,
                )
            })
            .map(|(record, version)| HeldRecord {
                standing: record.standing(&self.settings.owner),
                record,
                version,
            })
            .collect();
        records.sort_by_key(|held| held.record.id());
        records.dedup_by(|a, b| a.record.id() == b.record.id());
        Ok((Held { records }, index))
    }

    /// Everything that the node holds, by two consistent reads.
    ///
    /// # Errors
    /// Whenever it cannot be relied upon to be whole.
    pub(crate) async fn list(&self) -> Result<Listed, Error> {
        let answer = self.load(&self.node_request()).await?;
        let checks = self.load(&self.checks_request()).await?;
        let (services_index, checks_index) = (answer.index()?, checks.index()?);
        let mut table = Table::new(self.has_namespaces(), Arc::clone(&self.placement.known));
        let (read, services_took) = crate::offload(answer.wire_length(), move || {
            let read = table.read_services(&answer, services_index);
            (table, answer, read)
        })
        .await;
        let (mut table, answer, read) = read;
        let (node, _) = read?;
        let (read, checks_took) = crate::offload(checks.wire_length(), move || {
            let read = table.read_checks(&checks, checks_index);
            table.share();
            (table, read)
        })
        .await;
        let (table, read) = read;
        let is_agent = read?.is_agent;
        if is_agent {
            return Err(self.agents_node());
        }
        self.saw_no_agent();
        self.learn_node(&answer, node.as_ref())?;
        let is_open = self.trust_absence().await?;
        Ok(Listed {
            table,
            services: services_took,
            checks: checks_took,
            is_open,
            answer,
        })
    }

    async fn load(&self, request: &Request) -> Result<Answer, Error> {
        let answer = self.client.call(request).await?;
        answer.require_consistent()?;
        self.refuse_filtered(&answer)?;
        Ok(answer)
    }

    /// Makes sure that what a read did not show is not just forbidden to us. Returns whether Consul has no
    /// access control at all.
    pub(crate) async fn trust_absence(&self) -> Result<bool, Error> {
        let node = self.settings.node.as_str();
        let mut questions = vec![Access {
            resource: "node",
            segment: node,
            verb: "read",
        }];
        if self.client.is_anonymous() {
            // With a token Consul says when services were left out; without one it does not.
            questions.push(Access {
                resource: "service",
                segment: ANY_SERVICE,
                verb: "read",
            });
        }
        let allowed = match rights::ask(&self.client, &questions).await? {
            Rights::Known(allowed) => allowed,
            Rights::Off => return Ok(true),
            Rights::Unknown => return Ok(false),
        };
        let Some(missing) = allowed.iter().position(|allowed| !allowed) else {
            return Ok(false);
        };
        let (rule, what) = if missing == 0 {
            (
                format!("node \"{node}\" {{ policy = \"write\" }}"),
                "the node",
            )
        } else {
            (
                "service_prefix \"\" { policy = \"write\" }".to_owned(),
                "services",
            )
        };
        let token = if self.client.is_anonymous() {
            "no token is set, and without one consul shows nothing of"
        } else {
            "the token may not read"
        };
        Err(Error::Denied {
            call: self.client.about("POST", "/v1/internal/acl/authorize"),
            rule,
            text: format!("{token} {what}"),
        })
    }

    /// A listing from which something was left out is no listing.
    pub(crate) fn refuse_filtered(&self, answer: &Answer) -> Result<(), Error> {
        if !answer.is_filtered() {
            return Ok(());
        }
        let node = self.settings.node.as_str();
        Err(answer.denied(
            format!(
                "node \"{node}\" {{ policy = \"write\" }} service_prefix \"\" {{ policy = \"write\" }}"
            ),
            "consul left out what the token may not read",
        ))
    }

    /// Tells every watch what was read, so that none shows an older state afterwards.
    fn tell(&self, slot: &Slot, held: &Held<Registration>, index: u64) {
        for journal in self.journals() {
            journal.read(slot, &seen(held), index);
        }
    }
}

/// The records of a slot as a journal looks at them.
pub(crate) fn seen(held: &Held<Registration>) -> Vec<Seen> {
    let records = held.records.iter();
    records
        .map(|held| (held.record.id(), held.version))
        .collect()
}
