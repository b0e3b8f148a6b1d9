//! Output of subcommands: results on standard output, messages on standard error, and the exit
//! code.

use crate::logging;
use crate::redact::{one_line, redact};
use crate::supervisor;
use std::io::Write;
use std::process::ExitCode;

/// Prints a subcommand's output; the exit code reports whether it could be written.
pub(super) fn print_output(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints a message that may contain a secret, masked and in one line.
pub(super) fn print_error(what: &str) {
    print_message(&redact(what));
}

/// Prints a message that cannot contain a secret, in one line.
pub(super) fn print_message(what: &str) {
    logging::print(&format!("ferrite: {}\n", one_line(what)));
}

/// Exit code for an unusable command line or configuration.
pub(super) const UNUSABLE: u8 = supervisor::supervise::UNUSABLE;
