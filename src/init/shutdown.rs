//! Requests to end the machine that do not come from Ironic: its power button, and signals to process 1.
//!
//! | request | by | action |
//! | --- | --- | --- |
//! | the power button | a BMC's "graceful" power off (ACPI), whoever stands before the machine | off |
//! | `SIGUSR2` | busybox's `poweroff` in a rescued machine | off |
//! | `SIGUSR1` | its `halt` | halt |
//! | `SIGTERM` | its `reboot` | restart |
//! | `SIGINT` | the kernel, of Ctrl-Alt-Del | restart |
//!
//! Process 1 takes them in every state, with and without an agent, before and after a rescue. The way is the same: all programs are
//! asked to end, those that do not are ended, and [`power::end`] writes back and unmounts. A command of the agent's is stopped, not
//! finished: an image takes longer than a BMC waits before it cuts the power, and a disk that is being written has no partition
//! table until its end, so that nothing boots from a part of an image.

use super::consoles::Consoles;
use crate::formats::process_status::is_running_program;
use crate::machine::power::{self, PowerAction};
use crate::progress::Cancel;
use crate::root::Root;
use crate::supervisor::StopSignal;
use crate::supervisor::watcher;
use crate::sys::input::{KEY_POWER, Keys};
use crate::sys::uevent::Uevents;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::reboot::set_cad_enabled;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keeps the signals from every thread that is started from now on, for [`listen`] to take.
///
/// # Errors
/// The kernel's.
pub(super) fn block_signals() -> io::Result<()> {
    Ok(signals().thread_block()?)
}

fn signals() -> SigSet {
    REQUESTS.iter().map(|(signal, _)| *signal).collect()
}

/// Takes requests for as long as the machine runs, on a thread of its own. `order` is given to the programs that are kept running.
///
/// # Errors
/// The kernel gives no thread.
pub(super) fn listen(root: &Root, order: &Arc<StopSignal>, consoles: &Consoles) -> io::Result<()> {
    // Otherwise the kernel itself restarts the machine at once, whatever is being written.
    if let Err(error) = set_cad_enabled(false) {
        tracing::warn!(%error, "Ctrl-Alt-Del restarts this machine without any order");
    }
    let machine = Machine {
        root: root.clone(),
        order: Arc::clone(order),
        consoles: consoles.clone(),
    };
    let listen = move || {
        // Of a listener that panicked while it carried out a request: the machine goes on, as when the kernel refuses.
        machine.order.withdraw();
        let Err(error) = machine.serve();
        tracing::error!(%error, "cannot listen to the power button and to signals");
    };
    watcher::spawn("shutdown", listen)
}

struct Machine {
    root: Root,
    order: Arc<StopSignal>,
    consoles: Consoles,
}

impl Machine {
    fn serve(&self) -> io::Result<Infallible> {
        let mut sources = Sources::open(&self.root)?;
        loop {
            let request = sources.next()?;
            self.end(request);
        }
    }

    /// Ends all programs and then the machine; comes back only where the kernel refuses.
    fn end(&self, request: Request) {
        let Request { cause, action } = request;
        tracing::warn!(cause, ?action, "ending the machine as requested");
        self.order.send(Signal::SIGTERM);
        // Whether their ends are noticed or not: the main thread may be busy with the start.
        let is_running = || {
            let mut running = self.order.running().into_iter();
            running.any(|pid| is_running(&self.root, pid.as_raw()))
        };
        if !wait_while(is_running, PROGRAMS_TIMEOUT) {
            tracing::warn!(after = ?PROGRAMS_TIMEOUT, "not all programs ended in time");
        }
        self.end_processes();
        self.consoles.flush();
        let error = power::end(&self.root, action);
        let error = crate::error::chain(&error);
        tracing::error!(error, "the machine goes on");
        self.order.withdraw();
    }

