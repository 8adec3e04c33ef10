//! A Lease as it was seen, and as it is to be written. What others wrote into it stays.

use std::{sync::Arc, time::Duration};

use consul_sync_core::Holder;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LeaseSettings, Term};

/// What a Lease may say at most of how long it is held: more is a mistake, and would keep everybody out.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// What a Lease that names nobody says of its time, as it must say something.
const RELEASED_SECONDS: u64 = 1;

/// A Lease.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Record(Value);

// === impl Record ===

impl Record {
    /// A Lease that nobody holds.
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {},
        }))
    }

    fn text(&self, pointer: &str) -> &str {
        let text = self.0.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    pub(super) fn version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// Who holds it; empty: nobody.
    pub(super) fn holder(&self) -> &str {
        self.text("/spec/holderIdentity")
    }

    /// Who holds it, for people.
    pub(super) fn person(&self) -> Option<Holder> {
        let identity = Some(self.holder()).filter(|identity| !identity.is_empty())?;
        let (host, id) = identity.rsplit_once('_').unwrap_or(("", identity));
        Some(Holder {
            id: id.to_owned(),
            host: host.to_owned(),
            since: self.text("/spec/acquireTime").to_owned(),
        })
    }

    /// How long it must not have changed before somebody else takes it.
    pub(super) fn lasts(&self, usual: Duration) -> Duration {
        let seconds = self.0.pointer("/spec/leaseDurationSeconds");
        let said = seconds.and_then(Value::as_u64).map(Duration::from_secs);
        said.unwrap_or(usual).min(LONGEST)
    }

    fn transitions(&self) -> u64 {
        let number = self.0.pointer("/spec/leaseTransitions");
        number.and_then(Value::as_u64).unwrap_or(0)
    }

    /// Which lead it stands for.
    pub(super) fn term(&self) -> Term {
        Term {
            lease: Arc::from(self.text("/metadata/uid")),
            number: self.transitions(),
        }
    }

    /// The Lease as this process takes or renews it. `now`: the time, where it is known.
    pub(super) fn held_by(&self, settings: &LeaseSettings, now: Option<Timestamp>) -> Self {
        let identity = settings.identity();
        let is_renewal = self.holder() == identity;
        let renewed = self.next_time(now);
        let mut next = self.clone();
        next.set("holderIdentity", json!(identity));
        next.set("leaseDurationSeconds", json!(settings.seconds()));
        next.set("renewTime", json!(micro_time(renewed)));
        if !is_renewal {
            next.set("acquireTime", json!(micro_time(renewed)));
            let number = self.transitions().saturating_add(1);
            next.set("leaseTransitions", json!(number.min(i32::MAX as u64)));
        }
        next
    }

    /// The Lease as this process gives it back.
    pub(super) fn released(&self, now: Option<Timestamp>) -> Self {
        let mut next = self.clone();
        next.set("holderIdentity", json!(""));
        next.set("leaseDurationSeconds", json!(RELEASED_SECONDS));
        next.set("renewTime", json!(micro_time(self.next_time(now))));
        next
    }

    /// The time of a renewal: now, and in any case another one than before, or nothing would change.
    fn next_time(&self, now: Option<Timestamp>) -> Timestamp {
        let before: Option<Timestamp> = self.text("/spec/renewTime").parse().ok();
        let least =
            before.and_then(|before| before.checked_add(SignedDuration::from_micros(1)).ok());
        match (now, least) {
            (Some(now), Some(least)) => now.max(least),
            (time, None) | (None, time) => time.unwrap_or_default(),
        }
    }

    fn set(&mut self, field: &str, value: Value) {
        if !self.0["spec"].is_object() {
            self.0["spec"] = json!({});
        }
        self.0["spec"][field] = value;
    }

    pub(super) fn to_body(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }
}

/// As the API writes times of Leases.
fn micro_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(id: &str) -> LeaseSettings {
        let holder = Holder {
            id: id.to_owned(),
            host: "pod".to_owned(),
            ..Holder::default()
        };
        let mut settings = LeaseSettings::new("ns", "sync", holder);
        settings.ttl = Duration::from_millis(1500);
        settings
    }

    #[test]
    fn taking_counts_and_renewing_does_not() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let free = Record::new("ns", "sync");
        let held = free.held_by(&settings("1"), Some(now));
        assert_eq!(
            held.0["spec"],
            json!({
                "holderIdentity": "pod_1", "leaseDurationSeconds": 2, "leaseTransitions": 1,
                "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z",
            })
        );
        let renewed = held.held_by(&settings("1"), Some(now + SignedDuration::from_secs(5)));
        assert_eq!(
            renewed.0["spec"]["renewTime"],
            "2026-01-01T00:00:05.000000Z"
        );
        assert_eq!(
            renewed.0["spec"]["acquireTime"],
            held.0["spec"]["acquireTime"]
        );
        assert_eq!(renewed.term().number, 1);
        let released = renewed.released(Some(now));
        assert!(released.holder().is_empty() && released.person().is_none());
        let taken = released.held_by(&settings("2"), Some(now));
        assert_eq!((taken.term().number, taken.holder()), (2, "pod_2"));
    }

    #[test]
    fn a_renewal_changes_the_lease_whatever_the_clocks_say() {
        let late: Timestamp = "2036-01-01T00:00:00Z".parse().unwrap();
        let held = Record::new("ns", "sync").held_by(&settings("1"), Some(late));
        for now in [Some(late), Some(Timestamp::default()), None] {
            let renewed = held.held_by(&settings("1"), now);
            assert_eq!(
                renewed.0["spec"]["renewTime"],
                "2036-01-01T00:00:00.000001Z"
            );
        }
        let odd = Record(json!({"spec": {"renewTime": "soon"}}));
        assert_ne!(odd.held_by(&settings("1"), None), odd);
    }

    #[test]
    fn what_others_wrote_into_it_stays() {
        let theirs = Record(json!({
            "metadata": {"labels": {"a": "b"}, "resourceVersion": "7"}, "spec": {"strategy": "x"}, "status": 1,
        }));
        let held = theirs.held_by(&settings("1"), None);
        assert_eq!(held.0["metadata"], theirs.0["metadata"]);
        assert_eq!(held.0["spec"]["strategy"], "x");
        assert_eq!(held.0["status"], 1);
    }

    #[test]
    fn a_lease_of_any_content_is_read() {
        let usual = Duration::from_secs(15);
        for (spec, lasts) in [
            (json!({}), 15),
            (json!(null), 15),
            (json!({"leaseDurationSeconds": 40}), 40),
            (json!({"leaseDurationSeconds": -1}), 15),
            (json!({"leaseDurationSeconds": 9_000_000}), 24 * 3600),
        ] {
            let record = Record(json!({ "spec": spec }));
            assert_eq!(record.lasts(usual), Duration::from_secs(lasts), "{spec}");
            assert_eq!(record.held_by(&settings("1"), None).holder(), "pod_1");
        }
        let other = Record(json!({"spec": {"holderIdentity": "plain", "acquireTime": "t"}}));
        assert_eq!(other.person().unwrap().to_string(), "process plain since t");
        let ours = Record(json!({"spec": {"holderIdentity": "my_pod_1"}}));
        assert_eq!(ours.person().unwrap().to_string(), "process 1 on my_pod");
    }
}
