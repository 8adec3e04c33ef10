//! One stream of the source, and what its reader knows by it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use futures::stream::BoxStream;

use super::{
    Disturbance, Rule,
    history::{History, Moment, State, Told},
};
use crate::{ErrorKind, Event, Key, Service, SourceError};

pub(super) type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// How many of the latest events a failure shows.
const SHOWN: usize = 12;

/// What is wrong: the rule, what was expected, what came.
pub(super) type Wrong = (Rule, String, String);

/// One stream, and the table that a reader makes of it.
pub(super) struct Listener {
    pub(super) stream: BoxStream<'static, Item>,
    /// The moment at which the stream was asked for.
    opened: Moment,
    /// Complete listings so far.
    pub(super) listings: u64,
    begun: bool,
    /// What the listing under way mentioned.
    listing: Option<BTreeSet<Key>>,
    table: BTreeMap<Key, Entry>,
    /// Up to which moment each service's history was told.
    heard: BTreeMap<Key, Moment>,
    /// Whether a report weakened what is known, and no listing ended since.
    weak: bool,
    /// Disturbances since the world was calm, whose reports may come.
    excuses: BTreeSet<Disturbance>,
    /// How often since then something began that may hide a part.
    blinded: u32,
    /// Kinds that were reported since then.
    pub(super) reports: BTreeSet<ErrorKind>,
    pub(super) events: VecDeque<String>,
    pub(super) items: u64,
}

/// What the reader holds of a service.
#[derive(Debug, Default)]
struct Entry {
    /// The moment of the put whose value was told, where it was told as a whole.
    value: Option<Moment>,
    rejected: bool,
}

impl Listener {
    pub(super) fn new(
        stream: BoxStream<'static, Item>,
        opened: Moment,
        excuses: BTreeSet<Disturbance>,
    ) -> Self {
        Self {
            blinded: excuses.iter().copied().map(blinds).map(u32::from).sum(),
            stream,
            opened,
            listings: 0,
            begun: false,
            listing: None,
            table: BTreeMap::new(),
            heard: BTreeMap::new(),
            weak: false,
            excuses,
            reports: BTreeSet::new(),
            events: VecDeque::new(),
            items: 0,
        }
    }

    /// Whether the reader knows what there is to know.
    pub(super) fn is_current(&self, history: &History) -> bool {
        self.missing(history).is_none()
    }

    /// What the reader does not know yet, in words.
    pub(super) fn missing(&self, history: &History) -> Option<(Rule, String, String)> {
        if self.listings == 0 {
            let came = if self.begun { "none ended" } else { "none" };
            return Some((Rule::Told, "a complete listing".to_owned(), came.to_owned()));
        }
        if self.weak {
            return Some((
                Rule::Relisted,
                "RelistStarted to RelistDone, after a report that what was known may not be complete".to_owned(),
                "no complete listing".to_owned(),
            ));
        }
        if self.listing.is_some() {
            return Some((
                Rule::Told,
                "RelistDone".to_owned(),
                "a listing without an end".to_owned(),
            ));
        }
        for key in history.keys() {
            let (at, state) = history.current(key);
            let held = self.table.get(key);
            let good = match state {
                State::Gone => held.is_none(),
                State::Spoiled => held.is_some_and(|entry| entry.rejected),
                State::Held(_) => {
                    held.is_some_and(|entry| !entry.rejected && entry.value == Some(at))
                }
            };
            if !good {
                let came = match held {
                    None => "it is not known".to_owned(),
                    Some(Entry { rejected: true, .. }) => "it is rejected".to_owned(),
                    Some(Entry { value, .. }) => format!("its value of moment {value:?} is known"),
                };
                return Some((
                    Rule::Told,
                    format!("{key} is {state:?} since moment {at}"),
                    came,
                ));
            }
        }
        None
    }

    /// A disturbance began.
    pub(super) fn excuse(&mut self, disturbance: Disturbance) {
        self.excuses.insert(disturbance);
        self.blinded += u32::from(blinds(disturbance));
    }

    /// The world is calm, and everything was told: nothing excuses a report any more.
    pub(super) fn calm(&mut self) {
        self.excuses.clear();
        self.blinded = 0;
        self.reports.clear();
    }

    /// Takes one item. `denied`: not everything can be seen now.
    pub(super) fn take(
        &mut self,
        item: Option<Item>,
        history: &History,
        atomic: bool,
        denied: bool,
    ) -> Result<(), Wrong> {
        self.events.push_back(words(item.as_ref()));
        if self.events.len() > SHOWN {
            self.events.pop_front();
        }
        self.items += 1;
        let Some(item) = item else {
            return Err((
                Rule::Endless,
                "one more item, or none yet".to_owned(),
                "the end of the stream".to_owned(),
            ));
        };
        match item {
            Err(error) => self.report(&error),
            Ok(Event::RelistStarted) => {
                self.begun = true;
                self.listing = Some(BTreeSet::new());
                Ok(())
            }
            Ok(event) if !self.begun => Err((
                Rule::Begins,
                "RelistStarted before anything else".to_owned(),
                words(Some(&Ok(event))),
            )),
            Ok(Event::RelistDone) => self.done(history, denied),
            Ok(Event::Upserted(key, service)) => self.upserted(key, &service, history, atomic),
            Ok(Event::Rejected(key, _)) => self.rejected(key, history),
            Ok(Event::Removed(key)) => {
                if let Some(listing) = &mut self.listing {
                    listing.remove(&key);
                }
                self.gone(&key, history, Rule::Removal)
            }
        }
    }

