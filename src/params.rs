//! Reads what a command or a step is given: each value is taken once, by name and kind, and what is left over is an error.

use crate::error::{AgentError, ErrorClass};
use serde_json::{Map, Value};

/// The parameters of a command, or the arguments of a step, while they are read.
pub(crate) struct ParamReader<'a> {
    owner: &'a str,
    noun: Noun,
    params: Map<String, Value>,
}

/// What errors call the values, as Ironic and IPA do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noun {
    Argument,
    Parameter,
}

impl<'a> ParamReader<'a> {
    /// Reads the parameters of `standby.prepare_image`, say.
    pub(crate) const fn new(command: &'a str, params: Map<String, Value>) -> Self {
        Self {
            owner: command,
            noun: Noun::Parameter,
            params,
        }
    }

    /// Reads the arguments of a step.
    pub(crate) const fn for_step(step: &'a str, arguments: Map<String, Value>) -> Self {
        Self {
            owner: step,
            noun: Noun::Argument,
            params: arguments,
        }
    }

    /// Takes a value that must be an object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Map<String, Value>, AgentError> {
        match self.params.remove(name) {
            Some(Value::Object(object)) => Ok(object),
            other => Err(self.wrong(name, "an object", other.as_ref())),
        }
    }

    /// Takes a value of whatever kind; null when it is missing.
    pub(crate) fn any(&mut self, name: &str) -> Value {
        self.params.remove(name).unwrap_or(Value::Null)
    }

    /// Takes a value that is a text, null or missing.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, AgentError> {
        match self.params.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            other => Err(self.wrong(name, "a string or null", other.as_ref())),
        }
    }

    /// Takes a value that is true, false, null or missing.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, AgentError> {
        let wanted = match self.noun {
            Noun::Argument => "true or false",
            Noun::Parameter => "true, false or null",
        };
        match self.params.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            other => Err(self.wrong(name, wanted, other.as_ref())),
        }
    }

    /// Returns what is left: the extra parameters of a step.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.params
    }

    /// Refuses values of any other name.
    pub(crate) fn only(self, is_known: impl Fn(&str) -> bool) -> Result<Self, AgentError> {
        match self.params.keys().find(|name| !is_known(name)) {
            Some(name) => Err(self.error(&format!("there is no {} {name}", self.noun.text()))),
            None => Ok(self),
        }
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), AgentError> {
        self.only(|_| false).map(drop)
    }

    fn wrong(&self, name: &str, wanted: &str, got: Option<&Value>) -> AgentError {
        let what = format!("the {} {name}", self.noun.text());
        self.error(&match (self.noun, got) {
            (Noun::Argument, _) => format!("{what} must be {wanted}"),
            (Noun::Parameter, Some(got)) => format!("{what} must be {wanted}, not {}", kind(got)),
            (Noun::Parameter, None) => format!("{what} is missing"),
        })
    }

    fn error(&self, what: &str) -> AgentError {
        AgentError::new(
            ErrorClass::InvalidCommandParamsError,
            format!("{}: {what}", self.owner),
        )
    }
}

impl Noun {
    const fn text(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Parameter => "parameter",
        }
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

    fn reader(value: Value) -> ParamReader<'static> {
        let Value::Object(params) = value else {
            panic!("not an object")
        };
        ParamReader::new("standby.sync", params)
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
    fn arguments_of_a_step_are_refused_in_the_words_of_steps() {
        let read = |read: fn(&mut ParamReader<'_>) -> Result<(), AgentError>| {
            let arguments = json!({"a": 7}).as_object().unwrap().clone();
            let mut reader = ParamReader::for_step("write_image", arguments);
            read(&mut reader).unwrap_err().details
        };
        let object = "write_image: the argument a must be an object";
        assert_eq!(read(|of| of.object("a").map(drop)), object);
        let missing = "write_image: the argument b must be an object";
        assert_eq!(read(|of| of.object("b").map(drop)), missing);
        let text = "write_image: the argument a must be a string or null";
        assert_eq!(read(|of| of.text("a").map(drop)), text);
        let flag = "write_image: the argument a must be true or false";
        assert_eq!(read(|of| of.flag("a").map(drop)), flag);
        let arguments = json!({"a": 7, "b": 8}).as_object().unwrap().clone();
        let error = ParamReader::for_step("write_image", arguments).only(|name| name == "a");
        assert_eq!(
            error.err().unwrap().details,
            "write_image: there is no argument b"
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
