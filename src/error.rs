//! What crosses the wire when something fails: a closed list of the error classes an Ironic conductor knows.

use crate::redact::redact;
use std::error::Error;
use std::fmt;

/// An error as Ironic sees it: a class, with its HTTP status and message, and our details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentError {
    /// Which of Ironic's known classes.
    pub class: ErrorClass,
    /// What failed, where, and what to do: shown to the operator.
    pub details: String,
}

impl AgentError {
    /// An error of a class with its details. Every error is made here, so that no record, answer or log line has a secret of
    /// the details.
    pub fn new(class: ErrorClass, details: impl AsRef<str>) -> Self {
        Self {
            class,
            details: redact(details.as_ref()),
        }
    }

    /// An error of a class, told by the whole chain of a lower error's causes.
    #[must_use]
    pub fn caused(class: ErrorClass, cause: &(dyn Error + 'static)) -> Self {
        Self::new(class, chain(cause))
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.message(), self.details)
    }
}

impl Error for AgentError {}

/// An error and its causes in one line: `writing /dev/sda: no space left`.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A text of so many bytes at most, for what may repeat a whole request: a long one loses its end.
pub(crate) fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
        // What was cut off takes no memory either: it may have been all of a large request.
        text.shrink_to_fit();
    }
    text
}

// One line a class keeps name, status and message together.
macro_rules! classes {
    ($($name:ident $code:literal $message:literal,)*) => {
        /// The error classes of IPA (`ironic_python_agent/errors.py`) that leave the agent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each name is Ironic's, its message is its description")]
        pub enum ErrorClass { $($name,)* }

        impl ErrorClass {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The class of this name.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|class| class.name() == name)
            }

            /// The class's name on the wire (`command_error.type`).
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its HTTP status (`command_error.code`).
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// Its fixed message (`command_error.message`).
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

classes! {
    AgentIsBusy 409 "Agent is busy",
    BlockDeviceEraseError 500 "Error erasing block device",
    BlockDeviceError 500 "Block device caused unknown error",
    CleaningError 500 "Clean step failed",
    ClockSyncError 500 "Error syncing system clock",
    CommandExecutionError 500 "Command execution failed",
    DeploymentError 500 "Deploy step failed",
    DeviceNotFound 404 "Error finding the disk or partition device to deploy the image onto",
    HardwareManagerMethodNotFound 500 "No HardwareManager found to handle method",
    ImageChecksumError 500 "Error verifying image checksum",
    ImageDownloadError 500 "Error downloading image",
    ImageDownloadTimeoutError 408 "Image download timeout",
    ImageWriteError 500 "Error writing image to device",
    InvalidCommandError 400 "Invalid command",
    InvalidCommandParamsError 400 "Invalid command parameters",
    InvalidContentError 400 "Invalid request body",
    InvalidImage 500 "The provided image is not valid for use",
    RequestedObjectNotFoundError 404 "Not found",
    RESTError 500 "An error occurred",
    ServicingError 500 "Service step failed",
    SystemRebootError 500 "Error rebooting system",
    VersionMismatch 409 "Hardware managers version mismatch, reload agent with correct version",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("writing /dev/sda")]
    struct Writing(#[source] std::io::Error);

    #[test]
    fn a_shortened_text_holds_no_more_memory_than_it_has_letters() {
        let shown = shortened("x".repeat(1 << 20), 100);
        assert_eq!(shown, format!("{}…", "x".repeat(100)));
        assert!(shown.capacity() < 200, "{}", shown.capacity());
        assert_eq!(shortened("short".into(), 100), "short");
    }

    #[test]
    fn every_class_is_one_of_ipas_with_its_code_and_message() {
        let ipas = include_str!("../tests/fixtures/wire/errors.json");
        let ipas: serde_json::Value = serde_json::from_str(ipas).unwrap();
        for class in ErrorClass::ALL {
            assert_eq!(
                ipas[class.name()],
                serde_json::json!({"code": class.code(), "message": class.message()}),
                "{}",
                class.name()
            );
        }
    }

    #[test]
    fn a_text_that_is_too_long_loses_its_end_at_a_character() {
        for (text, shown) in [
            ("", ""),
            ("xé漢", "xé漢"),
            ("xé漢x", "xé漢…"),
            ("xéé漢", "xéé…"),
        ] {
            assert_eq!(shortened(text.to_owned(), 6), shown);
        }
    }

    #[test]
    fn no_secret_of_a_cause_is_in_the_details() {
        let cause = std::io::Error::other("GET http://me:hush@host/x?temp_url_sig=hush&a=1");
        let error = AgentError::caused(ErrorClass::ImageDownloadError, &cause);
        assert_eq!(
            error.details,
            "GET http://******@host/x?temp_url_sig=******&a=1"
        );
    }

    #[test]
    fn the_details_tell_the_whole_chain_once() {
        let cause = Writing(std::io::Error::other("no space left"));
        let error = AgentError::caused(ErrorClass::ImageWriteError, &cause);
        assert_eq!(
            error.to_string(),
            "Error writing image to device: writing /dev/sda: no space left"
        );
        assert_eq!(
            (error.class.name(), error.class.code()),
            ("ImageWriteError", 500)
        );
    }
}
