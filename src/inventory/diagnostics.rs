//! Diagnostics for the log archive: the kernel's log and its view of disks, mounts and network.

use crate::redact::redact_lines;
use crate::root::Root;
use crate::sys::kernel_log::{Retain, Start, records};
use std::fs::File;
use std::io::{self, Read};

/// A file of the log archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Name in the archive.
    pub name: &'static str,
    /// Text with secrets masked.
    pub text: String,
}

/// Maximum bytes per source.
const MAX_LEN: u64 = 4 << 20;
/// Maximum bytes of the kernel's log; the newest are used.
const MAX_LOG_LEN: usize = 4 << 20;

/// Small text files of the kernel, under the names that IPA uses for similar ones.
const FILES: &[(&str, &str)] = &[
    ("agent_status", "proc/self/status"),
    ("cmdline", "proc/cmdline"),
    ("cpuinfo", "proc/cpuinfo"),
    ("diskstats", "proc/diskstats"),
    ("interfaces", "proc/net/dev"),
    ("iomem", "proc/iomem"),
    ("ipv6_addr", "proc/net/if_inet6"),
    ("mdstat", "proc/mdstat"),
    ("meminfo", "proc/meminfo"),
    ("modules", "proc/modules"),
    ("mount", "proc/self/mountinfo"),
    ("partitions", "proc/partitions"),
    ("pci", "proc/bus/pci/devices"),
    ("resolv.conf", "etc/resolv.conf"),
    ("route", "proc/net/route"),
    ("scsi", "proc/scsi/scsi"),
];

/// Collects the files; those that cannot be read are left out.
#[must_use]
pub fn collect(root: &Root) -> Vec<LogFile> {
    let kernel_log = kernel_log(root).ok().map(|text| ("dmesg", text));
    let files = FILES.iter().filter_map(|(name, path)| {
        let mut text = Vec::new();
        File::open(root.path(path))
            .ok()?
            .take(MAX_LEN)
            .read_to_end(&mut text)
            .ok()?;
        Some((*name, String::from_utf8_lossy(&text).into_owned()))
    });
    kernel_log
        .into_iter()
        .chain(files)
        .map(|(name, text)| LogFile {
            name,
            text: redact_lines(&text),
        })
        .collect()
}

/// Returns the kernel's log as `dmesg` prints it. If process 1 rewrote the log without secrets,
/// only the rewritten part is used.
fn kernel_log(root: &Root) -> io::Result<String> {
    let path = root.path("dev/kmsg");
    let keep = Retain::Newest(MAX_LOG_LEN);
    let records =
        records(&path, Start::Cleared, keep).or_else(|_| records(&path, Start::Oldest, keep))?;
    Ok(records.iter().map(|record| format!("{record}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_token_is_in_no_member() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc")).unwrap();
        fs::write(
            folder.path().join("proc/cmdline"),
            "quiet ipa-agent-token=hush\n",
        )
        .unwrap();
        assert_eq!(
            collect(&Root::at(folder.path())),
            [LogFile {
                name: "cmdline",
                text: "quiet ipa-agent-token=******\n".into()
            }]
        );
    }

    #[test]
    fn of_a_large_kernel_log_the_newest_records_are_collected() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("dev")).unwrap();
        // Records as long as one read, because the kernel returns one record per read.
        let record = |number: usize| {
            let mut record = format!("6,{number},2000000,-;{number:.<8192}");
            record.truncate(8191);
            record + "\n"
        };
        let all = MAX_LOG_LEN / 8192 + 8;
        let log: String = (0..all).map(record).collect();
        fs::write(folder.path().join("dev/kmsg"), log).unwrap();
        let members = collect(&Root::at(folder.path()));
        let numbers: Vec<usize> = members[0]
            .text
            .lines()
            .map(|line| {
                let (_, text) = line.split_once("] ").unwrap();
                text.split('.').next().unwrap().parse().unwrap()
            })
            .collect();
        assert_eq!(numbers, (8..all).collect::<Vec<_>>());
    }
}
