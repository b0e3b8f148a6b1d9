//! Leave to do harm: given only on a machine that was booted for it.
//!
//! Whatever writes to disks, firmware or the power state asks for a [`Permit`]. There is one only where the root file system
//! is a ramdisk, or where the operator said `--allow-installed-system`.

use crate::error::{AgentError, ErrorClass};
use crate::formats::mount_table::Mount;
use crate::root::Root;
use std::fs;
use std::path::Path;

/// Proof that this machine may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit(());

/// Whether the operator lets the agent loose on an installed system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstalledSystem {
    /// `--allow-installed-system`.
    Allowed,
    /// The default.
    Protected,
}

/// Why there is no permit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused: this machine was not booted into a ramdisk (its root file system is {0}), so the agent writes to no disk, \
     firmware or power state of it; boot the agent's ramdisk, or start the agent with --allow-installed-system"
)]
pub struct Refusal(String);

impl From<Refusal> for AgentError {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorClass::CommandExecutionError, refusal.to_string())
    }
}

impl Permit {
    /// A permit for this machine, or why there is none.
    ///
    /// # Errors
    /// [`Refusal`] when `/` is not a ramdisk, or cannot be told to be one, and the operator did not allow it.
    pub fn ask(root: &Root, installed: InstalledSystem) -> Result<Self, Refusal> {
        if installed == InstalledSystem::Allowed {
            return Ok(Self(()));
        }
        let table = fs::read(root.path("proc/self/mountinfo")).unwrap_or_default();
        let mounts = Mount::parse_all(&table);
        match mounts.iter().rfind(|mount| mount.point == Path::new("/")) {
            Some(mount) if is_ramdisk(mount, &mounts) => Ok(Self(())),
            Some(mount) => Err(Refusal(mount.file_system.clone())),
            None => Err(Refusal(
                "unknown: /proc/self/mountinfo does not tell".to_owned(),
            )),
        }
    }
}

/// In memory itself, or an overlay that writes into memory.
fn is_ramdisk(mount: &Mount, mounts: &[Mount]) -> bool {
    match mount.file_system.as_str() {
        "overlay" => mount
            .path_option("upperdir")
            .and_then(|upper| holder(mounts, &upper))
            .is_some_and(|holder| IN_MEMORY.contains(&holder.file_system.as_str())),
        file_system => IN_MEMORY.contains(&file_system),
    }
}

const IN_MEMORY: &[&str] = &["ramfs", "rootfs", "tmpfs"];

/// The mount other than `/` that a path lies on.
fn holder<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| mount.point != Path::new("/") && path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(mounts: &str) -> Result<Permit, Refusal> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        fs::write(folder.path().join("proc/self/mountinfo"), mounts).unwrap();
        Permit::ask(&Root::at(folder.path()), InstalledSystem::Protected)
    }

    #[test]
    fn a_ramdisk_may_write() {
        assert!(ask("1 1 0:2 / / rw - rootfs rootfs rw,size=200k\n").is_ok());
        assert!(ask("25 1 0:23 / / rw,relatime - tmpfs tmpfs rw\n").is_ok());
    }

    #[test]
    fn an_installed_system_is_refused_with_its_reason() {
        let refusal = ask("25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n").unwrap_err();
        assert_eq!(refusal, Refusal("ext4".into()));
        assert!(refusal.to_string().contains("--allow-installed-system"));
    }

    #[test]
    fn what_is_mounted_over_the_ramdisk_counts() {
        let mounts = "1 1 0:2 / / rw - rootfs rootfs rw\n25 1 8:1 / / rw - xfs /dev/sda1 rw\n";
        assert_eq!(ask(mounts).unwrap_err(), Refusal("xfs".into()));
    }

    #[test]
    fn an_overlay_counts_by_where_it_writes() {
        let live = "20 1 0:20 / /run/live rw - tmpfs tmpfs rw\n\
                    25 1 0:30 / / rw - overlay overlay rw,lowerdir=/run/ro,upperdir=/run/live/up,workdir=/run/live/w\n";
        assert!(ask(live).is_ok());
        assert_eq!(
            ask(&live.replace("- tmpfs tmpfs", "- ext4 /dev/sda2")).unwrap_err(),
            Refusal("overlay".into())
        );
        assert_eq!(
            ask(&live.replace("/run/live rw", "/run/liv rw")).unwrap_err(),
            Refusal("overlay".into())
        );
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        assert!(ask("").is_err());
        assert!(ask("nonsense\n").is_err());
    }

    #[test]
    fn the_operator_may_allow_it() {
        let nowhere = Root::at("/nonexistent");
        assert!(Permit::ask(&nowhere, InstalledSystem::Allowed).is_ok());
    }
}
