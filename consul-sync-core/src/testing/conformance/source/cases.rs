//! Cases with a name.

use super::{
    Disturbance, World,
    run::{Checked, KEYS, Run},
};

/// A case. Each begins in an empty world, and ends at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    EmptyWorld,
    EveryChange,
    WhatWasThere,
    MadeAnew,
    Unread,
    Rejected,
    RejectedFromTheStart,
    TwoStreams,
    DroppedAfterItems,
    DroppedAfterPolls,
    Short(Disturbance),
    Lasting(Disturbance),
    FromTheStart(Disturbance),
}

/// How many polls or items a stream is dropped after, at most.
const DROPS: usize = 12;

impl Case {
    /// Every case.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::EmptyWorld,
            Self::EveryChange,
            Self::WhatWasThere,
            Self::MadeAnew,
            Self::Unread,
            Self::Rejected,
            Self::RejectedFromTheStart,
            Self::TwoStreams,
            Self::DroppedAfterItems,
            Self::DroppedAfterPolls,
        ];
        for disturbance in Disturbance::ALL {
            if disturbance.lasts() {
                all.push(Self::Lasting(disturbance));
                all.push(Self::FromTheStart(disturbance));
            } else {
                all.push(Self::Short(disturbance));
            }
        }
        all
    }

    /// The case in words.
    pub(super) fn name(self) -> String {
        let text = match self {
            Self::EmptyWorld => "an empty world is listed",
            Self::EveryChange => "every change is told",
            Self::WhatWasThere => "what was there before is listed",
            Self::MadeAnew => "a service that is made anew is there",
            Self::Unread => "what happens while nobody reads is told",
            Self::Rejected => {
                "a service that cannot be used any more is rejected, and good again later"
            }
            Self::RejectedFromTheStart => {
                "a service that was never good is rejected, and others are not"
            }
            Self::TwoStreams => "two streams of one source are each whole",
            Self::DroppedAfterItems => "a stream is dropped after any item, and a new one is whole",
            Self::DroppedAfterPolls => "a stream is dropped after any poll, and a new one is whole",
            Self::Short(disturbance) => return format!("changes while {disturbance}"),
            Self::Lasting(disturbance) => return format!("{disturbance}, and no more"),
            Self::FromTheStart(disturbance) => {
                return format!("{disturbance} from the start, and no more");
            }
        };
        text.to_owned()
    }

    /// Plays the case.
    pub(super) async fn play<W: World>(self, run: &mut Run<'_, W>) -> Checked {
        match self {
            Self::EmptyWorld => {
                run.watch();
                run.rest().await
            }
            Self::EveryChange => every_change(run).await,
            Self::WhatWasThere => {
                fill(run).await;
                run.watch();
                run.rest().await
            }
            Self::MadeAnew => made_anew(run).await,
            Self::Unread => unread(run).await,
            Self::Rejected => rejected(run).await,
            Self::RejectedFromTheStart => rejected_from_the_start(run).await,
            Self::TwoStreams => two_streams(run).await,
            Self::DroppedAfterItems => dropped(run, true).await,
            Self::DroppedAfterPolls => dropped(run, false).await,
            Self::Short(disturbance) => short(run, disturbance).await,
            Self::Lasting(disturbance) => lasting(run, disturbance).await,
            Self::FromTheStart(disturbance) => from_the_start(run, disturbance).await,
        }
    }
}

async fn fill<W: World>(run: &mut Run<'_, W>) {
    for number in 0..KEYS {
        run.put(number, 2).await;
    }
}

async fn every_change<W: World>(run: &mut Run<'_, W>) -> Checked {
    let stream = run.watch();
    run.converge(stream).await?;
    for addresses in [1, 3, 2] {
        for number in 0..KEYS {
            run.put(number, addresses).await;
            run.converge(stream).await?;
        }
    }
    for number in 0..KEYS {
        run.delete(number).await;
        run.converge(stream).await?;
    }
    run.rest().await
}

async fn made_anew<W: World>(run: &mut Run<'_, W>) -> Checked {
    fill(run).await;
    let stream = run.watch();
    run.converge(stream).await?;
    // Seen, and unseen.
    for read_between in [true, false] {
        run.delete(0).await;
        if read_between {
            run.converge(stream).await?;
        }
        run.put(0, 1).await;
        run.converge(stream).await?;
    }
    run.rest().await
}

