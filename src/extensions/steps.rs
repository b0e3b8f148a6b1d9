//! What `clean`, `deploy` and `service` share: listing steps and running one.

use super::{Context, params::Reader};
use crate::command::{Job, Params};
use crate::error::{AgentError, ErrorClass};
use crate::hardware::steps::{Phase, is_same_version, versions};
use crate::redact::{MASK, redact};
use serde_json::{Map, Value};

/// `T.get_T_steps`.
pub(super) fn list(
    context: &Context,
    phase: Phase,
    params: Params,
    job: &Job,
) -> Result<Value, AgentError> {
    let name = phase.name();
    let command = format!("{name}.get_{name}_steps");
    let mut reader = Reader::new(&command, params);
    let node = reader.object("node")?;
    // No step looks at them. Ironic sends a list, IPA's own tests an object.
    drop(reader.any("ports"));
    reader.finish()?;
    context.machine.take_node(node, &job.cancel)?;
    Ok(context.machine.offer(phase))
}

/// `T.execute_T_step`.
pub(super) fn execute(
    context: &Context,
    phase: Phase,
    params: Params,
    job: &Job,
) -> Result<Value, AgentError> {
    let name = phase.name();
    let command = format!("{name}.execute_{name}_step");
    let mut reader = Reader::new(&command, params);
    let mut step = reader.object("step")?;
    let node = reader.object("node")?;
    let ports = reader.any("ports");
    let version = reader.any(&format!("{name}_version"));
    let mut arguments = reader.rest();
    context.machine.take_node(node, &job.cancel)?;
    if !is_same_version(&version) {
        return Err(AgentError::new(
            ErrorClass::VersionMismatch,
            format!(
                "Current versions: {}, versions used by ironic: {version}",
                Value::Object(versions())
            ),
        ));
    }
    let Some(step_name) = step.get("step").and_then(Value::as_str).map(str::to_owned) else {
        return Err(AgentError::new(
            ErrorClass::CommandExecutionError,
            format!(
                "Malformed {name}_step, no \"step\" key: {:?}",
                step.keys().collect::<Vec<_>>()
            ),
        ));
    };
    match step.get("args") {
        None | Some(Value::Null) => {}
        Some(Value::Object(given)) => arguments.extend(given.clone()),
        Some(_) => {
            return Err(AgentError::new(
                ErrorClass::InvalidCommandParamsError,
                format!("{step_name}: the step's args must be an object or null"),
            ));
        }
    }
    let result = context.machine.run_step(
        phase,
        &step_name,
        arguments,
        &ports,
        &job.cancel,
        &job.progress,
    )?;
    mask_secrets(&mut step);
    Ok(Value::Object(Map::from_iter([
        (format!("{name}_result"), result),
        (format!("{name}_step"), Value::Object(step)),
    ])))
}

/// The step goes back as it came, because Ironic compares its name and interface; but what nobody needs to read again
/// (weakness of IPA: config drives, passwords and signatures of URLs stay in its command list) is masked.
fn mask_secrets(object: &mut Map<String, Value>) {
    for (key, value) in object {
        match value {
            Value::Null => {}
            _ if SECRETS.contains(&key.as_str()) => *value = Value::from(MASK),
            _ => mask_texts(value),
        }
    }
}

fn mask_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact(text),
        Value::Object(inner) => mask_secrets(inner),
        Value::Array(list) => list.iter_mut().for_each(mask_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

const SECRETS: &[&str] = &[
    "configdrive",
    "content",
    "image_request_authorization",
    "image_server_password",
    "oci_pull_secret",
    "pull_secret",
    "rescue_password",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn masked(step: Value) -> Value {
        let Value::Object(mut step) = step else {
            panic!("an object")
        };
        mask_secrets(&mut step);
        Value::Object(step)
    }

    #[test]
    fn signatures_of_addresses_are_masked_and_the_step_is_else_as_it_came() {
        let step = |signature: &str| {
            let address = format!("http://a/x?temp_url_sig={signature}");
            json!({
                "step": "write_image", "interface": "deploy", "priority": 80,
                "args": {"image_info": {"id": "x", "urls": [address], "checksum": "0123abcd"}},
            })
        };
        assert_eq!(masked(step("hush")), step(MASK));
    }

    #[test]
    fn secrets_of_a_step_do_not_come_back() {
        let step = json!({
            "step": "write_image", "interface": "deploy",
            "args": {"configdrive": "H4sI", "image_info": {"id": "x", "image_server_password": "hush", "configdrive": null}}
        });
        assert_eq!(
            masked(step),
            json!({
                "step": "write_image", "interface": "deploy",
                "args": {"configdrive": "******", "image_info": {"id": "x", "image_server_password": "******", "configdrive": null}}
            })
        );
    }

    #[test]
    fn a_secret_is_masked_whatever_its_kind() {
        let step = json!({"args": {"configdrive": {"user_data": "hush"}, "list": [{"pull_secret": ["hush"]}]}});
        assert_eq!(
            masked(step),
            json!({"args": {"configdrive": "******", "list": [{"pull_secret": "******"}]}})
        );
    }
}
