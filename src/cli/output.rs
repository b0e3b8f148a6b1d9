//! What subcommands print: their output on standard output, messages on standard error, and the exit code that goes with it.

use crate::logging;
use crate::redact::{one_line, redact};
use crate::supervisor;
use std::io::Write;
use std::process::ExitCode;

/// Prints a subcommand's output; the exit code says whether it could be written.
pub(super) fn print_output(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints a message in which there may be a secret, masked and in one line.
pub(super) fn print_error(what: &str) {
    print_message(&redact(what));
}

/// Prints a message in which there can be no secret, in one line.
pub(super) fn print_message(what: &str) {
    logging::print(&format!("ferrite: {}\n", one_line(what)));
}

/// The command line or the configuration cannot be used.
pub(super) const UNUSABLE: u8 = supervisor::supervise::UNUSABLE;