async fn unread<W: World>(run: &mut Run<'_, W>) -> Checked {
    run.put(0, 1).await;
    run.put(1, 1).await;
    let stream = run.watch();
    // Before the first poll.
    run.put(0, 2).await;
    run.converge(stream).await?;
    for _ in 0..5 {
        run.put(0, 2).await;
        run.put(2, 1).await;
        run.delete(2).await;
    }
    run.delete(1).await;
    run.put(3, 3).await;
    run.converge(stream).await?;
    run.rest().await
}

async fn rejected<W: World>(run: &mut Run<'_, W>) -> Checked {
    fill(run).await;
    let stream = run.watch();
    run.converge(stream).await?;
    if !run.spoil(0).await {
        return Ok(());
    }
    run.converge(stream).await?;
    // Its neighbours go on.
    run.put(1, 1).await;
    run.converge(stream).await?;
    // A listing mentions it, whoever asks for one.
    let second = run.watch();
    run.converge(second).await?;
    run.begin(Disturbance::Forget).await;
    run.rest().await?;
    run.put(0, 2).await;
    run.rest().await?;
    run.spoil(0).await;
    run.converge(stream).await?;
    run.delete(0).await;
    run.rest().await
}

async fn rejected_from_the_start<W: World>(run: &mut Run<'_, W>) -> Checked {
    if !run.spoil(0).await {
        return Ok(());
    }
    run.put(1, 1).await;
    run.watch();
    run.rest().await?;
    run.put(0, 1).await;
    run.rest().await
}

async fn two_streams<W: World>(run: &mut Run<'_, W>) -> Checked {
    run.put(0, 2).await;
    let first = run.watch();
    let second = run.watch();
    run.converge(second).await?;
    run.put(1, 1).await;
    run.converge(first).await?;
    run.delete(0).await;
    run.put(1, 2).await;
    run.rest().await?;
    run.unwatch(first);
    run.put(2, 1).await;
    run.rest().await
}

async fn dropped<W: World>(run: &mut Run<'_, W>, after_items: bool) -> Checked {
    fill(run).await;
    for times in 0..DROPS {
        let stream = run.watch();
        if after_items {
            run.read(stream, times).await?;
        } else {
            run.poll(stream, times).await?;
        }
        run.unwatch(stream);
        run.put(times % KEYS, 1).await;
    }
    run.nothing_open().await?;
    run.watch();
    run.rest().await
}

/// Changes that are made while nobody is told: each kind of them.
async fn unseen<W: World>(run: &mut Run<'_, W>) {
    run.delete(0).await;
    run.put(1, 3).await;
    run.delete(2).await;
    run.put(2, 1).await;
}

async fn short<W: World>(run: &mut Run<'_, W>, disturbance: Disturbance) -> Checked {
    run.put(0, 1).await;
    run.put(1, 1).await;
    run.put(2, 1).await;
    let stream = run.watch();
    run.converge(stream).await?;
    if !run.begin(disturbance).await {
        return Ok(());
    }
    unseen(run).await;
    run.rest().await?;
    // With nothing changed, and before the stream was read.
    run.begin(disturbance).await;
    run.rest().await?;
    unseen(run).await;
    run.begin(disturbance).await;
    run.put(3, 1).await;
    run.rest().await
}

async fn lasting<W: World>(run: &mut Run<'_, W>, disturbance: Disturbance) -> Checked {
    run.put(0, 1).await;
    run.put(1, 1).await;
    run.put(2, 1).await;
    let stream = run.watch();
    run.converge(stream).await?;
    if !run.begin(disturbance).await {
        return Ok(());
    }
    run.reported(stream, disturbance).await?;
    unseen(run).await;
    run.read(stream, usize::MAX).await?;
    let late = run.watch();
    run.read(late, usize::MAX).await?;
    let before = run.listings(stream);
    run.end(disturbance).await;
    run.converge(stream).await?;
    if disturbance.weakens() == Some(true) {
        run.listed_again(stream, before)?;
    }
    run.put(3, 1).await;
    run.rest().await
}

async fn from_the_start<W: World>(run: &mut Run<'_, W>, disturbance: Disturbance) -> Checked {
    run.put(0, 1).await;
    if !run.begin(disturbance).await {
        return Ok(());
    }
    let stream = run.watch();
    run.reported(stream, disturbance).await?;
    run.put(1, 2).await;
    run.read(stream, usize::MAX).await?;
    run.rest().await
}
