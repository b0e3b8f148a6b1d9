//! `poll.*`: what the machine is, and what a lookup would have told of it.

use super::context::{Context, no_validation};
use crate::command::{CommandSpec, Commander, Job, Mode, Params};
use crate::error::{AgentError, ErrorClass};
use crate::json::{Json, Object};
use crate::node::Node;
use crate::params::ParamReader;
use crate::secret::AgentToken;
use serde_json::{Map, Value};

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[
    CommandSpec {
        extension: "poll",
        name: "get_hardware_info",
        mode: Mode::Sync,
        is_read_by_ironic: true,
        validate: no_validation,
        run: get_hardware_info,
    },
    CommandSpec {
        extension: "poll",
        name: "set_node_info",
        mode: Mode::Sync,
        is_read_by_ironic: false,
        validate: |context, _| standalone_only(context),
        run: set_node_info,
    },
];

/// The inventory of this moment.
fn get_hardware_info(context: &Context, params: Params, _: &Job) -> Result<Value, AgentError> {
    ParamReader::new("poll.get_hardware_info", params).finish()?;
    Ok(context.machine.inventory())
}

fn standalone_only(context: &Context) -> Result<(), AgentError> {
    match context.token {
        Some(_) => Ok(()),
        None => Err(AgentError::new(
            ErrorClass::InvalidCommandError,
            "Node lookup data can only be set when the Ironic Python Agent is running in standalone mode.",
        )),
    }
}

/// Takes a lookup's answer: the node, and the token where it is one. The settings beside it stay those of the configuration.
///
/// Whoever may run this gives the agent its node: that is what it is for, and the token that it brings makes its caller the
/// conductor. Nobody but the conductor makes the agent wait for disks.
fn set_node_info(context: &Context, params: Params, job: &Job) -> Result<Value, AgentError> {
    let mut reader = ParamReader::new("poll.set_node_info", params);
    let mut answer = ParamReader::new("poll.set_node_info", reader.object("node_info")?);
    reader.finish()?;
    let node = Json::from(Object::from(answer.object("node")?));
    let config = match answer.any("config") {
        Value::Object(config) => config,
        _ => Map::new(),
    };
    let node = Node::parse(node)?;
    match job.commander {
        Commander::Conductor => context.machine.set_node(node, &job.cancel),
        Commander::User { .. } => context.machine.remember_node(node),
    }
    take_token(context, config);
    Ok(Value::Null)
}

/// As after a lookup: a token of full length takes the place of the agent's own, the mask and everything else does not.
fn take_token(context: &Context, mut config: Params) {
    let Some(Value::String(text)) = config.remove("agent_token") else {
        return;
    };
    match (AgentToken::from_lookup(text), &context.token) {
        (Ok(token), Some(current)) => {
            current.replace(token);
            tracing::info!("the agent token is now the one that was given with the node");
        }
        (Err(error), _) => {
            tracing::info!(%error, "the token given with the node is none: keeping the agent's own");
        }
        (Ok(_), None) => {}
    }
}
