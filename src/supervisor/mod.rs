//! Restarts the children of PID 1 and reaps orphans.
//!
//! There are two children: the agent and the network. Both run the same file as PID 1, so that the
//! ramdisk needs nothing else. A rescued machine has logins instead of the agent. An agent's state
//! for the next one is in memory files that it inherits; their descriptor numbers are its last
//! argument. The supervisor reads only the log among them, when agents exit repeatedly.
//!
//! [`supervise`] supervises the agent alone, on machines with another init.

pub(crate) mod invocation;
pub mod supervise;
pub(crate) mod watcher;

use crate::backoff::Backoff;
use crate::handover::{LogTail, StateHolder};
use crate::logging;
use crate::progress::Cancel;
use crate::sys::inherited_fd;
use crate::sys::process::unblock_signals;
use invocation::Invocation;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Program to supervise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Path of the executable.
    pub(crate) path: PathBuf,
    /// Arguments.
    pub(crate) arguments: Vec<String>,
    /// Home directory.
    pub(crate) home: &'static str,
    /// Further arguments, and environment variables besides the home directory and the search path.
    pub(crate) invocation: Invocation,
    /// Restart policy.
    pub(crate) restart: Restart,
}

/// Restart policy of a program that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// At once after a session: the user logged out, or the login timed out. After a pause if the
    /// program could not run at all.
    Login,
    /// After a pause: the program should not have ended.
    Service,
}

impl Restart {
    /// Returns whether a session ended. The exit code is that of the user's last command, so a run
    /// of [`MIN_SESSION`] counts as a session, too.
    fn is_session_end(self, end: WaitStatus, run: Duration) -> bool {
        self == Self::Login && (matches!(end, WaitStatus::Exited(_, 0)) || run >= MIN_SESSION)
    }

    /// Stops a program. A login may have become an interactive shell, which exits only on a hang-up
    /// of its terminal.
    fn end(self, pid: Pid, signal: Signal) {
        send_signal(pid, signal);
        if self == Self::Login {
            send_signal(pid, Signal::SIGHUP);
        }
    }
}

impl Program {
    /// Returns the agent, in the executable of this process.
    pub(crate) fn agent(invocation: Invocation) -> Self {
        Self {
            path: Path::new("/proc/self/exe").into(),
            arguments: vec![AGENT.to_owned()],
            home: "/",
            invocation,
            restart: Restart::Service,
        }
    }

    pub(crate) fn is_agent(&self) -> bool {
        self.arguments.first().is_some_and(|name| name == AGENT)
    }

    /// Returns the network process, in the executable of this process.
    pub(crate) fn network() -> Self {
        Self {
            path: Path::new("/proc/self/exe").into(),
            arguments: vec!["network".into()],
            home: "/",
            invocation: Invocation::default(),
            restart: Restart::Service,
        }
    }

    /// Starts the program with its inherited files, and passes their descriptor numbers.
    fn start_with(&self, inherited: &Inherited) -> io::Result<Pid> {
        let mut program = self.clone();
        let mut all = Vec::new();
        for (option, files) in inherited.options() {
            if files.is_empty() {
                continue;
            }
            let numbers = files.iter().map(|file| file.as_raw_fd().to_string());
            let numbers: Vec<_> = numbers.collect();
            program
                .arguments
                .extend([option.to_owned(), numbers.join(",")]);
            all.extend(files);
        }
        inherited_fd::started_with(&all, || program.start())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "process 1 starts the agent, and the logins of a rescued machine"
    )]
    fn start(&self) -> io::Result<Pid> {
        let mut command = std::process::Command::new(&self.path);
        let child = unblock_signals(&mut command)
            .args(&self.arguments)
            .args(self.invocation.options())
            .env_clear()
            .envs(self.invocation.variables())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.home)
            .env("LC_ALL", "C")
            .current_dir("/")
            .spawn()?;
        // Dropping a `Child` does not wait for it: `reap` does.
        i32::try_from(child.id())
            .map(Pid::from_raw)
            .map_err(io::Error::other)
    }
}

/// Files that a program inherits besides its standard streams.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// State of the agent for the next one.
    keeper: Option<StateHolder>,
    /// File for the first start only, which the program closes once it is ready.
    once: Option<OwnedFd>,
    /// Log of the program, if it is not part of the state.
    own_log: Option<LogTail>,
    /// Logs of other processes, which an agent collects.
    other_logs: Vec<OwnedFd>,
}

