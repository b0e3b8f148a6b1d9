//! Config drives: data from Ironic for the instance's first boot, written to the disk where
//! cloud-init finds it.
//!
//! [`Drive::from_text`] decodes the data from Ironic into the bytes of a file system. [`install`]
//! writes them into a partition labelled `config-2`: one from the image, or a new one of 64 MiB at
//! the disk's end. The content includes passwords and keys. It is treated as a secret from the
//! first byte and never stored in a temporary file.

mod decode;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod paged;
mod rebuild;

pub use decode::{Drive, Fetch, MAX_ENCODED_BYTES};
pub use error::{Error, FetchError};

use crate::formats::guid::Guid;
use crate::formats::probe;
use crate::progress::Cancel;
use crate::root::Root;
use crate::storage;
use crate::storage::chosen::Chosen;
use crate::storage::disk::{Access, Disk, Window};
use crate::storage::partition::{self, Partition};
use crate::sys::block;
use decode::SIZE;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Form in which the drive is written to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Unchanged, unless the disk's sectors make its file system unusable there.
    Verbatim,
    /// Its files in a new FAT file system.
    Rebuilt,
}

/// Writes a config drive to a freshly written disk and returns the node of its partition.
///
/// # Errors
/// See [`Error`]. A drive that only could not be rebuilt is written unchanged, with a warning.
pub fn install(
    root: &Root,
    disk: &Chosen,
    drive: &Drive,
    form: Form,
    cancel: &Cancel,
) -> Result<PathBuf, Error> {
    let place = place(&disk.open(Access::Write).map_err(Error::Partition)?, cancel)?;
    partition::wait_for_node(root, &disk.path(), &place, cancel).map_err(Error::Partition)?;
    let bytes = drive.bytes();
    if bytes > place.bytes {
        let partition = place.node;
        return Err(Error::DoesNotFit { partition, bytes });
    }
    let target = disk.open_partition(&place.node, Access::Write);
    let target = target.map_err(Error::Partition)?;
    let usable = drive.usable_with(target.sector());
    let rebuilt = if form == Form::Rebuilt || !usable {
        rebuild_or_warn(&target, drive, usable, cancel)?
    } else {
        false
    };
    if !rebuilt {
        write_as_it_is(&target, drive, cancel)?;
    }
    tracing::info!(partition = %place.node.display(), bytes, rebuilt, "config drive written");
    Ok(place.node)
}

/// Returns the partition for the drive: the one with the label, or a new one.
fn place(disk: &Disk, cancel: &Cancel) -> Result<Partition, Error> {
    partition::repair_gpt(disk).map_err(Error::Partition)?;
    match labelled(disk, cancel)? {
        Some(partition) => {
            partition::rescan(disk, cancel).map_err(Error::Partition)?;
            Ok(partition)
        }
        None => {
            let id = Guid::from_text_order(uuid::Uuid::new_v4().as_u128());
            partition::add_last(disk, SIZE, id, cancel).map_err(Error::Partition)
        }
    }
}

/// Finds the only partition of the disk whose file system is labelled `config-2`.
fn labelled(disk: &Disk, cancel: &Cancel) -> Result<Option<Partition>, Error> {
    let layout = partition::layout(disk).map_err(Error::Partition)?;
    let mut found = None;
    for partition in layout.partitions {
        // The image's author controls the number of partitions and the time each takes.
        go_on(disk, cancel)?;
        let mut bytes = Window::new(disk.file(), partition.start, partition.bytes);
        let label = probe::label(&mut bytes)
            .map_err(|error| Error::Partition(storage::Error::Read(disk.path().into(), error)))?;
        if label.is_some_and(|label| label.eq_ignore_ascii_case(LABEL))
            && found.replace(partition).is_some()
        {
            return Err(Error::Ambiguous(disk.path().into()));
        }
    }
    Ok(found)
}

