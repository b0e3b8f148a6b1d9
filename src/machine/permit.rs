//! Permit for destructive operations, granted only on a machine that was booted for them.
//!
//! Everything that writes to disks, firmware or the power state requires a [`Permit`]. One is
//! granted only if the root file system is a ramdisk, or if the operator set
//! `--allow-installed-system`.

use crate::error::{AgentError, ErrorClass};
use crate::formats::mount_table::Mount;
use crate::root::Root;
use std::fs;
use std::path::{Path, PathBuf};

/// Proof that this machine may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit(());

/// Whether the operator allows changes on an installed system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstalledSystem {
    /// `--allow-installed-system`.
    Allowed,
    /// The default.
    Protected,
}

/// Reason for denying a permit: the root file system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused: this machine was not booted into a ramdisk (its root file system is {0}), so the agent writes to no disk, \
     firmware or power state of it; boot the agent's ramdisk, or start the agent with --allow-installed-system"
)]
pub struct PermitDenied(String);

impl From<PermitDenied> for AgentError {
    fn from(refusal: PermitDenied) -> Self {
        Self::new(ErrorClass::CommandExecutionError, refusal.to_string())
    }
}

impl Permit {
    /// Obtains a permit for this machine.
    ///
    /// # Errors
    /// [`PermitDenied`] if `/` is not a ramdisk or cannot be verified as one, and the operator did
    /// not allow an installed system.
    pub fn obtain(root: &Root, installed: InstalledSystem) -> Result<Self, PermitDenied> {
        if installed == InstalledSystem::Allowed {
            return Ok(Self(()));
        }
        let table = fs::read(root.path("proc/self/mountinfo")).unwrap_or_default();
        let mounts = Mount::parse_all(&table);
        match mounts.iter().rfind(|mount| mount.point == Path::new("/")) {
            Some(mount) => match installed_by(
                &Seen {
                    root,
                    top: mount,
                    mounts: &mounts,
                },
                mount,
            ) {
                None => Ok(Self(())),
                Some(reason) => Err(PermitDenied(reason)),
            },
            None => Err(PermitDenied(
                "unknown: /proc/self/mountinfo does not tell".to_owned(),
            )),
        }
    }
}

/// Mounts in this process' mount namespace.
struct Seen<'a> {
    root: &'a Root,
    /// Mount at `/`.
    top: &'a Mount,
    mounts: &'a [Mount],
}

/// Returns the reason why a mount is not a ramdisk; `None` if it is one. A ramdisk is either in
/// memory with the whole system, or an overlay that writes to memory over live media.
fn installed_by(seen: &Seen<'_>, mount: &Mount) -> Option<String> {
    match mount.file_system.as_str() {
        _ if is_one_of(IN_MEMORY, mount) => system_elsewhere(seen),
        "overlay" => layer_elsewhere(seen, mount),
        other => Some(other.to_owned()),
    }
}

/// Returns a part of the system that is installed on a mount below a root in memory
/// (`systemd.volatile=yes`, a container's, `/nix`).
fn system_elsewhere(seen: &Seen<'_>) -> Option<String> {
    let program = fs::read_link(seen.root.path("proc/self/exe")).ok();
    // A program outside of the visible file system is no evidence.
    let program = program.filter(|program| seen.root.path(program).exists());
    let places = SYSTEM.iter().map(PathBuf::from).chain(program);
    let holders = places.map(|place| (seen.top.containing_mount(seen.mounts, &place), place));
    let mut below = holders.filter(|(holder, _)| holder.id != seen.top.id);
    below.find_map(|(holder, place)| {
        let reason = match holder.file_system.as_str() {
            _ if is_one_of(IN_MEMORY, holder) || is_one_of(LIVE_MEDIA, holder) => return None,
            "overlay" => layer_elsewhere(seen, holder)?,
            other => other.to_owned(),
        };
        Some(format!("in memory, and {} is on {reason}", place.display()))
    })
}