impl Inherited {
    /// Returns the files of an agent.
    pub(crate) fn agent(keeper: Option<StateHolder>, other_logs: Vec<OwnedFd>) -> Self {
        Self {
            keeper,
            other_logs,
            ..Self::default()
        }
    }

    /// Returns the files of another process of Ferrite.
    pub(crate) fn logging_to(own_log: Option<LogTail>) -> Self {
        Self {
            own_log,
            ..Self::default()
        }
    }

    /// Returns the options for descriptor numbers, with their files.
    fn options(&self) -> [(&'static str, Vec<BorrowedFd<'_>>); 3] {
        let kept = self.keeper.iter().flat_map(StateHolder::files);
        let once = self.once.iter().map(AsFd::as_fd);
        let own_log = self.own_log.iter().map(LogTail::descriptor);
        let other_logs = self.other_logs.iter().map(AsFd::as_fd);
        [
            (HANDED_OVER, kept.chain(once).collect()),
            (OWN_LOG, own_log.collect()),
            (OTHER_LOGS, other_logs.collect()),
        ]
    }

    /// Returns the last log lines of the program; `None` if they are not stored.
    fn last_lines(&self) -> Option<io::Result<Vec<String>>> {
        match (&self.keeper, &self.own_log) {
            (Some(keeper), _) => Some(keeper.last_lines(LAST_LINES)),
            (None, Some(log)) => Some(log.last(LAST_LINES)),
            (None, None) => None,
        }
    }
}

/// Supervises the programs until one ends and `enough` returns true, or until they have ended after
/// a stop signal. It runs on the process's main thread: only that one starts programs.
pub(crate) fn supervise(
    children: &mut [&mut Child],
    order: &StopSignal,
    enough: impl Fn(&Program, WaitStatus) -> bool,
) {
    for child in &mut *children {
        child.resume();
    }
    loop {
        if !order.is_sent() {
            for child in &mut *children {
                child.start_if_due(order);
            }
        } else if !children.iter().any(|child| child.is_running()) {
            return;
        }
        let idle = children.iter().all(|child| child.is_running());
        let Some(status) = reap(idle) else {
            // A program is due later, so it must not block in `waitpid`.
            let _never = Cancel::default().wait(POLL_INTERVAL);
            continue;
        };
        for child in &mut *children {
            if child.note_end(status, order) {
                if enough(&child.program, status) {
                    return;
                }
                child.start_again(status);
            }
        }
    }
}

/// Stop signal from another thread, and the programs that receive it.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    given: Mutex<Sent>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Sent {
    signal: Option<Signal>,
    running: Vec<(Pid, Restart)>,
}

impl StopSignal {
    /// Sends the signal to the running programs, and prevents further starts.
    pub(crate) fn send(&self, signal: Signal) {
        let mut given = self.sent();
        given.signal = Some(signal);
        given
            .running
            .iter()
            .for_each(|(pid, restart)| restart.end(*pid, signal));
    }

    /// Withdraws the signal: programs are restarted.
    pub(crate) fn withdraw(&self) {
        self.sent().signal = None;
        self.changed.notify_all();
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent().signal.is_some()
    }

    /// Returns the running programs, including those whose end is not noticed yet.
    pub(crate) fn running(&self) -> Vec<Pid> {
        self.sent().running.iter().map(|(pid, _)| *pid).collect()
    }

