//! What can go wrong, and how often.

use crate::rng::Rng;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $percent:literal,)*) => {
        /// One kind of trouble. Each has a chance of its own, in percent of the moments at which it can come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            fn percent(self) -> u64 {
                match self { $(Self::$name => $percent,)* }
            }
        }
    };
}

faults! {
    /// A listing of the source breaks off and starts again.
    SourceBreaksOff = 15,
    /// The source loses its rights; what happens until its next listing is never told.
    SourceForbidden = 2,
    /// The source is out of reach for a moment.
    SourceTrouble = 3,
    /// The source's stream ends.
    SourceEnds = 2,
    /// The source tells things twice.
    SourceRepeats = 20,
    /// The source tells things in another order, and each as it is now.
    SourceReorders = 30,
    /// The source leaves things out of a listing that it calls complete.
    SourceLies = 25,
    /// The source lists an older state, and what came after it follows.
    SourceIsStale = 25,
    /// The source is slow.
    SourceDawdles = 5,
    /// The source says nothing for minutes.
    SourceHangs = 2,
    /// A listing of the sink breaks off and starts again.
    SinkBreaksOff = 15,
    /// The sink loses its rights, and lists anew.
    SinkForbidden = 2,
    /// The sink is out of reach for a moment.
    SinkTrouble = 3,
    /// The sink's stream ends.
    SinkEnds = 2,
    /// The sink lists an older state, and what came after it follows.
    SinkIsStale = 25,
    /// The sink is slow to tell what changed.
    SinkDawdles = 5,
    /// The sink tells what others changed only minutes later.
    SinkIsLate = 2,
    /// A write never arrives.
    WriteIsLost = 6,
    /// The first half of a write arrives.
    WriteIsCut = 6,
    /// A write is applied, and its answer is lost.
    WriteIsUnanswered = 8,
    /// A write is given up and applied later.
    WriteIsAZombie = 4,
    /// Operations of different slots are applied in another order.
    WriteIsShuffled = 50,
    /// A write takes its time on the way or on the way back.
    WriteDawdles = 30,
    /// A write takes minutes.
    WriteHangs = 1,
    /// One operation is skipped.
    OpIsSkipped = 3,
    /// The outcome of one operation is unclear.
    OpIsUnclear = 3,
    /// A read is not answered.
    ReadFails = 15,
    /// A read is answered for half of the slots.
    ReadIsCut = 10,
    /// A read takes its time: its answer is older than what came meanwhile.
    ReadDawdles = 30,
}

/// The faults of a story, each with a chance of its own, so that leaving one out does not change the others.
#[derive(Debug)]
pub(crate) struct Faults {
    rngs: Vec<Option<Rng>>,
    is_always: bool,
    /// Whether things go wrong now.
    pub(crate) are_on: bool,
}

impl Faults {
    pub(crate) fn new(seed: u64, faults: &[Fault]) -> Self {
        let rng = |fault: &Fault| {
            let salt = (*fault as u64 + 1) << 40;
            faults.contains(fault).then(|| Rng::new(seed ^ salt))
        };
        Self {
            rngs: Fault::ALL.iter().map(rng).collect(),
            is_always: false,
            are_on: true,
        }
    }

    /// From now on each fault comes at every moment at which it can.
    pub(crate) fn always(&mut self) {
        self.are_on = true;
        self.is_always = true;
    }

    /// Whether this fault comes now; then chance for its details.
    pub(crate) fn strikes(&mut self, fault: Fault) -> Option<&mut Rng> {
        let rng = self.rngs[fault as usize].as_mut()?;
        let comes = self.are_on && (self.is_always || rng.chance(fault.percent()));
        comes.then_some(rng)
    }
}
