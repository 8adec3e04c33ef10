//! Watches of both servers at once.

use consul_sync_testbed::Answer;
use futures::future::{join, join_all};

use super::{side::Side, step::Kind};

/// One watch, as its server is asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) kind: Kind,
    /// Without the time that it lasts.
    pub(crate) url: String,
}

/// How long a watch lasts, in seconds.
pub(crate) const USUAL: u32 = 1;
/// How long it lasts when the real server said less than the fake: a busy one has not said everything yet. Nothing
/// changes meanwhile, so a watch from the same start says the same, and more.
const PATIENT: [u32; 2] = [5, 30];

/// What both servers say on the same watches. They last, so all go at once.
pub(crate) async fn both(
    (real, real_watches): (&Side, &[Watch]),
    (fake, fake_watches): (&Side, &[Watch]),
) -> Vec<(Answer, Answer)> {
    let pairs = real_watches.iter().zip(fake_watches);
    join_all(pairs.map(|(of_real, of_fake)| async move {
        let (mut one, other) = join(real.open(of_real, USUAL), fake.open(of_fake, USUAL)).await;
        let expected = fake.count(of_fake, &other);
        for seconds in PATIENT {
            if one.status != 200 || real.count(of_real, &one) >= expected {
                break;
            }
            one = real.open(of_real, seconds).await;
        }
        (one, other)
    }))
    .await
}