    /// Waits until the signal is withdrawn.
    pub(crate) fn wait_withdrawn(&self) {
        let is_given = |given: &mut Sent| given.signal.is_some();
        let _given = self
            .changed
            .wait_while(self.sent(), is_given)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn note_start(&self, pid: Pid, restart: Restart) {
        let mut given = self.sent();
        given.running.push((pid, restart));
        if let Some(signal) = given.signal {
            restart.end(pid, signal);
        }
    }

    fn note_end(&self, ended: Pid) {
        self.sent().running.retain(|(pid, _)| *pid != ended);
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send_signal(pid: Pid, signal: Signal) {
    if let Err(error) = kill(pid, signal) {
        tracing::warn!(pid = pid.as_raw(), %signal, %error, "A program cannot be sent a signal");
    }
}

/// Reaps a child, including orphans. Returns `None` if none has ended and `wait` is false, or if
/// there are no children.
fn reap(wait: bool) -> Option<WaitStatus> {
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

/// Supervised program.
pub(crate) struct Child {
    program: Program,
    inherited: Inherited,
    state: State,
    pause: RestartBackoff,
}

enum State {
    Due(Instant),
    Ended { run: Duration },
    Running { pid: Pid, since: Instant },
}

impl Child {
    pub(crate) fn new(program: Program, inherited: Inherited) -> Self {
        Self {
            program,
            inherited,
            state: State::Due(Instant::now()),
            pause: RestartBackoff::default(),
        }
    }

    /// Wipes and closes the state: there is no next agent, and this one may have died before it
    /// could.
    pub(crate) fn leave_nothing(&mut self) {
        let inherited = mem::take(&mut self.inherited);
        if let Some(keeper) = inherited.keeper
            && let Err(error) = keeper.wipe()
        {
            tracing::error!(%error, "cannot wipe what the agent left");
        }
    }

    /// Adds a file that the program inherits only at its next start.
    pub(crate) fn inherits_once(&mut self, file: OwnedFd) {
        self.inherited.once = Some(file);
    }

    /// Sends a signal to the program, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let State::Running { pid, .. } = self.state {
            send_signal(pid, signal);
        }
    }

    /// Makes a program due that ended when `enough` stopped the supervision.
    fn resume(&mut self) {
        if let State::Ended { .. } = self.state {
            self.state = State::Due(Instant::now());
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub(crate) fn start_if_due(&mut self, order: &StopSignal) {
        let now = Instant::now();
        if !matches!(self.state, State::Due(at) if at <= now) {
            return;
        }
        let program = self.program.path.display();
        let started = self.program.start_with(&self.inherited);
        self.inherited.once = None;
        match started {
            Ok(pid) => {
                // The other arguments may be secrets.
                let argument = self.program.arguments.first();
                match self.program.restart {
                    // A login starts with its own prompt, which this line would disturb.
                    Restart::Login => {
                        tracing::debug!(%program, pid = pid.as_raw(), "started a login");
                    }
                    Restart::Service => {
                        tracing::info!(%program, argument, pid = pid.as_raw(), "Started a program");
                    }
                }
                self.state = State::Running { pid, since: now };
                order.note_start(pid, self.program.restart);
            }
            Err(error) => {
                tracing::error!(%program, %error, "Cannot start a program");
                self.start_again_after(Duration::ZERO);
            }
        }
    }

    /// Records the end of a child. Returns whether it was this program.
    fn note_end(&mut self, end: WaitStatus, order: &StopSignal) -> bool {
        match self.state {
            State::Running { pid, since } if end.pid() == Some(pid) => {
                order.note_end(pid);
                let program = self.program.path.display();
                let run = since.elapsed();
                if self.program.restart.is_session_end(end, run) {
                    tracing::debug!(%program, end = exit_reason(end), "a session ended");
                } else {
                    tracing::warn!(%program, end = exit_reason(end), "A program ended");
                }
                self.state = State::Ended { run };
                true
            }
            _ => false,
        }
    }

    /// Schedules the restart of the ended program, and logs its last lines if it exits repeatedly.
    fn start_again(&mut self, end: WaitStatus) {
        let State::Ended { run } = self.state else {
            return;
        };
        if self.program.restart.is_session_end(end, run) {
            self.pause = RestartBackoff::default();
            // A program that exits at once must not use all the processor.
            self.state = State::Due(Instant::now() + PAUSES.first.saturating_sub(run));
            return;
        }
        let pause = self.start_again_after(run);
        if self.pause.rapid_exits >= MANY {
            let program = self.program.path.display();
            tracing::error!(
                %program,
                times = self.pause.rapid_exits,
                end = exit_reason(end),
                "THIS PROGRAM ENDS AGAIN AND AGAIN soon after its start. Its last lines follow: put right what they name, in the \
                 configuration or in the image. It is tried every {} seconds all the same",
                pause.as_secs(),
            );
            self.log_last_lines();
        }
    }

    fn start_again_after(&mut self, run: Duration) -> Duration {
        let pause = self.pause.after(run);
        let program = self.program.path.display();
        tracing::info!(%program, seconds = pause.as_secs(), "A program is started again soon");
        self.state = State::Due(Instant::now() + pause);
        pause
    }

    /// Prints the program's last lines, so that they stay visible.
    fn log_last_lines(&self) {
        match self.inherited.last_lines() {
            None => {}
            Some(Ok(lines)) => {
                let text: String = lines.iter().map(|line| format!("  | {line}\n")).collect();
                logging::print(&text);
            }
            Some(Err(error)) => tracing::error!(%error, "Its last lines cannot be read"),
        }
    }
}

/// Describes an exit status.
fn exit_reason(end: WaitStatus) -> String {
    match end {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
        other => format!("{other:?}"),
    }
}

/// Pause before a restart: longer after each rapid exit, short again after a stable run.
#[derive(Debug, Default)]
struct RestartBackoff {
    rapid_exits: u32,
}

impl RestartBackoff {
    fn after(&mut self, run: Duration) -> Duration {
        if run >= STABLE_RUN {
            self.rapid_exits = 0;
        }
        let pause = PAUSES.pause(self.rapid_exits);
        self.rapid_exits = self.rapid_exits.saturating_add(1);
        if self.rapid_exits >= MANY {
            return PAUSES.max;
        }
        pause
    }
}

/// Minimum duration of a session: no user logs in and out faster.
const MIN_SESSION: Duration = Duration::from_secs(5);
const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(1),
    // Pause of systemd before it restarts the Python agent.
    max: Duration::from_secs(30),
};
const STABLE_RUN: Duration = Duration::from_secs(120);
/// Number of rapid exits in a row that cannot be accidental.
const MANY: u32 = 5;
/// Lines of a program that exits repeatedly: they fit on a screen beside the surrounding messages.
const LAST_LINES: usize = 20;
/// Subcommand of the agent.
const AGENT: &str = "agent";
/// Option for the descriptor numbers of an agent's memory files, and of the file that the network
/// closes.
const HANDED_OVER: &str = "--handed-over";
/// Option for the descriptor number of a process's own log.
const OWN_LOG: &str = "--own-log";
/// Option for the descriptor numbers of other processes' logs.
const OTHER_LOGS: &str = "--other-logs";
/// Interval at which children are reaped while a program waits for its start.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::sys::signal::SigSet;
    use std::collections::BTreeSet;
    use std::fs;

    fn program(path: &str) -> Program {
        Program {
            path: path.into(),
            arguments: Vec::new(),
            home: "/",
            invocation: Invocation::default(),
            restart: Restart::Service,
        }
    }

    #[test]
    fn the_pause_grows_with_quick_ends_and_is_short_after_a_good_run() {
        let mut pause = RestartBackoff::default();
        let mut seconds = |run| pause.after(Duration::from_secs(run)).as_secs();
        assert_eq!(
            [0, 0, 0, 0, 0, 0, 0].map(&mut seconds),
            [1, 2, 4, 8, 30, 30, 30]
        );
        assert_eq!([120, 0].map(&mut seconds), [1, 2]);
    }

    #[test]
    fn the_end_of_a_program_is_noticed_and_it_is_due_again() {
        let (program, order) = (program("/bin/false"), StopSignal::default());
        let mut child = Child::new(program, Inherited::default());
        child.start_if_due(&order);
        let State::Running { pid, .. } = child.state else {
            panic!("it does not run");
        };
        // Not `reap`: it would reap the children of other tests, too.
        let end = waitpid(pid, None).unwrap();
        assert_eq!(end, WaitStatus::Exited(pid, 1));
        let other = WaitStatus::Exited(Pid::from_raw(1), 0);
        assert!(!child.note_end(other, &order) && child.is_running());
        assert!(child.note_end(end, &order) && !child.is_running());
        child.start_if_due(&order);
        assert!(!child.is_running(), "nobody said that it is to run again");
        child.start_again(end);
        child.start_if_due(&order);
        assert!(!child.is_running(), "the pause is not over");
    }

    #[test]
    fn a_program_that_is_started_after_the_order_to_end_is_told_too() {
        let order = StopSignal::default();
        order.send(Signal::SIGTERM);
        assert!(order.is_sent());
        let program = Program {
            arguments: vec!["1000".into()],
            ..program("/bin/sleep")
        };
        let mut child = Child::new(program, Inherited::default());
        child.start_if_due(&order);
        let State::Running { pid, .. } = child.state else {
            panic!("it does not run");
        };
        let end = waitpid(pid, None).unwrap();
        assert_eq!(end, WaitStatus::Signaled(pid, Signal::SIGTERM, false));
        assert_eq!(exit_reason(end), "killed by SIGTERM");
    }

    /// Returns the descriptors of this process that every program inherits, whatever opened them.
    fn inherited_by_all() -> BTreeSet<i32> {
        let folder = fs::read_dir("/proc/self/fd").unwrap();
        let numbers = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        numbers
            .map(|number| number.parse().unwrap())
            .filter(|number| {
                // One that is closed by now does not count.
                let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
                info.is_ok_and(|info| flags(&info) & libc::O_CLOEXEC == 0)
            })
            .collect()
    }

    fn flags(info: &str) -> i32 {
        let octal = info.lines().find_map(|line| line.strip_prefix("flags:"));
        i32::from_str_radix(octal.unwrap().trim(), 8).unwrap()
    }

    #[test]
    fn a_program_has_its_standard_streams_and_what_it_is_to_inherit_alone() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        let looks = format!(
            "for f in /proc/$$/fd/*; do [ -e $f ] && all=\"$all ${{f##*/}}\"; done; echo $all \"$@\" >{}",
            list.display()
        );
        let program = Program {
            arguments: ["-c", &looks, "sh"].map(str::to_owned).to_vec(),
            ..program("/bin/sh")
        };
        let numbers_of_next_start = |child: &mut Child| {
            child.state = State::Due(Instant::now());
            child.start_if_due(&StopSignal::default());
            let State::Running { pid, .. } = child.state else {
                panic!("it does not run");
            };
            assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0));
            fs::read_to_string(&list).unwrap().trim_end().to_owned()
        };
        let expected = |more: &[i32], told: &str| {
            let mut numbers = inherited_by_all();
            assert!(numbers.is_superset(&BTreeSet::from([0, 1, 2])));
            numbers.extend(more);
            let mut sorted: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            sorted.sort();
            format!("{} {told}", sorted.join(" ")).trim_end().to_owned()
        };

