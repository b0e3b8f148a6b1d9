//! Erases metadata: partition tables and the signatures of file systems, LVM, RAID and encryption
//! on disks and partitions.
//!
//! It does not search for known signatures. It zeroes where signatures are: both ends of every
//! partition and of the disk. Then it reads the zeroes back from the device.

use super::{DiskOutcome, Failed, Outcome};
use crate::formats::guid::Guid;
use crate::formats::probe::{self, Volume};
use crate::progress::Cancel;
use crate::root::Root;
use crate::storage::Error;
use crate::storage::chosen::Chosen;
use crate::storage::disk::{Access, Disk, Window};
use crate::storage::partition::{self, Kind};
use crate::sys::block;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// Policy for special disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Policy for disks with members of md arrays.
    pub array_members: ArrayMembers,
    /// Policy for disks with a shared file system.
    pub shared: Shared,
    /// Policy for disks that refuse writes.
    pub read_only: ReadOnly,
}

/// Policy for a disk that is a member of an md array, or has a partition that is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayMembers {
    /// Erases it like the others.
    Erase,
    /// Skips it, as IPA does: arrays belong to the operator's RAID configuration.
    Skip,
}

/// Policy for a disk with GPFS, VMFS or GFS2 on it: other machines may be using it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Erases it like the others.
    Erase,
    /// Leaves it unchanged and fails the erasure.
    Protect,
}

/// Policy for a disk that refuses writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// Fails the erasure.
    Fail,
    /// Skips it.
    Skip,
}

/// Erases the metadata of disks and of their partitions, in reverse order of names. It examines
/// every disk before it erases the first. A disk that cannot be erased does not prevent the erasure
/// of the others.
///
/// # Errors
/// [`Failed`] names every disk that was not erased and why.
pub fn erase(
    root: &Root,
    disks: &[Chosen],
    rules: Rules,
    cancel: &Cancel,
) -> Result<Vec<Outcome>, Failed> {
    let mut disks = disks.to_vec();
    disks.sort_by_key(Chosen::path);
    disks.dedup();
    let examined: Vec<_> = (disks.into_iter().rev())
        .map(|disk| (examine(root, &disk, rules), disk))
        .collect();
    let mut outcomes = Vec::new();
    let mut failures = Vec::new();
    for (examined, disk) in examined {
        let done = examined.and_then(|verdict| match verdict {
            Plan::Erase(ranges) => erase_disk(&disk, &ranges, cancel),
            Plan::Skip(done) => Ok(done),
        });
        let disk = disk.path();
        match done {
            Ok(done) => {
                tracing::info!(disk = %disk.display(), ?done, "metadata erasure of a disk ended");
                outcomes.push(Outcome { disk, done });
            }
            Err(error) => {
                tracing::error!(disk = %disk.display(), error = crate::error::chain(&error), "metadata of a disk was not erased");
                failures.push((disk, error));
            }
        }
    }
    if failures.is_empty() {
        Ok(outcomes)
    } else {
        Err(Failed(failures))
    }
}

enum Plan {
    Erase(Vec<Range>),
    Skip(DiskOutcome),
}

/// Byte range of a partition on its disk, or of the whole disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    start: u64,
    bytes: u64,
}

impl Range {
    /// Returns the two ends, where signatures are.
    fn ends(self) -> [Self; 2] {
        let head = self.bytes.min(HEAD);
        let tail = (self.bytes - head).min(TAIL);
        [
            Self {
                start: self.start,
                bytes: head,
            },
            Self {
                start: self.start + self.bytes - tail,
                bytes: tail,
            },
        ]
    }

    fn window(self, disk: &Disk) -> Window<'_> {
        Window::new(disk.file(), self.start, self.bytes)
    }
}

