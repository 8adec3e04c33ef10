//! The conformance suite for sources: it passes what keeps the protocol, and names what does not.

mod broken;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use async_trait::async_trait;
use consul_sync_core::{
    Address, ErrorKind, Event, Instance, Key, Reason, Rejection, Service, ServiceName, Source,
    SourceError,
    testing::{
        ScriptedSource, TableSource,
        conformance::{self, Disturbance, Rule, World},
    },
};

/// A table, as the suite changes it, and a source over it.
#[derive(Debug)]
pub(crate) struct Behind<S> {
    table: TableSource,
    source: S,
    /// Whether it lists in spite of missing rights.
    lists_while_denied: bool,
    lasting: BTreeSet<Disturbance>,
    open: Option<Arc<()>>,
}

impl Behind<TableSource> {
    fn new() -> Self {
        Self::over(|table| table)
    }
}

impl<S> Behind<S> {
    fn over(source: impl FnOnce(TableSource) -> S) -> Self {
        let table = TableSource::default();
        Self {
            source: source(table.clone()),
            table,
            lists_while_denied: false,
            lasting: BTreeSet::new(),
            open: None,
        }
    }

    fn lose(&self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Denied => self.table.lose(ErrorKind::Unauthorized, "no rights"),
            _ => self.table.lose(ErrorKind::Unavailable, "away"),
        }
    }
}

#[async_trait]
impl<S: Source> World for Behind<S> {
    type Source = S;

    fn source(&self) -> &S {
        &self.source
    }

    async fn put(&mut self, key: &Key, addresses: &[IpAddr]) {
        let name = ServiceName::new(key.name().as_ref()).unwrap();
        let mut service = Service::new(key.clone(), name);
        let instances = addresses.iter().map(|ip| Instance::new(Address::Ip(*ip)));
        service.instances = instances.collect();
        self.table.put(service);
    }

    async fn delete(&mut self, key: &Key) {
        self.table.remove(key);
    }

    async fn spoil(&mut self, key: &Key) -> bool {
        let why = Rejection::new(Reason::Undecodable, "spoilt by the suite");
        self.table.reject(key, why);
        true
    }

    async fn begin(&mut self, disturbance: Disturbance) -> bool {
        match disturbance {
            Disturbance::Forget if self.lasting.is_empty() => self.table.relist(),
            Disturbance::Outage | Disturbance::Denied if !self.lists_while_denied => {
                self.lose(disturbance);
            }
            Disturbance::Denied => {
                let no_rights = || SourceError::new(ErrorKind::Unauthorized, "no rights");
                self.table.fail(no_rights);
                self.table.relist();
            }
            // A table has no connections and cannot be read in part.
            _ => return false,
        }
        if disturbance.lasts() {
            self.lasting.insert(disturbance);
        }
        true
    }

    async fn end(&mut self, disturbance: Disturbance) {
        self.lasting.remove(&disturbance);
        match self.lasting.first() {
            None => self.table.relist(),
            Some(other) => self.lose(*other),
        }
    }

    fn open(&self) -> Option<usize> {
        self.open.as_ref().map(|open| Arc::strong_count(open) - 2)
    }
}

#[tokio::test]
async fn a_table_keeps_the_protocol() {
    let report = conformance::source(&mut Behind::new(), 0..200).await;
    assert_eq!(report.histories, 200);
    assert!(
        report.cases > 15 && report.operations > 10_000,
        "{report:?}"
    );
    let left_out: Vec<_> = report.left_out.into_iter().collect();
    assert_eq!(
        left_out,
        [Disturbance::Break, Disturbance::Silence, Disturbance::Cut]
    );
}

#[tokio::test]
async fn every_broken_source_is_told_by_the_rule_that_it_breaks() {
    for (how, rule) in broken::ALL {
        let mut world = Behind::over(|table| broken::Broken::new(table, how));
        world.lists_while_denied = how == broken::How::ListsWhileDenied;
        world.open = Some(world.source.held());
        let violation = conformance::check_source(&mut world, 0..50).await;
        let violation = violation.expect_err(&format!("{how:?} went unnoticed"));
        assert_eq!(violation.rule, rule, "{how:?}: {violation}");
        assert!(!violation.operation.is_empty() && !violation.expected.is_empty());
    }
}

#[tokio::test]
async fn every_rule_can_be_broken() {
    let broken: BTreeSet<Rule> = broken::ALL.iter().map(|(_, rule)| *rule).collect();
    assert_eq!(broken.len(), Rule::ALL.len(), "{broken:?}");
}

/// Each random history alone finds most of what the named cases do.
#[tokio::test]
async fn a_failure_names_its_operation_and_its_seed_and_comes_again() {
    let broken = || Behind::over(|table| broken::Broken::new(table, broken::How::LosesEveryThird));
    let [first, second] = [
        conformance::check_histories(&mut broken(), 0..50).await,
        conformance::check_histories(&mut broken(), 0..50).await,
    ]
    .map(|checked| checked.expect_err("it loses events"));
    assert_eq!(first.to_string(), second.to_string());
    let text = first.to_string();
    for part in [
        "random history of seed ",
        "after: ",
        "expected: ",
        "came: ",
        "put suite/",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// A script is made for one reader: for a second one it is silent, which the suite says.
#[tokio::test]
async fn a_script_serves_one_stream_alone() {
    let script = [Ok(Event::RelistStarted), Ok(Event::RelistDone)];
    let mut world = Behind::over(|_| ScriptedSource::new(script));
    let violation = conformance::check_source(&mut world, 0..0)
        .await
        .unwrap_err();
    assert_eq!(violation.rule, Rule::Told);
    assert_eq!(violation.case, "case \"an empty world is listed\"");
    assert_eq!(violation.expected, "a complete listing");
    assert_eq!(violation.came, "none");
}