        let keeper = StateHolder::create().unwrap();
        let log = LogTail::create(c"test-log").unwrap();
        let other_log = log.read_only().unwrap();
        let other = other_log.as_raw_fd();
        let kept = keeper.files().map(|file| file.as_raw_fd());
        let numbers = kept.map(|number| number.to_string()).join(",");
        let told = format!("--handed-over {numbers} --other-logs {other}");
        let inherited = Inherited::agent(Some(keeper), vec![other_log]);
        let mut agent = Child::new(program.clone(), inherited);
        for _ in 0..2 {
            let all: Vec<_> = kept.into_iter().chain([other]).collect();
            assert_eq!(numbers_of_next_start(&mut agent), expected(&all, &told));
        }
        let mut login = Child::new(program.clone(), Inherited::default());
        assert_eq!(numbers_of_next_start(&mut login), expected(&[], ""));

        let (_ours, once) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let (number, own) = (once.as_raw_fd(), log.descriptor().as_raw_fd());
        let mut network = Child::new(program, Inherited::logging_to(Some(log)));
        network.inherits_once(once);
        assert_eq!(
            numbers_of_next_start(&mut network),
            expected(
                &[number, own],
                &format!("--handed-over {number} --own-log {own}")
            )
        );
        assert_eq!(
            numbers_of_next_start(&mut network),
            expected(&[own], &format!("--own-log {own}"))
        );
    }

    #[test]
    fn a_program_that_had_ended_when_it_was_enough_runs_again_when_it_is_kept_running_again() {
        let mut child = Child::new(program("/nonexistent"), Inherited::default());
        child.state = State::Ended {
            run: Duration::ZERO,
        };
        child.resume();
        assert!(matches!(child.state, State::Due(at) if at <= Instant::now()));
    }

    #[test]
    fn a_program_that_is_not_there_is_tried_again() {
        let program = program("/nonexistent");
        let mut child = Child::new(program, Inherited::default());
        child.start_if_due(&StopSignal::default());
        assert!(matches!(child.state, State::Due(at) if at > Instant::now()));
    }

    #[test]
    fn a_program_starts_with_no_signal_blocked() {
        let mut before = SigSet::empty();
        before.add(Signal::SIGTERM);
        before.add(Signal::SIGINT);
        before.thread_block().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let status = folder.path().join("status");
        // Not a shell, which would unblock the signals itself.
        let program = Program {
            arguments: vec!["/proc/self/status".into(), status.display().to_string()],
            ..program("/bin/cp")
        };
        let pid = program.start().unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0));
        let status = fs::read_to_string(status).unwrap();
        assert!(status.contains("SigBlk:\t0000000000000000\n"), "{status}");
    }

    #[test]
    fn an_order_ends_an_interactive_shell_that_a_login_became() {
        let order = StopSignal::default();
        let folder = tempfile::tempdir().unwrap();
        let [ready, never] = ["ready", "never"].map(|name| folder.path().join(name));
        for fifo in [&ready, &never] {
            nix::unistd::mkfifo(fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let line = format!(
            "trap '' TERM; echo >{}; : <{}",
            ready.display(),
            never.display()
        );
        let program = Program {
            arguments: vec!["-c".into(), line],
            restart: Restart::Login,
            ..program("/bin/sh")
        };
        let mut login = Child::new(program, Inherited::default());
        login.start_if_due(&order);
        let State::Running { pid, .. } = login.state else {
            panic!("it does not run");
        };
        assert_eq!(fs::read_to_string(ready).unwrap(), "\n");
        order.send(Signal::SIGTERM);
        let end = waitpid(pid, None).unwrap();
        assert_eq!(end, WaitStatus::Signaled(pid, Signal::SIGHUP, false));
    }

    #[test]
    fn an_order_knows_who_runs_and_can_be_withdrawn() {
        let order = StopSignal::default();
        let (one, two) = (Pid::from_raw(1_000_001), Pid::from_raw(1_000_002));
        order.note_start(one, Restart::Service);
        order.note_start(two, Restart::Service);
        assert_eq!(order.running(), [one, two]);
        order.note_end(one);
        assert_eq!(order.running(), [two]);
        order.note_end(two);
        assert!(order.running().is_empty() && !order.is_sent());
        order.send(Signal::SIGTERM);
        assert!(order.is_sent());
        order.withdraw();
        order.wait_withdrawn();
        assert!(!order.is_sent());
    }

    /// Returns the pause before the next start, after a run of so many seconds with this end.
    fn pause_after(child: &mut Child, seconds: u64, end: WaitStatus) -> Duration {
        child.state = State::Ended {
            run: Duration::from_secs(seconds),
        };
        let now = Instant::now();
        child.start_again(end);
        let State::Due(at) = child.state else {
            panic!("it is not due");
        };
        // Whole seconds: the rest is the duration of the test itself.
        Duration::from_secs((at - now).as_secs())
    }

    fn login() -> Child {
        let getty = Program {
            restart: Restart::Login,
            ..program("/sbin/getty")
        };
        Child::new(getty, Inherited::default())
    }

    #[test]
    fn a_login_comes_back_at_once_after_a_session() {
        let pid = Pid::from_raw(7);
        let mut login = login();
        // Sessions that end normally, with a failed last command, or by a hang-up.
        for (seconds, end) in [
            (1, WaitStatus::Exited(pid, 0)),
            (60, WaitStatus::Exited(pid, 0)),
            (20, WaitStatus::Exited(pid, 127)),
            (20, WaitStatus::Signaled(pid, Signal::SIGHUP, false)),
        ] {
            for _ in 0..=MANY {
                assert_eq!(
                    pause_after(&mut login, seconds, end),
                    Duration::ZERO,
                    "{end:?}"
                );
            }
        }
    }

    #[test]
    fn a_login_that_cannot_run_is_started_again_with_pauses() {
        let pid = Pid::from_raw(7);
        let mut login = login();
        let no_terminal = WaitStatus::Exited(pid, 1);
        let pauses = [0; 6].map(|_| pause_after(&mut login, 0, no_terminal).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 30, 30]);
        login.state = State::Ended {
            run: Duration::ZERO,
        };
        let now = Instant::now();
        login.start_again(WaitStatus::Exited(pid, 0));
        assert!(matches!(login.state, State::Due(at) if at > now));
    }
}
