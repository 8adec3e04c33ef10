//! Merge patches, and server-side apply as far as one owner's fields go.

use serde_json::{Map, Value, json};

use super::store::{set, text};

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

/// Makes a server-side apply of one manager a merge patch: it sets what is applied, takes away what that manager
/// applied before and does not now, and notes what it applied in the managed fields.
pub(super) fn apply(old: Option<&Value>, now: &Value, manager: &str, api_version: &str) -> Value {
    let mut entries: Vec<Value> = old
        .and_then(|old| old.pointer("/metadata/managedFields")?.as_array().cloned())
        .unwrap_or_default();
    let is_ours =
        |entry: &Value| text(entry, "/manager") == manager && text(entry, "/operation") == "Apply";
    let before = entries
        .iter()
        .position(is_ours)
        .map(|at| entries.remove(at)["fieldsV1"].clone());
    let mut patch = now.clone();
    if let Some(before) = before {
        withdraw(&mut patch, &before);
    }
    entries.push(json!({
        "manager": manager, "operation": "Apply", "apiVersion": api_version,
        "fieldsType": "FieldsV1", "fieldsV1": fields(now),
    }));
    set(&mut patch, "/metadata", "managedFields", json!(entries));
    patch
}

/// The fields of an object, as managed fields name them.
fn fields(value: &Value) -> Value {
    let of = |(key, value): (&String, &Value)| (format!("f:{key}"), fields(value));
    value.as_object().map_or_else(
        || json!({}),
        |object| object.iter().map(of).collect::<Map<_, _>>().into(),
    )
}

fn withdraw(patch: &mut Value, before: &Value) {
    let (Some(set), Some(old)) = (patch.as_object_mut(), before.as_object()) else {
        return;
    };
    for (key, below) in old {
        let key = key.trim_start_matches("f:");
        match set.get_mut(key) {
            Some(kept) => withdraw(kept, below),
            None => {
                set.insert(key.to_owned(), gone(below));
            }
        }
    }
}

/// Nulls at the leaves, so that what others set beside them stays.
fn gone(before: &Value) -> Value {
    let of =
        |(key, below): (&String, &Value)| (key.trim_start_matches("f:").to_owned(), gone(below));
    match before.as_object() {
        Some(fields) if !fields.is_empty() => fields.iter().map(of).collect::<Map<_, _>>().into(),
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
        let mut object = json!({"metadata": {"labels": {"theirs": "2"}}});
        for (labels, expected) in [
            (json!({"mine": "1"}), json!({"mine": "1", "theirs": "2"})),
            (json!({"other": "3"}), json!({"other": "3", "theirs": "2"})),
        ] {
            let applied = json!({"metadata": {"labels": labels}});
            let patch = apply(Some(&object), &applied, "me", "v1");
            merge(&mut object, &patch);
            assert_eq!(object["metadata"]["labels"], expected);
            assert_eq!(
                object["metadata"]["managedFields"]
                    .as_array()
                    .unwrap()
                    .len(),
                1
            );
        }
    }
}
