//! Process 1's one child of its own: the agent, started again whenever it ends; and the burial of everybody else's children.
//!
//! The agent is the same file as process 1, so that the ramdisk needs nothing else. A later version may hand a restarted
//! agent the secrets of the one before over a descriptor that the child inherits: [`Agent::start`] is the place.

use crate::progress::Cancel;
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How to start the agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// Our own file.
    pub(super) program: PathBuf,
    /// Its subcommand.
    pub(super) argument: &'static str,
}

impl Agent {
    /// The agent in the file that this process runs.
    pub(super) fn of_this_file() -> Self {
        Self {
            program: Path::new("/proc/self/exe").into(),
            argument: "agent",
        }
    }

    /// Keeps the agent running, for ever. Runs on process 1's main thread.
    pub(super) fn keep_running(&self) -> ! {
        let mut pause = Pause::default();
        loop {
            let start = Instant::now();
            match self.start() {
                Ok(agent) => {
                    tracing::info!(pid = agent.as_raw(), "Started the agent");
                    let end = bury_until(agent);
                    tracing::error!(?end, "The agent ended");
                }
                Err(error) => tracing::error!(%error, "Cannot start the agent"),
            }
            let pause = pause.after(start.elapsed());
            tracing::info!(seconds = pause.as_secs(), "Starting the agent again soon");
            let _never = Cancel::default().wait(pause);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "process 1 starts one program, and it is its own file"
    )]
    fn start(&self) -> io::Result<Pid> {
        let child = std::process::Command::new(&self.program)
            .arg(self.argument)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/")
            .env("LC_ALL", "C")
            .current_dir("/")
            .spawn()?;
        // Dropping a `Child` does not wait for it: `bury_until` does.
        i32::try_from(child.id())
            .map(Pid::from_raw)
            .map_err(io::Error::other)
    }
}

/// Waits for children of all kinds, orphans of the agent's tools among them, until the one named has ended.
fn bury_until(agent: Pid) -> Option<WaitStatus> {
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(agent) => return Some(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::error!(%error, "The agent is nobody's child");
                return None;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_agents_end_is_noticed() {
        let agent = Agent {
            program: "/bin/false".into(),
            argument: "agent",
        };
        let pid = agent.start().unwrap();
        // Not `bury_until`: it would bury other tests' children, too.
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 1));
    }
}
