//! Disks below arrays and multipath devices.

use crate::root::Root;
use crate::storage::sysfs;
use std::path::Path;

/// Lists the kernel names of all disks below one, through any number of layers. Each is listed
/// once, so that the search terminates.
pub(super) fn below(root: &Root, name: &str) -> Vec<String> {
    let block = root.path("sys/block");
    let mut found: Vec<String> = Vec::new();
    let mut unseen = vec![name.to_owned()];
    while let Some(upper) = unseen.pop() {
        let mut slaves = sysfs::names(&block.join(upper).join("slaves"));
        slaves.sort();
        for slave in slaves {
            let disk = whole(&block, slave);
            if disk != name && !found.contains(&disk) {
                found.push(disk.clone());
                unseen.push(disk);
            }
        }
    }
    found
}

/// Returns the disk itself, or the disk of a partition, whose folder contains the partition's.
fn whole(block: &Path, name: String) -> String {
    if block.join(&name).exists() {
        return name;
    }
    let mut disks = sysfs::names(block).into_iter();
    disks
        .find(|disk| block.join(disk).join(&name).join("partition").exists())
        .unwrap_or(name)
}
