//! What a deployment left on a disk, judged by other programs than ours: sfdisk and isoinfo.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use support::lab::cell::CellDisk;
use support::lab::process::{program, run};

/// Asserts that the partitions of a raw image are on the disk, byte by byte, and at the same places. Returns the
/// disk's further partitions.
pub(crate) fn assert_image_on(disk: &CellDisk, image: &Path) -> Result<Vec<Partition>> {
    let wanted = partitions(image)?;
    ensure!(!wanted.is_empty(), "there is nothing to compare");
    let mut found = partitions(disk.node())?;
    ensure!(
        found.len() >= wanted.len(),
        "the image's partitions are not on the disk: {found:?}"
    );
    let further = found.split_off(wanted.len());
    ensure!(
        found == wanted,
        "the disk's partitions are {found:?}, the image's {wanted:?}"
    );
    let (image, disk) = (File::open(image)?, File::open(disk.node())?);
    for partition in &wanted {
        assert_same(&image, &disk, partition)?;
    }
    Ok(further)
}

/// Asserts that a disk is as empty as cleaning leaves it: no partition table, and no partition known to the kernel.
pub(crate) fn assert_no_table_on(disk: &CellDisk) -> Result<()> {
    let found = partitions(disk.node())?;
    ensure!(found.is_empty(), "there are partitions left: {found:?}");
    for (at, signature) in [(510, &b"\x55\xAA"[..]), (512, b"EFI PART")] {
        let found = disk.read(at, signature.len())?;
        ensure!(found != signature, "a partition table is left at byte {at}");
    }
    Ok(())
}

/// A file of the config drive that lies in a partition, where it is an ISO file system.
pub(crate) fn config_drive_file(
    disk: &CellDisk,
    partition: &Partition,
    path: &str,
) -> Result<String> {
    let copy = disk.file.with_extension("iso");
    let length = usize::try_from(partition.length)?;
    fs::write(&copy, disk.read(partition.start, length)?)?;
    run(program("isoinfo").args(["-R", "-x", path, "-i"]).arg(&copy))
}

/// Where a partition lies, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    start: u64,
    length: u64,
    kind: String,
    id: String,
}

fn partitions(disk: &Path) -> Result<Vec<Partition>> {
    let answer = match run(program("sfdisk").arg("--json").arg(disk)) {
        // Its way to say that there is no table.
        Err(error) if error.to_string().contains("recognized partition table") => {
            return Ok(Vec::new());
        }
        answer => answer?,
    };
    let answer: Value = serde_json::from_str(&answer)?;
    let table = &answer["partitiontable"];
    let sector = table["sectorsize"].as_u64().unwrap_or(512);
    let listed = table["partitions"].as_array();
    listed
        .into_iter()
        .flatten()
        .map(|partition| {
            let bytes = |key: &str| -> Result<u64> {
                let sectors = partition[key].as_u64().context("sfdisk gives no number")?;
                Ok(sectors * sector)
            };
            let text = |key: &str| partition[key].as_str().unwrap_or_default().to_owned();
            Ok(Partition {
                start: bytes("start")?,
                length: bytes("size")?,
                kind: text("type"),
                id: text("uuid"),
            })
        })
        .collect()
}

fn assert_same(image: &File, disk: &File, partition: &Partition) -> Result<()> {
    let (mut wanted, mut found) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut done = 0;
    while done < partition.length {
        let length = BLOCK.min(usize::try_from(partition.length - done)?);
        let (wanted, found) = (&mut wanted[..length], &mut found[..length]);
        image.read_exact_at(wanted, partition.start + done)?;
        disk.read_exact_at(found, partition.start + done)?;
        ensure!(
            wanted == found,
            "the disk differs from the image in the MiB at byte {}",
            partition.start + done
        );
        done += length as u64;
    }
    Ok(())
}

const BLOCK: usize = 1 << 20;
