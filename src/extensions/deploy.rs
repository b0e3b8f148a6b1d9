//! `deploy.*`: the deploy steps.

use super::context::{Context, accept};
use super::steps;
use crate::command::{CommandSpec, Mode};
use crate::steps::Phase;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[
    CommandSpec {
        extension: "deploy",
        name: "get_deploy_steps",
        mode: Mode::Sync,
        is_read_by_ironic: true,
        validate: accept,
        run: |context, params, job| steps::list(context, Phase::Deploy, params, job),
    },
    CommandSpec {
        extension: "deploy",
        name: "execute_deploy_step",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: accept,
        run: |context, params, job| steps::execute(context, Phase::Deploy, params, job),
    },
];
