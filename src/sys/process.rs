//! What this process lets others see of it.

use crate::formats::process_status::effective_capabilities;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::SigSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use zeroize::Zeroizing;

/// Closes this process to everybody else: no core dump, no tracing, no reading of its memory, but by who may trace everything
/// (`CAP_SYS_PTRACE`). And nothing of it is ever swapped out, where it may lock its memory.
///
/// # Errors
/// What the kernel says of the first part that it refuses.
pub fn harden() -> io::Result<()> {
    nix::sys::prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    if may_lock_all() {
        // Pages are locked when they are first used: stacks are large and mostly never are.
        let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
        mlockall(flags | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT))?;
    }
    Ok(())
}

/// Has a program start with no signal blocked, whatever this process has blocked for itself: a shell whose `SIGINT` is blocked
/// cannot be interrupted, nor can what is started in it.
pub fn unblock_signals(program: &mut Command) -> &mut Command {
    let unblock = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one call, pthread_sigmask(3), which is async-signal-safe, and allocates
    // nothing.
    unsafe { program.pre_exec(unblock) }
}

/// Whether this process may lock memory without limit. Under a limit, locking everything would make memory end early.
fn may_lock_all() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_capabilities(&status).is_some_and(|bits| bits & CAP_IPC_LOCK != 0)
}

/// The arguments and variables that this process was started with, as everybody reads them in `/proc/PID/cmdline` and (of its
/// user) `environ`.
#[derive(Debug)]
pub struct Arguments(File);

impl Arguments {
    /// Reaches them. To be called before [`harden`], which closes this process's memory even to itself.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reach() -> io::Result<Self> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/mem")
            .map(Self)
    }

    /// Writes over secrets among them; `secrets` finds their places in a text of words that end with a zero byte.
    ///
    /// # Errors
    /// The kernel does not tell where they are, or does not let them be written.
    pub fn mask(&self, secrets: impl Fn(&[u8]) -> Vec<Range<usize>>) -> io::Result<()> {
        for place in arguments_and_variables()? {
            let length = usize::try_from(place.end - place.start).map_err(io::Error::other)?;
            let mut words = Zeroizing::new(vec![0; length]);
            self.0.read_exact_at(&mut words, place.start)?;
            for secret in secrets(&words) {
                let at = u64::try_from(secret.start).map_err(io::Error::other)?;
                let stars = vec![b'*'; secret.len()];
                self.0.write_all_at(&stars, place.start + at)?;
            }
        }
        Ok(())
    }
}

/// `arg_start` to `arg_end`, and `env_start` to `env_end` (proc(5), fields 48 to 51 of `stat`).
fn arguments_and_variables() -> io::Result<[Range<u64>; 2]> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let mut addresses = fields.split_whitespace().skip(45);
    let mut next = || addresses.next()?.parse::<u64>().ok();
    match (next(), next(), next(), next()) {
        (Some(a), Some(b), Some(c), Some(d)) if a <= b && c <= d => Ok([a..b, c..d]),
        _ => Err(io::Error::other("/proc/self/stat tells no addresses")),
    }
}

/// linux/capability.h: the 15th.
const CAP_IPC_LOCK: u64 = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_finds_its_own_arguments() {
        let [arguments, _] = arguments_and_variables().unwrap();
        let shown = fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(
            arguments.end - arguments.start,
            u64::try_from(shown.len()).unwrap()
        );
    }
}
