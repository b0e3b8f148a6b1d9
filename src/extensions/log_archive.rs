//! Log archives: a gzipped tar, as Ironic stores it.

use crate::clock;
use crate::inventory::diagnostics::LogFile;
use crate::redact::redact_lines;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io;

/// Packs texts into a `tar.gz`, redacted once more: whatever a member is made of, its secrets stay here.
pub(super) fn pack(members: &[LogFile]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let now = clock::since_epoch().as_secs();
    for member in members {
        let text = redact_lines(&member.text);
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_mtime(now);
        archive.append_data(&mut header, member.name, text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    /// A host name that a DHCP server gave, a command's argument, what a USB device calls itself.
    #[test]
    fn what_a_stranger_leaves_open_in_one_line_hides_no_other() {
        for open in [
            "token='",
            "password=\"x",
            "token=(",
            "token={",
            "usb 1-1: Product: -----BEGIN PRIVATE KEY-----",
        ] {
            let member = LogFile {
                name: "ferrite.log",
                text: format!("before\n{open}\nafter agent_token=hush\nit's the end\n"),
            };
            let bytes = pack(&[member]).unwrap();
            let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
            let mut text = String::new();
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            entry.read_to_string(&mut text).unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 4, "{text}");
            assert_eq!(
                (lines[0], lines[2], lines[3]),
                ("before", "after agent_token=******", "it's the end"),
                "{open}"
            );
        }
    }

    #[test]
    fn an_archive_holds_its_members() {
        let member = LogFile {
            name: "dmesg",
            text: "hello ipa-agent-token=hush\n".into(),
        };
        let bytes = pack(std::slice::from_ref(&member)).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        let read: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().into_owned(), text)
            })
            .collect();
        assert_eq!(
            read,
            [("dmesg".into(), "hello ipa-agent-token=******\n".to_owned())]
        );
    }
}
