//! Detection of an image's format by its first bytes, and checks whether it may be written.
//!
//! Rules and texts are those of IPA's inspection (CVE-2024-44082). An image must have exactly one
//! format, which the operator permits and Ironic announced. The checks need only [`PREFIX`] bytes,
//! so an image is refused before anything is written. A fixed VHD has its only signature in the
//! file's last sector. As in IPA it counts as raw, which its data are.

use super::qcow2;
use std::fmt;

/// Number of bytes of an image's beginning that are inspected; a shorter image is inspected whole.
pub const PREFIX: usize = 34 << 10;

/// Format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Disk with a partition table (GPT or MBR), verbatim.
    Gpt,
    /// ISO 9660 or UDF file system.
    Iso,
    /// LUKS volume.
    Luks,
    /// qcow2 of QEMU.
    Qcow2,
    /// QED of QEMU, which is abandoned.
    Qed,
    /// Anything else, verbatim.
    Raw,
    /// Disk image of VirtualBox.
    Vdi,
    /// Disk image of Virtual PC.
    Vhd,
    /// Disk image of Hyper-V.
    Vhdx,
    /// Disk image of VMware.
    Vmdk,
}

impl Format {
    /// Returns the name that Ironic and Glance use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Iso => "iso",
            Self::Luks => "luks",
            Self::Qcow2 => "qcow2",
            Self::Qed => "qed",
            Self::Raw => "raw",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
        }
    }

    /// Returns whether the format wraps a disk, so that its bytes are useless on a disk.
    const fn is_wrapper(self) -> bool {
        matches!(
            self,
            Self::Qcow2 | Self::Qed | Self::Vdi | Self::Vhd | Self::Vhdx | Self::Vmdk
        )
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Conversion of an image's bytes to those of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// None: the bytes are written verbatim.
    Raw,
    /// Conversion by the qcow2 decoder.
    Qcow2(qcow2::Header),
}

/// Result of an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Format of the image.
    pub format: Format,
    /// Conversion needed to write the image.
    pub decoding: Decoding,
}

/// Inspection rules of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether the content must match the format (`disable_deep_image_inspection` turns this off).
    /// The qcow2 decoder's own checks always apply.
    pub deep_inspection: bool,
    /// Names of formats that may be written.
    pub permitted: Vec<String>,
}

/// Inspects an image's first bytes; `announced` is Ironic's `disk_format`.
///
/// # Errors
/// [`Error`] if the image must not be written.
pub fn inspect(prefix: &[u8], announced: Option<&str>, rules: &Rules) -> Result<Finding, Error> {
    let announced = announced.filter(|name| !name.is_empty() && *name != "unknown");
    let matches = formats(prefix);
    let format = match (announced, matches.as_slice()) {
        (Some("raw" | "gpt"), found) => announced_raw(found, rules)?,
        (_, []) => Format::Raw,
        (_, &[format]) => format,
        (_, &[format, ..]) if !rules.deep_inspection => format,
        (_, found) => return Err(Error::Several(names(found))),
    };
    let decoding = match format {
        Format::Qcow2 => Decoding::Qcow2(qcow2::Header::parse(prefix)?),
        other if other.is_wrapper() && !rules.deep_inspection => {
            return Err(Error::NotSupported(other));
        }
        _ => Decoding::Raw,
    };
    let by_name = matches!(announced, Some("raw" | "gpt"));
    if rules.deep_inspection && !by_name {
        check(format, prefix, announced, &rules.permitted)?;
    }
    Ok(Finding { format, decoding })
}

/// Accepts an image announced as raw, which is written verbatim with any content. Deep inspection
/// refuses only a format that wraps a disk: it could never boot, and the disk inside was not
/// inspected.
fn announced_raw(found: &[Format], rules: &Rules) -> Result<Format, Error> {
    match found.iter().find(|format| format.is_wrapper()) {
        Some(&actual) if rules.deep_inspection => Err(Error::Unexpected {
            expected: "raw".into(),
            actual,
        }),
        _ => Ok(Format::Raw),
    }
}

fn check(
    format: Format,
    prefix: &[u8],
    announced: Option<&str>,
    permitted: &[String],
) -> Result<(), Error> {
    match format {
        Format::Qed => return Err(Error::Unsafe("QED images are never safe")),
        Format::Gpt => check_partitions(prefix).map_err(Error::Unsafe)?,
        Format::Luks if prefix.get(6..8) != Some(&[0, 1]) => {
            return Err(Error::Unsafe("only LUKS version 1 is known"));
        }
        _ => {}
    }
    if !permitted.iter().any(|name| name == format.name()) {
        let permitted = match permitted {
            [] => "(none)".to_owned(),
            permitted => permitted.join(", "),
        };
        return Err(Error::NotPermitted { format, permitted });
    }
    if let Some(expected) = announced.filter(|&name| name != format.name()) {
        return Err(Error::Unexpected {
            expected: expected.into(),
            actual: format,
        });
    }
    if format.is_wrapper() && format != Format::Qcow2 {
        return Err(Error::NotSupported(format));
    }
    Ok(())
}

