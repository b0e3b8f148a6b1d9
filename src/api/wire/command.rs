//! Request to run a command, its record, and the list of records.

use super::{bounded, json};
use crate::command::{CommandView, Params, State};
use crate::error::AgentError;
use serde::Serialize;
use serde_json::Value;

/// Body of `POST /v1/commands/`: the command's name and parameters.
#[derive(Debug, PartialEq)]
pub(in crate::api) struct RunRequest {
    pub(in crate::api) name: String,
    pub(in crate::api) params: Params,
}

impl RunRequest {
    /// Parses the body, of at most `max_values` JSON values. Other keys are ignored, as in IPA. The
    /// error text is for the client.
    pub(in crate::api) fn parse(body: &[u8], max_values: usize) -> Result<Self, String> {
        let value = bounded::parse(body, max_values)
            .map_err(|error| format!("Failed to decode JSON object: {error}"))?;
        let Value::Object(mut body) = value else {
            return Err(INVALID.to_owned());
        };
        match (body.remove("name"), body.remove("params")) {
            (Some(Value::String(name)), Some(Value::Object(params)))
                if name.len() <= MAX_NAME_LEN =>
            {
                Ok(Self { name, params })
            }
            _ => Err(INVALID.to_owned()),
        }
    }
}

/// Parses the command's name from the beginning of a body. It is found only if it comes first, as
/// Ironic writes it.
pub(in crate::api) fn name_before_the_rest(begun: &[u8]) -> Option<String> {
    let rest = after(begun, b"{")?;
    let rest = after(rest, br#""name""#)?;
    let rest = after(rest, b":")?.trim_ascii_start();
    // The rest has not arrived yet and is not parsed.
    let mut texts = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
    let name = texts.next()?.ok()?;
    (name.len() <= MAX_NAME_LEN).then_some(name)
}

fn after<'a>(text: &'a [u8], sign: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(sign)
}

/// Serializes one record, with the secrets in its result if they exist and `with_secrets`.
pub(in crate::api) fn command(
    view: &CommandView,
    with_secrets: bool,
) -> serde_json::Result<Vec<u8>> {
    json::bytes(&Command::of(view, with_secrets))
}

/// Serializes the response to `GET /v1/commands/`.
pub(in crate::api) fn list(
    views: &[CommandView],
    with_secrets: bool,
) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct List<'a> {
        commands: Vec<Command<'a>>,
    }
    json::bytes(&List {
        commands: views
            .iter()
            .map(|view| Command::of(view, with_secrets))
            .collect(),
    })
}

#[derive(Serialize)]
struct Command<'a> {
    id: &'a str,
    command_name: &'a str,
    command_status: &'a str,
    command_error: Option<Error<'a>>,
    command_result: Option<Shown<'a>>,
}

impl<'a> Command<'a> {
    fn of(view: &'a CommandView, with_secrets: bool) -> Self {
        let unmasked = view.unmasked.as_deref().filter(|_| with_secrets);
        let (command_error, command_result) = match &view.state {
            State::Running(progress) => (None, progress.as_ref().map(Shown::progress)),
            State::Succeeded(value) => (None, Some(Shown::Value(unmasked.unwrap_or(value)))),
            State::Failed(error) => (Some(Error::from(error)), None),
        };
        Self {
            id: &view.id,
            command_name: view.name,
            command_status: view.status().as_str(),
            command_error,
            command_result,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Error<'a> {
    r#type: &'a str,
    code: u16,
    message: &'a str,
    details: &'a str,
}

impl<'a> From<&'a AgentError> for Error<'a> {
    fn from(error: &'a AgentError) -> Self {
        Self {
            r#type: error.class.name(),
            code: error.class.code(),
            message: error.class.message(),
            details: &error.details,
        }
    }
}

/// Content of `command_result`. The conductor reads it only of a finished command; progress is for
/// people.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Progress { progress: Progress },
    Value(&'a Value),
}

impl Shown<'_> {
    fn progress(progress: &crate::progress::Progress) -> Self {
        Self::Progress {
            progress: Progress {
                phase: progress.phase,
                bytes: progress.bytes,
                total: progress.total,
                rate: progress.rate(),
            },
        }
    }
}

#[derive(Serialize)]
struct Progress {
    phase: &'static str,
    bytes: u64,
    total: Option<u64>,
    rate: u64,
}

