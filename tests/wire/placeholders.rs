//! What differs from run to run, replaced by a word: identifiers, the port, times.

use super::recording::Answer;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is known of a run.
pub(crate) struct Run {
    pub(crate) port: u16,
    /// Identifiers that the agent made.
    pub(crate) ids: BTreeSet<String>,
}

impl Run {
    /// The answer with words in the place of what differs. `masked` parts are not even looked at.
    pub(crate) fn settled(
        &mut self,
        mut answer: Answer,
        masked: &BTreeMap<String, String>,
    ) -> Answer {
        for pointer in masked.keys() {
            if let Some(part) = answer.body.pointer_mut(pointer) {
                *part = Value::from("{masked}");
            }
        }
        self.learn(&answer.body);
        self.settle(&mut answer.body);
        for value in answer.headers.values_mut() {
            *value = self.text(value);
        }
        answer
    }

    /// Identifiers stand at `id`.
    fn learn(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.learn(value)),
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) if name == "id" && Uuid::try_parse(text).is_ok() => {
                            self.ids.insert(text.clone());
                        }
                        _ => self.learn(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn settle(&self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.settle(value)),
            Value::String(text) => *text = self.text(text),
            Value::Object(members) => {
                for (name, value) in members {
                    if name == "started_at" && value.is_f64() {
                        *value = Value::from("{time}");
                    }
                    self.settle(value);
                }
            }
            _ => {}
        }
    }

    fn text(&self, text: &str) -> String {
        let address = format!("127.0.0.1:{}", self.port);
        let text = text.replace(&address, "{address}");
        self.ids
            .iter()
            .fold(text, |text, id| text.replace(id, "{id}"))
    }
}
