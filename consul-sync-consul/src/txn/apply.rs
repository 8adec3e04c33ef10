//! A batch on its way: split where Consul refuses it, and one outcome for each operation.

use std::collections::{BTreeMap, HashMap, VecDeque};

use consul_sync_core::{Op, Outcome, Outcomes, Reason, Rejection, Slot};

use super::{
    Refusal, fence_cost,
    refusal::{missing_namespace, missing_rule, rejection},
    sent::Sent,
    single, step,
    under_way::UnderWay,
    versions::{Applied, applied},
};
use crate::{
    Call, Error, Fence,
    lock::Grant,
    registration::{Registration, Version},
    sink::{Inner, NodeState, Unusable},
    wire::{TxnAnswer, TxnError},
};

/// How often the node may have to be written anew within one batch.
const NODE_ATTEMPTS: u32 = 3;
/// How often namespaces that went may be made anew within one batch.
const NAMESPACE_ATTEMPTS: u32 = 3;

/// One call of [`consul_sync_core::Sink::apply`].
#[derive(Debug)]
pub(crate) struct Apply<'a> {
    sink: &'a Inner,
    ops: &'a [Op<Registration>],
    outcomes: Outcomes<Registration>,
    /// Slots in which an operation failed, and which: later ones there are not applied.
    failed: HashMap<&'a Slot, usize>,
    /// Parts that are still to be sent, as positions in `ops`, in order.
    parts: VecDeque<Vec<usize>>,
    has_written: bool,
    node_attempts: u32,
    namespace_attempts: u32,
    /// The lead, where one is needed; the same for all parts.
    grant: Option<Grant>,
    under_way: UnderWay<'a>,
}

// === impl Apply ===

impl<'a> Apply<'a> {
    pub(crate) fn new(sink: &'a Inner, ops: &'a [Op<Registration>]) -> Self {
        Self {
            sink,
            ops,
            outcomes: vec![Outcome::Skipped; ops.len()],
            failed: HashMap::new(),
            parts: VecDeque::new(),
            has_written: false,
            node_attempts: 0,
            namespace_attempts: 0,
            grant: None,
            under_way: UnderWay::new(sink, ops),
        }
    }

    /// Sends everything.
    ///
    /// # Errors
    /// When nothing was applied and trying the same at once would not help: no server in reach, rights that are
    /// missing for all of it, a node that must not be ours.
    pub(crate) async fn run(mut self) -> Result<Outcomes<Registration>, Error> {
        if let Some(fence) = &self.sink.settings.fence {
            self.grant = fence.grant();
            if self.grant.is_none() {
                tracing::debug!("a batch is dropped: this process does not lead");
                return Ok(self.outcomes);
            }
        }
        self.cut();
        while let Some(part) = self.parts.pop_front() {
            if let Err(error) = self.ensure_namespaces(&part).await {
                return self.stop(error);
            }
            let part: Vec<usize> = part.into_iter().filter(|at| self.is_open(*at)).collect();
            if part.is_empty() {
                continue;
            }
            let node = match self.sink.node_state().await {
                Ok(state) => state,
                Err(error) => return self.stop(error),
            };
            let highest = self.sink.highest_index();
            if let [at] = part[..]
                && single::is_single(&self.ops[at])
            {
                match single::register(self.sink, &self.ops[at]).await {
                    Ok(outcome) => self.registered(at, outcome, highest),
                    Err(error) => return self.stop(error),
                }
                continue;
            }
            let ops: Vec<&Op<Registration>> = part.iter().map(|at| &self.ops[*at]).collect();
            match self.sink.send(self.fence(), node, &ops).await? {
                Sent::Applied(answer) => self.applied(&part, &answer, highest),
                Sent::Refused(call, errors) => {
                    if self.is_fenced_off(&call, &errors)? {
                        break;
                    }
                    self.refused(part, &call, node, &errors)?;
                }
                Sent::TooLarge => self.halve(part, || {
                    Rejection::new(Reason::TooLarge, "consul takes no transaction that large")
                }),
                Sent::Unreadable(text) if self.lost_namespace(&text) => self.parts.push_front(part),
                Sent::Unreadable(text) => self.halve(part, || rejection(&text)),
                Sent::Unsent(error) => return self.stop(error),
                Sent::Unclear => {
                    for at in part {
                        self.outcomes[at] = Outcome::Unknown;
                    }
                    // What becomes of the next part would be as unclear; the core reads first.
                    break;
                }
            }
        }
        Ok(self.outcomes)
    }

    /// Ends early. What was applied before has its outcomes; without any the error says more.
    fn stop(self, error: Error) -> Result<Outcomes<Registration>, Error> {
        if self.has_written {
            tracing::debug!(%error, "a batch was applied in part");
            Ok(self.outcomes)
        } else {
            Err(error)
        }
    }

