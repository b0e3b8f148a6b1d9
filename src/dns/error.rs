//! Why a host name has no address: one clause with the name, the name servers that were asked and the remedy.

use super::resolv_conf::PATH;
use std::fmt;
use std::io;

/// Why a host name cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No host has such a name.
    #[error("cannot resolve {0:?}: it is no host name")]
    InvalidName(String),
    /// The name exists, and has neither an IPv4 nor an IPv6 address that can be used.
    #[error(
        "cannot resolve {name}: the name server {server} has no address of it{tried}: add one to the server's zone"
    )]
    NoAddress {
        /// The name as it was given.
        name: String,
        /// The name server that said so.
        server: String,
        /// The names that were asked for.
        tried: Tried,
    },
    /// There is no name server to ask.
    #[error(
        "cannot resolve {0}: no name server is known (/{PATH}): give one by DHCP, by router advertisement or with ip= on the kernel command line"
    )]
    NoServer(String),
    /// The name does not exist.
    #[error(
        "cannot resolve {name}: the name server {server} knows no such name{tried}: correct the name, or add it to the server's zone"
    )]
    NoSuchName {
        /// The name as it was given.
        name: String,
        /// The name server that said so.
        server: String,
        /// The names that were asked for.
        tried: Tried,
    },
    /// A file with names or name servers cannot be read.
    #[error("cannot resolve {name}: cannot read /{path}: {kind}")]
    Read {
        /// The name as it was given.
        name: String,
        /// The file.
        path: &'static str,
        /// What the kernel says.
        kind: io::ErrorKind,
    },
    /// There is no runtime to ask with.
    #[error("cannot resolve {0}: cannot open sockets")]
    Runtime(String),
    /// No name server gave a usable answer.
    #[error(
        "cannot resolve {name}: no usable answer from {failures}: {}",
        failures.remedy()
    )]
    Unanswered {
        /// The name as it was given.
        name: String,
        /// The name servers, in the order in which they were asked.
        failures: Failures,
    },
}

/// The names that were asked for, where they are others than the one given: ` (asked for a, b)`.
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

/// Each name server with its failure: `192.0.2.1 (timed out), 192.0.2.2 (SERVFAIL)`.
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
    /// What to do: a server that answered can be reached.
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

/// Why a name server gave no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A chain of aliases is too long, or a circle.
    #[error("too many aliases")]
    Aliases,
    /// A response code other than success and "no such name".
    #[error("{}", code_name(*.0))]
    Code(u16),
    /// The socket.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The answer cannot be parsed.
    #[error("malformed answer")]
    Malformed,
    /// It neither knows the zone nor asks others.
    #[error("not recursive")]
    NotRecursive,
    /// The time for the look-up was over before its turn came.
    #[error("not asked: no time left")]
    NotAsked,
    /// No answer in time.
    #[error("timed out")]
    TimedOut,
}

/// Names of response codes (RFC 1035 section 4.1.1).
fn code_name(code: u16) -> String {
    match code {
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        code => format!("response code {code}"),
    }
}