/// Returns a layer of an overlay that is installed, or cannot be ruled out to be.
fn layer_elsewhere(seen: &Seen<'_>, mount: &Mount) -> Option<String> {
    let Some(upper) = mount.upper() else {
        return Some("an overlay that writes nowhere".to_owned());
    };
    let lowers = mount.lowers();
    if lowers.is_empty() {
        return Some("an overlay of nothing that is told".to_owned());
    }
    let layers = std::iter::once((upper, "its changes", [IN_MEMORY, &[]])).chain(
        lowers
            .into_iter()
            .map(|lower| (lower, "what it shows", [IN_MEMORY, LIVE_MEDIA])),
    );
    layers.into_iter().find_map(|(path, what, harmless)| {
        let holder = seen.top.containing_mount(seen.mounts, &path);
        let shown = path.display();
        // The overlay's paths are those of the process that mounted it, for example on a
        // container's host.
        let is_here = path.is_absolute() && seen.root.path(&path).is_dir();
        if holder.id == mount.id || !is_here {
            Some(format!(
                "an overlay, and {shown} with {what} is out of sight"
            ))
        } else if harmless.iter().any(|known| is_one_of(known, holder)) {
            None
        } else {
            let file_system = &holder.file_system;
            Some(format!(
                "an overlay, and {shown} with {what} is on {file_system}"
            ))
        }
    })
}

fn is_one_of(known: &[&str], mount: &Mount) -> bool {
    known.contains(&mount.file_system.as_str())
}