/// Writes the drive's files to a new file system and returns whether it succeeded. A new file
/// system without some of the files is used only if the original is unreadable on this disk.
fn rebuild_or_warn(
    target: &Disk,
    drive: &Drive,
    usable: bool,
    cancel: &Cancel,
) -> Result<bool, Error> {
    let warn = |error: &rebuild::Error, what| {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled(target.path().into()));
        }
        let (partition, error) = (target.path().display(), crate::error::chain(error));
        tracing::warn!(%partition, error, "{what}");
        Ok(false)
    };
    let as_it_came = "config drive cannot be rebuilt and is written as it came";
    let files = match rebuild::files(drive.expose(), cancel) {
        Ok(files) => files,
        Err(error) => return warn(&error, as_it_came),
    };
    let partition = target.path().display();
    if let (true, Some(name)) = (usable, files.same_names.first()) {
        return warn(&rebuild::Error::SameName(name.clone()), as_it_came);
    }
    if !files.same_names.is_empty() {
        tracing::warn!(%partition, names = ?first(&files.same_names), count = files.same_names.len(), "files are left out of the config drive: their names differ from others' only in case");
    }
    if !files.lost_links.is_empty() {
        tracing::warn!(%partition, links = ?first(&files.lost_links), count = files.lost_links.len(), "links are left out of the config drive: they lead to no file of it");
    }
    let files = files.files;
    blank(target, cancel)?;
    if let Err(error) = rebuild::write(target, &files, cancel) {
        return warn(
            &error,
            "config drive does not fit into a FAT file system and is written as it came",
        );
    }
    settle(target)?;
    match rebuild::matches(target, &files, cancel) {
        Ok(true) => Ok(true),
        // FAT stores a name in another form. If the disk loses writes, the next comparison fails,
        // too.
        Ok(false) => warn(&rebuild::Error::Different, as_it_came),
        Err(_) => {
            go_on(target, cancel)?;
            Err(Error::Verify(target.path().into()))
        }
    }
}

/// Returns the paths to name in the log.
fn first(paths: &[String]) -> &[String] {
    paths.get(..MAX_NAMED).unwrap_or(paths)
}

fn write_as_it_is(target: &Disk, drive: &Drive, cancel: &Cancel) -> Result<(), Error> {
    blank(target, cancel)?;
    let mut window = Window::new(target.file(), 0, target.bytes());
    for piece in drive.expose().chunks(PIECE) {
        go_on(target, cancel)?;
        let written = window.write_all(piece);
        written.map_err(|error| Error::Write(target.path().into(), error))?;
    }
    settle(target)?;
    verify(target, drive.expose(), cancel)
}

/// Compares the device with the drive.
fn verify(target: &Disk, drive: &[u8], cancel: &Cancel) -> Result<(), Error> {
    let mut window = Window::new(target.file(), 0, target.bytes());
    let mut piece = zeroize::Zeroizing::new(vec![0; PIECE]);
    for expected in drive.chunks(PIECE) {
        go_on(target, cancel)?;
        let read = piece.get_mut(..expected.len()).unwrap_or_default();
        let same = window.read_exact(read).is_ok() && read == expected;
        if !same {
            return Err(Error::Verify(target.path().into()));
        }
    }
    Ok(())
}

/// Zeroes the partition: an earlier owner's config drive may extend beyond a shorter one.
fn blank(target: &Disk, cancel: &Cancel) -> Result<(), Error> {
    let mut start = 0;
    while start < target.bytes() {
        go_on(target, cancel)?;
        let bytes = (target.bytes() - start).min(SIZE);
        block::zero_out(target.file().as_fd(), start, bytes)
            .map_err(|error| Error::Write(target.path().into(), error))?;
        start += bytes;
    }
    Ok(())
}

fn go_on(target: &Disk, cancel: &Cancel) -> Result<(), Error> {
    match cancel.is_cancelled() {
        true => Err(Error::Cancelled(target.path().into())),
        false => Ok(()),
    }
}

/// Flushes everything to the medium, so that the next read comes from there.
fn settle(target: &Disk) -> Result<(), Error> {
    target.sync().map_err(Error::Partition)?;
    block::flush_buffers(target.file().as_fd())
        .map_err(|error| Error::Write(target.path().into(), error))
}

