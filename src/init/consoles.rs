//! Every console of the kernel: what process 1 and its children print on standard error is shown on each of them.
//!
//! ```text
//! process 1, its children ─► one pipe ─► a thread here ─┬► queue ─► a thread ─► /dev/tty1
//!                                                       └► queue ─► a thread ─► /dev/ttyS0
//! ```
//!
//! `/dev/console` is but the last console of the kernel's command line. A console that is slow, or takes nothing, costs its own lines
//! and no others.

use crate::logging::{self, LineQueue, Sink};
use crate::progress::Cancel;
use crate::redact::one_line;
use crate::root::Root;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The terminals that the kernel's messages go to: lines are shown there, and one can log in there after a rescue.
pub(super) fn active(root: &Root) -> Vec<String> {
    let active = fs::read_to_string(root.path("sys/class/tty/console/active")).unwrap_or_default();
    active
        .split_ascii_whitespace()
        // The screen in front is no terminal of its own.
        .map(|console| if console == "tty0" { "tty1" } else { console })
        .filter(|console| root.path("dev").join(console).exists())
        .map(str::to_owned)
        .collect()
}

/// Makes a pipe of standard output and standard error, whose lines are shown on every console; standard input is empty.
///
/// # Errors
/// The kernel gives no pipe or no thread.
pub(super) fn take_over(root: &Root) -> io::Result<Consoles> {
    let (reader, writer) = io::pipe()?;
    let consoles = Consoles::feed_from(root, reader)?;
    let null = File::open(root.path("dev/null"))?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&writer)?;
    nix::unistd::dup2_stderr(&writer)?;
    Ok(consoles)
}

/// The consoles that lines go to; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Consoles(Arc<Mutex<Vec<Console>>>);

#[derive(Debug)]
struct Console {
    name: String,
    queue: Arc<LineQueue>,
}

impl Consoles {
    fn feed_from(root: &Root, reader: PipeReader) -> io::Result<Self> {
        let consoles = Self::default();
        let feeder = consoles.clone();
        let root = root.clone();
        thread::Builder::new()
            .name("consoles".into())
            .spawn(move || {
                let mut reader = BufReader::new(reader);
                // Not a watcher, whose pause would stop what all processes print: a panic costs the line that it was at.
                // It never returns, because this process itself keeps the pipe's other end open.
                while catch_unwind(AssertUnwindSafe(|| feeder.feed(&root, &mut reader))).is_err() {}
            })?;
        Ok(consoles)
    }

    /// Reads lines and hands them to every console, for as long as the pipe has a writer.
    fn feed(&self, root: &Root, reader: &mut impl BufRead) {
        let mut looked_at = None;
        loop {
            let text = match read_line(reader) {
                Ok(None) => return,
                Ok(Some(line)) => one_line(&line) + "\n",
                Err(error) => {
                    tracing::error!(%error, "cannot read what is printed for the consoles");
                    let _never = Cancel::default().wait(POLL_INTERVAL);
                    continue;
                }
            };
            // Some consoles come with a driver.
            if looked_at.is_none_or(|at: Instant| at.elapsed() >= POLL_INTERVAL) {
                self.look(root);
                looked_at = Some(Instant::now());
            }
            for console in self.list().iter() {
                console.queue.push(text.clone());
            }
        }
    }

    /// Adds the consoles that there are now.
    fn look(&self, root: &Root) {
        let mut known = self.list();
        for name in active(root) {
            if known.iter().any(|console| console.name == name) {
                continue;
            }
            let queue = Arc::new(LineQueue::default());
            let terminal = Terminal {
                path: root.path("dev").join(&name),
                name: name.clone(),
                file: None,
                is_broken: false,
            };
            match queue.start_writer(&name, terminal) {
                Ok(()) => known.push(Console { name, queue }),
                Err(error) => tracing::error!(console = name, %error, "a console shows no log"),
            }
        }
    }

