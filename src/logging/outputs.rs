//! Log outputs: standard error, a file, syslog, the journal.

use super::event::{Record, strftime};
use super::sockets::Listener;
use super::stderr;
use crate::root::Root;
use jiff::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Configured log outputs. The default is text on standard error.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Log file.
    pub file: Option<PathBuf>,
    /// Whether to log to the journal.
    pub journal: bool,
    /// Syslog facility, to log to syslog.
    pub syslog: Option<u8>,
    /// Whether to log to standard error besides another output.
    pub standard_error: bool,
    /// Whether the file and standard error receive JSON.
    pub json: bool,
    /// Time format, as for strftime.
    pub date_format: Option<String>,
}

/// Open outputs.
#[derive(Debug)]
pub(super) struct Outputs {
    file: Option<File>,
    listeners: Vec<Listener>,
    standard_error: bool,
    json: bool,
    date_format: Option<String>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            file: None,
            listeners: Vec::new(),
            standard_error: true,
            json: false,
            date_format: None,
        }
    }
}

impl Outputs {
    /// Opens the configured outputs. Returns them and the problems with those that are unusable.
    pub(super) fn open(root: &Root, settings: &Settings) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut outputs = Self {
            json: settings.json,
            ..Self::default()
        };
        if let Some(path) = &settings.file {
            match open(root, path) {
                Ok(file) => outputs.file = Some(file),
                Err(error) => problems.push(format!(
                    "the log file {} cannot be written: {error}",
                    path.display()
                )),
            }
        }
        let syslog = settings
            .syslog
            .map(|facility| Listener::syslog(root.path("dev/log"), facility));
        let journal = settings
            .journal
            .then(|| Listener::journal(root.path("run/systemd/journal/socket")));
        for listener in syslog.into_iter().chain(journal) {
            match listener {
                Ok(listener) if listener.path().exists() => outputs.listeners.push(listener),
                Ok(listener) => problems.push(format!(
                    "nobody takes the log at {}",
                    listener.path().display()
                )),
                Err(error) => problems.push(format!("the log cannot be sent: {error}")),
            }
        }
        if let Some(format) = &settings.date_format {
            match strftime(format, Timestamp::UNIX_EPOCH) {
                Some(_) => outputs.date_format = Some(format.clone()),
                None => problems.push("log_date_format cannot be used".to_owned()),
            }
        }
        let elsewhere = outputs.file.is_some() || !outputs.listeners.is_empty();
        let complete = problems.is_empty() && elsewhere;
        outputs.standard_error = settings.standard_error || !complete;
        (outputs, problems)
    }

    /// Writes to all outputs, and to standard error if one of them fails. A console that is gone or
    /// slow does not block the agent: the ring has the line.
    pub(super) fn write(&self, told: &Record) {
        let date_format = self.date_format.as_deref();
        let line = if self.json {
            told.json(date_format)
        } else {
            told.line(date_format)
        };
        let to_file = self
            .file
            .as_ref()
            .map(|mut file| file.write_all(line.as_bytes()));
        let sent = self.listeners.iter().map(|listener| listener.write(told));
        let failed = to_file
            .into_iter()
            .chain(sent)
            .filter(io::Result::is_err)
            .count()
            > 0;
        if failed || self.standard_error {
            stderr::push(line);
        }
    }
}

fn open(root: &Root, path: &PathBuf) -> io::Result<File> {
    let path = if path.is_absolute() {
        root.path(path)
    } else {
        path.clone()
    };
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::tests::log_of;
    use std::os::unix::net::UnixDatagram;

    /// Returns what a listener on this socket receives for two events.
    fn listened(place: &str, settings: &Settings) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let path = root.path(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let _log = log_of(Verbosity::Debug, |log| {
            log.send_to(&root, settings);
            tracing::error!(target: "ferrite::api", agent = "a\nb", "first");
            tracing::debug!(target: "ferrite::api", token = ?crate::secret::Secret::new("canary".to_owned()), "second");
        });
        let mut told = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(length) = listener.recv(&mut buffer) {
            told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        told
    }

    #[test]
    fn syslog_gets_every_event() {
        let settings = Settings {
            syslog: Some(3),
            ..Settings::default()
        };
        let told = listened("dev/log", &settings);
        assert_eq!(told.len(), 2);
        assert!(
            told[0].starts_with("<27>") && told[0].ends_with(": api: first agent=\"a b\""),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("<31>") && told[1].ends_with("second token=******"),
            "{told:?}"
        );
    }

    #[test]
    fn the_journal_gets_every_event() {
        let settings = Settings {
            journal: true,
            ..Settings::default()
        };
        let told = listened("run/systemd/journal/socket", &settings);
        assert_eq!(
            told,
            [
                "MESSAGE=first agent=\"a b\"\nPRIORITY=3\nSYSLOG_IDENTIFIER=ferrite\nLOGGER=api\nFERRITE_AGENT=a b\n",
                "MESSAGE=second token=******\nPRIORITY=7\nSYSLOG_IDENTIFIER=ferrite\nLOGGER=api\nFERRITE_TOKEN=******\n",
            ]
        );
    }

    /// Returns the contents of a log file after one event.
    fn file(settings: Settings) -> String {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let settings = Settings {
            file: Some("/f.log".into()),
            ..settings
        };
        let _log = log_of(Verbosity::Info, |log| {
            log.send_to(&root, &settings);
            tracing::info!(target: "ferrite::api", device = "/dev/sda", who = "a b", "\"done\"");
        });
        std::fs::read_to_string(root.path("f.log")).unwrap()
    }

    #[test]
    fn a_file_gets_lines_or_objects() {
        let date_format = Some("%Y!".to_owned());
        let line = file(Settings {
            date_format: date_format.clone(),
            ..Settings::default()
        });
        let year = line.split('!').next().unwrap();
        assert_eq!(
            line,
            format!("{year}! INFO  api: \"done\" device=/dev/sda who=\"a b\"\n")
        );
        let object = file(Settings {
            json: true,
            date_format,
            ..Settings::default()
        });
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&object).unwrap(),
            serde_json::json!({
                "asctime": format!("{year}!"),
                "levelname": "INFO",
                "name": "api",
                "message": "\"done\"",
                "fields": {"device": "/dev/sda", "who": "a b"},
            })
        );
    }

    #[test]
    fn what_cannot_be_used_is_told_and_standard_error_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let settings = Settings {
            file: Some("/none/f.log".into()),
            journal: true,
            syslog: Some(1),
            date_format: Some("%".to_owned()),
            ..Settings::default()
        };
        let (outputs, problems) = Outputs::open(&root, &settings);
        assert!(outputs.standard_error && outputs.date_format.is_none());
        assert_eq!(problems.len(), 4, "{problems:?}");
    }

    #[test]
    fn standard_error_is_quiet_where_another_output_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let mut settings = Settings {
            file: Some("/f.log".into()),
            ..Settings::default()
        };
        assert!(!Outputs::open(&root, &settings).0.standard_error);
        settings.standard_error = true;
        assert!(Outputs::open(&root, &settings).0.standard_error);
        assert!(Outputs::open(&root, &Settings::default()).0.standard_error);
    }
}
