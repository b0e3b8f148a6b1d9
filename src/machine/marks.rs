//! Marks of what Ironic told the machine to become, set before Ironic hears that it will: an agent that dies afterwards is followed
//! by one that finds the mark, serves nobody, and does it.
//!
//! That of a rescue has a file of its own (`rescue.rs`): others look for it, too.

use super::permit::Permit;
use super::power::PowerAction;
use super::rescue;
use crate::error::chain;
use crate::root::Root;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A mark cannot be set.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the mark {0}")]
pub struct Error(PathBuf, #[source] io::Error);

/// What Ironic wants is done all the same, for the mark is of use only where this agent dies before.
pub fn log_if_unset(marked: Result<(), Error>) {
    if let Err(error) = marked {
        let error = chain(&error);
        tracing::error!(
            error,
            "an agent that follows this one would not know of it and serve again"
        );
    }
}

/// Marks the machine as locked down. From then on `ferrite network` switches no interface on.
///
/// # Errors
/// [`Error`]: the next agent would serve again.
pub fn lock_down(root: &Root, _: Permit) -> Result<(), Error> {
    write(root.lockdown_mark(), "")
}

/// Whether the machine was locked down.
#[must_use]
pub fn is_locked_down(root: &Root) -> bool {
    root.lockdown_mark().exists()
}

/// Marks the machine as one that is to end.
///
/// # Errors
/// [`Error`]: the next agent would serve again.
pub fn end(root: &Root, _: Permit, action: PowerAction) -> Result<(), Error> {
    let mark = root.shutdown_mark();
    match boot(root) {
        Ok(boot) => write(mark, &format!("{} {boot}", name(action))),
        Err(error) => Err(Error(mark, error)),
    }
}

/// Whether there is a mark of any kind: no agent may serve any more.
#[must_use]
pub fn is_marked(root: &Root) -> bool {
    rescue::is_finished(root) || is_locked_down(root) || shutdown(root).is_some()
}

/// How the machine is to end, where it was marked in this boot: a /run that outlives its boot ends no other.
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

/// What the kernel calls this boot (Documentation/admin-guide/sysctl/kernel.rst, "random").
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
        // A boot without a name cannot be told from another.
        assert!(end(&root, permit(&root), PowerAction::PowerOff).is_err());
        fs::write(root.path("run"), "no folder").unwrap();
        let error = lock_down(&root, permit(&root)).unwrap_err();
        assert!(chain(&error).starts_with("cannot write the mark "));
        assert!(!is_locked_down(&root));
    }
}
