//! The machine's end, in order: nothing unwritten, nothing mounted, then the kernel is told.
//!
//! The agent calls this itself once it has said good-bye, and process 1 when it was asked to (`init::shutdown`). It needs `CAP_SYS_BOOT`,
//! not process 1's help, and so works as well in a ramdisk that another init started. Whether the machine may be switched off at all
//! is not asked here.

use crate::formats::mount_table::Mount;
use crate::logging;
use crate::progress::{Cancel, run_with_timeout};
use crate::root::Root;
use crate::sys::block::sync_within;
use nix::mount::{MntFlags, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What becomes of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAction {
    /// Still on, with nothing that runs.
    Halt,
    /// Off.
    PowerOff,
    /// Off and on again.
    Reboot,
}

/// Why the machine did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the system call nor the emergency key did it; the cause is the system call's.
    #[error("the kernel does not end the machine")]
    Refused(#[source] io::Error),
}

/// Ends the machine. Returns only when that failed.
pub fn end(root: &Root, action: PowerAction) -> Error {
    tracing::info!(end = ?action, "The machine ends");
    let is_flushed = sync(SYNC_TIMEOUT);
    let mounts = fs::read(root.path("proc/self/mountinfo")).unwrap_or_default();
    let left = unmount_all(disk_mounts(&mounts), UNMOUNT_TIMEOUT, |point| {
        umount2(point, MntFlags::empty())
    });
    // Unmounting writes, too; a disk that did not respond before is not waited for twice.
    if let (true, Some(left)) = (is_flushed, left) {
        sync(left);
    }
    logging::flush();
    // Where standard error is process 1's pipe, it has only taken the lines: let it show them.
    let _never = Cancel::default().wait(CONSOLE_PAUSE);
    let mode = match action {
        PowerAction::Halt => RebootMode::RB_HALT_SYSTEM,
        PowerAction::PowerOff => RebootMode::RB_POWER_OFF,
        PowerAction::Reboot => RebootMode::RB_AUTOBOOT,
    };
    let Err(refusal) = reboot(mode);
    tracing::error!(error = %refusal, "The kernel refuses; pressing its emergency key");
    if trigger_sysrq(root, action).is_ok() {
        // The key works from the kernel's own work queue.
        let _never = Cancel::default().wait(KEY_TIMEOUT);
    }
    Error::Refused(refusal.into())
}

/// The kernel's "magic SysRq" (Documentation/admin-guide/sysrq.rst), which asks for no rights but to write to the file.
fn trigger_sysrq(root: &Root, action: PowerAction) -> io::Result<()> {
    let key = match action {
        PowerAction::Halt => return Err(io::ErrorKind::Unsupported.into()),
        PowerAction::PowerOff => "o",
        PowerAction::Reboot => "b",
    };
    // Never a new file: on a machine without the key nothing was pressed.
    OpenOptions::new()
        .write(true)
        .open(root.path("proc/sysrq-trigger"))?
        .write_all(key.as_bytes())
}

/// Writes everything back, but waits for no disk for ever: one that does not respond must not hold the machine.
fn sync(timeout: Duration) -> bool {
    let is_done = sync_within(timeout).is_some();
    if !is_done {
        tracing::warn!(after = ?timeout, "some data could not be written to its disk in time");
    }
    is_done
}

/// Unmounts file systems one after the other, which writes to their disks: all of them together may take so long. Of the time that is
/// left each may take its share, so that one that does not respond leaves the others theirs. Returns what is left; `None` where one was
/// not unmounted in time.
fn unmount_all(
    points: Vec<PathBuf>,
    timeout: Duration,
    unmount: impl Fn(&Path) -> nix::Result<()> + Copy + Send + 'static,
) -> Option<Duration> {
    let end = Instant::now() + timeout;
    let left = || end.saturating_duration_since(Instant::now());
    let mut are_all_in_time = true;
    for (others, point) in (1..=points.len()).rev().zip(points) {
        let share = left() / u32::try_from(others).unwrap_or(u32::MAX);
        let shown = point.display().to_string();
        match run_with_timeout(share, move || unmount(&point)) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(point = shown, %error, "a file system stays mounted");
            }
            None => {
                are_all_in_time = false;
                tracing::warn!(point = shown, after = ?share, "a file system was not unmounted in time");
            }
        }
    }
    are_all_in_time.then(left)
}

/// The mount points of block devices, the latest mount first.
fn disk_mounts(table: &[u8]) -> Vec<PathBuf> {
    Mount::parse_all(table)
        .into_iter()
        .rev()
        .filter(|mount| mount.source.starts_with("/dev") && mount.point != Path::new("/"))
        .map(|mount| mount.point)
        .collect()
}

/// Time for the data of a large image to reach a slow disk.
const SYNC_TIMEOUT: Duration = Duration::from_secs(120);
/// For all file systems together, and for what unmounting wrote: the rest was written before.
const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(20);
const CONSOLE_PAUSE: Duration = Duration::from_millis(200);
const KEY_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_unmounted_in_reverse_order() {
        let mounts = b"22 1 0:5 / /proc rw - proc proc rw\n\
                       25 1 8:2 / /mnt/a\\040b rw - ext4 /dev/sda2 rw\n\
                       26 25 8:1 / /mnt/a\\040b/boot rw - vfat /dev/sda1 rw\n\
                       27 1 0:6 / /dev rw - devtmpfs devtmpfs rw\n";
        assert_eq!(
            disk_mounts(mounts),
            [PathBuf::from("/mnt/a b/boot"), PathBuf::from("/mnt/a b")]
        );
    }

    #[test]
    fn disks_that_do_not_respond_share_one_limit_and_keep_no_other_from_being_unmounted() {
        let (sender, unmounted) = std::sync::mpsc::channel();
        let sender: &'static _ = Box::leak(Box::new(sender));
        let unmount = move |point: &Path| {
            while point.starts_with("/hangs") {
                std::thread::park();
            }
            sender.send(point.to_owned()).unwrap();
            Ok(())
        };
        let limit = Duration::from_secs(1);
        let mut points: Vec<_> = (0..10).map(|n| format!("/hangs/{n}").into()).collect();
        points.push(PathBuf::from("/responds"));
        let start = Instant::now();
        assert_eq!(unmount_all(points, limit, unmount), None);
        let spent = start.elapsed();
        assert!(spent < 5 * limit, "each had a limit of its own: {spent:?}");
        assert_eq!(unmounted.try_recv(), Ok(PathBuf::from("/responds")));
        let rest = unmount_all(vec!["/a".into(), "/b".into()], 60 * limit, unmount);
        assert!(rest.is_some_and(|rest| rest > 10 * limit), "{rest:?}");
    }

    #[test]
    fn the_emergency_key_is_the_one_of_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let path = root.path("proc/sysrq-trigger");
        assert!(trigger_sysrq(&root, PowerAction::PowerOff).is_err() && !path.exists());
        fs::create_dir(folder.path().join("proc")).unwrap();
        assert!(trigger_sysrq(&root, PowerAction::Halt).is_err());
        for (action, key) in [(PowerAction::PowerOff, "o"), (PowerAction::Reboot, "b")] {
            fs::write(&path, "").unwrap();
            trigger_sysrq(&root, action).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), key);
        }
    }
}
