//! The block devices that may be virtual media: a CD, or a small USB disk. No udev: they come from sysfs, labels from their first bytes.

use crate::formats::probe::Volume;
use crate::root::Root;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A device that cannot be read: it may be the one that is waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}

/// A block device that may be virtual media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) path: PathBuf,
    pub(super) volume: Volume,
    /// The name that the kernel has for its type.
    pub(super) file_system: &'static str,
    pub(super) model: String,
}

impl Device {
    /// Whether the ISO is the one that this boot was made from.
    pub(super) fn is_published_by(&self, wanted: Option<&str>) -> bool {
        let (Some(wanted), Volume::Iso9660 { publisher, .. }) = (wanted, &self.volume) else {
            return wanted.is_none();
        };
        publisher.eq_ignore_ascii_case(wanted)
    }
}

/// All volumes that a BMC may have attached.
pub(super) fn devices(root: &Root) -> Vec<Result<Device, Unread>> {
    let Ok(entries) = fs::read_dir(root.path("sys/class/block")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
        .iter()
        .filter(|name| is_candidate(&root.path("sys/class/block").join(name)))
        .filter_map(|name| device(root, name).transpose())
        .collect()
}

/// A CD, or a USB disk below 4 GiB; never a partition.
fn is_candidate(sysfs: &Path) -> bool {
    if sysfs.join("partition").exists() {
        return false;
    }
    // SCSI peripheral device types: 5 is a CD, 0 a disk.
    match attribute(&sysfs.join("device/type")).as_str() {
        "5" => true,
        "0" => {
            let sectors = attribute(&sysfs.join("size")).parse().unwrap_or(u64::MAX);
            let usb = fs::canonicalize(sysfs).is_ok_and(|path| {
                path.components()
                    .any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"usb"))
            });
            usb && sectors > 0 && sectors < MAX_SECTORS
        }
        _ => false,
    }
}

fn device(root: &Root, name: &str) -> Result<Option<Device>, Unread> {
    let path = root.path("dev").join(name);
    // A drive without a medium cannot be opened.
    let Ok(mut file) = File::open(&path) else {
        return Ok(None);
    };
    let volume = Volume::probe(&mut file).map_err(|error| Unread {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let (volume, file_system) = match volume {
        None | Some(Volume::Ext { .. }) => return Ok(None),
        Some(volume @ Volume::Fat { .. }) => (volume, "vfat"),
        Some(volume @ Volume::Iso9660 { .. }) => (volume, "iso9660"),
    };
    Ok(Some(Device {
        volume,
        file_system,
        model: attribute(&root.path("sys/class/block").join(name).join("device/model")),
        path,
    }))
}

fn attribute(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// 4 GiB in the 512-byte sectors of sysfs.
pub(super) const MAX_SECTORS: u64 = 4 << 21;
