//! Resolution errors: one clause with the name, the queried name servers and the remedy.

use super::resolv_conf::PATH;
use std::fmt;
use std::io;

/// Reason why a host name cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a valid host name.
    #[error("cannot resolve {0:?}: it is no host name")]
    InvalidName(String),
    /// The name exists, but has no usable IPv4 or IPv6 address.
    #[error(
        "cannot resolve {name}: the name server {server} has no address of it{tried}: add one to the server's zone"
    )]
    NoAddress {
        /// Host name as given.
        name: String,
        /// Name server that responded.
        server: String,
        /// Names that were queried.
        tried: Tried,
    },
    /// No name server is configured.
    #[error(
        "cannot resolve {0}: no name server is known (/{PATH}): give one by DHCP, by router advertisement or with ip= on the kernel command line"
    )]
    NoServer(String),
    /// The name does not exist.
    #[error(
        "cannot resolve {name}: the name server {server} knows no such name{tried}: correct the name, or add it to the server's zone"
    )]
    NoSuchName {
        /// Host name as given.
        name: String,
        /// Name server that responded.
        server: String,
        /// Names that were queried.
        tried: Tried,
    },
    /// A file with names or name servers cannot be read.
    #[error("cannot resolve {name}: cannot read /{path}: {kind}")]
    Read {
        /// Host name as given.
        name: String,
        /// Path of the file, relative to the root.
        path: &'static str,
        /// Kind of the kernel's error.
        kind: io::ErrorKind,
    },
    /// The asynchronous runtime for the queries cannot be created.
    #[error("cannot resolve {0}: cannot open sockets")]
    Runtime(String),
    /// No name server gave a usable response.
    #[error(
        "cannot resolve {name}: no usable answer from {failures}: {}",
        failures.remedy()
    )]
    Unanswered {
        /// Host name as given.
        name: String,
        /// Name servers with their failures, in query order.
        failures: Failures,
    },
}

/// Queried names if they differ from the given one, displayed as ` (asked for a, b)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried(pub Vec<String>);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => Ok(()),
            names => write!(f, " (asked for {})", names.join(", ")),
        }
    }
}

/// Name servers with their failures, displayed as `192.0.2.1 (timed out), 192.0.2.2 (SERVFAIL)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(pub Vec<(String, Failure)>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (server, failure)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{server} ({failure})")?;
        }
        Ok(())
    }
}

impl Failures {
    /// Returns the remedy: a server that responded is reachable, so its configuration is at fault.
    fn remedy(&self) -> &'static str {
        let has_answered = |(_, failure): &(String, Failure)| match failure {
            Failure::Aliases | Failure::Code(_) | Failure::Malformed | Failure::NotRecursive => {
                true
            }
            Failure::Io(_) | Failure::NotAsked | Failure::TimedOut => false,
        };
        if self.0.iter().any(has_answered) {
            "look at the server that answered: whether it forwards the name's zone, and whom it serves"
        } else {
            "check that a name server can be reached"
        }
    }
}

/// Reason why a name server gave no usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The chain of aliases is too long or circular.
    #[error("too many aliases")]
    Aliases,
    /// Response code other than success and "no such name".
    #[error("{}", code_name(*.0))]
    Code(u16),
    /// Socket error.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The response is malformed.
    #[error("malformed answer")]
    Malformed,
    /// The server is not authoritative for the zone and offers no recursion.
    #[error("not recursive")]
    NotRecursive,
    /// The lookup's timeout expired before this server was queried.
    #[error("not asked: no time left")]
    NotAsked,
    /// The server did not respond in time.
    #[error("timed out")]
    TimedOut,
}

/// Returns the name of a response code (RFC 1035 section 4.1.1).
fn code_name(code: u16) -> String {
    match code {
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        code => format!("response code {code}"),
    }
}