/// Returns all formats except raw whose signature is present.
fn formats(prefix: &[u8]) -> Vec<Format> {
    let mark = |at: usize, mark: &[u8]| prefix.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let any = |at: usize, marks: &[&[u8]]| marks.iter().any(|&bytes| mark(at, bytes));
    let table: [(Format, bool); 9] = [
        (Format::Qcow2, mark(0, &qcow2::MAGIC)),
        (Format::Qed, mark(0, b"QED\0")),
        (Format::Vhd, mark(0, b"conectix")),
        (Format::Vhdx, mark(0, b"vhdxfile")),
        (
            Format::Vmdk,
            any(0, &[b"KDMV", b"COWD", b"# Disk DescriptorFile"]),
        ),
        (Format::Vdi, mark(0x40, &0xbeda_107f_u32.to_le_bytes())),
        (Format::Iso, any(0x8001, &[b"CD001", b"NSR02", b"NSR03"])),
        (Format::Luks, mark(0, b"LUKS\xba\xbe")),
        (Format::Gpt, mark(510, &[0x55, 0xaa]) && !is_fat(prefix)),
    ];
    table
        .into_iter()
        .filter_map(|(format, found)| found.then_some(format))
        .collect()
}

/// Returns whether these are the bytes of FAT, whose boot sector ends like an MBR. FAT has two
/// allocation tables and the media byte of a fixed disk.
fn is_fat(prefix: &[u8]) -> bool {
    prefix.get(0x10) == Some(&2) && prefix.get(0x15) == Some(&0xf8)
}

fn check_partitions(prefix: &[u8]) -> Result<(), &'static str> {
    let (entries, _) = prefix.get(446..510).unwrap_or_default().as_chunks::<16>();
    let mut used = Vec::new();
    let mut protective = false;
    for (index, entry) in entries.iter().enumerate() {
        let &[
            boot,
            start_head,
            start_sector,
            start_cylinder,
            kind,
            _,
            _,
            _,
            lba0,
            lba1,
            lba2,
            lba3,
            ..,
        ] = entry;
        if !matches!(boot, 0 | 0x80) {
            return Err("an MBR entry has an invalid boot flag");
        }
        if kind != 0 {
            used.push(index);
        }
        if kind == 0xee {
            protective = true;
            if [start_head, start_sector, start_cylinder] != [0, 2, 0] {
                return Err("the GPT's protective MBR has an invalid start CHS");
            }
            if [lba0, lba1, lba2, lba3] != [1, 0, 0, 0] {
                return Err("the GPT's protective MBR has an invalid start LBA");
            }
        }
    }
    if used.is_empty() {
        return Err("the MBR defines no partitions");
    }
    if protective && used != [0] {
        return Err("the GPT's protective MBR defines extra partitions");
    }
    Ok(())
}

fn names(formats: &[Format]) -> String {
    let names: Vec<_> = formats.iter().map(|format| format.name()).collect();
    names.join(", ")
}

