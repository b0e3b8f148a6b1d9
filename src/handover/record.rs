//! Encodes a command record as JSON, which only the next agent process reads.

use crate::command::{Mode, SavedRecord};
use crate::error::{AgentError, ErrorClass};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Encodes a record.
pub(super) fn written(kept: &SavedRecord) -> Vec<u8> {
    let mut text = Map::new();
    text.insert("id".into(), json!(kept.id));
    text.insert("name".into(), json!(kept.name));
    text.insert("waited".into(), json!(kept.mode == Mode::Sync));
    if !kept.is_conductors {
        text.insert("users".into(), json!(true));
    }
    match &kept.outcome {
        None => {}
        Some(Ok(result)) => {
            let result = match levels(result) {
                levels if levels > MAX_LEVELS => {
                    json!({ "omitted": format!("nested in {levels} levels, more than {MAX_LEVELS}") })
                }
                _ => Value::clone(result),
            };
            text.insert("result".into(), result);
        }
        Some(Err(error)) => {
            let error = json!({"class": error.class.name(), "details": error.details});
            text.insert("error".into(), error);
        }
    }
    Value::Object(text).to_string().into_bytes()
}

/// Returns how many lists and objects are nested in one another.
fn levels(value: &Value) -> usize {
    let mut deepest = 0;
    let mut rest = vec![(value, 0)];
    while let Some((value, outside)) = rest.pop() {
        let inside = outside + 1;
        match value {
            Value::Array(items) => rest.extend(items.iter().map(|item| (item, inside))),
            Value::Object(members) => rest.extend(members.values().map(|item| (item, inside))),
            _ => continue,
        }
        deepest = deepest.max(inside);
    }
    deepest
}

/// Decodes a record; returns `None` if the text is not one.
pub(super) fn parsed(text: &[u8]) -> Option<SavedRecord> {
    let Ok(Value::Object(mut text)) = serde_json::from_slice(text) else {
        return None;
    };
    let outcome = match (text.remove("result"), text.get("error")) {
        (Some(result), _) => Some(Ok(Arc::new(result))),
        (None, Some(error)) => {
            let class = ErrorClass::of_name(error.get("class")?.as_str()?)?;
            Some(Err(AgentError::new(class, error.get("details")?.as_str()?)))
        }
        (None, None) => None,
    };
    Some(SavedRecord {
        id: text.get("id")?.as_str()?.to_owned(),
        name: text.get("name")?.as_str()?.to_owned(),
        mode: if text.get("waited")?.as_bool()? {
            Mode::Sync
        } else {
            Mode::Async
        },
        is_conductors: text.get("users").is_none(),
        outcome,
    })
}

/// Maximum nesting of a result. The JSON parser refuses more than 127 levels, of which the record
/// is one.
const MAX_LEVELS: usize = 126;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_record_or_none(text in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = parsed(&text);
        }

        #[test]
        fn what_was_written_is_read(id in ".*", name in ".*", details in ".*", waited: bool, is_conductors: bool, end in 0..3) {
            let kept = SavedRecord {
                id,
                name,
                mode: if waited { Mode::Sync } else { Mode::Async },
                is_conductors,
                outcome: match end {
                    0 => None,
                    1 => Some(Ok(Arc::new(json!({ "text": details })))),
                    _ => Some(Err(AgentError::new(ErrorClass::VersionMismatch, details))),
                },
            };
            prop_assert!(parsed(&written(&kept)) == Some(kept));
        }
    }

    #[test]
    fn no_result_is_not_the_result_null() {
        let kept = |outcome| SavedRecord {
            id: "a".into(),
            name: "sync".into(),
            mode: Mode::Sync,
            is_conductors: true,
            outcome,
        };
        for outcome in [None, Some(Ok(Arc::new(Value::Null)))] {
            let read = parsed(&written(&kept(outcome.clone())));
            assert!(read == Some(kept(outcome)));
        }
    }
}
