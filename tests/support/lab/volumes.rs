//! A disk with a partition for each kind of file system that installed systems have.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::instance::{MIB, sfdisk};
use super::process::{program, run};

/// A file system, and what its one file holds.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// What the file holds.
    pub name: &'static str,
    /// As the kernel calls it.
    pub kind: &'static str,
    mib: u64,
    options: &'static [&'static str],
}

/// In the order of their partitions.
pub const VOLUMES: [Volume; 8] = [
    volume(WITH_QUOTA, "ext4", 16, &["-O", "metadata_csum"]),
    volume(
        "ext4-without-checksums",
        "ext4",
        16,
        &["-O", "^metadata_csum"],
    ),
    volume("xfs", "xfs", 320, &[]),
    volume("btrfs-crc32c", "btrfs", 128, &["--csum", "crc32c"]),
    volume("btrfs-xxhash", "btrfs", 128, &["--csum", "xxhash"]),
    volume("btrfs-sha256", "btrfs", 128, &["--csum", "sha256"]),
    volume("btrfs-blake2", "btrfs", 128, &["--csum", "blake2"]),
    volume("vfat", "vfat", 64, &[]),
];
/// The one that counts what each user has.
const WITH_QUOTA: &str = "ext4";
/// The file at the top of each.
pub const FILE: &str = "volume";

const fn volume(
    name: &'static str,
    kind: &'static str,
    mib: u64,
    options: &'static [&'static str],
) -> Volume {
    Volume {
        name,
        kind,
        mib,
        options,
    }
}

/// Makes the disk in `folder`.
pub fn disk(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("volumes.disk");
    let size = 2 + VOLUMES.iter().map(|volume| volume.mib).sum::<u64>();
    File::create(&path)?.set_len(size * MIB)?;
    let sizes = VOLUMES.map(|volume| format!("size={}MiB\n", volume.mib));
    sfdisk(
        &path,
        &format!("label: gpt\nfirst-lba: 2048\n{}", sizes.concat()),
    )?;
    let mut disk = OpenOptions::new().write(true).open(&path)?;
    let mut start = MIB;
    for volume in VOLUMES {
        let made = volume.make(folder)?;
        disk.seek(SeekFrom::Start(start))?;
        std::io::copy(&mut File::open(&made)?, &mut disk)?;
        fs::remove_file(made)?;
        start += volume.mib * MIB;
    }
    Ok(path)
}

impl Volume {
    fn make(self, folder: &Path) -> Result<PathBuf> {
        let tree = folder.join(self.name);
        fs::create_dir_all(&tree)?;
        let file = tree.join(FILE);
        fs::write(&file, self.name)?;
        let path = folder.join(format!("{}.volume", self.name));
        File::create(&path)?.set_len(self.mib * MIB)?;
        let mut make = program(format!("mkfs.{}", self.kind));
        make.args(self.options);
        match self.kind {
            "ext4" => {
                run(make.arg("-q").arg("-d").arg(&tree).arg(&path))?;
                // Not by mke2fs, whose 1.47.0 does not count the files that it copies.
                if self.name == WITH_QUOTA {
                    run(program("tune2fs").args(["-O", "quota"]).arg(&path))?;
                }
                String::new()
            }
            "btrfs" => run(make.arg("-q").arg("--rootdir").arg(&tree).arg(&path))?,
            "xfs" => {
                // mkfs.xfs(8), "protofile".
                let list = folder.join("xfs.proto");
                let lines = format!(
                    "/\n0 0\nd--755 0 0\n{FILE} ---644 0 0 {}\n$\n",
                    file.display()
                );
                fs::write(&list, lines)?;
                run(make.arg("-q").arg("-p").arg(&list).arg(&path))?
            }
            _ => {
                run(make.arg(&path))?;
                let mut copy: Command = program("mcopy");
                run(copy.arg("-i").arg(&path).arg(&file).arg("::"))?
            }
        };
        fs::remove_dir_all(tree)?;
        Ok(path)
    }
}