    /// Waits until the consoles have shown all that was logged, but for none of them long.
    pub(super) fn flush(&self) {
        logging::flush();
        // The line that was the last in the pipe may be on its way to the queues.
        let _never = Cancel::default().wait(LAST_LINE);
        let queues: Vec<_> = self
            .list()
            .iter()
            .map(|console| Arc::clone(&console.queue))
            .collect();
        let end = Instant::now() + FLUSH_TIMEOUT;
        for queue in queues {
            let _is_slow = queue.flush(end.saturating_duration_since(Instant::now()));
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Console>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a line without its end; `None` where there is none any more. Of one that is too long the rest is dropped: shown as a line of its
/// own it would be whatever is in the middle of another, such as words of a user's.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.take(MAX_LINE_LEN).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let is_whole = line.pop_if(|last| *last == b'\n').is_some();
    let mut text = String::from_utf8_lossy(&line).into_owned();
    // What is skipped of a line that just fits is its end.
    if !is_whole && reader.skip_until(b'\n')? > 1 {
        text.push('\u{2026}');
    }
    Ok(Some(text))
}

/// A console's terminal.
struct Terminal {
    name: String,
    path: PathBuf,
    file: Option<File>,
    /// It could not be written, and that was logged.
    is_broken: bool,
}

impl Sink for Terminal {
    fn write(&mut self, line: &str) {
        let mut result = Ok(());
        // The end of a login hangs the terminal up: what was opened before it is closed for good.
        for _ in 0..2 {
            result = self.try_write(line);
            if result.is_ok() {
                break;
            }
            self.file = None;
        }
        match result {
            Ok(()) => self.is_broken = false,
            Err(error) if !self.is_broken => {
                self.is_broken = true;
                tracing::warn!(console = self.name, %error, "a console cannot be written");
            }
            Err(_) => {}
        }
    }

    fn report_dropped(&mut self, lines: u64) {
        tracing::warn!(
            console = self.name,
            lines,
            "the console is too slow for the log: lines were left out"
        );
    }
}

impl Terminal {
    fn try_write(&mut self, line: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        file.write_all(line.as_bytes())
    }
}

/// Without waiting for the other end of a serial line, and without making it the terminal that obeys keys of signals.
fn open(path: &PathBuf) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    // To write is to wait.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file)
}

/// Bytes of a line. Those of the log have fewer (`logging::event`).
const MAX_LINE_LEN: u64 = 20 << 10;
/// How often new consoles are looked for, while there are lines for them.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// For all consoles together, when the machine ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
const LAST_LINE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::sync::mpsc::channel;
    use tempfile::TempDir;

    const STALL_TIMEOUT: Duration = Duration::from_secs(60);

