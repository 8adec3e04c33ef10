//! The operations of a transaction that one write of a record takes.

use std::{num::NonZeroU64, sync::Arc};

use consul_sync_core::{Action, Op};

use crate::registration::{RegisteredCheck, Registration, Version};

/// One operation of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// Write the service; the index is the version it must have, 0 for none.
    Service(&'a Registration, u64),
    /// Delete the service at this version, and its checks with it.
    DeleteService(&'a Registration, u64),
    /// Write the check at this version; without one, whatever stands there, because the service's own
    /// condition in the same transaction guards it.
    Check(&'a Registration, &'a RegisteredCheck, Option<u64>),
    /// Delete the check of a scope, at this version where one is known.
    DeleteCheck(&'a Registration, &'a Arc<str>, Option<u64>),
}

/// The operations that one write of a record takes. The service stands first and always: its condition
/// guards the checks, and writing it unchanged changes nothing.
pub(super) fn steps(op: &Op<Registration>) -> impl Iterator<Item = Step<'_>> {
    let (record, previous, expected) = match &op.action {
        Action::Create(record) => (record, None, None),
        Action::Update {
            record,
            previous,
            expected,
            ..
        } => (record, Some(previous), Some(expected)),
        Action::Delete(deletion) => (deletion.record(), None, Some(deletion.expected())),
    };
    let record: &Registration = record;
    let index = expected.map_or(0, Version::service);
    let service = if op.is_delete() {
        Step::DeleteService(record, index)
    } else {
        Step::Service(record, index)
    };
    let wanted = record.check.as_deref().filter(|_| !op.is_delete());
    let known = previous.and_then(|previous| previous.check.as_deref());
    let version_of = move |scope: &str| {
        let version: &Version = expected?;
        known.filter(|known| *known.scope == *scope)?;
        version.check().map(NonZeroU64::get)
    };
    let gone = previous
        .into_iter()
        .flat_map(|previous| previous.scopes())
        .filter(move |scope| wanted.is_none_or(|wanted| wanted.scope != **scope))
        .map(move |scope| Step::DeleteCheck(record, scope, version_of(scope)));
    let check = wanted.map(move |check| Step::Check(record, check, version_of(&check.scope)));
    std::iter::once(service).chain(gone).chain(check)
}