/// Plans the erasure of a disk without changing it.
fn examine(root: &Root, disk: &Chosen, rules: Rules) -> Result<Plan, Error> {
    let path = &disk.path();
    let disk = disk.open(Access::Read)?;
    let unreadable = |error| Error::Read(path.into(), error);
    let whole = Range {
        start: 0,
        bytes: disk.bytes(),
    };
    let volume = Volume::probe(&mut whole.window(&disk)).map_err(unreadable)?;
    // Ironic formats it only with FAT; with another file system it is an ordinary disk.
    let is_floppy =
        matches!(volume, Some(Volume::Fat { label }) if label.eq_ignore_ascii_case(VIRTUAL_FLOPPY));
    if is_floppy && disk.bytes() < MAX_FLOPPY_LEN {
        return Ok(Plan::Skip(DiskOutcome::SkippedVirtualMedia));
    }
    // A damaged table is erased too.
    let table = partition::layout(&disk).map_or_else(|_| Vec::new(), |layout| layout.partitions);
    let mut ranges: Vec<Range> = table
        .iter()
        .map(|p| Range {
            start: p.start,
            bytes: p.bytes,
        })
        .chain(known_to_kernel(root, &disk))
        .filter_map(|range| within(range, whole))
        .chain([whole])
        .collect();
    ranges.sort();
    ranges.dedup();
    if rules.array_members == ArrayMembers::Skip {
        for range in &ranges {
            let member = probe::is_md_member(&mut range.window(&disk), range.bytes);
            if member.map_err(unreadable)? {
                return Ok(Plan::Skip(DiskOutcome::SkippedArrayMember));
            }
        }
    }
    let read_only = block::is_read_only(disk.file().as_fd()).map_err(unreadable)?;
    match (read_only, rules.read_only) {
        (true, ReadOnly::Skip) => return Ok(Plan::Skip(DiskOutcome::SkippedReadOnly)),
        (true, ReadOnly::Fail) => return Err(Error::ReadOnly(path.into())),
        (false, _) => {}
    }
    if rules.shared == Shared::Protect {
        let by_type = table.iter().find_map(|p| shared_type(p.kind));
        let mut holds_gfs2 = false;
        for range in &ranges {
            holds_gfs2 |= probe::is_gfs2(&mut range.window(&disk)).map_err(unreadable)?;
        }
        if let Some(what) = by_type.or_else(|| holds_gfs2.then_some("GFS2")) {
            return Err(Error::Protected(path.into(), what));
        }
    }
    Ok(Plan::Erase(ranges))
}

fn erase_disk(disk: &Chosen, ranges: &[Range], cancel: &Cancel) -> Result<DiskOutcome, Error> {
    let path = &disk.path();
    let disk = disk.open(Access::Write)?;
    let ends = merged_ends(ranges);
    for end in &ends {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled(path.into()));
        }
        zero(&disk, *end)?;
    }
    disk.sync()?;
    let flushed = block::flush_buffers(disk.file().as_fd());
    flushed.map_err(|error| Error::Write(path.into(), error))?;
    for end in &ends {
        verify(&disk, *end)?;
    }
    partition::rescan(&disk, cancel)?;
    Ok(DiskOutcome::Erased)
}

/// Returns the ranges to zero, from the disk's end to its beginning, so that the partition table
/// goes last. Ranges are merged, because a hostile table may name the same place a thousand times.
fn merged_ends(ranges: &[Range]) -> Vec<Range> {
    let mut ends: Vec<Range> = ranges.iter().flat_map(|range| range.ends()).collect();
    ends.sort();
    let mut merged: Vec<Range> = Vec::new();
    for end in ends {
        match merged.last_mut() {
            Some(before) if before.start + before.bytes >= end.start => {
                before.bytes = before.bytes.max(end.start + end.bytes - before.start);
            }
            _ => merged.push(end),
        }
    }
    merged.reverse();
    merged
}

