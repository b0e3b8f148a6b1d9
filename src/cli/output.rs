//! Output of subcommands: results on standard output, messages on standard error, and the exit
//! code.

use crate::logging;
use crate::redact::{one_line, redact, visible};
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

/// Escapes control and format characters in a JSON document for a terminal. JSON permits them in
/// texts.
pub(super) fn shown_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        if character == '\n' || visible(character) == character {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    shown
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn json_for_a_terminal_shows_no_control_character_and_is_read_as_the_same() {
        let text = "a\u{9b}31m\u{202e}b\u{7f}\n\t\u{e0041}\u{1f600}\u{e4}";
        let document = format!("{:#}\n", json!({"a": [text]}));
        let shown = shown_json(&document);
        assert_eq!(
            shown,
            "{\n  \"a\": [\n    \"a\\u009b31m\\u202eb\\u007f\\n\\t\\udb40\\udc41\u{1f600}\u{e4}\"\n  ]\n}\n"
        );
        assert_eq!(
            serde_json::from_str::<Value>(&shown).unwrap(),
            json!({"a": [text]})
        );
    }
}
