use super::*;

const NONE: &[(&str, u64, Option<u64>)] = &[];

fn slot() -> Slot {
    Slot::new("web").unwrap()
}

fn id(text: &str) -> RecordId {
    RecordId::new(text).unwrap()
}

fn version(service: u64, check: Option<u64>) -> Version {
    Version::new(service, check.and_then(std::num::NonZeroU64::new))
}

fn fit(journal: &Journal, seen: &[(&str, u64, Option<u64>)], services: u64, checks: u64) -> Fit {
    let seen: Vec<Seen> = seen
        .iter()
        .map(|(text, service, check)| (id(text), version(*service, *check)))
        .collect();
    journal.fit(&slot(), &seen, services, checks)
}

fn written(service: u64, check: Option<u64>, dropped: u64) -> Journal {
    let journal = Journal::default();
    let version = version(service, check);
    journal.wrote(&slot(), &id("a"), Sign::Written { version, dropped });
    journal
}

#[test]
fn a_read_is_older_until_it_shows_what_was_written_or_is_from_after_it() {
    // What was written, what a read shows with its two indexes, and whether it may be shown.
    for (wrote, seen, services, checks, want) in [
        ((20, None, 0), NONE, 19, 30, Fit::Older),
        ((20, None, 0), NONE, 20, 30, Fit::Current),
        ((20, None, 0), &[("a", 10, None)], 30, 30, Fit::Older),
        ((20, None, 0), &[("a", 20, None)], 20, 10, Fit::Current),
        ((20, None, 0), &[("a", 25, None)], 25, 10, Fit::Current),
        // The check is in the other read.
        ((20, Some(20), 0), &[("a", 20, None)], 20, 19, Fit::Older),
        ((20, Some(20), 0), &[("a", 20, None)], 20, 20, Fit::Current),
        (
            (20, Some(20), 0),
            &[("a", 20, Some(12))],
            20,
            19,
            Fit::Older,
        ),
        (
            (20, Some(20), 0),
            &[("a", 20, Some(20))],
            20,
            20,
            Fit::Current,
        ),
        // A check that was taken away, and one that somebody else added since.
        ((20, None, 12), &[("a", 20, Some(12))], 20, 20, Fit::Older),
        ((20, None, 12), &[("a", 20, Some(21))], 20, 21, Fit::Current),
        ((20, None, 12), &[("a", 20, None)], 20, 20, Fit::Current),
        // Other records of the slot have no part in it.
        (
            (20, None, 0),
            &[("a", 20, None), ("b", 3, None)],
            20,
            20,
            Fit::Current,
        ),
    ] {
        let journal = written(wrote.0, wrote.1, wrote.2);
        let got = fit(&journal, seen, services, checks);
        assert_eq!(got, want, "{wrote:?} {seen:?} {services} {checks}");
        assert_eq!(journal.slots().is_empty(), want == Fit::Current);
    }
}

#[test]
fn a_deleted_record_must_be_gone_or_newer() {
    for (seen, services, want) in [
        (&[("a", 20, None)][..], 20, Fit::Older),
        (&[("a", 12, None)], 19, Fit::Older),
        (&[("a", 21, None)], 21, Fit::Current),
        (NONE, 20, Fit::Current),
        // From before it was written: a later read may still show it.
        (NONE, 19, Fit::Older),
    ] {
        let journal = Journal::default();
        journal.wrote(&slot(), &id("a"), Sign::Deleted(version(20, Some(20))));
        assert_eq!(
            fit(&journal, seen, services, 19),
            want,
            "{seen:?} {services}"
        );
    }
}

#[test]
fn fault_c02_a_read_that_began_after_the_last_write_is_current_whatever_it_shows() {
    let restored = [(id("a"), version(20, None))];
    let deleted = || {
        let journal = Journal::default();
        journal.wrote(&slot(), &id("a"), Sign::Deleted(version(20, None)));
        journal
    };
    let journal = deleted();
    let mark = journal.mark(&slot());
    assert_eq!(
        journal.fit_since(&slot(), &mark, &restored, 30),
        Fit::Current
    );
    // A write ended, began, or both since the read began.
    let journal = Journal::default();
    let mark = journal.mark(&slot());
    journal.wrote(&slot(), &id("a"), Sign::Deleted(version(20, None)));
    assert_eq!(journal.fit_since(&slot(), &mark, &restored, 30), Fit::Older);
    let journal = deleted();
    let mark = journal.mark(&slot());
    journal.begin([&slot()]);
    assert_eq!(
        journal.fit_since(&slot(), &mark, &restored, 30),
        Fit::InFlight
    );
    journal.end([&slot()]);
    assert_eq!(journal.fit_since(&slot(), &mark, &restored, 30), Fit::Older);
    // A write was under way all the time.
    let journal = deleted();
    journal.begin([&slot()]);
    let mark = journal.mark(&slot());
    assert_eq!(
        journal.fit_since(&slot(), &mark, &restored, 30),
        Fit::InFlight
    );
}

#[test]
fn nothing_is_shown_of_a_slot_while_it_is_written() {
    let journal = written(20, None, 0);
    journal.begin([&slot()]);
    journal.begin([&slot()]);
    journal.end([&slot()]);
    assert_eq!(fit(&journal, &[("a", 20, None)], 20, 20), Fit::InFlight);
    journal.end([&slot()]);
    assert_eq!(fit(&journal, &[("a", 20, None)], 20, 20), Fit::Current);
    journal.begin([&slot()]);
    journal.end([&slot()]);
    assert!(
        journal.slots().is_empty(),
        "a write that came to nothing leaves nothing"
    );
}

#[test]
fn after_a_read_of_the_whole_slot_nothing_older_is_shown() {
    for (seen, services, want) in [
        (&[("a", 20, None)][..], 20, Fit::Current),
        (&[("a", 19, None)], 19, Fit::Older),
        (&[("a", 20, Some(25))], 20, Fit::Older),
        (&[("a", 20, Some(31))], 20, Fit::Current),
        (&[("a", 20, None), ("b", 30, None)], 30, Fit::Older),
        (&[("a", 20, None), ("b", 31, None)], 31, Fit::Current),
        (NONE, 19, Fit::Older),
        (NONE, 31, Fit::Current),
    ] {
        let journal = Journal::default();
        journal.read(&slot(), &[(id("a"), version(20, None))], 30);
        assert_eq!(fit(&journal, seen, services, 40), want, "{seen:?}");
    }
}
