//! The rules, checked at every batch and every write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use consul_sync_core::{
    Event, Key, Layout, Op, Record, RecordId, Service, Slot, Standing, testing::MemoryRecord,
};

use tokio::time::Instant;

use crate::world::{State, World};

/// What the running process was told, and which rules it broke.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<String>,
    /// The services that the source has upserted and not removed since.
    pub(crate) told: BTreeMap<Key, Service>,
    listed: BTreeSet<Key>,
    /// Keys that are rejected and have no value.
    rejected: BTreeSet<Key>,
    is_listing: bool,
    pub(crate) source: Knowledge,
    pub(crate) sink: Knowledge,
    /// Records that follow from anything this process was told: by slot, id and content.
    known: BTreeSet<(Slot, String)>,
    /// The ids of those records.
    wanted: BTreeSet<(Slot, RecordId)>,
    /// Slots of which an answer was unclear, and that were not read since.
    pub(crate) unclear: BTreeSet<Slot>,
}

/// Whether one side is known completely.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Knowledge {
    is_complete: bool,
    lost_at: Option<Instant>,
}

impl Knowledge {
    pub(crate) fn gain(&mut self) {
        self.is_complete = true;
    }

    pub(crate) fn lose(&mut self) {
        if std::mem::take(&mut self.is_complete) {
            self.lost_at = Some(Instant::now());
        }
    }

    /// Whether a delete that is sent now may stand on it. A batch that was handed out is sent in the same moment, but an
    /// event of that moment may be taken before.
    fn holds(self) -> bool {
        self.is_complete || self.lost_at == Some(Instant::now())
    }
}

/// What was known when a batch was handed out.
pub(crate) struct Known {
    desired: BTreeMap<(Slot, RecordId), Arc<MemoryRecord>>,
}

impl Oracle {
    /// A new process starts: it was told nothing.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            violations: std::mem::take(&mut self.violations),
            ..Self::default()
        };
    }

    /// The source said this.
    pub(crate) fn source_said(&mut self, event: &Event<Key, Arc<Service>>, world: &World) {
        match event {
            Event::RelistStarted => {
                self.is_listing = true;
                self.source.lose();
                self.listed.clear();
            }
            Event::Upserted(key, service) => {
                self.listed.insert(key.clone());
                self.rejected.remove(key);
                self.told.insert(key.clone(), (**service).clone());
                let slot = world.layout.place(service).unwrap();
                // Alone and beside any other claim the service's records are the same.
                for record in world
                    .layout
                    .records(&slot, std::slice::from_ref(service))
                    .records
                {
                    self.wanted.insert((slot.clone(), record.id().clone()));
                    self.known.insert((slot.clone(), format!("{record:?}")));
                }
            }
            Event::Removed(key) => {
                self.rejected.remove(key);
                self.told.remove(key);
            }
            Event::Rejected(key, _) => {
                self.listed.insert(key.clone());
                if !self.told.contains_key(key) {
                    self.rejected.insert(key.clone());
                }
            }
            Event::RelistDone => {
                if std::mem::take(&mut self.is_listing) {
                    let listed = &self.listed;
                    self.told.retain(|key, _| listed.contains(key));
                    self.rejected.retain(|key| listed.contains(key));
                    self.source.gain();
                }
            }
        }
    }

    pub(crate) fn broke(&mut self, rule: &str, what: impl std::fmt::Display) {
        if self.violations.len() < 5 {
            self.violations.push(format!("{rule}: {what}"));
        }
    }
}

impl State {
    /// A batch was handed out.
    pub(crate) fn check_batch(&mut self, ops: &[Op<MemoryRecord>], world: &World) -> Known {
        let told: Vec<Service> = self.oracle.told.values().cloned().collect();
        let desired = world.records(&told);
        let limit = world.layout.limits().ops;
        if ops.is_empty() || ops.len() > limit {
            let message = format!("{} operations of {limit}", ops.len());
            self.oracle.broke("limits", message);
        }
        let mut deleting = BTreeSet::new();
        for op in ops {
            let name = format!("{} {}/{}", op.verb(), op.slot, op.id());
            if self.oracle.unclear.contains(&op.slot) {
                self.oracle
                    .broke("rule 6: not read after an unclear answer", &name);
            }
            if op.is_delete() {
                deleting.insert(op.slot.clone());
                if !self.oracle.source.holds() || !self.oracle.sink.holds() {
                    self.oracle
                        .broke("I-S3, I-S4: delete from weak knowledge", &name);
                }
                if desired.contains_key(&(op.slot.clone(), op.id().clone())) {
                    self.oracle.broke("rule 1: delete of what is wanted", &name);
                }
                let origin = op.record().origin();
                let key = (op.slot.clone(), op.id().clone());
                let is_stranger = !self.oracle.wanted.contains(&key);
                let may_be_rejected = is_stranger
                    && self
                        .oracle
                        .rejected
                        .iter()
                        .any(|key| Some(&**key.namespace()) == origin);
                if may_be_rejected {
                    self.oracle.broke(
                        "rule 7: delete of a rejected service's last good registration",
                        &name,
                    );
                }
            } else {
                if deleting.contains(&op.slot) {
                    self.oracle.broke("rule 5: delete before put", &name);
                }
                let written = (op.slot.clone(), format!("{:?}", op.record()));
                if !self.oracle.known.contains(&written) {
                    self.oracle
                        .broke("I-S2: written from nothing this process was told", &name);
                }
            }
        }
        Known { desired }
    }

    /// One operation is applied.
    pub(crate) fn check_op(&mut self, op: &Op<MemoryRecord>, known: &Known) {
        let Some(held) = self.catalog.get(&op.slot, op.id()) else {
            return;
        };
        let (standing, record) = (held.standing, Arc::clone(&held.record));
        let name = format!("{} {}/{}", op.verb(), op.slot, op.id());
        let expected = match &op.action {
            consul_sync_core::Action::Create(_) => None,
            consul_sync_core::Action::Update { expected, .. } => Some(*expected),
            consul_sync_core::Action::Delete(deletion) => Some(*deletion.expected()),
        };
        if standing == Standing::Foreign && expected == Some(held.version) {
            self.oracle
                .broke("I-S1: write to somebody else's record", &name);
        }
        if !op.is_delete() || expected != Some(held.version) {
            return;
        }
        if standing != Standing::Ours {
            self.oracle
                .broke("I-S1: delete of a record that is not ours", &name);
        }
        let others_live = self
            .catalog
            .slots
            .get(&op.slot)
            .into_iter()
            .flatten()
            .any(|(id, held)| id != op.id() && held.record.is_live());
        let wants_live = known.desired.iter().any(|((slot, id), record)| {
            *slot == op.slot && record.is_live() && !self.is_blocked(slot, id)
        });
        if record.is_live() && !others_live && wants_live {
            self.oracle.broke(
                "I-S7: a name that has a live instance before and after was emptied",
                &name,
            );
        }
    }
}
