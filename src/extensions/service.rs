//! `service.*`: the service steps.

use super::context::{Context, no_validation};
use super::steps;
use crate::command::{CommandSpec, Mode};
use crate::steps::Phase;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[
    CommandSpec {
        extension: "service",
        name: "get_service_steps",
        mode: Mode::Sync,
        is_read_by_ironic: true,
        validate: no_validation,
        run: |context, params, job| steps::list(context, Phase::Service, params, job),
    },
    CommandSpec {
        extension: "service",
        name: "execute_service_step",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: no_validation,
        run: |context, params, job| steps::execute(context, Phase::Service, params, job),
    },
];
