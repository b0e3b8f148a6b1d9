//! `deploy.*`: the deploy steps.

use super::context::{Context, no_validation};
use super::steps;
use crate::command::{CommandSpec, Mode};
use crate::steps::Phase;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[
    CommandSpec {
        extension: "deploy",
        name: "get_deploy_steps",
        mode: Mode::Sync,
        is_read_by_ironic: true,
        validate: no_validation,
        run: |context, params, job| steps::list(context, Phase::Deploy, params, job),
    },
    CommandSpec {
        extension: "deploy",
        name: "execute_deploy_step",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: no_validation,
        run: |context, params, job| steps::execute(context, Phase::Deploy, params, job),
    },
];