    /// A machine with these consoles, of which those that are named twice are there.
    fn machine(active: &str, there: &[&str]) -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir_all(root.path("sys/class/tty/console")).unwrap();
        fs::create_dir_all(root.path("dev")).unwrap();
        fs::write(root.path("sys/class/tty/console/active"), active).unwrap();
        for name in there {
            mkfifo(&root.path("dev").join(name), Mode::S_IRWXU).unwrap();
        }
        (folder, root)
    }

    /// Lines that a console shows from now on.
    struct Screen(std::sync::mpsc::Receiver<String>);

    impl Screen {
        fn of(root: &Root, name: &str) -> Self {
            // Both ends: it opens at once, and never ends.
            let path = root.path("dev").join(name);
            let fifo = OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap();
            let (sender, shown) = channel();
            thread::spawn(move || {
                for line in BufReader::new(fifo).lines() {
                    if sender.send(line.unwrap()).is_err() {
                        return;
                    }
                }
            });
            Self(shown)
        }

        fn next(&self) -> String {
            self.0.recv_timeout(STALL_TIMEOUT).unwrap()
        }
    }

    #[test]
    fn the_terminals_of_active_consoles_are_those_that_exist() {
        let (_folder, root) = machine("tty0 ttyS0 hvc7\n", &["tty1", "ttyS0", "ttyS1"]);
        assert_eq!(active(&root), ["tty1", "ttyS0"]);
        let (_folder, none) = machine("", &["console"]);
        assert_eq!(active(&none), [""; 0]);
    }

    #[test]
    fn a_line_is_shown_on_every_console_and_on_one_that_comes_later() {
        let (_folder, root) = machine("tty0 ttyS0\n", &["tty1", "ttyS0", "hvc0"]);
        let screens = ["tty1", "ttyS0", "hvc0"].map(|name| Screen::of(&root, name));
        let (reader, mut writer) = io::pipe().unwrap();
        let consoles = Consoles::feed_from(&root, reader).unwrap();
        writer.write_all(b"first\n\x1b[2Jsecond\n").unwrap();
        for screen in &screens[..2] {
            assert_eq!(screen.next(), "first");
            assert_eq!(screen.next(), "\u{fffd}[2Jsecond");
        }
        fs::write(root.path("sys/class/tty/console/active"), "tty0 ttyS0 hvc0").unwrap();
        consoles.look(&root);
        writer.write_all(b"third\n").unwrap();
        for screen in &screens {
            assert_eq!(screen.next(), "third");
        }
        consoles.flush();
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_its_middle_begins_no_line() {
        let (_folder, root) = machine("ttyS0\n", &["ttyS0"]);
        let screen = Screen::of(&root, "ttyS0");
        let (reader, mut writer) = io::pipe().unwrap();
        let _consoles = Consoles::feed_from(&root, reader).unwrap();
        let longest = usize::try_from(MAX_LINE_LEN).unwrap();
        let fits = "x".repeat(longest);
        for (line, expected) in [
            (fits.clone(), fits.clone()),
            (format!("{fits}y"), format!("{fits}\u{2026}")),
            (
                format!("{fits}{}", "forged ".repeat(6 << 10)),
                format!("{fits}\u{2026}"),
            ),
            (String::new(), String::new()),
            ("next".into(), "next".into()),
        ] {
            writer.write_all(format!("{line}\n").as_bytes()).unwrap();
            assert!(screen.next() == expected, "{}", line.len());
        }
    }

    #[test]
    fn a_console_that_takes_nothing_or_is_broken_keeps_no_other_from_its_lines() {
        let (_folder, root) = machine("ttyS0 ttyS1 tty0\n", &["tty1", "ttyS0", "ttyS1"]);
        // One that is never read, and one that nobody has opened: writing is an error.
        let _stuck = OpenOptions::new()
            .read(true)
            .write(true)
            .open(root.path("dev/ttyS0"))
            .unwrap();
        let screen = Screen::of(&root, "tty1");
        let (reader, mut writer) = io::pipe().unwrap();
        let consoles = Consoles::feed_from(&root, reader).unwrap();
        let rest = "x".repeat(1000);
        for number in 0..500 {
            // More than the pipe of the stuck one and its queue hold.
            writer
                .write_all(format!("{number} {rest}\n").as_bytes())
                .unwrap();
            assert_eq!(screen.next(), format!("{number} {rest}"));
        }
        let stuck = Arc::clone(&consoles.list()[0].queue);
        assert!(!stuck.flush(Duration::ZERO), "the stuck console is written");
    }

    #[test]
    fn a_terminal_that_was_hung_up_is_opened_again() {
        let (_folder, root) = machine("ttyS0\n", &["ttyS0"]);
        let mut terminal = Terminal {
            name: "ttyS0".into(),
            path: root.path("dev/ttyS0"),
            file: None,
            is_broken: false,
        };
        terminal.write("lost: nobody is there\n");
        assert!(terminal.is_broken && terminal.file.is_none());
        let screen = Screen::of(&root, "ttyS0");
        terminal.write("first\n");
        assert_eq!(screen.next(), "first");
        // As after a hang-up: what is open takes nothing any more.
        terminal.file = Some(File::open("/dev/null").unwrap());
        terminal.write("second\n");
        assert_eq!(screen.next(), "second");
        assert!(!terminal.is_broken);
    }
}
