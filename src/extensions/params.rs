//! Reading a command's parameters: each is taken once, by name and kind, and what is left over is an error.

use crate::command::Params;
use crate::error::{AgentError, ErrorClass};
use serde_json::Value;

/// A command's parameters while they are read.
pub(super) struct Reader<'a> {
    command: &'a str,
    params: Params,
}

impl<'a> Reader<'a> {
    /// The parameters of `standby.prepare_image`, say.
    pub(super) fn new(command: &'a str, params: Params) -> Self {
        Self { command, params }
    }

    /// A parameter that must be an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Params, AgentError> {
        match self.params.remove(name) {
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(self.wrong(name, "an object", &other)),
            None => Err(self.error(&format!("the parameter {name} is missing"))),
        }
    }

    /// A parameter of whatever kind; null when it is missing.
    pub(super) fn any(&mut self, name: &str) -> Value {
        self.params.remove(name).unwrap_or(Value::Null)
    }

    /// A parameter that is a text, null or missing.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, AgentError> {
        match self.params.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string or null", &other)),
        }
    }

    /// A parameter that is true, false, null or missing.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, AgentError> {
        match self.params.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(name, "true, false or null", &other)),
        }
    }

    /// What is left: the extra parameters of a step.
    pub(super) fn rest(self) -> Params {
        self.params
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> Result<(), AgentError> {
        match self.params.keys().next() {
            Some(name) => Err(self.error(&format!("there is no parameter {name}"))),
            None => Ok(()),
        }
    }

    fn wrong(&self, name: &str, wanted: &str, got: &Value) -> AgentError {
        self.error(&format!(
            "the parameter {name} must be {wanted}, not {}",
            kind(got)
        ))
    }

    fn error(&self, what: &str) -> AgentError {
        AgentError::new(
            ErrorClass::InvalidCommandParamsError,
            format!("{}: {what}", self.command),
        )
    }
}

/// A value's kind in JSON's words; its content may be a secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::String(_) => "a string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reader(value: Value) -> Reader<'static> {
        let Value::Object(params) = value else {
            panic!("not an object")
        };
        Reader::new("standby.sync", params)
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let error = reader(json!({"colour": 1})).finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid command parameters: standby.sync: there is no parameter colour"
        );
    }

    #[test]
    fn a_wrong_kind_is_told_without_the_value() {
        let error = reader(json!({"node": "hush"})).object("node").unwrap_err();
        assert_eq!(
            error.details,
            "standby.sync: the parameter node must be an object, not a string"
        );
    }

    #[test]
    fn null_and_missing_are_the_same_for_optional_parameters() {
        let mut reader = reader(json!({"a": null, "b": null, "c": null}));
        assert_eq!(reader.text("a"), Ok(None));
        assert_eq!(reader.flag("b"), Ok(None));
        assert_eq!(reader.any("c"), Value::Null);
        assert_eq!(reader.text("missing"), Ok(None));
        assert_eq!(reader.finish(), Ok(()));
    }
}