    /// Makes sure that the namespaces are there into which a part writes. What one that cannot be used would get is refused.
    /// Deletes need none: what they delete is gone with it.
    async fn ensure_namespaces(&mut self, part: &[usize]) -> Result<(), Error> {
        for at in part {
            let op = &self.ops[*at];
            let Some(namespace) = op.record().namespace().filter(|_| !op.is_delete()) else {
                continue;
            };
            if !self.is_open(*at) || !self.sink.is_namespace_due(namespace) {
                continue;
            }
            match self.sink.ensure_namespace(namespace).await {
                Ok(()) => {}
                Err(Unusable::Failed(error)) => return Err(error),
                Err(Unusable::Refused(rejection)) => self.refuse_all_of(namespace, &rejection),
            }
        }
        Ok(())
    }

    /// Refuses every write into a namespace, also of the parts to come.
    fn refuse_all_of(&mut self, namespace: &str, rejection: &Rejection) {
        let ops = self.ops;
        for (at, op) in ops.iter().enumerate() {
            let is_there = op.record().namespace() == Some(namespace);
            let is_left = matches!(self.outcomes[at], Outcome::Skipped) && self.is_open(at);
            if is_there && is_left && !op.is_delete() {
                self.fail(at, Outcome::Refused(rejection.clone()));
            }
        }
    }

    /// Whether nothing was applied because a namespace went that is made anew now.
    fn lost_namespace(&mut self, text: &str) -> bool {
        let is_lost = missing_namespace(text).is_some_and(|name| self.sink.namespaces.forget(name));
        self.namespace_attempts += u32::from(is_lost);
        is_lost && self.namespace_attempts <= NAMESPACE_ATTEMPTS
    }

    /// Cuts the batch by what one transaction may hold.
    fn cut(&mut self) {
        let limits = self.sink.limits.get();
        let target = self.sink.target();
        let mut part = Vec::new();
        // A batch within the layout's limits is one transaction: half of a large load's log entries would else be its
        // batches' last operations.
        let fence = fence_cost(self.sink.settings.fence.as_ref());
        let empty = (fence.ops, 2 + fence.bytes);
        let (mut ops, mut bytes) = empty;
        for (at, op) in self.ops.iter().enumerate() {
            let cost = target.cost(op);
            let is_single = single::is_single(op);
            let is_full =
                is_single || ops + cost.ops > limits.ops || bytes + cost.bytes > limits.bytes;
            if is_full && !part.is_empty() {
                self.parts.push_back(std::mem::take(&mut part));
                (ops, bytes) = empty;
            }
            if is_single {
                self.parts.push_back(vec![at]);
                continue;
            }
            ops += cost.ops;
            bytes += cost.bytes;
            part.push(at);
        }
        if !part.is_empty() {
            self.parts.push_back(part);
        }
    }

    fn applied(&mut self, part: &[usize], answer: &TxnAnswer, highest: u64) {
        self.has_written = true;
        self.sink.note_node_state(NodeState::Present);
        let ops: Vec<&Op<Registration>> = part.iter().map(|at| &self.ops[*at]).collect();
        for ((at, op), applied) in part.iter().zip(&ops).zip(applied(&ops, &answer.results)) {
            self.outcomes[*at] = match applied {
                Applied::Written(version) => {
                    self.under_way.written(op, version, highest);
                    Outcome::Written(version)
                }
                Applied::Deleted => {
                    self.under_way.deleted(op);
                    Outcome::Deleted
                }
                Applied::Unreadable => Outcome::Unknown,
            };
        }
    }

    fn registered(&mut self, at: usize, outcome: Outcome<Version>, highest: u64) {
        match outcome {
            Outcome::Written(version) => {
                self.has_written = true;
                self.sink.note_node_state(NodeState::Present);
                self.under_way.written(&self.ops[at], version, highest);
                self.outcomes[at] = outcome;
            }
            other => self.fail(at, other),
        }
    }

    fn fence(&self) -> Option<(&Fence, &Grant)> {
        self.sink.settings.fence.as_ref().zip(self.grant.as_ref())
    }

    /// Whether nothing was applied because somebody else leads, or nobody does. Nothing is wrong with the
    /// operations then: they are left as not tried, and what they were made from is looked at anew by whoever leads
    /// next.
    fn is_fenced_off(&self, call: &Call, errors: &[TxnError]) -> Result<bool, Error> {
        let Some((fence, grant)) = self.fence() else {
            return Ok(false);
        };
        let Some(error) = errors.iter().find(|error| error.op_index == 0) else {
            return Ok(false);
        };
        if Refusal::of(&error.what) == Refusal::Denied {
            return Err(self.denied(call, &error.what));
        }
        tracing::debug!(reason = error.what, "a batch is dropped: the lead is lost");
        fence.refused(grant);
        Ok(true)
    }

