//! Random histories: the same for the same seed.

use super::{
    Disturbance, World,
    run::{Checked, KEYS, Run},
};

/// Operations of one history.
const LENGTH: usize = 60;
/// Streams at once.
const STREAMS: usize = 3;

/// A split-mix generator: small, and good enough for histories.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit.max(1) as u64).unwrap_or_default()
    }
}

/// Plays the history of a seed.
pub(super) async fn play<W: World>(run: &mut Run<'_, W>, seed: u64) -> Checked {
    let mut chance = Chance(seed);
    for number in 0..KEYS {
        if chance.below(2) == 0 {
            run.put(number, 1).await;
        }
    }
    run.watch();
    for _ in 0..LENGTH {
        let number = chance.below(KEYS);
        match chance.below(100) {
            0..30 => {
                let addresses = [1, 2, 3][chance.below(3)];
                run.put(number, addresses).await;
            }
            30..45 => run.delete(number).await,
            45..50 => {
                run.spoil(number).await;
            }
            50..58 => {
                let lasting: Vec<_> = run.lasting().iter().copied().collect();
                if let Some(disturbance) = lasting.get(chance.below(lasting.len() + 1)) {
                    run.end(*disturbance).await;
                } else {
                    let at = chance.below(Disturbance::ALL.len());
                    run.begin(Disturbance::ALL[at]).await;
                }
            }
            58..63 if run.listeners() < STREAMS => {
                run.watch();
            }
            63..67 if run.listeners() > 1 => {
                let at = chance.below(run.listeners());
                run.unwatch(at);
            }
            67..82 => {
                let (at, polls) = (chance.below(run.listeners()), chance.below(8));
                run.poll(at, polls).await?;
            }
            82..95 if run.lasting().is_empty() => {
                let at = chance.below(run.listeners());
                run.converge(at).await?;
            }
            95..98 => run.rest().await?,
            _ => {
                let (at, most) = (chance.below(run.listeners()), chance.below(12));
                run.read(at, most).await?;
            }
        }
    }
    run.rest().await
}