const IN_MEMORY: &[&str] = &["ramfs", "rootfs", "tmpfs"];
/// Folders of an installed system. A ramdisk has no mounts of its own there (hier(7);
/// file-hierarchy(7); Nix).
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/gnu"];
/// Read-only file systems, on which no system is installed.
const LIVE_MEDIA: &[&str] = &["cramfs", "erofs", "iso9660", "squashfs"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn ask(mounts: &str) -> Result<Permit, PermitDenied> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        fs::write(folder.path().join("proc/self/mountinfo"), mounts).unwrap();
        for here in [
            "run/live/up",
            "run/live/image",
            "media/ro",
            "media/rw/up",
            "var/lib",
        ] {
            fs::create_dir_all(folder.path().join(here)).unwrap();
        }
        let program = Path::new("run/live/agent");
        fs::write(folder.path().join(program), "").unwrap();
        symlink(
            Path::new("/").join(program),
            folder.path().join("proc/self/exe"),
        )
        .unwrap();
        Permit::obtain(&Root::at(folder.path()), InstalledSystem::Protected)
    }

    #[test]
    fn a_ramdisk_may_write() {
        assert!(ask("1 1 0:2 / / rw - rootfs rootfs rw,size=200k\n").is_ok());
        assert!(ask("25 1 0:23 / / rw,relatime - tmpfs tmpfs rw\n").is_ok());
    }

    #[test]
    fn a_root_in_memory_counts_by_where_its_system_lies() {
        let with = |place: &str, mounted: &str| {
            ask(&format!(
                "25 1 0:23 / / rw - tmpfs tmpfs rw\n26 25 8:1 / {place} rw - {mounted} rw\n"
            ))
        };
        for (place, installed) in [("/usr", "ext4"), ("/nix", "btrfs"), ("/run/live", "xfs")] {
            let refusal = with(place, &format!("{installed} /dev/sda1")).map_err(|error| error.0);
            let what = if place == "/run/live" {
                "/run/live/agent"
            } else {
                place
            };
            let reason = format!("in memory, and {what} is on {installed}");
            assert_eq!(refusal, Err(reason), "{place}");
        }
        let overlay = "overlay overlay lowerdir=/sysroot,upperdir=/var/lib,";
        assert!(with("/usr", overlay).is_err());
        for (place, harmless) in [
            ("/usr", "squashfs /dev/loop0"),
            ("/run/live", "tmpfs none"),
            ("/mnt", "ext4 /dev/sda1"),
            ("/etc", "ext4 /dev/sda1"),
        ] {
            assert!(with(place, harmless).is_ok(), "{place}");
        }
    }

    #[test]
    fn an_installed_system_is_refused_with_its_reason() {
        let refusal = ask("25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n").unwrap_err();
        assert_eq!(refusal, PermitDenied("ext4".into()));
        assert!(refusal.to_string().contains("--allow-installed-system"));
    }

    #[test]
    fn what_is_mounted_over_the_ramdisk_counts() {
        let mounts = "1 1 0:2 / / rw - rootfs rootfs rw\n25 1 8:1 / / rw - xfs /dev/sda1 rw\n";
        assert_eq!(ask(mounts).unwrap_err(), PermitDenied("xfs".into()));
    }

    /// Returns the mount table of an overlay root with these options, and further mounts.
    fn overlay(options: &str, mounts: &[(&str, &str)]) -> String {
        let root = format!("25 1 0:30 / / rw - overlay overlay rw,{options}\n");
        let mounts = mounts.iter().zip(26..).map(|((point, file_system), id)| {
            format!("{id} 25 0:{id} / {point} rw - {file_system} source rw\n")
        });
        root + &mounts.collect::<String>()
    }

    fn reason(mounts: &str) -> String {
        ask(mounts).unwrap_err().0
    }

    #[test]
    fn an_overlay_counts_by_where_it_writes() {
        let options = "lowerdir=/run/live/image,upperdir=/run/live/up,workdir=/run/live/w";
        let on = |point, file_system| {
            overlay(
                options,
                &[("/run/live/image", "squashfs"), (point, file_system)],
            )
        };
        for memory in IN_MEMORY {
            assert!(ask(&on("/run/live/up", memory)).is_ok(), "{memory}");
        }
        assert_eq!(
            reason(&on("/run/live/up", "ext4")),
            "an overlay, and /run/live/up with its changes is on ext4"
        );
        assert_eq!(
            reason(&on("/run/liv", "tmpfs")),
            "an overlay, and /run/live/up with its changes is out of sight"
        );
    }

    #[test]
    fn an_overlay_counts_by_what_it_shows() {
        // Ubuntu's overlayroot=tmpfs over the disk, and live systems.
        let options = "lowerdir=/media/ro,upperdir=/media/rw/up,workdir=/media/rw/work";
        let of = |file_system| {
            overlay(
                options,
                &[("/media/ro", file_system), ("/media/rw", "tmpfs")],
            )
        };
        for live in ["cramfs", "erofs", "iso9660", "squashfs", "tmpfs", "ramfs"] {
            assert!(ask(&of(live)).is_ok(), "{live}");
        }
        for installed in ["ext4", "xfs", "btrfs", "vfat", "zfs", "overlay"] {
            assert_eq!(
                reason(&of(installed)),
                format!("an overlay, and /media/ro with what it shows is on {installed}")
            );
        }
        // One installed layer is enough.
        let options =
            "lowerdir=/run/live/image:/media/ro,upperdir=/media/rw/up,workdir=/media/rw/work";
        let mounts = [
            ("/run/live/image", "squashfs"),
            ("/media/ro", "ext4"),
            ("/media/rw", "tmpfs"),
        ];
        assert_eq!(
            reason(&overlay(options, &mounts)),
            "an overlay, and /media/ro with what it shows is on ext4"
        );
    }

    #[test]
    fn an_overlay_whose_folders_are_another_systems_is_refused() {
        // systemd.volatile=overlay uses /sysroot, which does not exist in the running system.
        let volatile = "lowerdir=/sysroot,upperdir=/media/rw/up,workdir=/media/rw/work";
        assert_eq!(
            reason(&overlay(volatile, &[("/media/rw", "tmpfs")])),
            "an overlay, and /sysroot with what it shows is out of sight"
        );
        // The paths of a container's overlay are the host's, whatever is mounted at them in the
        // container.
        let docker = "lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/var/lib/docker/overlay2/b/diff,workdir=/var/lib/w";
        for mounts in [&[][..], &[("/var/lib", "tmpfs")]] {
            assert_eq!(
                reason(&overlay(docker, mounts)),
                "an overlay, and /var/lib/docker/overlay2/b/diff with its changes is out of sight"
            );
        }
        let mounts = [("/media/ro", "squashfs"), ("/media/rw", "tmpfs")];
        for (options, told) in [
            (
                "lowerdir=media/ro,upperdir=/media/rw/up",
                "an overlay, and media/ro with what it shows is out of sight",
            ),
            ("lowerdir=/media/ro", "an overlay that writes nowhere"),
            (
                "upperdir=/media/rw/up",
                "an overlay of nothing that is told",
            ),
        ] {
            assert_eq!(reason(&overlay(options, &mounts)), told);
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        assert!(ask("").is_err());
        assert!(ask("nonsense\n").is_err());
    }

    #[test]
    fn the_operator_may_allow_it() {
        let nowhere = Root::at("/nonexistent");
        assert!(Permit::obtain(&nowhere, InstalledSystem::Allowed).is_ok());
    }
}
