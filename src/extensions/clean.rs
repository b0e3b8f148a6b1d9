//! `clean.*`: the clean steps.

use super::context::{Context, no_validation};
use super::steps;
use crate::command::{CommandSpec, Mode};
use crate::steps::Phase;

pub(super) static COMMANDS: &[CommandSpec<Context>] = &[
    CommandSpec {
        extension: "clean",
        name: "get_clean_steps",
        mode: Mode::Sync,
        is_read_by_ironic: true,
        validate: no_validation,
        run: |context, params, job| steps::list(context, Phase::Clean, params, job),
    },
    CommandSpec {
        extension: "clean",
        name: "execute_clean_step",
        mode: Mode::Async,
        is_read_by_ironic: false,
        validate: no_validation,
        run: |context, params, job| steps::execute(context, Phase::Clean, params, job),
    },
];
