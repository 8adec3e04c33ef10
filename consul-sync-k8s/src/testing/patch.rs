//! Merge patches, and server-side apply as far as one owner's fields go.

use serde_json::{Map, Value, json};

/// Applies a JSON merge patch (RFC 7396): objects merge, `null` removes, anything else replaces.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else {
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.as_str()).or_insert(Value::Null), change);
        }
    }
}

/// The merge patch that takes away what `before` set and `now` does not, and sets what `now` sets.
pub(super) fn applied(before: Option<&Value>, now: &Value) -> Value {
    let mut patch = now.clone();
    if let Some(before) = before {
        withdraw(&mut patch, before);
    }
    patch
}

fn withdraw(patch: &mut Value, before: &Value) {
    let (Some(fields), Some(old)) = (patch.as_object_mut(), before.as_object()) else {
        return;
    };
    for (key, value) in old {
        match fields.get_mut(key) {
            Some(kept) => withdraw(kept, value),
            None => {
                fields.insert(key.clone(), gone(value));
            }
        }
    }
}

/// Nulls at the leaves, so that what others set beside them stays.
fn gone(value: &Value) -> Value {
    match value.as_object() {
        Some(fields) if !fields.is_empty() => {
            let nulls: Map<String, Value> = fields
                .iter()
                .map(|(key, value)| (key.clone(), gone(value)))
                .collect();
            Value::Object(nulls)
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_sets_removes_and_replaces() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge(
            &mut object,
            &json!({"a": {"b": null, "d": 3}, "list": [3], "new": {"x": null, "y": 1}}),
        );
        assert_eq!(
            object,
            json!({"a": {"c": 2, "d": 3}, "list": [3], "new": {"y": 1}})
        );
    }

    #[test]
    fn applying_again_without_a_field_removes_it_and_nobody_elses() {
        let mut object = json!({"labels": {"mine": "1", "theirs": "2"}});
        let patch = applied(
            Some(&json!({"labels": {"mine": "1"}})),
            &json!({"labels": {"other": "3"}}),
        );
        merge(&mut object, &patch);
        assert_eq!(object, json!({"labels": {"theirs": "2", "other": "3"}}));
    }
}