fn zero(disk: &Disk, range: Range) -> Result<(), Error> {
    let zeroes = vec![0; PIECE];
    for (at, length) in pieces(range) {
        let piece = zeroes.get(..length).unwrap_or_default();
        let written = disk.file().write_all_at(piece, at);
        written.map_err(|error| Error::Write(disk.path().into(), error))?;
    }
    Ok(())
}

fn verify(disk: &Disk, range: Range) -> Result<(), Error> {
    let mut bytes = vec![0; PIECE];
    for (at, length) in pieces(range) {
        let piece = bytes.get_mut(..length).unwrap_or_default();
        let read = disk.file().read_exact_at(piece, at);
        read.map_err(|error| Error::Read(disk.path().into(), error))?;
        if piece.iter().any(|byte| *byte != 0) {
            return Err(Error::NotErased(disk.path().into(), at));
        }
    }
    Ok(())
}

/// Splits a range into pieces of at most [`PIECE`] bytes: offset and length of each.
fn pieces(range: Range) -> impl Iterator<Item = (u64, usize)> {
    let end = range.start + range.bytes;
    (range.start..end).step_by(PIECE).map(move |at| {
        let left = usize::try_from(end - at).unwrap_or(PIECE);
        (at, left.min(PIECE))
    })
}

/// Lists the partitions that the kernel has of a disk: it may support tables that this module does
/// not.
fn known_to_kernel(root: &Root, disk: &Disk) -> Vec<Range> {
    let folder = root.path(format!("sys/class/block/{}", disk.name()));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().join("partition").exists())
        .filter_map(|entry| {
            let number = |name: &str| -> Option<u64> {
                let text = fs::read_to_string(entry.path().join(name)).ok()?;
                // Sysfs counts in units of 512 bytes, independent of the disk's sector size.
                text.trim().parse::<u64>().ok()?.checked_mul(512)
            };
            Some(Range {
                start: number("start")?,
                bytes: number("size")?,
            })
        })
        .collect()
}

/// Returns the part of a range that is on the disk.
fn within(range: Range, whole: Range) -> Option<Range> {
    let left = whole.bytes.checked_sub(range.start)?;
    let bytes = range.bytes.min(left);
    (bytes > 0).then_some(Range {
        start: range.start,
        bytes,
    })
}

/// Returns the name of the shared file system that a partition type denotes.
fn shared_type(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Gpt(Guid::GPFS) => Some("GPFS"),
        Kind::Gpt(Guid::VMFS) | Kind::Mbr(0xFB) => Some("VMFS"),
        Kind::Gpt(_) | Kind::Mbr(_) => None,
    }
}

