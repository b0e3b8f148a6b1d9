//! Sends datagrams to syslog and the journal.

use super::event::{Pair, Record, strftime};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use tracing::Level;

/// Receiver of events as datagrams.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Journal,
    Syslog { facility: u8 },
}

impl Listener {
    /// Creates a sender for the journal's native protocol (systemd: "Native Journal Protocol").
    pub(super) fn journal(path: PathBuf) -> io::Result<Self> {
        Self::of(path, Form::Journal)
    }

    /// Creates a sender for local syslog: RFC 3164 without a host name.
    pub(super) fn syslog(path: PathBuf, facility: u8) -> io::Result<Self> {
        Self::of(path, Form::Syslog { facility })
    }

    fn of(path: PathBuf, form: Form) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A listener that does not read must not block the agent.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path, form })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sends an event. The path is resolved each time, so that the listener may have been
    /// restarted.
    pub(super) fn write(&self, told: &Record) -> io::Result<()> {
        let datagram = match self.form {
            Form::Journal => journal(told),
            Form::Syslog { facility } => syslog(told, facility),
        };
        self.socket
            .send_to(datagram.as_bytes(), &self.path)
            .map(|_| ())
    }
}

/// Formats `<priority>Mmm dd hh:mm:ss name[process]: room: text`.
fn syslog(told: &Record, facility: u8) -> String {
    let priority = u32::from(facility) * 8 + severity(told.level);
    let time = told.time.and_then(|time| strftime("%b %e %H:%M:%S", time));
    let time = time.map(|time| time + " ").unwrap_or_default();
    let process = std::process::id();
    let text = format!(
        "<{priority}>{time}{NAME}[{process}]: {}: {}",
        told.room,
        told.text()
    );
    cut(text, MAX_SYSLOG_LEN)
}

/// Formats `FIELD=value` lines. No text contains a line break, so none needs the binary form.
fn journal(told: &Record) -> String {
    let mut datagram = format!(
        "MESSAGE={}\nPRIORITY={}\nSYSLOG_IDENTIFIER={NAME}\nLOGGER={}\n",
        cut(told.text(), MAX_JOURNAL_LEN),
        severity(told.level),
        told.room,
    );
    for Pair { name, value, .. } in &told.fields {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let line = format!("FERRITE_{name}={value}\n");
        if datagram.len() + line.len() <= MAX_JOURNAL_LEN * 2 {
            datagram.push_str(&line);
        }
    }
    datagram
}

/// Returns the severity of RFC 5424, section 6.2.1.
fn severity(level: Level) -> u32 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

const NAME: &str = "ferrite";
/// Maximum message size in bytes that common daemons accept.
const MAX_SYSLOG_LEN: usize = 8 * 1024;
/// Well below the maximum datagram size of a socket, in bytes.
const MAX_JOURNAL_LEN: usize = 48 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn pair(name: &'static str, value: &str) -> Pair {
        Pair {
            name,
            value: value.to_owned(),
            quoted: false,
        }
    }

    fn told() -> Record {
        Record {
            time: Timestamp::from_second(1_763_871_611).ok(),
            level: Level::WARN,
            room: "imaging".into(),
            sentence: "the image is slow".into(),
            fields: vec![pair("bytes", "5"), pair("root.device", "/dev/sda")],
        }
    }

    #[test]
    fn syslog_is_told_priority_time_and_process() {
        let process = std::process::id();
        assert_eq!(
            syslog(&told(), 16),
            format!(
                "<132>Nov 23 04:20:11 ferrite[{process}]: imaging: the image is slow bytes=5 root.device=/dev/sda"
            )
        );
    }

    #[test]
    fn the_journal_is_told_fields() {
        assert_eq!(
            journal(&told()),
            "MESSAGE=the image is slow bytes=5 root.device=/dev/sda\nPRIORITY=4\nSYSLOG_IDENTIFIER=ferrite\n\
             LOGGER=imaging\nFERRITE_BYTES=5\nFERRITE_ROOT_DEVICE=/dev/sda\n"
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut long = told();
        long.sentence = "ä".repeat(100_000);
        long.fields.push(pair("long", &"b".repeat(100_000)));
        assert!(syslog(&long, 1).len() <= MAX_SYSLOG_LEN);
        assert!(journal(&long).len() <= MAX_JOURNAL_LEN * 2);
    }
}
