//! Marks for lockdown and shutdown, written before Ironic gets the response to its command. If the
//! agent crashes after that, its successor finds the mark, serves no requests, and finishes the
//! job.
//!
//! The mark of a rescue has a file of its own (`rescue.rs`): other programs look for it, too.

use super::permit::Permit;
use super::power::PowerAction;
use super::rescue;
use crate::error::chain;
use crate::root::Root;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Error of writing a mark.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the mark {0}")]
pub struct Error(PathBuf, #[source] io::Error);

/// Logs a mark that could not be written. The command continues, because the mark matters only if
/// this agent crashes before it is done.
pub fn log_if_unset(marked: Result<(), Error>) {
    if let Err(error) = marked {
        let error = chain(&error);
        tracing::error!(
            error,
            "an agent that follows this one would not know of it and serve again"
        );
    }
}

/// Marks the machine as locked down. From then on `ferrite network` brings no interface up.
///
/// # Errors
/// [`Error`]: a restarted agent would serve requests again.
pub fn lock_down(root: &Root, _: Permit) -> Result<(), Error> {
    write(root.lockdown_mark(), "")
}

/// Returns whether the machine is locked down.
#[must_use]
pub fn is_locked_down(root: &Root) -> bool {
    root.lockdown_mark().exists()
}

/// Marks the machine for a power action.
///
/// # Errors
/// [`Error`]: a restarted agent would serve requests again.
pub fn end(root: &Root, _: Permit, action: PowerAction) -> Result<(), Error> {
    let mark = root.shutdown_mark();
    match boot(root) {
        Ok(boot) => write(mark, &format!("{} {boot}", name(action))),
        Err(error) => Err(Error(mark, error)),
    }
}

/// Returns whether there is a mark of any kind, with which no agent may serve requests.
#[must_use]
pub fn is_marked(root: &Root) -> bool {
    rescue::is_finished(root) || is_locked_down(root) || shutdown(root).is_some()
}

/// Returns the power action for which the machine was marked in this boot. A mark in a /run that
/// outlives its boot is ignored.
#[must_use]
pub fn shutdown(root: &Root) -> Option<PowerAction> {
    let text = fs::read_to_string(root.shutdown_mark()).ok()?;
    let (end, marked) = text.split_once(' ')?;
    let is_this_boot = boot(root).is_ok_and(|boot| boot == marked);
    let known = [
        PowerAction::Halt,
        PowerAction::PowerOff,
        PowerAction::Reboot,
    ];
    known
        .into_iter()
        .find(|known| is_this_boot && name(*known) == end)
}

const fn name(action: PowerAction) -> &'static str {
    match action {
        PowerAction::Halt => "halt",
        PowerAction::PowerOff => "power-off",
        PowerAction::Reboot => "reboot",
    }
}

/// Returns the kernel's identifier of this boot (Documentation/admin-guide/sysctl/kernel.rst,
/// "random").
fn boot(root: &Root) -> io::Result<String> {
    let id = fs::read_to_string(root.path("proc/sys/kernel/random/boot_id"))?;
    match id.trim() {
        "" => Err(ErrorKind::UnexpectedEof.into()),
        id => Ok(id.to_owned()),
    }
}

fn write(mark: PathBuf, text: &str) -> Result<(), Error> {
    let folder = mark.parent().unwrap_or(&mark);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&mark, text));
    written.map_err(|error| Error(mark, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::InstalledSystem;
    use tempfile::TempDir;

    fn machine(boot: &str) -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        restart(&root, boot);
        (folder, root)
    }

    fn restart(root: &Root, boot: &str) {
        let id = root.path("proc/sys/kernel/random/boot_id");
        fs::create_dir_all(id.parent().unwrap()).unwrap();
        fs::write(id, format!("{boot}\n")).unwrap();
    }

    fn permit(root: &Root) -> Permit {
        Permit::obtain(root, InstalledSystem::Allowed).unwrap()
    }

    #[test]
    fn a_machine_is_locked_down_by_its_mark() {
        let (_folder, root) = machine("one");
        assert!(!is_locked_down(&root));
        lock_down(&root, permit(&root)).unwrap();
        assert!(is_locked_down(&root));
        assert_eq!(shutdown(&root), None);
    }

    #[test]
    fn an_ending_is_known_in_the_boot_that_it_was_marked_in_and_in_no_other() {
        let (_folder, root) = machine("one");
        assert_eq!(shutdown(&root), None);
        for end_of_it in [
            PowerAction::Halt,
            PowerAction::PowerOff,
            PowerAction::Reboot,
        ] {
            restart(&root, "one");
            end(&root, permit(&root), end_of_it).unwrap();
            assert_eq!(shutdown(&root), Some(end_of_it));
            restart(&root, "two");
            assert_eq!(shutdown(&root), None);
        }
    }

    #[test]
    fn a_mark_that_cannot_be_written_is_told() {
        let (_folder, root) = machine("");
        // Without an identifier, a boot cannot be distinguished from another.
        assert!(end(&root, permit(&root), PowerAction::PowerOff).is_err());
        fs::write(root.path("run"), "no folder").unwrap();
        let error = lock_down(&root, permit(&root)).unwrap_err();
        assert!(chain(&error).starts_with("cannot write the mark "));
        assert!(!is_locked_down(&root));
    }
}
