//! `flow.*`: `start_flow`, several commands as one.
//!
//! Ironic no longer asks for it. The commands of a flow leave no records of their own.

use super::context::{Context, Extensions};
use crate::command::{CommandSpec, Commander, Job, Mode, Params};
use crate::error::{AgentError, ErrorClass};
use crate::params::ParamReader;
use serde_json::Value;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[CommandSpec {
    extension: "flow",
    name: "start_flow",
    mode: Mode::Async,
    is_read_by_ironic: false,
    validate,
    run: start_flow,
}];

/// A command of a flow.
struct Task {
    /// `standby.sync`.
    name: String,
    spec: &'static CommandSpec<Context>,
    params: Params,
}

/// As with IPA, an extension that is not there fails a flow, while a command that is not there refuses it.
fn validate(context: &Context, params: &Params) -> Result<(), AgentError> {
    match tasks(context.extensions, params.clone()) {
        Err(error) if error.class != ErrorClass::RequestedObjectNotFoundError => Err(error),
        _ => Ok(()),
    }
}

fn start_flow(context: &Context, params: Params, job: &Job) -> Result<Value, AgentError> {
    let commander = job.commander;
    let most_logged = match commander {
        Commander::Conductor => usize::MAX,
        Commander::User { is_logged: true } => LOGGED_OF_USERS,
        Commander::User { is_logged: false } => 0,
    };
    let of_task = Job {
        commander: commander.within_flow(),
        ..job.clone()
    };
    for (number, Task { name, spec, params }) in
        tasks(context.extensions, params)?.into_iter().enumerate()
    {
        if job.cancel.is_cancelled() {
            return Err(failed(&name));
        }
        if number < most_logged {
            tracing::info!(command = name, "The flow goes on");
        }
        (spec.validate)(context, &params)?;
        if let Err(error) = (spec.run)(context, params, &of_task) {
            if commander.is_logged() {
                let error = commander.reason(&error);
                tracing::error!(command = name, %error, "The flow ends with a command that failed");
            }
            return Err(failed(&name));
        }
    }
    Ok(Value::Null)
}

/// The commands in their order. Several in one object come in the order of their names.
fn tasks(extensions: Extensions, params: Params) -> Result<Vec<Task>, AgentError> {
    let mut reader = ParamReader::new("flow.start_flow", params);
    let Value::Array(flow) = reader.any("flow") else {
        return Err(malformed(
            "flow.start_flow: the parameter flow must be a list",
        ));
    };
    reader.finish()?;
    let mut tasks = Vec::new();
    for step in flow {
        let Value::Object(commands) = step else {
            return Err(malformed(
                "a flow is a list of objects, each from a command to its parameters",
            ));
        };
        for (name, params) in commands {
            let Value::Object(params) = params else {
                return Err(malformed("a command's parameters in a flow are an object"));
            };
            let spec = find(extensions, &name)?;
            tasks.push(Task { name, spec, params });
        }
    }
    Ok(tasks)
}

fn find(extensions: Extensions, name: &str) -> Result<&'static CommandSpec<Context>, AgentError> {
    let (extension, command) = name.split_once('.').ok_or_else(|| {
        AgentError::new(
            ErrorClass::InvalidCommandError,
            "Command name must be of the form <extension>.<name>",
        )
    })?;
    let mut specs = extensions
        .iter()
        .copied()
        .flatten()
        .filter(|spec| spec.extension == extension)
        .peekable();
    if specs.peek().is_none() {
        return Err(AgentError::new(
            ErrorClass::RequestedObjectNotFoundError,
            format!("Extension with id {extension} not found."),
        ));
    }
    specs.find(|spec| spec.name == command).ok_or_else(|| {
        malformed(&format!(
            "Extension {extension} doesn't provide {command} method"
        ))
    })
}

fn malformed(details: &str) -> AgentError {
    AgentError::new(ErrorClass::InvalidCommandParamsError, details)
}

/// Its own error is in the log alone, as IPA's is.
fn failed(name: &str) -> AgentError {
    AgentError::new(
        ErrorClass::CommandExecutionError,
        format!("{name} was failed"),
    )
}

/// So many commands of a flow are logged where the caller is not the conductor: one request could fill the log.
const LOGGED_OF_USERS: usize = 8;