    fn report(&mut self, error: &SourceError) -> Result<(), Wrong> {
        let kind = error.kind();
        self.reports.insert(kind);
        if kind.weakens() {
            self.weak = true;
            self.listing = None;
        }
        let fits = |disturbance: &Disturbance| {
            disturbance
                .weakens()
                .is_none_or(|weakens| weakens == kind.weakens())
        };
        if self.excuses.iter().any(fits) {
            return Ok(());
        }
        let expected = match self.excuses.first() {
            None => "no report, since nothing is wrong".to_owned(),
            Some(Disturbance::Denied) => "a report that weakens what is known".to_owned(),
            Some(_) => "a report that leaves what is known as it is".to_owned(),
        };
        Err((Rule::Kind, expected, format!("{kind}: {error}")))
    }

    fn done(&mut self, history: &History, denied: bool) -> Result<(), Wrong> {
        let Some(listing) = self.listing.take() else {
            return Err((
                Rule::Bracket,
                "RelistStarted first".to_owned(),
                "RelistDone".to_owned(),
            ));
        };
        // With more than one such time, nobody knows which one a report is of.
        if denied && self.weak && self.blinded == 1 {
            return Err((
                Rule::Weak,
                "no RelistDone before the rights are back".to_owned(),
                "RelistDone".to_owned(),
            ));
        }
        if self.listings == 0 {
            for key in history.keys() {
                if !listing.contains(key) && history.stayed(key, self.opened) {
                    return Err((
                        Rule::Complete,
                        format!("{key}, which is there since before the stream was asked for"),
                        "a listing without it".to_owned(),
                    ));
                }
            }
        }
        let silent: Vec<Key> = self
            .table
            .keys()
            .filter(|key| !listing.contains(*key))
            .cloned()
            .collect();
        for key in silent {
            self.gone(&key, history, Rule::Complete)?;
        }
        self.listings += 1;
        self.weak = false;
        Ok(())
    }

    fn upserted(
        &mut self,
        key: Key,
        service: &Service,
        history: &History,
        atomic: bool,
    ) -> Result<(), Wrong> {
        if service.key != key {
            return Err((
                Rule::Whole,
                format!("a service of key {key}"),
                format!("one of key {}", service.key),
            ));
        }
        let place = history.place(&key, service);
        let heard = self.heard.get(&key).copied().unwrap_or_default();
        let value = match place {
            Told::Exactly(at) if !atomic || at >= heard => Some(at),
            Told::Exactly(at) => {
                return Err((
                    Rule::Order,
                    format!("nothing of {key} from before moment {heard}, which was told"),
                    format!("what was put at moment {at}"),
                ));
            }
            Told::Part if !atomic => None,
            Told::Never if !atomic && service.instances.is_empty() && history.knows(&key) => None,
            Told::Part | Told::Never => {
                return Err((
                    Rule::Whole,
                    format!("a value that {key} had"),
                    format!("{:?}", service.instances),
                ));
            }
        };
        // Where objects are joined, each may be told late: a value then only says that the service was there.
        let told = match value.filter(|_| atomic) {
            Some(at) => Some(at),
            None => history.first(&key, heard, |state| matches!(state, State::Held(_))),
        };
        self.heard.extend(told.map(|at| (key.clone(), at)));
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
        self.table.insert(
            key,
            Entry {
                value,
                rejected: false,
            },
        );
        Ok(())
    }

    fn rejected(&mut self, key: Key, history: &History) -> Result<(), Wrong> {
        let heard = self.heard.get(&key).copied().unwrap_or_default();
        let Some(at) = history.first(&key, heard, |state| *state == State::Spoiled) else {
            return Err((
                Rule::Rejection,
                format!("no rejection of {key}, which can be used since moment {heard}"),
                "Rejected".to_owned(),
            ));
        };
        self.heard.insert(key.clone(), at);
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
        // Its last good value stays.
        self.table.entry(key).or_default().rejected = true;
        Ok(())
    }

    fn gone(&mut self, key: &Key, history: &History, rule: Rule) -> Result<(), Wrong> {
        let heard = self.heard.get(key).copied().unwrap_or_default();
        let Some(at) = history.first(key, heard, |state| *state == State::Gone) else {
            let came = match rule {
                Rule::Complete => "a listing without it",
                _ => "Removed",
            };
            return Err((
                rule,
                format!("{key}, which is there since moment {heard}"),
                came.to_owned(),
            ));
        };
        self.heard.insert(key.clone(), at);
        self.table.remove(key);
        Ok(())
    }
}

/// Whether a disturbance hides a part of what is there.
pub(super) fn blinds(disturbance: Disturbance) -> bool {
    matches!(disturbance, Disturbance::Denied | Disturbance::Cut)
}

/// An item in words.
pub(super) fn words(item: Option<&Item>) -> String {
    match item {
        None => "the end of the stream".to_owned(),
        Some(Err(error)) => format!("a report, {}: {error}", error.kind()),
        Some(Ok(Event::RelistStarted)) => "RelistStarted".to_owned(),
        Some(Ok(Event::RelistDone)) => "RelistDone".to_owned(),
        Some(Ok(Event::Removed(key))) => format!("Removed {key}"),
        Some(Ok(Event::Rejected(key, why))) => format!("Rejected {key}: {why}"),
        Some(Ok(Event::Upserted(key, service))) => {
            let mut addresses: Vec<String> = service
                .instances
                .iter()
                .map(|instance| instance.address.to_string())
                .collect();
            addresses.sort();
            format!("Upserted {key} = {}", addresses.join(" "))
        }
    }
}
