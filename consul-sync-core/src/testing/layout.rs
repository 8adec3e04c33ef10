//! The plainest destination: a slot per name, a record per address.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use crate::{
    Cost, Instance, Key, Layout, Op, Owner, Placed, Reason, Record, RecordId, Rejection, Service,
    Slot,
};

/// An instance as the memory destination stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRecord {
    id: RecordId,
    origin: Arc<str>,
    tags: Arc<[Arc<str>]>,
    instance: Instance,
    needs: Option<RecordId>,
}

impl MemoryRecord {
    /// The record of one instance of a service. One whose meta has `needs` [needs](Record::needs) the record at
    /// that address.
    ///
    /// # Panics
    /// Never: an address has text.
    #[allow(clippy::expect_used)]
    pub fn new(service: &Service, instance: &Instance) -> Self {
        Self {
            id: RecordId::new(instance.address.to_string()).expect("an address has text"),
            origin: Arc::clone(service.key.namespace()),
            tags: Arc::clone(&service.tags),
            instance: instance.clone(),
            needs: instance
                .meta
                .get("needs")
                .and_then(|address| RecordId::new(address).ok()),
        }
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }
}

impl Record for MemoryRecord {
    type Version = u64;

    fn id(&self) -> RecordId {
        self.id.clone()
    }

    fn is_live(&self) -> bool {
        self.instance.is_live()
    }

    fn origin(&self) -> Option<&str> {
        Some(&self.origin)
    }

    fn needs(&self) -> Option<&RecordId> {
        self.needs.as_ref()
    }

    fn fields(&self) -> Vec<(Cow<'static, str>, String)> {
        let port = self.instance.default_port().unwrap_or_default();
        vec![
            ("address".into(), self.instance.address.to_string()),
            ("port".into(), port.to_string()),
            ("tags".into(), self.tags.join(",")),
            ("live".into(), self.is_live().to_string()),
        ]
    }
}

/// A slot per service name; services that share a name share its slot, and of two instances at one address the
/// one of the first service wins. A service whose name starts with `bad` is rejected.
#[derive(Clone, Debug)]
pub struct MemoryLayout {
    owner: Owner,
    limits: Cost,
}

impl MemoryLayout {
    /// A layout that writes as `owner` with at most `ops` operations in a batch.
    pub fn new(owner: Owner, ops: usize) -> Self {
        let bytes = usize::MAX;
        Self {
            owner,
            limits: Cost { ops, bytes },
        }
    }
}

impl Default for MemoryLayout {
    #[allow(clippy::expect_used)]
    fn default() -> Self {
        Self::new(Owner::new("us").expect("not empty"), 64)
    }
}

impl Layout for MemoryLayout {
    type Record = MemoryRecord;

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn limits(&self) -> Cost {
        self.limits
    }

    fn cost(&self, _op: &Op<MemoryRecord>) -> Cost {
        Cost { ops: 1, bytes: 1 }
    }

    fn place(&self, service: &Service) -> Result<Slot, Rejection> {
        let name = service.name.as_str();
        let invalid = || Rejection::new(Reason::InvalidName, format!("{name:?} starts with bad"));
        if name.starts_with("bad") {
            return Err(invalid());
        }
        Slot::new(service.name.shared()).map_err(|_| invalid())
    }

    fn records(&self, _slot: &Slot, claims: &[Arc<Service>]) -> Placed<MemoryRecord> {
        let mut records: BTreeMap<RecordId, (Key, Arc<MemoryRecord>)> = BTreeMap::new();
        let mut refused: BTreeMap<Key, Rejection> = BTreeMap::new();
        for service in claims {
            for instance in &service.instances {
                let record = Arc::new(MemoryRecord::new(service, instance));
                match records.get(&record.id()) {
                    None => {
                        let claim = (service.key.clone(), Arc::clone(&record));
                        records.insert(record.id(), claim);
                    }
                    Some((winner, _)) if *winner == service.key => {}
                    Some((winner, _)) => {
                        let text = format!("{} is held by {winner}", instance.address);
                        let rejection = Rejection::new(Reason::Taken, text);
                        refused.entry(service.key.clone()).or_insert(rejection);
                    }
                }
            }
        }
        Placed {
            records: records.into_values().map(|(_, record)| record).collect(),
            refused: refused.into_iter().collect(),
        }
    }
}
