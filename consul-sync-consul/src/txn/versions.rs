//! New versions out of a transaction's results.

use std::num::NonZeroU64;

use consul_sync_core::{Op, Record};

use super::step::{Step, steps};
use crate::{
    registration::{Registration, Version, check_id},
    wire::TxnResult,
};

/// What a successful transaction says of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Written(Version),
    Deleted,
    /// Applied, and its result was left out: the token may write and not read it.
    Unreadable,
}

/// Reads the results off in the order of the operations. They come in that order, but deletes have none and
/// what the token may not read is missing, so each is matched by its ID.
pub(super) fn applied(ops: &[&Op<Registration>], results: &[TxnResult]) -> Vec<Applied> {
    let mut results = results
        .iter()
        .filter(|result| result.service.is_some() || result.check.is_some())
        .peekable();
    ops.iter()
        .map(|op| {
            if op.is_delete() {
                return Applied::Deleted;
            }
            let mut service = None;
            let mut check = None;
            let mut is_missing = false;
            for step in steps(op) {
                match step {
                    Step::Service(record, _) => {
                        let next = results.next_if(|result| {
                            let stamp = result.service.as_ref();
                            stamp.is_some_and(|s| s.id.eq_ignore_ascii_case(&record.id().text()))
                        });
                        service = next.and_then(|result| result.service.as_ref());
                        is_missing |= service.is_none();
                    }
                    Step::Check(record, wanted, _) => {
                        let id = check_id(&wanted.scope, &record.id());
                        let next = results.next_if(|result| {
                            let stamp = result.check.as_ref();
                            stamp.is_some_and(|c| c.id.eq_ignore_ascii_case(&id))
                        });
                        check = next.and_then(|result| result.check.as_ref());
                        is_missing |= check.is_none();
                    }
                    Step::DeleteService(..) | Step::DeleteCheck(..) => {}
                }
            }
            match service {
                Some(service) if !is_missing => {
                    let check = check.and_then(|check| NonZeroU64::new(check.modify_index));
                    Applied::Written(Version::new(service.modify_index, check))
                }
                _ => Applied::Unreadable,
            }
        })
        .collect()
}