/// Reason why an image must not be written. The texts begin like those of IPA.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator does not permit the format.
    #[error("Security: Detected image format was {format}, but only {permitted} are allowed")]
    NotPermitted {
        /// Detected format.
        format: Format,
        /// Permitted formats.
        permitted: String,
    },
    /// The format is permitted, but this agent cannot read it.
    #[error("{0} images cannot be written by this agent; convert the image to qcow2 or raw")]
    NotSupported(Format),
    /// The qcow2 image must not be read.
    #[error("Security: Image failed safety check")]
    Qcow2(#[from] qcow2::Error),
    /// The image matches more than one format.
    #[error("Security: Image matched multiple potential formats ({0})")]
    Several(String),
    /// The format differs from the one that Ironic announced.
    #[error("Security: Expected format was {expected}, but image was actually {actual}")]
    Unexpected {
        /// Ironic's `disk_format`.
        expected: String,
        /// Detected format.
        actual: Format,
    },
    /// The content fails a safety check; the reason.
    #[error("Security: Image failed safety check ({0})")]
    Unsafe(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> Rules {
        Rules {
            deep_inspection: true,
            permitted: vec!["raw".into(), "gpt".into(), "qcow2".into()],
        }
    }

    fn with(marks: &[(usize, &[u8])]) -> Vec<u8> {
        let mut prefix = vec![0; PREFIX];
        for &(at, mark) in marks {
            prefix[at..at + mark.len()].copy_from_slice(mark);
        }
        prefix
    }

    fn gpt() -> Vec<u8> {
        with(&[
            (446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]),
            (510, &[0x55, 0xaa]),
        ])
    }

    fn refusal(prefix: &[u8], announced: Option<&str>) -> String {
        inspect(prefix, announced, &rules())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_disk_with_a_table_is_written_as_it_is() {
        for announced in [None, Some("unknown"), Some("gpt")] {
            let finding = inspect(&gpt(), announced, &rules()).unwrap();
            assert_eq!(finding.decoding, Decoding::Raw);
        }
        let finding = inspect(&gpt(), None, &rules()).unwrap();
        assert_eq!(finding.format, Format::Gpt);
        let finding = inspect(&gpt(), Some("raw"), &rules()).unwrap();
        assert_eq!(finding.format, Format::Raw);
    }

    #[test]
    fn two_formats_at_once_are_refused() {
        let polyglot = with(&[(0, b"QFI\xfb"), (510, &[0x55, 0xaa])]);
        assert_eq!(
            refusal(&polyglot, Some("qcow2")),
            "Security: Image matched multiple potential formats (qcow2, gpt)"
        );
    }

    #[test]
    fn what_is_not_permitted_is_refused() {
        assert_eq!(
            refusal(&with(&[(0, b"KDMV")]), None),
            "Security: Detected image format was vmdk, but only raw, gpt, qcow2 are allowed"
        );
        assert_eq!(
            refusal(&with(&[(0x8001, b"CD001")]), None),
            "Security: Detected image format was iso, but only raw, gpt, qcow2 are allowed"
        );
        assert!(
            refusal(&with(&[(0, b"QED\0")]), None)
                .starts_with("Security: Image failed safety check")
        );
    }

    #[test]
    fn another_format_than_announced_is_refused() {
        assert_eq!(
            refusal(&gpt(), Some("qcow2")),
            "Security: Expected format was qcow2, but image was actually gpt"
        );
        assert_eq!(
            refusal(&with(&[(0, b"KDMV")]), Some("raw")),
            "Security: Expected format was raw, but image was actually vmdk"
        );
    }

    #[test]
    fn a_raw_image_may_hold_an_iso_or_a_volume() {
        let hybrid = with(&[(0x8001, b"CD001"), (510, &[0x55, 0xaa])]);
        assert_eq!(
            inspect(&hybrid, Some("raw"), &rules()).unwrap().decoding,
            Decoding::Raw
        );
    }

    #[test]
    fn a_strange_partition_table_fails_the_safety_check() {
        for (at, value) in [(446, 7), (447, 1), (454, 2), (466, 0x83)] {
            let mut prefix = gpt();
            prefix[at] = value;
            if at == 466 {
                prefix[450 + 16] = 0x83;
            }
            let text = refusal(&prefix, None);
            assert!(
                text.starts_with("Security: Image failed safety check"),
                "{at}: {text}"
            );
        }
        assert!(refusal(&with(&[(510, &[0x55, 0xaa])]), None).contains("no partitions"));
    }

    #[test]
    fn a_fat_boot_sector_is_not_a_partition_table() {
        let fat = with(&[(0x10, &[2]), (0x15, &[0xf8]), (510, &[0x55, 0xaa])]);
        assert_eq!(inspect(&fat, None, &rules()).unwrap().format, Format::Raw);
    }

    #[test]
    fn the_decoders_own_refusals_stay_without_deep_inspection() {
        let shallow = Rules {
            deep_inspection: false,
            ..rules()
        };
        let backing = with(&[(0, b"QFI\xfb"), (4, &[0, 0, 0, 3]), (8, &[1])]);
        assert!(matches!(
            inspect(&backing, Some("qcow2"), &shallow),
            Err(Error::Qcow2(qcow2::Error::BackingFile))
        ));
        assert!(matches!(
            inspect(&with(&[(0, b"KDMV")]), None, &shallow),
            Err(Error::NotSupported(Format::Vmdk))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(prefix in proptest::collection::vec(any::<u8>(), 0..2000), magic in 0..4_usize) {
            let mut prefix = prefix;
            let mark = [&b"QFI\xfb"[..], b"LUKS\xba\xbe", b"QED\0", b""][magic];
            if prefix.len() > mark.len() {
                prefix[..mark.len()].copy_from_slice(mark);
            }
            let _ = inspect(&prefix, None, &rules());
        }
    }
}
