//! Checks whether this process can power off or reboot the machine, before Ironic gets a response.

use crate::error::{AgentError, ErrorClass};
use crate::formats::process_status::effective_capabilities;
use crate::root::Root;
use std::fs::{self, OpenOptions};

/// Error: this process can neither call reboot(2) nor trigger SysRq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may neither tell the kernel to end the machine (it has no CAP_SYS_BOOT) nor press its emergency key \
     (/proc/sysrq-trigger)"
)]
pub struct NoPowerControl;

impl From<NoPowerControl> for AgentError {
    fn from(error: NoPowerControl) -> Self {
        Self::caused(ErrorClass::SystemRebootError, &error)
    }
}

/// Checks that one of the two ways to end the machine is available.
///
/// # Errors
/// [`NoPowerControl`].
pub fn check(root: &Root) -> Result<(), NoPowerControl> {
    // Opening the file does not trigger SysRq.
    let key = || {
        OpenOptions::new()
            .write(true)
            .open(root.path("proc/sysrq-trigger"))
    };
    if may_reboot(root) || key().is_ok() {
        Ok(())
    } else {
        Err(NoPowerControl)
    }
}

/// Returns whether reboot(2) is permitted. The capability counts only in the initial user
/// namespace, where all user IDs map to themselves. If the kernel does not report them, assumes
/// yes.
fn may_reboot(root: &Root) -> bool {
    let read = |path: &str| fs::read_to_string(root.path(path)).ok();
    let capable = read("proc/self/status").and_then(|status| {
        let rights = effective_capabilities(&status)?;
        Some(rights >> CAP_SYS_BOOT & 1 == 1)
    });
    let own = read("proc/self/uid_map").map(|map| {
        let mut words = map.split_ascii_whitespace();
        words.by_ref().take(3).eq(["0", "0", EVERY_USER]) && words.next().is_none()
    });
    capable.unwrap_or(true) && own.unwrap_or(true)
}

/// Value from `linux/capability.h`.
const CAP_SYS_BOOT: u32 = 22;
const EVERY_USER: &str = "4294967295";

#[cfg(test)]
mod tests {
    use super::*;

    fn check_with(files: &[(&str, &str)]) -> Result<(), NoPowerControl> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        for (path, text) in files {
            fs::write(folder.path().join("proc").join(path), text).unwrap();
        }
        check(&Root::at(folder.path()))
    }

    const ALL: (&str, &str) = ("self/status", "Name:\tferrite\nCapEff:\t000001ffffffffff\n");
    const NONE: (&str, &str) = ("self/status", "CapEff:\t0000000000000000\n");
    const ALL_BUT_BOOT: (&str, &str) = ("self/status", "CapEff:\t000001ffffbfffff\n");
    const OWN: (&str, &str) = ("self/uid_map", "         0          0 4294967295\n");
    const OTHERS: (&str, &str) = ("self/uid_map", "         0      65534          1\n");
    const KEY: (&str, &str) = ("sysrq-trigger", "");

    #[test]
    fn the_right_or_the_emergency_key_is_enough() {
        assert_eq!(check_with(&[ALL, OWN]), Ok(()));
        assert_eq!(check_with(&[NONE, OWN, KEY]), Ok(()));
        assert_eq!(check_with(&[]), Ok(()));
    }

    #[test]
    fn without_either_there_is_no_power() {
        assert_eq!(check_with(&[NONE, OWN]), Err(NoPowerControl));
        assert_eq!(check_with(&[ALL_BUT_BOOT, OWN]), Err(NoPowerControl));
    }

    #[test]
    fn the_right_within_a_namespace_of_ones_own_is_none() {
        assert_eq!(check_with(&[ALL, OTHERS]), Err(NoPowerControl));
    }
}
