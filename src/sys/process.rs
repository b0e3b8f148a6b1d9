//! Hides this process's memory, arguments and environment from other processes.

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

/// Protects this process's memory: no core dump, no tracing and no reading by other processes,
/// except with `CAP_SYS_PTRACE`.
///
/// If the process may lock memory without limit, its pages are never swapped out.
///
/// # Errors
/// The error of the first part that the kernel refuses.
pub fn harden() -> io::Result<()> {
    nix::sys::prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    if may_lock_all() {
        // Pages are locked on first use: stacks are large, and most of their pages are never used.
        let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
        mlockall(flags | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT))?;
    }
    Ok(())
}

/// Unblocks all signals in a program before it starts.
///
/// A child inherits the signals that this process blocks. A shell with `SIGINT` blocked cannot be
/// interrupted, nor can its children.
pub fn unblock_signals(program: &mut Command) -> &mut Command {
    let unblock = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one call, pthread_sigmask(3). It is
    // async-signal-safe and allocates nothing.
    unsafe { program.pre_exec(unblock) }
}

/// Returns whether this process may lock memory without limit. Under a limit, locking all pages
/// would make allocations fail early.
fn may_lock_all() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_capabilities(&status).is_some_and(|bits| bits & CAP_IPC_LOCK != 0)
}

/// Arguments and environment of this process, as other processes read them in `/proc/PID/cmdline`
/// and, for the same user, `environ`.
#[derive(Debug)]
pub struct Arguments(File);

impl Arguments {
    /// Opens this process's memory. Must be called before [`harden`], which denies that even to the
    /// process itself.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn reach() -> io::Result<Self> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/mem")
            .map(Self)
    }

    /// Overwrites secrets with `*`. `secrets` returns their ranges in a text of zero-terminated
    /// strings.
    ///
    /// # Errors
    /// The addresses cannot be determined, or the memory cannot be read or written.
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

/// Returns `arg_start..arg_end` and `env_start..env_end` (proc(5), fields 48 to 51 of `stat`).
fn arguments_and_variables() -> io::Result<[Range<u64>; 2]> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The process name in parentheses may contain any character.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let mut addresses = fields.split_whitespace().skip(45);
    let mut next = || addresses.next()?.parse::<u64>().ok();
    match (next(), next(), next(), next()) {
        (Some(a), Some(b), Some(c), Some(d)) if a <= b && c <= d => Ok([a..b, c..d]),
        _ => Err(io::Error::other("/proc/self/stat tells no addresses")),
    }
}

/// Bit 14 (linux/capability.h).
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
