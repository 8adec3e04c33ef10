//! The rate of one blocking query.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two whole reads when something changes.
const GAP: Duration = Duration::from_millis(250);
/// The longest time between two reads, however costly or pointless they are.
const LONGEST: Duration = Duration::from_secs(15);
/// The same while they show nothing but our own writes.
const ECHO_LONGEST: Duration = Duration::from_secs(60);
/// What a read costs the server, in times of what its parsing costs us: it walks the catalog, encodes and
/// compresses where we take in.
const SERVER: u32 = 3;
/// How much longer than a read the gap after it is, so that reads take a bounded share of the server's time.
const SHARE: u32 = 4;
/// The shortest time between two whole reads when they show nothing but our own writes, whose outcome is known.
const ECHO_GAP: Duration = Duration::from_millis(750);
/// The same for the gap after such a read: what writes fast is not slowed down by looking at what it wrote.
const ECHO_SHARE: u32 = 24;
/// For how long at most a read waits for what is written meanwhile. By then it says itself what reads cost.
const GROWN_LONGEST: Duration = Duration::from_millis(2500);
/// How many answers without news in a row cost nothing.
const BURST: u32 = 2;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing that was not known.
    None,
    /// What we wrote ourselves.
    Echo,
    /// Somebody else's change.
    Change,
}

/// Decides when the next read may start.
///
/// After news the gap is short, and grows with what a read costs. Answers without news are free at first:
/// the index of checks moves with every check of the cluster, and asking again at once is what makes the next
/// answer come only for ours. A server that goes on answering without news is asked ever less (fault C05).
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Answers without news that came early, in a row.
    pointless: u32,
    cost: Duration,
    not_before: Option<Instant>,
    /// When the last read was, if it showed nothing but our own writes.
    echo: Option<Instant>,
}

// === impl Pace ===

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            pointless: 0,
            cost: Duration::ZERO,
            not_before: None,
            echo: None,
        }
    }

    /// Takes note of a read: how long its parsing took, how long it was held, and what it brought. The time of
    /// the whole call says nothing, because most of it is waiting.
    pub(crate) fn note(&mut self, now: Instant, parse: Duration, held: Duration, news: News) {
        self.cost = (self.cost / 2).max(parse * SERVER);
        let gap = (self.cost * SHARE).clamp(GAP, LONGEST);
        let wait = if news != News::None {
            self.pointless = 0;
            match news {
                News::Echo => (self.cost * ECHO_SHARE).clamp(ECHO_GAP, ECHO_LONGEST),
                _ => gap,
            }
        } else if held >= Duration::from_secs(10) {
            // It was held for long and let go: the end of the wait, or rare traffic next door.
            self.pointless = 0;
            Duration::ZERO
        } else {
            self.pointless += 1;
            match self.pointless.checked_sub(BURST) {
                None | Some(0) => Duration::ZERO,
                Some(over) => {
                    let factor = 2_u32.saturating_pow(over.min(8) / 2);
                    (Duration::from_secs(1) * factor).max(gap).min(LONGEST)
                }
            }
        };
        self.not_before = Some(now + wait);
        self.echo = (news == News::Echo).then_some(now);
    }

    /// Whether the last read showed nothing but our own writes.
    pub(crate) fn is_echo(&self) -> bool {
        self.echo.is_some()
    }

    /// When the next read may start where it would show so many times more than the last one, because we wrote so much
    /// since: what it costs grows with it, and what writes is what it would slow down. `None` where the last one showed
    /// what somebody else did.
    pub(crate) fn grown(&self, times: u32) -> Option<Instant> {
        let gap = (self.cost * ECHO_SHARE).saturating_mul(times);
        self.echo.map(|at| at + gap.min(GROWN_LONGEST))
    }

    /// What a whole read costs, about.
    pub(crate) fn cost(&self) -> Duration {
        self.cost
    }

    /// How long to wait from now.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        self.not_before
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pause_after(pace: &mut Pace, parse: Duration, held: Duration, news: News) -> Duration {
        let now = Instant::now();
        pace.note(now, parse, held, news);
        pace.pause(now)
    }

    #[test]
    fn after_news_the_gap_grows_with_the_cost_of_a_read() {
        let mut pace = Pace::new();
        assert_eq!(pause_after(&mut pace, MS, MS, News::Change), 250 * MS);
        assert_eq!(
            pause_after(&mut pace, 200 * MS, MS, News::Change),
            2400 * MS
        );
        assert_eq!(pause_after(&mut pace, MS, MS, News::Change), 1200 * MS);
        assert_eq!(
            pause_after(&mut pace, 60_000 * MS, MS, News::Change),
            Duration::from_secs(15)
        );
    }

    #[test]
    fn our_own_writes_are_read_back_less_often_than_others_changes() {
        let mut pace = Pace::new();
        assert_eq!(pause_after(&mut pace, MS, MS, News::Echo), 750 * MS);
        assert_eq!(pause_after(&mut pace, MS, MS, News::Change), 250 * MS);
        assert_eq!(pause_after(&mut pace, 100 * MS, MS, News::Echo), 7200 * MS);
    }

    #[test]
    fn while_much_is_written_the_next_read_waits_for_it_but_not_for_long() {
        let mut pace = Pace::new();
        let now = Instant::now();
        let mut grown = |news, times| {
            pace.note(now, MS, MS, news);
            pace.grown(times).map(|at| at - now)
        };
        assert_eq!(grown(News::Echo, 1), Some(72 * MS));
        assert_eq!(grown(News::Echo, 20), Some(1440 * MS));
        assert_eq!(grown(News::Echo, u32::MAX), Some(2500 * MS));
        assert_eq!(grown(News::Change, 20), None);
        assert_eq!(grown(News::None, 20), None);
    }

    #[test]
    fn fault_c05_a_server_that_answers_at_once_for_ever_is_asked_ever_less() {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        let start = now;
        let mut reads = 0;
        while now - start < Duration::from_secs(60) {
            reads += 1;
            pace.note(now, MS, MS, News::None);
            now += pace.pause(now) + MS;
        }
        assert!(reads <= 14, "{reads} reads in a minute");
        assert_eq!(pause_after(&mut pace, MS, MS, News::None), 15_000 * MS);
        assert_eq!(pause_after(&mut pace, MS, MS, News::Change), 250 * MS);
    }

    #[test]
    fn fault_c06_an_answer_for_somebody_elses_check_is_followed_at_once() {
        let mut pace = Pace::new();
        assert_eq!(pause_after(&mut pace, MS, MS, News::None), Duration::ZERO);
        assert_eq!(
            pause_after(&mut pace, MS, Duration::from_secs(300), News::None),
            Duration::ZERO
        );
    }
}
