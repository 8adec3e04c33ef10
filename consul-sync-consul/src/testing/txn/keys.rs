//! Operations on keys: what Consul looks at first, what each verb does, and what it answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::acl::Access;
use super::super::lock::KeyValue;
use super::super::store::{Store, Written};
use super::Verb;

/// What Consul refuses before it makes a raft entry. `text` is the verb as it was written.
pub(super) fn pre_check(
    text: &str,
    verb: Option<Verb>,
    entry: &KeyValue,
    access: &Access,
    delayed: &BTreeSet<String>,
) -> Written<()> {
    let key = &entry.key;
    if key.is_empty() {
        return Err("Must provide key".to_owned());
    }
    match verb {
        None => return Err(format!("unknown KV operation: {text}")),
        // What may not be read is left out of the answer.
        Some(Verb::Get) => {}
        Some(Verb::CheckSession | Verb::CheckIndex) => access.key_read(key)?,
        Some(_) => access.key_write(key)?,
    }
    if verb == Some(Verb::Lock) && delayed.contains(key) {
        return Err(format!("failed to lock key {key:?} due to lock delay"));
    }
    Ok(())
}

pub(super) fn run(
    store: &mut Store,
    index: u64,
    verb: Verb,
    op: &KeyValue,
    access: &Access,
) -> Written<Option<Value>> {
    let key = &op.key;
    let fits = |fits: bool, why: &str| {
        if fits {
            Ok(())
        } else {
            Err(format!("failed to {why}"))
        }
    };
    match verb {
        Verb::Get => {}
        Verb::Set => store.set_key(index, op.clone()),
        Verb::Cas => fits(
            store.set_key_if(index, op.clone()),
            &format!("set key {key:?}, index is stale"),
        )?,
        Verb::Delete => {
            store.remove_key(index, key);
            return Ok(None);
        }
        Verb::DeleteCas => {
            let removed = store.remove_key_if(index, key, op.modify_index);
            fits(removed, &format!("delete key {key:?}, index is stale"))?;
            return Ok(None);
        }
        Verb::Lock => fits(
            store.lock_key(index, op.clone())?,
            &format!("lock key {key:?}, lock is already held"),
        )?,
        Verb::Unlock => fits(
            store.unlock_key(index, op.clone())?,
            &format!("unlock key {key:?}, lock isn't held, or is held by another session"),
        )?,
        Verb::CheckSession => {
            let held = store.key(key).map(|entry| entry.session.clone());
            let held =
                held.ok_or_else(|| format!("failed to check session, key {key:?} doesn't exist"))?;
            if held != op.session {
                return Err(format!(
                    "failed session check for key {key:?}, current session {held:?} != {:?}",
                    op.session
                ));
            }
        }
        Verb::CheckIndex => {
            let found = store.key(key).map(|entry| entry.modify_index);
            let found =
                found.ok_or_else(|| format!("failed to check index, key {key:?} doesn't exist"))?;
            if found != op.modify_index {
                return Err(format!(
                    "failed index check for key {key:?}, current modify index {found} != {}",
                    op.modify_index
                ));
            }
        }
    }
    let Some(found) = store.key(key) else {
        return Err(format!("key {key:?} doesn't exist"));
    };
    Ok(access
        .key_read(key)
        .is_ok()
        .then(|| json!({ "KV": found.print(verb == Verb::Get) })))
}
