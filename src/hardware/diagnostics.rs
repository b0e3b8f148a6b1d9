//! What helps to find a fault afterwards: the kernel's log and its view of disks, mounts and network.

use crate::root::Root;
use crate::redact::redact;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

/// A file of the log archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name there.
    pub name: &'static str,
    /// Its text, secrets masked.
    pub text: String,
}

/// Most bytes taken of one source.
const LARGEST: u64 = 4 << 20;

/// Small texts of the kernel's, under the names IPA gives to the like.
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

/// Collects them; what cannot be read is left out.
#[must_use]
pub fn collect(root: &Root) -> Vec<Member> {
    let kernel_log = kernel_log(root).ok().map(|text| ("dmesg", text));
    let files = FILES.iter().filter_map(|(name, path)| {
        let mut text = Vec::new();
        File::open(root.path(path))
            .ok()?
            .take(LARGEST)
            .read_to_end(&mut text)
            .ok()?;
        Some((*name, String::from_utf8_lossy(&text).into_owned()))
    });
    kernel_log
        .into_iter()
        .chain(files)
        .map(|(name, text)| Member {
            name,
            text: redact(&text),
        })
        .collect()
}

/// The kernel's log: one record a read, until there are no more (Documentation/ABI/testing/dev-kmsg).
fn kernel_log(root: &Root) -> io::Result<String> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(root.path("dev/kmsg"))?;
    let mut text = String::new();
    let mut record = [0; 8192];
    while u64::try_from(text.len()).is_ok_and(|length| length < LARGEST) {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => text.push_str(&line(record.get(..length).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // The record was overwritten while we read: the next one is there.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// `6,339,5140900,-;NET: Registered` as `[    5.140900] NET: Registered`.
fn line(record: &[u8]) -> String {
    let record = String::from_utf8_lossy(record);
    let (prefix, message) = record.split_once(';').unwrap_or(("", &record));
    let message = message.lines().next().unwrap_or_default();
    match prefix
        .split(',')
        .nth(2)
        .and_then(|micros| micros.parse::<u64>().ok())
    {
        Some(micros) => {
            format!(
                "[{:5}.{:06}] {message}\n",
                micros / 1_000_000,
                micros % 1_000_000
            )
        }
        None => format!("{message}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_kernel_record_reads_like_dmesg() {
        let record = b"6,339,5140900,-;NET: Registered PF_INET\n SUBSYSTEM=x\n";
        assert_eq!(line(record), "[    5.140900] NET: Registered PF_INET\n");
        assert_eq!(line(b"no prefix"), "no prefix\n");
    }

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
            [Member {
                name: "cmdline",
                text: "quiet ipa-agent-token=******\n".into()
            }]
        );
    }
}