const LABEL: &str = "config-2";
/// Maximum number of omitted files or links to log.
const MAX_NAMED: usize = 10;
/// Bytes written or read between two checks for cancellation.
const PIECE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fat::Fat;
    use crate::formats::safe_name::fixture::{self, EXT2, EXT4, FAT, ROCK_RIDGE};
    use crate::secret::Secret;
    use crate::storage::fixture::TestDisk;
    use std::io;
    use std::os::unix::fs::FileExt;

    fn drive(packed: &'static [u8]) -> Drive {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(packed);
        Drive::from_text(&text, "node-1", &|_| Err("nothing is fetched".into())).unwrap()
    }

    fn put(disk: &TestDisk, drive: &Drive, form: Form) -> Result<Partition, Error> {
        let node = install(
            &Root::machine(),
            &Chosen::at(disk.path()).unwrap(),
            drive,
            form,
            &Cancel::default(),
        )?;
        let layout = partition::list(disk.path()).unwrap();
        Ok(layout
            .partitions
            .into_iter()
            .find(|p| p.node == node)
            .unwrap())
    }

    fn start_of(disk: &TestDisk, partition: &Partition, length: usize) -> Vec<u8> {
        disk.bytes(partition.start, length)
    }

    fn files_of(disk: &TestDisk, partition: &Partition) -> Vec<(String, Vec<u8>)> {
        let length = usize::try_from(partition.bytes).unwrap();
        let files = rebuild::files(&start_of(disk, partition, length), &Cancel::default()).unwrap();
        let plain = |(path, content): rebuild::File| (path.join("/"), content.to_vec());
        files.files.into_iter().map(plain).collect()
    }

    #[test]
    fn a_drive_goes_into_a_new_partition_and_later_into_the_same() {
        let disk = TestDisk::gpt(200, 512, &[(Guid::LINUX_DATA, 1, 20)]);
        let iso = fixture::unpacked(ROCK_RIDGE);
        let first = put(&disk, &drive(ROCK_RIDGE), Form::Verbatim).unwrap();
        assert_eq!((first.number, first.start), (2, 135 << 20));
        assert_eq!(start_of(&disk, &first, iso.len()), iso);
        // A longer drive would have left bytes directly behind the new one, and up to the
        // partition's end.
        let fat = u64::try_from(fixture::unpacked(FAT).len()).unwrap();
        let longer = [(first.start + fat, 3), (first.start + (64 << 20) - 1, 4)];
        for (place, byte) in longer {
            disk.file.write_all_at(&[byte], place).unwrap();
        }
        let second = put(&disk, &drive(FAT), Form::Verbatim).unwrap();
        assert_eq!(second, first);
        let fat = fixture::unpacked(FAT);
        assert_eq!(start_of(&disk, &first, fat.len()), fat);
        for (place, byte) in longer {
            assert_eq!(disk.bytes(place, 1), [0], "{byte} of a longer drive");
        }
    }

    #[test]
    fn an_iso_on_large_sectors_is_rebuilt_as_fat() {
        let disk = TestDisk::gpt(200, 4096, &[]);
        let partition = put(&disk, &drive(ROCK_RIDGE), Form::Verbatim).unwrap();
        assert_eq!(files_of(&disk, &partition), fixture::files());
        let start = start_of(&disk, &partition, 1 << 20);
        assert_eq!(start[11..13], [0, 16], "sectors of 4096 bytes");
        let label = probe::label(&mut io::Cursor::new(start)).unwrap();
        assert_eq!(label.as_deref(), Some("CONFIG-2"));
    }

    #[test]
    fn a_drive_is_rebuilt_when_asked_for() {
        for packed in [ROCK_RIDGE, FAT] {
            let disk = TestDisk::gpt(200, 512, &[]);
            let partition = put(&disk, &drive(packed), Form::Rebuilt).unwrap();
            assert_eq!(files_of(&disk, &partition), fixture::files());
            let bytes = start_of(&disk, &partition, 16 << 20);
            let mut fat = Fat::open(io::Cursor::new(&bytes)).unwrap().unwrap();
            let directories = fat.directories(&Cancel::default()).unwrap();
            assert_eq!(directories.len(), 3);
            for place in directories {
                let place = usize::try_from(place).unwrap();
                assert_eq!(bytes[place..place + 11], *b".          ");
                assert_eq!(bytes[place + 32..place + 43], *b"..         ");
            }
        }
    }

    #[test]
    fn the_search_for_a_labelled_partition_ends_when_it_is_cancelled() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 1)]);
        let labelled_fat = fixture::unpacked(FAT);
        disk.file.write_all_at(&labelled_fat, 1 << 20).unwrap();
        let disk = Disk::open(disk.path(), Access::Read).unwrap();
        let cancel = Cancel::default();
        let found = labelled(&disk, &cancel).unwrap().unwrap();
        assert_eq!(found.number, 1);
        cancel.cancel();
        let error = labelled(&disk, &cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{error}");
    }

    #[test]
    fn a_drive_may_fill_the_partition_that_the_image_brought() {
        for (bytes, fits) in [(1 << 20, true), ((1 << 20) + 1, false)] {
            let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 1)]);
            let labelled = fixture::unpacked(FAT);
            disk.file.write_all_at(&labelled, 1 << 20).unwrap();
            let mut drive = fixture::unpacked(ROCK_RIDGE);
            drive.resize(bytes, 7);
            let fetch = |_: &url::Url| Ok(Secret::new(drive.clone()));
            let given = Drive::from_text("http://x/", "n", &fetch).unwrap();
            match put(&disk, &given, Form::Verbatim) {
                Ok(partition) => {
                    assert!(fits);
                    assert_eq!(partition.number, 1);
                    assert!(start_of(&disk, &partition, bytes) == drive);
                }
                Err(error) => {
                    let text = "config drive of 1048577 bytes does not fit into ";
                    assert!(error.to_string().starts_with(text), "{error}");
                    assert!(!fits);
                }
            }
        }
    }

    /// While the device is open, the kernel writes nothing to the medium by itself within seconds.
    #[test]
    fn a_drive_is_on_the_medium_before_the_device_is_closed() {
        let disk = TestDisk::new(80, 512, |_| ());
        let target = Disk::open(disk.path(), Access::Write).unwrap();
        let drive = drive(ROCK_RIDGE);
        write_as_it_is(&target, &drive, &Cancel::default()).unwrap();
        let bytes = drive.expose();
        assert!(disk.bytes(0, bytes.len()) == bytes);
        drop(target);
    }

    #[test]
    fn a_drive_that_does_not_read_as_it_was_written_is_an_error() {
        let drive = vec![7; (2 << 20) + 5];
        let disk = TestDisk::new(4, 512, |file| file.write_all_at(&drive, 0).unwrap());
        let target = Disk::open(disk.path(), Access::Read).unwrap();
        let found = |drive: &[u8]| verify(&target, drive, &Cancel::default());
        assert!(found(&drive).is_ok());
        let mut other = drive;
        other[(2 << 20) + 4] = 8;
        let error = found(&other).unwrap_err();
        assert!(matches!(error, Error::Verify(_)), "{error}");
        other.resize((4 << 20) + 1, 0);
        let error = found(&other[2 << 20..]).unwrap_err();
        assert!(matches!(error, Error::Verify(_)), "{error}");
    }

    #[test]
    fn a_drive_that_fat_cannot_hold_is_written_as_it_came() {
        for names in [["user_data", "USER_DATA"], ["a long name", "alongn~1"]] {
            let iso = fixture::rock_ridge_of(&names.map(str::to_owned));
            let fetch = |_: &url::Url| Ok(Secret::new(iso.clone()));
            let drive = Drive::from_text("http://x/", "n", &fetch).unwrap();
            let disk = TestDisk::gpt(200, 512, &[]);
            let partition = put(&disk, &drive, Form::Rebuilt).unwrap();
            assert_eq!(start_of(&disk, &partition, iso.len()), iso, "{names:?}");
        }
    }

    #[test]
    fn an_ext_drive_of_small_blocks_is_rebuilt_for_large_sectors_with_what_its_links_lead_to() {
        for packed in [EXT2, EXT4] {
            let disk = TestDisk::gpt(200, 4096, &[]);
            let partition = put(&disk, &drive(packed), Form::Verbatim).unwrap();
            let linked = |(path, content): (&str, &str)| (path.to_owned(), content.into());
            let mut expected = fixture::files();
            expected.extend(
                [
                    ("openstack/2018-08-27/link", "x\n"),
                    ("openstack/2018-08-27/meta_data.json", "{\"uuid\": \"u\"}\n"),
                    ("openstack/2018-08-27/user_data", "#cloud-config\n"),
                    ("openstack/latest/link", "x\n"),
                ]
                .map(linked),
            );
            expected.sort();
            assert_eq!(files_of(&disk, &partition), expected);
        }
    }

    #[test]
    fn what_a_rebuilt_drive_cannot_hold_is_left_out_and_told() {
        let names = ["user_data", "USER_DATA", "link"].map(str::to_owned);
        let mut files = names.map(|text| fixture::name(text.as_bytes()));
        files[2].extend(b"SL\x0D\x01\x00\x08\x00\x00\x04root");
        let iso = fixture::rock_ridge_with(&files);
        let fetch = |_: &url::Url| Ok(Secret::new(iso.clone()));
        let drive = Drive::from_text("http://x/", "n", &fetch).unwrap();
        let disk = TestDisk::gpt(200, 4096, &[]);
        let mut found = Vec::new();
        let told = crate::logging::tests::captured(crate::logging::Verbosity::Info, || {
            let partition = put(&disk, &drive, Form::Verbatim).unwrap();
            found = files_of(&disk, &partition);
        });
        assert_eq!(found, [("user_data".to_owned(), vec![])]);
        for line in [
            "their names differ from others' only in case",
            "names=[\"USER_DATA\"] count=1\n",
            "they lead to no file of it",
            "links=[\"link\"] count=1\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }

    #[test]
    fn of_many_files_and_links_that_are_left_out_ten_are_named() {
        let mut files = vec![fixture::name(b"z")];
        let mut first = Vec::new();
        for number in 10..22 {
            for name in ["f", "F"] {
                files.push(fixture::name(format!("{name}{number}").as_bytes()));
            }
            let mut link = fixture::name(format!("link{number}").as_bytes());
            link.extend(b"SL\x0D\x01\x00\x08\x00\x00\x04root");
            files.push(link);
            first.push(number);
        }
        first.truncate(10);
        let named = |name: &str| {
            let names: Vec<_> = first.iter().map(|n| format!("{name}{n}")).collect();
            format!("={names:?} count=12\n")
        };
        let iso = fixture::rock_ridge_with(&files);
        let fetch = |_: &url::Url| Ok(Secret::new(iso.clone()));
        let drive = Drive::from_text("http://x/", "n", &fetch).unwrap();
        let disk = TestDisk::gpt(200, 4096, &[]);
        let told = crate::logging::tests::captured(crate::logging::Verbosity::Info, || {
            put(&disk, &drive, Form::Verbatim).unwrap();
        });
        for line in [named("F"), named("link")] {
            assert!(told.contains(&line), "{line}: {told}");
        }
    }

    #[test]
    fn a_cancelled_config_drive_is_told_as_such() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 1)]);
        let target = Disk::open(disk.path(), Access::Write).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        for error in [
            rebuild_or_warn(&target, &drive(FAT), true, &cancel).unwrap_err(),
            write_as_it_is(&target, &drive(FAT), &cancel).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Cancelled(_)), "{error}");
        }
    }

    #[test]
    fn two_labelled_partitions_are_ambiguous() {
        let fat = fixture::unpacked(FAT);
        let disk = TestDisk::gpt(
            50,
            512,
            &[(Guid::LINUX_DATA, 1, 1), (Guid::LINUX_DATA, 2, 1)],
        );
        disk.file.write_all_at(&fat, 1 << 20).unwrap();
        disk.file.write_all_at(&fat, 2 << 20).unwrap();
        let error = put(&disk, &drive(FAT), Form::Verbatim).unwrap_err();
        assert!(matches!(error, Error::Ambiguous(_)), "{error}");
    }

    /// A table of a chain: its offset in MiB, and type, start and size of each entry in MiB.
    type Table = (u32, &'static [(u8, u32, u32)]);

    /// Creates a disk of 50 MiB with an extended partition and these tables in its chain.
    fn with_logicals(tables: &[Table]) -> TestDisk {
        let extended: Table = (0, &[(0x83, 1, 9), (0x05, 10, 40)]);
        TestDisk::new(50, 512, |file| {
            for (at, entries) in [extended].iter().chain(tables) {
                let mut table = [0; 512];
                for (slot, (kind, first, size)) in table[446..510].chunks_mut(16).zip(*entries) {
                    slot[4] = *kind;
                    slot[8..12].copy_from_slice(&(first << 11).to_le_bytes());
                    slot[12..].copy_from_slice(&(size << 11).to_le_bytes());
                }
                table[510..].copy_from_slice(&[0x55, 0xAA]);
                file.write_all_at(&table, u64::from(*at) << 20).unwrap();
            }
        })
    }

    #[test]
    fn a_drive_goes_into_the_logical_partition_that_has_the_label() {
        let fat = fixture::unpacked(FAT);
        // The first logical partition was deleted; the chain leads backwards.
        let chains: [[Table; 3]; 2] = [
            [
                (10, &[(0, 0, 0), (5, 10, 5)]),
                (20, &[(0x0C, 1, 3), (5, 20, 5)]),
                (30, &[(0x83, 1, 3)]),
            ],
            [
                (10, &[(0x83, 1, 3), (5, 20, 5)]),
                (30, &[(0x83, 1, 3), (5, 10, 5)]),
                (20, &[(0x0C, 1, 3)]),
            ],
        ];
        for (tables, number) in chains.iter().zip([5, 7]) {
            let disk = with_logicals(tables);
            let (labelled, tenants) = (21 << 20, 31 << 20);
            disk.file.write_all_at(&fat, labelled).unwrap();
            disk.file.write_all_at(&[0xD1; 4096], tenants).unwrap();
            let place = put(&disk, &drive(ROCK_RIDGE), Form::Verbatim).unwrap();
            assert_eq!((place.number, place.start), (number, labelled));
            let iso = fixture::unpacked(ROCK_RIDGE);
            assert_eq!(start_of(&disk, &place, iso.len()), iso);
            assert_eq!(disk.bytes(tenants, 4096), [0xD1; 4096]);
        }
    }

    #[test]
    fn a_labelled_partition_that_is_elsewhere_for_the_kernel_is_not_written_to() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 1)]);
        let fat = fixture::unpacked(FAT);
        disk.file.write_all_at(&fat, 1 << 20).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let name = format!("{}p1", storage::disk::kernel_name(disk.path()));
        let kernel = root.path(format!("sys/class/block/{name}"));
        std::fs::create_dir_all(&kernel).unwrap();
        for (name, number) in [("partition", 1), ("start", 4096), ("size", 2048)] {
            std::fs::write(kernel.join(name), format!("{number}\n")).unwrap();
        }
        let drive = drive(ROCK_RIDGE);
        let error = install(
            &root,
            &Chosen::at(disk.path()).unwrap(),
            &drive,
            Form::Verbatim,
            &Cancel::default(),
        );
        assert_eq!(
            crate::error::chain(&error.unwrap_err()),
            format!(
                "no partition for the config drive: /dev/{name} is not written to: in the partition table it has 1048576 \
                 bytes from byte 1048576, and the kernel has 1048576 from 2097152"
            )
        );
        assert_eq!(disk.bytes(1 << 20, fat.len()), fat);
    }

    #[test]
    fn a_drive_larger_than_its_partition_is_refused() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 1)]);
        let fat = fixture::unpacked(FAT);
        disk.file.write_all_at(&fat, 1 << 20).unwrap();
        let mut text = fat;
        text.resize((1 << 20) + 1, 0);
        let large = Drive::from_text("http://x/", "n", &|_| Ok(Secret::new(text.clone()))).unwrap();
        let error = put(&disk, &large, Form::Verbatim).unwrap_err();
        assert!(
            matches!(
                error,
                Error::DoesNotFit {
                    bytes: 1_048_577,
                    ..
                }
            ),
            "{error}"
        );
    }
}
