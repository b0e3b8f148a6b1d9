//! The network as a process of its own: what strangers on the wire say is read where no secret is, and a defect in it costs a
//! restart. Addresses in use stay with the kernel meanwhile.

use super::error::Error;
use super::view::Network;
use crate::config::KernelArgs;
use crate::handover::LogTail;
use crate::logging::{self, Log};
use crate::root::Root;
use crate::supervisor::Child;
use crate::sys::{inherited_fd, process};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::panic;
use std::time::{Duration, Instant};

/// Configures the machine's network for as long as it runs, and asks for addresses again at each `SIGHUP`. Closes the descriptor
/// that process 1 has handed over once the network is there; what it logs is in `own_log`, too, for the log archive. Call this
/// before any other thread exists, and start logging before.
///
/// # Errors
/// [`Error`] when there is no network to configure, or process 1 does not ask for it.
pub fn serve(
    root: &Root,
    handed_over: &[RawFd],
    own_log: Option<RawFd>,
    log: &Log,
) -> Result<Infallible, Error> {
    // Elsewhere it would take over the network of an installed system.
    if nix::unistd::getppid().as_raw() != 1 {
        return Err(Error::NotAChild);
    }
    end_with_any_thread();
    log.limit_lines();
    let ready: Vec<_> = handed_over
        .iter()
        .copied()
        .map(inherited_fd::take)
        .collect();
    match own_log.map(|number| LogTail::of(inherited_fd::take(number)?)) {
        None => {}
        Some(Ok(tail)) => log.ring.resume(Vec::new(), Box::new(tail)),
        Some(Err(error)) => {
            tracing::warn!(%error, "what this process logs is in no log archive");
        }
    }
    if let Err(error) = process::harden() {
        tracing::warn!(%error, "This process cannot be closed to others");
    }
    let mut moves = SigSet::empty();
    moves.add(Signal::SIGHUP);
    // Of every thread from now on: the signal waits for the loop below.
    moves
        .thread_block()
        .map_err(|error| Error::Signals(error.into()))?;
    let network = Network::start(root, &KernelArgs::of_kernel(root).unwrap_or_default())?;
    if !ready.is_empty() {
        network.wait_ready(TIMEOUT);
        drop(ready);
    }
    loop {
        moves.wait().map_err(|error| Error::Signals(error.into()))?;
        network.rebind().map_err(Error::Thread)?;
    }
}

/// Ends the process at a panic in any of its threads, once it is logged: process 1 restarts it. A
/// worker that is missing would go unnoticed, and its interface would never have an address again.
fn end_with_any_thread() {
    let log = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        log(panic);
        // Standard error is written by another thread, which ends here, too.
        logging::flush();
        std::process::abort();
    }));
}

/// Whether the network is there, to be asked of its process.
#[derive(Debug)]
pub(crate) struct Readiness(OwnedFd);

impl Readiness {
    /// Of a process that is to be started for the first time.
    pub(crate) fn of_first_start(network: &mut Child) -> io::Result<Self> {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        network.inherits_once(theirs);
        Ok(Self(ours))
    }

    /// Waits until the network is there, or its process has ended; at most so long.
    pub(crate) fn wait(&self, patience: Duration) -> io::Result<()> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            // Nothing is ever written: it is closed.
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], left) {
                Ok(0) => {
                    tracing::warn!(
                        seconds = patience.as_secs(),
                        "The network is not waited for any longer"
                    );
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// After this the network's process goes on without having an address; process 1 may have gone on before.
/// Slow controllers may need half a minute before there is an interface at all.
const TIMEOUT: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::invocation::Invocation;
    use crate::supervisor::{Inherited, Program, Restart, StopSignal};
    use crate::sys::netlink::{Changes, Netlink};
    use std::thread;

    fn ends_at_once() -> Child {
        let program = Program {
            path: "/bin/true".into(),
            arguments: Vec::new(),
            home: "/",
            invocation: Invocation::default(),
            restart: Restart::Service,
        };
        Child::new(program, Inherited::default())
    }

    #[test]
    fn a_process_that_ended_is_not_waited_for() {
        let mut network = ends_at_once();
        let ready = Readiness::of_first_start(&mut network).unwrap();
        network.start_if_due(&StopSignal::default());
        ready.wait(Duration::from_secs(3600)).unwrap();
    }

    #[test]
    fn a_process_that_is_not_ready_in_time_is_left_to_itself() {
        let mut network = ends_at_once();
        let ready = Readiness::of_first_start(&mut network).unwrap();
        ready.wait(Duration::ZERO).unwrap();
    }

    /// What the test below runs again, as a child of process 1 of a machine without a network.
    const CHILD: &str = "FERRITE_TEST_NETWORK_CHILD";

    #[test]
    fn a_panic_in_any_thread_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            return serve_with_a_thread_that_panics();
        }
        #[expect(clippy::disallowed_methods, reason = "the process is what is tested")]
        let output = std::process::Command::new("unshare")
            .args([
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--",
            ])
            .args(["/bin/sh", "-c", "\"$@\" & wait $!", "sh"])
            .arg(std::env::current_exe().unwrap())
            .arg("a_panic_in_any_thread_ends_the_process")
            .env(CHILD, "1")
            .output()
            .unwrap();
        // The shell's number of it.
        assert_eq!(
            output.status.code(),
            Some(128 + libc::SIGABRT),
            "{output:?}"
        );
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            log.contains("a thread panicked place=src/network/process.rs"),
            "{log}"
        );
    }

    fn serve_with_a_thread_that_panics() {
        let folder = tempfile::tempdir().unwrap();
        let log = logging::start();
        let panics = thread::spawn(|| {
            let changes = Changes::listen().unwrap();
            let mut netlink = Netlink::open().unwrap();
            // The process serves from now on: it has switched on an interface.
            while !netlink.links().unwrap().iter().any(|link| link.up) {
                changes.wait(Duration::from_secs(1)).unwrap();
            }
            panic!("a worker's defect");
        });
        thread::spawn(|| {
            let outlived = panics.join().is_err();
            #[expect(clippy::exit, reason = "the process is what is tested")]
            std::process::exit(i32::from(outlived));
        });
        let Err(error) = serve(&Root::at(folder.path()), &[], None, &log);
        panic!("{error}");
    }

    #[test]
    fn nobody_but_process_1_starts_it() {
        let root = Root::at("/nonexistent");
        assert!(matches!(
            serve(&root, &[], None, &Log::default()),
            Err(Error::NotAChild)
        ));
    }
}