    /// Ends what others started, such as the shells of a rescued machine: their files keep disks mounted.
    fn end_processes(&self) {
        // Elsewhere these would be the processes of the whole machine.
        if getpid().as_raw() != 1 {
            return;
        }
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
            // There may be none.
            let _none = kill(Pid::from_raw(-1), signal);
            if signal == Signal::SIGTERM {
                // An interactive shell ends by the second one alone.
                continue;
            }
            if wait_while(|| has_others(&self.root), PROCESSES_TIMEOUT) {
                return;
            }
        }
        tracing::warn!("some processes did not end in time");
    }
}

/// Waits for the end of something, at most so long; whether it came.
fn wait_while(is_so: impl Fn() -> bool, timeout: Duration) -> bool {
    let end = Instant::now() + timeout;
    while is_so() {
        if Instant::now() >= end {
            return false;
        }
        let _never = Cancel::default().wait(POLL_INTERVAL);
    }
    true
}

/// Whether any process but this one and the kernel's own threads runs.
fn has_others(root: &Root) -> bool {
    let Ok(entries) = fs::read_dir(root.path("proc")) else {
        return false;
    };
    let mut pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.any(|pid| pid != 1 && is_running(root, pid))
}

/// Whether this is a program that runs, and no thread of the kernel.
fn is_running(root: &Root, pid: i32) -> bool {
    let stat = fs::read(root.path("proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| is_running_program(&stat))
}

/// What the machine is to do, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    cause: &'static str,
    action: PowerAction,
}

/// Where requests come from.
struct Sources {
    folder: PathBuf,
    signals: SignalFd,
    uevents: Uevents,
    buttons: BTreeMap<PathBuf, Keys>,
}

impl Sources {
    fn open(root: &Root) -> io::Result<Self> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let mut sources = Self {
            folder: root.path("dev/input"),
            signals: SignalFd::with_flags(&signals(), flags)?,
            // Before the first look, so that no device falls between.
            uevents: Uevents::listen()?.without_waiting()?,
            buttons: BTreeMap::new(),
        };
        sources.look();
        Ok(sources)
    }

    /// Opens the event devices that have a power button.
    fn look(&mut self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            let is_event = entry.file_name().as_encoded_bytes().starts_with(b"event");
            if !is_event || self.buttons.contains_key(&path) {
                continue;
            }
            match Keys::open(&path, KEY_POWER) {
                Ok(Some(button)) => {
                    tracing::info!(device = %path.display(), "listening to a power button");
                    self.buttons.insert(path, button);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(device = %path.display(), %error, "cannot listen to an input device");
                }
            }
        }
    }

    /// Waits for the next request.
    fn next(&mut self) -> io::Result<Request> {
        loop {
            self.wait()?;
            if let Some(request) = self.signalled()? {
                return Ok(request);
            }
            if self.is_pressed() {
                return Ok(Request {
                    cause: "power button",
                    action: PowerAction::PowerOff,
                });
            }
            if self.has_new_devices()? {
                self.look();
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let all = [self.signals.as_fd(), self.uevents.as_fd()];
        let all = all
            .into_iter()
            .chain(self.buttons.values().map(AsFd::as_fd));
        let mut all: Vec<_> = all
            .map(|file| PollFd::new(file, PollFlags::POLLIN))
            .collect();
        match poll(&mut all, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn signalled(&self) -> io::Result<Option<Request>> {
        let signal = self.signals.read_signal()?;
        Ok(signal.and_then(|info| {
            let signal = i32::try_from(info.ssi_signo).ok()?;
            request_of(Signal::try_from(signal).ok()?)
        }))
    }

    /// Reads every button; one that is gone is forgotten.
    fn is_pressed(&mut self) -> bool {
        let mut is_pressed = false;
        self.buttons.retain(|path, button| match button.pressed() {
            Ok(keys) => {
                is_pressed |= keys.contains(&KEY_POWER);
                true
            }
            Err(error) => {
                tracing::info!(device = %path.display(), %error, "a power button is gone");
                false
            }
        });
        is_pressed
    }

    fn has_new_devices(&self) -> io::Result<bool> {
        let mut has_new = false;
        loop {
            match self.uevents.wait() {
                // Some were lost.
                Ok(None) => has_new = true,
                Ok(Some(announcement)) => has_new |= is_of_input(&announcement),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(has_new),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_of_input(announcement: &[u8]) -> bool {
    let mut words = announcement.split(|byte| *byte == 0);
    words.any(|word| word == b"SUBSYSTEM=input")
}

fn request_of(signal: Signal) -> Option<Request> {
    let (_, request) = REQUESTS.iter().find(|(known, _)| *known == signal)?;
    Some(*request)
}

const REQUESTS: [(Signal, Request); 4] = [
    (
        Signal::SIGINT,
        Request {
            cause: "SIGINT (Ctrl-Alt-Del)",
            action: PowerAction::Reboot,
        },
    ),
    (
        Signal::SIGTERM,
        Request {
            cause: "SIGTERM (reboot)",
            action: PowerAction::Reboot,
        },
    ),
    (
        Signal::SIGUSR1,
        Request {
            cause: "SIGUSR1 (halt)",
            action: PowerAction::Halt,
        },
    ),
    (
        Signal::SIGUSR2,
        Request {
            cause: "SIGUSR2 (poweroff)",
            action: PowerAction::PowerOff,
        },
    ),
];
/// An agent stops its work and both conversations in less; Metal3 waits 180 s for the whole machine.
const PROGRAMS_TIMEOUT: Duration = Duration::from_secs(20);
/// For shells and what they run, for each signal.
const PROCESSES_TIMEOUT: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    #[test]
    fn each_signal_of_busyboxs_commands_is_its_action() {
        let action = |signal| request_of(signal).map(|request| request.action);
        assert_eq!(action(Signal::SIGTERM), Some(PowerAction::Reboot));
        assert_eq!(action(Signal::SIGINT), Some(PowerAction::Reboot));
        assert_eq!(action(Signal::SIGUSR1), Some(PowerAction::Halt));
        assert_eq!(action(Signal::SIGUSR2), Some(PowerAction::PowerOff));
        assert_eq!(action(Signal::SIGHUP), None);
    }

    #[test]
    fn a_signal_that_came_is_the_next_request() {
        block_signals().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut sources = Sources::open(&Root::at(folder.path())).unwrap();
        assert_eq!(sources.signalled().unwrap(), None);
        raise(Signal::SIGUSR2).unwrap();
        let request = Request {
            cause: "SIGUSR2 (poweroff)",
            action: PowerAction::PowerOff,
        };
        assert_eq!(sources.next().unwrap(), request);
    }

    #[test]
    fn devices_that_are_no_buttons_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir_all(root.path("dev/input")).unwrap();
        for name in ["event0", "mice"] {
            fs::write(root.path("dev/input").join(name), "").unwrap();
        }
        let mut sources = Sources::open(&root).unwrap();
        assert!(sources.buttons.is_empty() && !sources.is_pressed());
    }

    #[test]
    fn an_input_device_that_comes_is_looked_at() {
        assert!(is_of_input(
            b"add@/devices/x/input/input1/event1\0ACTION=add\0SUBSYSTEM=input\0"
        ));
        assert!(!is_of_input(b"add@/devices/x\0SUBSYSTEM=inputs\0"));
        assert!(!is_of_input(b""));
    }

    #[test]
    fn programs_that_run_are_others_whatever_their_arguments_wait_for() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        assert!(!has_others(&root));
        let process = |pid: &str, rest: &str| {
            let path = root.path("proc").join(pid);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("stat"), format!("{pid} {rest} 9 0\n")).unwrap();
            // Whoever opens this waits until somebody writes, as for a process that a disk holds up.
            mkfifo(&path.join("cmdline"), Mode::S_IRWXU).unwrap();
        };
        process("1", "(init) S 0 1 1 0 -1 4194560");
        process("2", "(kthreadd) S 0 0 0 0 -1 2129984");
        process("self", "(init) S 0 1 1 0 -1 4194560");
        process("76", "(sh) Z 1 76 76 0 -1 4194560");
        assert!(!has_others(&root));
        process("77", "(a) b () D 1 77 77 0 -1 4194560");
        assert!(has_others(&root) && is_running(&root, 77));
        assert!(!is_running(&root, 76) && !is_running(&root, 78));
    }
}
