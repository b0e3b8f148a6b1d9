//! What arrays and multipath devices stand on.

use crate::root::Root;
use crate::storage::sysfs;
use std::path::Path;

/// The kernel names of all disks below one, however many layers lie between; each once, so that the search ends.
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

/// The disk itself, or the one that a partition is on, whose folder the partition's is in.
fn whole(block: &Path, name: String) -> String {
    if block.join(&name).exists() {
        return name;
    }
    let mut disks = sysfs::names(block).into_iter();
    disks
        .find(|disk| block.join(disk).join(&name).join("partition").exists())
        .unwrap_or(name)
}
