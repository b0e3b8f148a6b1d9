//! Command records for anonymous clients, where the policy permits them. Conductors of 2023.1 to
//! 2024.2 send no token when they read the list.
//!
//! They use name and status, report the error, and compare the last record's step with the one they
//! requested (Ironic 21.4 to 26.1: `agent_client`, `agent_base._get_completed_command`). They read
//! one more result: the configuration that RAID steps created (`agent.AgentRAID`). Identifiers,
//! other results and all arguments of a step are only for clients with the token.

use super::command::Error;
use super::json;
use crate::command::{CommandView, State};
use serde::Serialize;
use serde_json::{Map, Value};

/// Serializes the response to `GET /v1/commands/` without a token.
pub(in crate::api) fn open_list(views: &[CommandView]) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct List<'a> {
        commands: Vec<Command<'a>>,
    }
    json::bytes(&List {
        commands: views.iter().map(Command::from).collect(),
    })
}

/// Serializes the response to `GET /v1/commands/ID` without a token.
pub(in crate::api) fn open_command(view: &CommandView) -> serde_json::Result<Vec<u8>> {
    json::bytes(&Command::from(view))
}

#[derive(Serialize)]
struct Command<'a> {
    command_name: &'a str,
    command_status: &'a str,
    command_error: Option<Error<'a>>,
    command_result: Option<Value>,
}

impl<'a> From<&'a CommandView> for Command<'a> {
    fn from(view: &'a CommandView) -> Self {
        let (command_error, command_result) = match &view.state {
            State::Running(_) => (None, None),
            State::Succeeded(value) => (None, step(view.name, value)),
            State::Failed(error) => (Some(Error::from(error)), None),
        };
        Self {
            command_name: view.name,
            command_status: view.status().as_str(),
            command_error,
            command_result,
        }
    }
}

/// Returns the step from the result of `execute_T_step`, and for a RAID step its result.
fn step(command: &str, result: &Value) -> Option<Value> {
    let phase = command.strip_prefix("execute_")?.strip_suffix("_step")?;
    let (step, made) = (format!("{phase}_step"), format!("{phase}_result"));
    let ran = result.get(&step)?;
    let named = ["interface", "step"].into_iter().filter_map(|name| {
        let text = ran.get(name)?.as_str()?;
        Some((name.to_owned(), Value::from(text)))
    });
    let named: Map<String, Value> = named.collect();
    let mut shown = Map::new();
    if named.get("interface").is_some_and(|name| name == "raid") {
        shown.insert(made.clone(), result.get(&made)?.clone());
    }
    shown.insert(step, Value::Object(named));
    Some(Value::Object(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{AgentError, ErrorClass};
    use serde_json::json;
    use std::sync::Arc;

    fn shown(name: &'static str, state: State) -> Value {
        let view = CommandView {
            id: "7".into(),
            name,
            state,
            unmasked: None,
        };
        let list = open_list(&[view]).unwrap();
        serde_json::from_slice::<Value>(&list).unwrap()["commands"][0].take()
    }

    fn succeeded(name: &'static str, result: Value) -> Value {
        shown(name, State::Succeeded(Arc::new(result)))["command_result"].take()
    }

    #[test]
    fn a_record_has_a_name_a_status_and_an_error() {
        assert_eq!(
            shown("sync", State::Running(None)),
            json!({"command_name": "sync", "command_status": "RUNNING", "command_error": null, "command_result": null})
        );
        let error = AgentError::new(ErrorClass::CleaningError, "why");
        assert_eq!(
            shown("execute_clean_step", State::Failed(error)),
            json!({
                "command_name": "execute_clean_step",
                "command_status": "FAILED",
                "command_error": {"type": "CleaningError", "code": 500, "message": "Clean step failed", "details": "why"},
                "command_result": null,
            })
        );
    }

    #[test]
    fn of_a_step_nothing_is_shown_but_which_it_was() {
        let step = json!({"interface": "deploy", "step": "write_image", "args": {"password": "hush"}, "priority": 80});
        assert_eq!(
            succeeded(
                "execute_deploy_step",
                json!({"deploy_result": {"result": "hush"}, "deploy_step": step})
            ),
            json!({"deploy_step": {"interface": "deploy", "step": "write_image"}})
        );
        assert_eq!(
            succeeded(
                "execute_service_step",
                json!({"service_result": "hush", "service_step": {"step": {"hush": 1}}})
            ),
            json!({"service_step": {}})
        );
    }

    #[test]
    fn of_a_raid_step_it_is_shown_what_it_made() {
        let made = json!({"logical_disks": [{"raid_level": "1"}]});
        assert_eq!(
            succeeded(
                "execute_clean_step",
                json!({"clean_result": made, "clean_step": {"interface": "raid", "step": "create_configuration", "args": {}}})
            ),
            json!({"clean_result": made, "clean_step": {"interface": "raid", "step": "create_configuration"}})
        );
    }

    #[test]
    fn no_other_result_is_shown() {
        for (name, result) in [
            ("collect_system_logs", json!({"system_logs": "hush"})),
            ("get_deploy_steps", json!({"deploy_steps": {}})),
            ("execute_clean_step", json!("hush")),
            ("execute_clean_step", json!({"deploy_step": {"step": "x"}})),
            ("execute_clean_step", json!({"clean_step": "hush"})),
        ] {
            let found = succeeded(name, result);
            assert!(!found.to_string().contains("hush"), "{name}: {found}");
        }
    }
}