/// Label of the virtual floppy on which Ironic passes parameters.
const VIRTUAL_FLOPPY: &str = "ir-vfd-dev";
/// Size limit of a virtual floppy; a larger disk with this label is an ordinary disk (IPA:
/// `utils._check_vmedia_device`).
const MAX_FLOPPY_LEN: u64 = 4 << 30;
/// Bytes zeroed at a start. The farthest known signature from a start is the second header of
/// LUKS2, up to 4 MiB away.
const HEAD: u64 = 8 << 20;
/// Bytes zeroed at an end. The farthest known signatures from an end are ZFS labels, 512 KiB away.
const TAIL: u64 = 1 << 20;
const PIECE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::kernel_name;
    use crate::storage::fixture::TestDisk;
    use crate::sys::loopdev::LoopDevice;
    use std::path::Path;

    const RULES: Rules = Rules {
        array_members: ArrayMembers::Skip,
        shared: Shared::Protect,
        read_only: ReadOnly::Fail,
    };

    fn erase_one(disk: &TestDisk, rules: Rules) -> Result<Vec<DiskOutcome>, Error> {
        let disks = [Chosen::at(disk.path()).unwrap()];
        match erase(&Root::machine(), &disks, rules, &Cancel::default()) {
            Ok(outcomes) => Ok(outcomes.into_iter().map(|outcome| outcome.done).collect()),
            Err(mut failed) => Err(failed.0.remove(0).1),
        }
    }

    /// Writes signatures: one byte at each offset.
    fn marked(disk: &TestDisk, places: &[u64]) {
        for place in places {
            disk.file.write_all_at(&[0xA5], *place).unwrap();
        }
    }

    #[test]
    fn both_ends_of_disk_and_partitions_are_zeroed_and_the_partitions_are_gone() {
        for sector in [512, 4096] {
            let disk = TestDisk::gpt(
                100,
                sector,
                &[(Guid::LINUX_DATA, 20, 30), (Guid::EFI_SYSTEM, 60, 10)],
            );
            let node = partition::node(disk.path(), 2);
            assert!(node.exists());
            // Offsets: the disk's boot code, LVM's label, btrfs, the end of a partition, the last
            // sector.
            let gone = [
                3,
                (20 << 20) + 512,
                (20 << 20) + 0x1_0040,
                (50 << 20) - 1,
                (60 << 20),
                (100 << 20) - 1,
            ];
            let kept = [(35 << 20)];
            marked(&disk, &gone);
            marked(&disk, &kept);
            assert_eq!(erase_one(&disk, RULES).unwrap(), [DiskOutcome::Erased]);
            for place in gone {
                assert_eq!(disk.bytes(place, 1), [0], "{place}");
            }
            assert_eq!(disk.bytes(kept[0], 1), [0xA5], "data is not metadata");
            assert!(matches!(
                partition::list(disk.path()),
                Err(Error::NoTable(_))
            ));
            assert!(
                !Root::machine()
                    .path(format!("sys/class/block/{}", kernel_name(&node)))
                    .exists()
            );
        }
    }

    #[test]
    fn shared_file_systems_are_protected_and_the_others_erased() {
        let gpfs = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 10), (Guid::GPFS, 20, 10)]);
        let gfs2 = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 10, 20)]);
        gfs2.file
            .write_all_at(&[1, 0x16, 0x19, 0x70, 0, 0, 0, 1], (10 << 20) + 0x1_0000)
            .unwrap();
        let plain = TestDisk::gpt(50, 512, &[]);
        let disks = [&gpfs, &gfs2, &plain].map(TestDisk::path);
        let chosen = disks.map(|disk| Chosen::at(disk).unwrap());
        let failed = erase(&Root::machine(), &chosen, RULES, &Cancel::default()).unwrap_err();
        let mut spared: Vec<_> = failed
            .0
            .iter()
            .map(|(path, error)| (path.clone(), error.to_string()))
            .collect();
        spared.sort();
        let message = |disk: &Path, what| {
            format!(
                "{} holds {what}, a shared file system, and is protected",
                disk.display()
            )
        };
        let mut wanted = vec![
            (disks[0].to_owned(), message(disks[0], "GPFS")),
            (disks[1].to_owned(), message(disks[1], "GFS2")),
        ];
        wanted.sort();
        assert_eq!(spared, wanted);
        assert_eq!(partition::list(disks[0]).unwrap().partitions.len(), 2);
        assert!(partition::list(disks[2]).is_err());
        let rules = Rules {
            shared: Shared::Erase,
            ..RULES
        };
        assert_eq!(erase_one(&gpfs, rules).unwrap(), [DiskOutcome::Erased]);
    }

    #[test]
    fn members_of_arrays_are_skipped_when_the_rules_say_so() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 20)]);
        let superblock = [0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0];
        disk.file
            .write_all_at(&superblock, (1 << 20) + 4096)
            .unwrap();
        assert_eq!(
            erase_one(&disk, RULES).unwrap(),
            [DiskOutcome::SkippedArrayMember]
        );
        assert_eq!(disk.bytes((1 << 20) + 4096, 8), superblock);
        let rules = Rules {
            array_members: ArrayMembers::Erase,
            ..RULES
        };
        assert_eq!(erase_one(&disk, rules).unwrap(), [DiskOutcome::Erased]);
    }

    #[test]
    fn the_virtual_floppy_is_skipped() {
        let disk = TestDisk::new(2, 512, |file| {
            let label = *b"IR-VFD-DEV ";
            let options = fatfs::FormatVolumeOptions::new().volume_label(label);
            fatfs::format_volume(file, options).unwrap();
        });
        assert_eq!(
            erase_one(&disk, RULES).unwrap(),
            [DiskOutcome::SkippedVirtualMedia]
        );
    }

    #[test]
    fn another_file_system_with_the_virtual_floppys_label_is_erased() {
        let disk = TestDisk::new(2, 512, |file| {
            file.write_all_at(&[0x53, 0xEF], 1024 + 56).unwrap();
            file.write_all_at(b"ir-vfd-dev", 1024 + 120).unwrap();
        });
        assert_eq!(erase_one(&disk, RULES).unwrap(), [DiskOutcome::Erased]);
        assert_eq!(disk.bytes(1024, 1024), [0; 1024]);
    }

    #[test]
    fn a_disk_with_the_virtual_floppys_label_is_erased() {
        let disk = TestDisk::new(4096, 512, |file| {
            let label = *b"IR-VFD-DEV ";
            let options = fatfs::FormatVolumeOptions::new().volume_label(label);
            fatfs::format_volume(file, options).unwrap();
        });
        assert_eq!(erase_one(&disk, RULES).unwrap(), [DiskOutcome::Erased]);
        assert_eq!(disk.bytes(0, 512), [0; 512]);
    }

    #[test]
    fn a_disk_in_use_is_not_erased() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 20)]);
        let holder = Disk::open(&partition::node(disk.path(), 1), Access::Write).unwrap();
        let error = erase_one(&disk, RULES).unwrap_err();
        assert!(matches!(error, Error::InUse(..)), "{error}");
        drop(holder);
        assert_eq!(partition::list(disk.path()).unwrap().partitions.len(), 1);
    }

    #[test]
    fn a_read_only_disk_is_skipped_or_fails_as_the_rules_say() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        // A loop device of a file that is open read-only refuses writes.
        let device = LoopDevice::attach(&fs::File::open(file.path()).unwrap(), 512).unwrap();
        let disk = TestDisk {
            device,
            file: file.into_file(),
        };
        let error = erase_one(&disk, RULES).unwrap_err();
        assert!(matches!(error, Error::ReadOnly(_)), "{error}");
        let rules = Rules {
            read_only: ReadOnly::Skip,
            ..RULES
        };
        assert_eq!(
            erase_one(&disk, rules).unwrap(),
            [DiskOutcome::SkippedReadOnly]
        );
    }

    const fn range(start: u64, bytes: u64) -> Range {
        Range { start, bytes }
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn ends_are_merged_and_the_disks_beginning_comes_last() {
        let ranges = [
            range(0, 100 * MIB),
            range(MIB, 20 * MIB),
            range(21 * MIB, 3 * MIB),
        ];
        assert_eq!(
            merged_ends(&ranges),
            [
                range(99 * MIB, MIB),
                range(20 * MIB, 4 * MIB),
                range(0, 9 * MIB)
            ]
        );
    }

    #[test]
    fn a_partition_beyond_the_disk_is_cut_to_it() {
        let whole = range(0, 100);
        assert_eq!(within(range(90, 20), whole), Some(range(90, 10)));
        assert_eq!(within(range(100, 1), whole), None);
        assert_eq!(within(range(50, 0), whole), None);
        assert_eq!(within(range(u64::MAX, u64::MAX), whole), None);
    }

    #[test]
    fn a_short_partition_is_zeroed_once_and_whole() {
        assert_eq!(range(7, 100).ends(), [range(7, 100), range(107, 0)]);
        let over_the_head = range(0, 8 * MIB + 3);
        assert_eq!(over_the_head.ends(), [range(0, 8 * MIB), range(8 * MIB, 3)]);
        assert_eq!(merged_ends(&[range(7, 100)]), [range(7, 100)]);
    }

    #[test]
    fn the_last_piece_is_as_long_as_what_is_left() {
        let found: Vec<_> = pieces(range(5 * MIB, 2 * MIB + 7)).collect();
        let whole = 1 << 20;
        assert_eq!(found, [(5 * MIB, whole), (6 * MIB, whole), (7 * MIB, 7)]);
    }

    #[test]
    fn a_byte_that_stays_is_found_where_it_is_read_back() {
        let disk = TestDisk::new(4, 512, |_| ());
        marked(&disk, &[(2 << 20) + 5]);
        let opened = Disk::open(disk.path(), Access::Read).unwrap();
        assert!(verify(&opened, range(0, 2 * MIB)).is_ok());
        let error = verify(&opened, range(MIB, 3 * MIB)).unwrap_err();
        assert!(
            matches!(&error, Error::NotErased(path, at) if path == disk.path() && *at == 2 * MIB),
            "{error}"
        );
    }

    #[test]
    fn disks_that_exchanged_their_names_since_they_were_chosen_are_not_erased() {
        let places = [3, (20 << 20) + 512];
        let disks = [(); 2].map(|()| TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 20, 20)]));
        let names = tempfile::tempdir().unwrap();
        let name = |name: &str| names.path().join(name);
        let link = |disk: &TestDisk, node: &str| {
            let _nothing = fs::remove_file(name(node));
            std::os::unix::fs::symlink(disk.path(), name(node)).unwrap();
        };
        let [one, other] = &disks;
        marked(one, &places);
        marked(other, &places);
        link(one, "sda");
        link(other, "sdb");
        let chosen = ["sda", "sdb"].map(|disk| Chosen::at(&name(disk)).unwrap());
        link(other, "sda");
        link(one, "sdb");
        let failed = erase(&Root::machine(), &chosen, RULES, &Cancel::default()).unwrap_err();
        let told = ["sdb", "sda"].map(|disk| {
            let disk = name(disk);
            let disk = disk.display();
            format!("{disk}: {disk} is another disk now than when it was chosen; nothing was written to it")
        });
        assert_eq!(
            failed.to_string(),
            format!("not erased: {}", told.join("; "))
        );
        for disk in &disks {
            for place in places {
                assert_eq!(disk.bytes(place, 1), [0xA5]);
            }
        }
    }

    /// The kernel supports more kinds of tables than this module.
    #[test]
    fn a_partition_that_only_the_kernel_sees_is_erased() {
        let disk = TestDisk::new(100, 512, |_| ());
        let machine = tempfile::tempdir().unwrap();
        let sysfs = machine.path().join("sys/class/block");
        let sysfs = sysfs.join(kernel_name(disk.path()));
        let file = |folder: &str, name: &str, text: &str| {
            fs::create_dir_all(sysfs.join(folder)).unwrap();
            fs::write(sysfs.join(folder).join(name), text).unwrap();
        };
        for (folder, start) in [("a1", 50 << 11), ("holders", 20 << 11)] {
            file(folder, "start", &format!("{start}\n"));
            file(folder, "size", &format!("{}\n", 20 << 11));
        }
        file("a1", "partition", "1\n");
        let gone = [(50 << 20) + 3, (70 << 20) - 1];
        let kept = [(20 << 20) + 3];
        marked(&disk, &gone);
        marked(&disk, &kept);
        let disks = [Chosen::at(disk.path()).unwrap()];
        let root = Root::at(machine.path());
        erase(&root, &disks, RULES, &Cancel::default()).unwrap();
        let left = |place: &u64| disk.bytes(*place, 1)[0];
        assert_eq!(gone.iter().map(left).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(kept.iter().map(left).collect::<Vec<_>>(), [0xA5]);
    }
}
