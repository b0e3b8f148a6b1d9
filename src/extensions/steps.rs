//! What `clean`, `deploy` and `service` share: listing steps and running one.

use super::context::{Context, commander};
use crate::command::{Commander, Job, Params};
use crate::error::{AgentError, ErrorClass};
use crate::json::{Json, Object};
use crate::node::{Node, WithSecrets};
use crate::params::ParamReader;
use crate::steps::{Lent, StepContext};
use crate::steps::{Phase, is_same_version, versions};
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
    let mut reader = ParamReader::new(&command, params);
    let node = reader.object("node")?;
    // No step looks at them. Ironic sends a list, IPA's own tests an object.
    drop(reader.any("ports"));
    reader.finish()?;
    let _lent = given(context, node, job)?;
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
    let mut reader = ParamReader::new(&command, params);
    let step = reader.object("step")?;
    let node = reader.object("node")?;
    let ports = reader.any("ports");
    let version = reader.any(&format!("{name}_version"));
    let mut arguments = reader.rest();
    let _lent = given(context, node, job)?;
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
    let with = StepContext {
        commander: commander(job),
        ports: &Json::from(ports),
        cancel: &job.cancel,
        progress: &job.progress,
    };
    let result = context
        .machine
        .run_step(phase, &step_name, arguments, with)?;
    // It goes back as it came, because Ironic compares its name and interface; the record masks its secrets.
    Ok(Value::Object(Map::from_iter([
        (format!("{name}_result"), result),
        (format!("{name}_step"), Value::Object(step)),
    ])))
}

/// Takes the node that a command brings. Ironic's is remembered: later commands and the policy's rules go by it. Anybody else's
/// is the command's own.
fn given<'a>(
    context: &'a Context,
    node: Map<String, Value>,
    job: &Job,
) -> Result<Option<Lent<'a>>, AgentError> {
    let node = Json::from(Object::from(node));
    match job.commander {
        Commander::Conductor => {
            let node = Node::parse(node)?;
            context.machine.set_node(node, &job.cancel);
            Ok(None)
        }
        Commander::User { .. } => Ok(Some(context.machine.lend_node(WithSecrets::parse(node)?))),
    }
}