    /// Nothing was applied. The operations at fault get their outcome, and the rest is sent again.
    fn refused(
        &mut self,
        part: Vec<usize>,
        call: &Call,
        node: NodeState,
        errors: &[TxnError],
    ) -> Result<(), Error> {
        let owners = self.owners(&part, node);
        // Only the first error of a record counts: a check fails in the wake of its service.
        let mut at_fault: BTreeMap<usize, &str> = BTreeMap::new();
        let mut is_node_due = false;
        let mut is_namespace_due = false;
        for error in errors {
            match (owners.get(error.op_index), Refusal::of(&error.what)) {
                (Some(None), Refusal::Denied) => return Err(self.denied(call, &error.what)),
                // The node was written by somebody else in between, or is gone.
                (Some(None), _) | (Some(Some(_)), Refusal::NodeMissing) => is_node_due = true,
                (Some(Some(_)), Refusal::NamespaceMissing) if self.lost_namespace(&error.what) => {
                    is_namespace_due = true;
                }
                (Some(Some(at)), _) => {
                    at_fault.entry(*at).or_insert(&error.what);
                }
                (None, _) => {}
            }
        }
        if is_node_due {
            self.sink.note_node_state(NodeState::Unknown);
            self.node_attempts += 1;
            if self.node_attempts <= NODE_ATTEMPTS {
                self.parts.push_front(part);
                return Ok(());
            }
            let node = &self.sink.settings.node;
            let problem =
                format!("the node {node} cannot be registered: somebody else keeps writing it");
            return Err(Error::Incomplete {
                call: call.clone(),
                problem,
            });
        }
        if is_namespace_due {
            self.parts.push_front(part);
            return Ok(());
        }
        if at_fault.is_empty() {
            // Refused, and nothing that was sent is named: halving finds it.
            let text = errors.first().map_or("no reason", |error| &error.what);
            self.halve(part, || rejection(text));
            return Ok(());
        }
        let is_denied = |text: &&str| Refusal::of(text) == Refusal::Denied;
        if at_fault.len() == part.len() && !self.has_written && at_fault.values().all(is_denied) {
            let text = errors.first().map_or("", |error| &error.what);
            return Err(self.denied(call, text));
        }
        for (at, text) in at_fault {
            self.fail(
                at,
                match Refusal::of(text) {
                    Refusal::Stale | Refusal::NodeMissing => Outcome::Stale,
                    Refusal::Permanent | Refusal::NamespaceMissing => {
                        Outcome::Refused(rejection(text))
                    }
                    Refusal::Denied => {
                        let rule = missing_rule(text, self.sink.settings.node.as_str());
                        let message =
                            format!("consul denied it; add to the token's policy: {rule}");
                        Outcome::Refused(Rejection::new(Reason::Refused, message))
                    }
                },
            );
        }
        self.parts.push_front(part);
        Ok(())
    }

    /// For each operation of a transaction the one of ours that it belongs to; `None` for the node's, and for the
    /// fence's, which is looked at before.
    fn owners(&self, part: &[usize], node: NodeState) -> Vec<Option<usize>> {
        let fence = self.grant.is_some().then_some(None);
        let node = matches!(node, NodeState::Due(_)).then_some(None);
        let ops = part.iter().flat_map(|at| {
            let count = step::steps(&self.ops[*at]).count();
            std::iter::repeat_n(Some(*at), count)
        });
        fence.into_iter().chain(node).chain(ops).collect()
    }

    /// An operation failed: it, and what comes after it in its slot, is not sent again.
    fn fail(&mut self, at: usize, outcome: Outcome<Version>) {
        let first = self.failed.entry(&self.ops[at].slot).or_insert(at);
        // Of several failed ones in a slot the first has its outcome, and the others count as skipped.
        if *first >= at {
            let later = std::mem::replace(first, at);
            self.outcomes[later] = Outcome::Skipped;
            self.outcomes[at] = outcome;
        }
    }

    fn is_open(&self, at: usize) -> bool {
        let first = self.failed.get(&self.ops[at].slot);
        first.is_none_or(|first| at < *first)
    }

    /// A part that cannot be sent whole is sent in two; one that cannot be halved is refused.
    fn halve(&mut self, mut part: Vec<usize>, rejection: impl FnOnce() -> Rejection) {
        if let [at] = part[..] {
            self.fail(at, Outcome::Refused(rejection()));
            return;
        }
        let second = part.split_off(part.len() / 2);
        self.parts.push_front(second);
        self.parts.push_front(part);
    }

    fn denied(&self, call: &Call, text: &str) -> Error {
        Error::Denied {
            call: call.clone(),
            rule: missing_rule(text, self.sink.settings.node.as_str()),
            text: text.chars().filter(|c| !c.is_control()).take(300).collect(),
        }
    }
}
