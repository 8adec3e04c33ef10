//! A batch on its way: slots side by side, and the operations of each in their order.

use std::collections::BTreeMap;

use consul_sync_core::{Op, Outcome, Outcomes, SinkError, Slot};
use futures::{StreamExt, stream::FuturesUnordered};

use super::{
    Inner,
    journal::InFlight,
    manifest::Manifest,
    write::{Answer, Write},
};

impl Inner {
    /// See [`consul_sync_core::Sink::apply`].
    ///
    /// # Errors
    /// When no operation that was sent has a clear answer.
    pub(super) async fn apply(
        &self,
        ops: &[Op<Manifest>],
    ) -> Result<Outcomes<Manifest>, SinkError> {
        let mut slots: BTreeMap<&Slot, Vec<usize>> = BTreeMap::new();
        for (at, op) in ops.iter().enumerate() {
            slots.entry(&op.slot).or_default().push(at);
        }
        let written = slots.keys().copied().cloned().collect();
        let _in_flight = InFlight::begin(self.journals(), written);
        let answers: Vec<_> = slots
            .into_values()
            .map(|places| async {
                // Turns are given in order and over all batches, so that the end of one overlaps the next. It is never
                // closed.
                let _turn = self.turns.acquire().await;
                self.apply_slot(ops, places).await
            })
            .collect::<FuturesUnordered<_>>()
            .collect()
            .await;
        let mut outcomes = vec![Outcome::Skipped; ops.len()];
        let (mut is_clear, mut unclear) = (false, None);
        for (at, answer) in answers.into_iter().flatten() {
            let outcome = match answer {
                Answer::Clear(outcome) => {
                    is_clear = true;
                    outcome
                }
                Answer::Unclear(error) => {
                    unclear.get_or_insert(error);
                    Outcome::Unknown
                }
            };
            if let Some(place) = outcomes.get_mut(at) {
                *place = outcome;
            }
        }
        match unclear {
            Some(error) if !is_clear => Err(error),
            Some(error) => {
                tracing::warn!(%error, "some of a batch has no clear answer, and is read again");
                Ok(outcomes)
            }
            None => Ok(outcomes),
        }
    }

    /// The operations of one slot, until one of them is not done: what follows it is left out.
    async fn apply_slot(&self, ops: &[Op<Manifest>], places: Vec<usize>) -> Vec<(usize, Answer)> {
        let mut answers = Vec::with_capacity(places.len());
        for at in places {
            let Some(op) = ops.get(at) else { continue };
            if !self.gate.is_open() {
                tracing::debug!("writes are dropped: this process does not lead");
                break;
            }
            let answer = Write::of(&self.client, &self.gate, op)
                .run(&op.action)
                .await;
            let is_done = match &answer {
                Answer::Clear(Outcome::Written(version)) => {
                    self.each_journal(|journal| journal.written(op, version));
                    true
                }
                Answer::Clear(Outcome::Deleted) => {
                    self.each_journal(|journal| journal.deleted(op));
                    true
                }
                _ => false,
            };
            answers.push((at, answer));
            if !is_done {
                break;
            }
        }
        answers
    }

    fn each_journal(&self, tell: impl Fn(&super::Journal)) {
        for journal in self.journals() {
            tell(&journal);
        }
    }
}
