//! Power actions: writes back all data, unmounts disks, then calls reboot(2).
//!
//! The agent calls this itself after its shutdown, and process 1 on request (`init::shutdown`). It
//! needs `CAP_SYS_BOOT`, but not the help of process 1, so it also works in a ramdisk with another
//! init. Permission for the power action is not checked here.

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

/// Power action for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAction {
    /// Halt: the machine stays on, with nothing running.
    Halt,
    /// Power off.
    PowerOff,
    /// Reboot.
    Reboot,
}

/// Error of a power action.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither reboot(2) nor SysRq worked; the source is the error of reboot(2).
    #[error("the kernel does not end the machine")]
    Refused(#[source] io::Error),
}

/// Performs a power action. Returns only on failure.
pub fn end(root: &Root, action: PowerAction) -> Error {
    tracing::info!(end = ?action, "The machine ends");
    let is_flushed = sync(SYNC_TIMEOUT);
    let mounts = fs::read(root.path("proc/self/mountinfo")).unwrap_or_default();
    let left = unmount_all(disk_mounts(&mounts), UNMOUNT_TIMEOUT, |point| {
        umount2(point, MntFlags::empty())
    });
    // Unmounting writes, too. A disk that did not respond before is not waited for twice.
    if let (true, Some(left)) = (is_flushed, left) {
        sync(left);
    }
    logging::flush();
    // If standard error is a pipe to process 1, it has only accepted the lines: give it time to
    // print them.
    let _never = Cancel::default().wait(CONSOLE_PAUSE);
    let mode = match action {
        PowerAction::Halt => RebootMode::RB_HALT_SYSTEM,
        PowerAction::PowerOff => RebootMode::RB_POWER_OFF,
        PowerAction::Reboot => RebootMode::RB_AUTOBOOT,
    };
    let Err(refusal) = reboot(mode);
    tracing::error!(error = %refusal, "The kernel refuses; pressing its emergency key");
    if trigger_sysrq(root, action).is_ok() {
        // SysRq runs asynchronously, from the kernel's work queue.
        let _never = Cancel::default().wait(KEY_TIMEOUT);
    }
    Error::Refused(refusal.into())
}

/// Triggers the kernel's SysRq (Documentation/admin-guide/sysrq.rst), which needs only write
/// permission for the file.
fn trigger_sysrq(root: &Root, action: PowerAction) -> io::Result<()> {
    let key = match action {
        PowerAction::Halt => return Err(io::ErrorKind::Unsupported.into()),
        PowerAction::PowerOff => "o",
        PowerAction::Reboot => "b",
    };
    // Never create the file: without SysRq that would look like success.
    OpenOptions::new()
        .write(true)
        .open(root.path("proc/sysrq-trigger"))?
        .write_all(key.as_bytes())
}

/// Writes back all data. The timeout bounds the wait for a disk that does not respond. Returns
/// whether the data was written in time.
fn sync(timeout: Duration) -> bool {
    let is_done = sync_within(timeout).is_some();
    if !is_done {
        tracing::warn!(after = ?timeout, "some data could not be written to its disk in time");
    }
    is_done
}

/// Unmounts file systems one after the other, within a common timeout, because unmounting writes to
/// their disks.
///
/// Each file system gets an equal share of the time left, so that one that does not respond leaves
/// time for the others. Returns the time left; `None` if one was not unmounted in time.
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

/// Returns the mount points of block devices, the latest mount first.
fn disk_mounts(table: &[u8]) -> Vec<PathBuf> {
    Mount::parse_all(table)
        .into_iter()
        .rev()
        .filter(|mount| mount.source.starts_with("/dev") && mount.point != Path::new("/"))
        .map(|mount| mount.point)
        .collect()
}

/// Allows the data of a large image to reach a slow disk.
const SYNC_TIMEOUT: Duration = Duration::from_secs(120);
/// Timeout for unmounting all file systems and for writing back what that wrote: everything else is
/// written before.
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