/// Maximum number of JSON values in a request of the conductor. A node with a thousand ports has a
/// third of it.
pub(in crate::api) const MAX_VALUES: usize = 100_000;
/// Maximum number of JSON values in a request of another caller.
pub(in crate::api) const MAX_VALUES_OF_USERS: usize = 10_000;
const INVALID: &str = "Missing or invalid name or params";
/// Names are echoed and logged.
const MAX_NAME_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn written(state: State) -> String {
        let view = CommandView {
            id: "7".into(),
            name: "sync",
            state,
            unmasked: None,
        };
        String::from_utf8(command(&view, false).unwrap()).unwrap()
    }

    #[test]
    fn a_record_has_five_keys() {
        assert_eq!(
            written(State::Running(None)),
            r#"{"id": "7", "command_name": "sync", "command_status": "RUNNING", "command_error": null, "command_result": null}"#
        );
        assert_eq!(
            written(State::Succeeded(Arc::new(json!({"result": "ok"})))),
            r#"{"id": "7", "command_name": "sync", "command_status": "SUCCEEDED", "command_error": null, "command_result": {"result": "ok"}}"#
        );
        assert_eq!(
            written(State::Failed(AgentError::new(
                ErrorClass::ImageWriteError,
                "no space"
            ))),
            r#"{"id": "7", "command_name": "sync", "command_status": "FAILED", "command_error": {"type": "ImageWriteError", "code": 500, "message": "Error writing image to device", "details": "no space"}, "command_result": null}"#
        );
    }

    #[test]
    fn secrets_in_a_result_are_shown_only_to_whom_they_are() {
        let view = CommandView {
            id: "7".into(),
            name: "sync",
            state: State::Succeeded(Arc::new(json!({"password": "******"}))),
            unmasked: Some(Arc::new(json!({"password": "hush"}))),
        };
        for (with_secrets, expected) in [(false, "******"), (true, "hush")] {
            let one: Value =
                serde_json::from_slice(&command(&view, with_secrets).unwrap()).unwrap();
            assert_eq!(one["command_result"], json!({ "password": expected }));
            let views = [view.clone()];
            let all: Value = serde_json::from_slice(&list(&views, with_secrets).unwrap()).unwrap();
            assert_eq!(all, json!({ "commands": [one] }));
        }
    }

    #[test]
    fn progress_stands_where_the_result_will() {
        let since = Instant::now();
        let progress = crate::progress::Progress {
            phase: "writing",
            bytes: 50,
            total: None,
            since,
            at: since + Duration::from_secs(2),
        };
        assert_eq!(
            written(State::Running(Some(progress))),
            r#"{"id": "7", "command_name": "sync", "command_status": "RUNNING", "command_error": null, "command_result": {"progress": {"phase": "writing", "bytes": 50, "total": null, "rate": 25}}}"#
        );
    }

    #[test]
    fn a_request_needs_a_name_and_an_object_of_parameters() {
        let long = format!(r#"{{"name": "{}", "params": {{}}}}"#, "x".repeat(257));
        for body in [
            "7",
            "null",
            "[]",
            "{}",
            r#"{"name": "a.b"}"#,
            r#"{"params": {}}"#,
            r#"{"name": 7, "params": {}}"#,
            r#"{"name": "a.b", "params": []}"#,
            r#"{"name": "a.b", "params": null}"#,
            &long,
        ] {
            assert_eq!(
                RunRequest::parse(body.as_bytes(), MAX_VALUES).unwrap_err(),
                INVALID,
                "{body}"
            );
        }
        let body = br#"{"name": "a.b", "params": {"c": 1}, "more": 2}"#;
        assert_eq!(
            RunRequest::parse(body, MAX_VALUES).unwrap(),
            RunRequest {
                name: "a.b".into(),
                params: Params::from_iter([("c".into(), json!(1))]),
            }
        );
    }

    #[test]
    fn a_name_is_known_as_soon_as_it_was_sent_if_it_comes_first() {
        for (begun, name) in [
            (r#"{"name": "a.b", "par"#, Some("a.b")),
            (" {\n\t\"name\" :\"a.b\"", Some("a.b")),
            (r#"{"name": "a\u002eb"}"#, Some("a.b")),
            (r#"{"name": "a.b"#, None),
            (r#"{"name": 7"#, None),
            (r#"{"name"#, None),
            (r#"{"name": {"name": "a.b""#, None),
            (r#"{"params": {}, "name": "a.b"}"#, None),
            (r#"["name": "a.b""#, None),
            ("", None),
        ] {
            assert_eq!(
                name_before_the_rest(begun.as_bytes()).as_deref(),
                name,
                "{begun}"
            );
        }
    }

    #[test]
    fn a_deep_body_is_refused() {
        let deep = "[".repeat(100_000);
        let error = RunRequest::parse(deep.as_bytes(), MAX_VALUES).unwrap_err();
        assert_eq!(
            error,
            "Failed to decode JSON object: recursion limit exceeded at line 1 column 128"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body: Vec<u8>) {
            let _ = (RunRequest::parse(&body, 7), name_before_the_rest(&body));
        }
    }
}
