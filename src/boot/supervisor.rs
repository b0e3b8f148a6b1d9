//! Process 1's children: kept running, started again whenever they end; and the burial of everybody else's children.
//!
//! There is one: the agent, the same file as process 1, so that the ramdisk needs nothing else. A machine that was handed to
//! its owner has logins instead. A later version may hand a restarted agent the secrets of the one before over a descriptor that
//! the child inherits: `start` is the place.

use crate::progress::Cancel;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A program, and how it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Its file.
    pub(super) path: PathBuf,
    /// What it is told.
    pub(super) arguments: Vec<String>,
    /// Its home.
    pub(super) home: &'static str,
}

impl Program {
    /// The agent in the file that this process runs.
    pub(super) fn agent() -> Self {
        Self {
            path: Path::new("/proc/self/exe").into(),
            arguments: vec!["agent".into()],
            home: "/",
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "process 1 starts the agent, and the logins of a rescued machine"
    )]
    fn start(&self) -> io::Result<Pid> {
        let child = std::process::Command::new(&self.path)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.home)
            .env("LC_ALL", "C")
            .current_dir("/")
            .spawn()?;
        // Dropping a `Child` does not wait for it: `bury` does.
        i32::try_from(child.id())
            .map(Pid::from_raw)
            .map_err(io::Error::other)
    }
}

/// Keeps the programs running, until one has ended and it is enough. Runs on process 1's main thread.
pub(super) fn keep_running(programs: &[Program], enough: impl Fn() -> bool) {
    let mut children: Vec<_> = programs.iter().map(Child::new).collect();
    loop {
        for child in &mut children {
            child.start_if_due();
        }
        let idle = children.iter().all(Child::is_running);
        let Some(status) = bury(idle) else {
            // Somebody waits for a start: nobody's end is waited for.
            let _never = Cancel::default().wait(LOOK_AROUND);
            continue;
        };
        for child in &mut children {
            if child.note_end(status) && enough() {
                return;
            }
        }
    }
}

/// The end of a child of any kind, orphans of ours among them. `None` when there is none now and none is to be waited for.
fn bury(wait: bool) -> Option<WaitStatus> {
    let flags = if wait {
        WaitPidFlag::empty()
    } else {
        WaitPidFlag::WNOHANG
    };
    loop {
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
            Ok(status) => return Some(status),
            Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::error!(%error, "Cannot wait for children");
                return None;
            }
        }
    }
}

/// A program while it is kept running.
struct Child<'a> {
    program: &'a Program,
    state: State,
    pause: Pause,
}

enum State {
    Due(Instant),
    Running { pid: Pid, since: Instant },
}

impl<'a> Child<'a> {
    fn new(program: &'a Program) -> Self {
        Self {
            program,
            state: State::Due(Instant::now()),
            pause: Pause::default(),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn start_if_due(&mut self) {
        let now = Instant::now();
        if !matches!(self.state, State::Due(at) if at <= now) {
            return;
        }
        let program = self.program.path.display();
        match self.program.start() {
            Ok(pid) => {
                let arguments = self.program.arguments.join(" ");
                tracing::info!(%program, arguments, pid = pid.as_raw(), "Started a program");
                self.state = State::Running { pid, since: now };
            }
            Err(error) => {
                tracing::error!(%program, %error, "Cannot start a program");
                self.start_again_after(Duration::ZERO);
            }
        }
    }

    /// Whether this is the end of ours.
    fn note_end(&mut self, end: WaitStatus) -> bool {
        match self.state {
            State::Running { pid, since } if end.pid() == Some(pid) => {
                let program = self.program.path.display();
                tracing::warn!(%program, ?end, "A program ended");
                self.start_again_after(since.elapsed());
                true
            }
            _ => false,
        }
    }

    fn start_again_after(&mut self, run: Duration) {
        let pause = self.pause.after(run);
        let program = self.program.path.display();
        tracing::info!(%program, seconds = pause.as_secs(), "A program is started again soon");
        self.state = State::Due(Instant::now() + pause);
    }
}

/// The pause before the next start: longer after each quick end, short again after a good run.
#[derive(Debug, Default)]
struct Pause {
    quick_ends: u32,
}

impl Pause {
    fn after(&mut self, run: Duration) -> Duration {
        if run >= GOOD_RUN {
            self.quick_ends = 0;
        }
        let pause = SHORTEST * 2u32.saturating_pow(self.quick_ends);
        self.quick_ends += 1;
        pause.min(LONGEST)
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
/// What systemd waits in front of the Python agent.
const LONGEST: Duration = Duration::from_secs(30);
const GOOD_RUN: Duration = Duration::from_secs(120);
/// How often children are buried while a program waits for its start.
const LOOK_AROUND: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str) -> Program {
        Program {
            path: path.into(),
            arguments: Vec::new(),
            home: "/",
        }
    }

    #[test]
    fn the_pause_grows_with_quick_ends_and_is_short_after_a_good_run() {
        let mut pause = Pause::default();
        let mut seconds = |run| pause.after(Duration::from_secs(run)).as_secs();
        assert_eq!(
            [0, 0, 0, 0, 0, 0, 0].map(&mut seconds),
            [1, 2, 4, 8, 16, 30, 30]
        );
        assert_eq!([120, 0].map(&mut seconds), [1, 2]);
    }

    #[test]
    fn the_end_of_a_program_is_noticed_and_it_is_due_again() {
        let program = program("/bin/false");
        let mut child = Child::new(&program);
        child.start_if_due();
        let State::Running { pid, .. } = child.state else {
            panic!("it does not run");
        };
        // Not `bury`: it would bury other tests' children, too.
        let end = waitpid(pid, None).unwrap();
        assert_eq!(end, WaitStatus::Exited(pid, 1));
        let other = WaitStatus::Exited(Pid::from_raw(1), 0);
        assert!(!child.note_end(other) && child.is_running());
        assert!(child.note_end(end) && !child.is_running());
        child.start_if_due();
        assert!(!child.is_running(), "the pause is not over");
    }

    #[test]
    fn a_program_that_is_not_there_is_tried_again() {
        let program = program("/nonexistent");
        let mut child = Child::new(&program);
        child.start_if_due();
        assert!(matches!(child.state, State::Due(at) if at > Instant::now()));
    }
}
