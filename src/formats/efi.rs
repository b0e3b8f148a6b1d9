//! UEFI boot entries (UEFI 2.10 §3.1.3, §10.3): load options, the device path of a file on a
//! partition, and the boot order. Also `BOOT*.CSV` files, in which distributions define the boot
//! entry of their loader.

use super::guid::Guid;
use super::le_bytes;
use super::safe_name;

/// Load option: content of a `Boot####` variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOption {
    /// Attributes: whether the firmware may boot the entry, and how it is shown.
    pub attributes: u32,
    /// Name shown to users.
    pub label: String,
    /// Location of the loader: device path nodes as the firmware stores them.
    pub path: Vec<u8>,
    /// Data passed to the loader.
    pub data: Vec<u8>,
}

impl LoadOption {
    /// Creates an active load option for a loader at a device path.
    #[must_use]
    pub fn active(label: &str, path: Vec<u8>) -> Self {
        Self {
            attributes: ACTIVE,
            label: label.to_owned(),
            path,
            data: Vec::new(),
        }
    }

    /// Parses the content of a variable; `None` if the bytes end too early.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let attributes = le_bytes::le32(bytes, 0)?;
        let path_length = usize::from(le_bytes::le16(bytes, 4)?);
        let text = bytes.get(6..)?;
        let units: Vec<u16> = text
            .chunks_exact(2)
            .filter_map(|unit| le_bytes::le16(unit, 0))
            .take_while(|unit| *unit != 0)
            .collect();
        // The label's own terminating zero must be present.
        let path_at = 6 + 2 * (units.len() + 1);
        let path = bytes.get(path_at..path_at + path_length)?.to_vec();
        let data = bytes.get(path_at + path_length..)?.to_vec();
        Some(Self {
            attributes,
            label: String::from_utf16_lossy(&units),
            path,
            data,
        })
    }

    /// Returns whether the entry starts a file of a partition. Its device path then has a hard
    /// drive and a file (UEFI 2.10 section 10.3.5, types 4.1 and 4.4).
    #[must_use]
    pub fn is_file_on_disk(&self) -> bool {
        let (mut has_drive, mut has_file) = (false, false);
        let mut rest = self.path.as_slice();
        while let [kind, subtype, low, high, ..] = rest {
            has_drive |= (*kind, *subtype) == (MEDIA, HARD_DRIVE);
            has_file |= (*kind, *subtype) == (MEDIA, FILE_PATH);
            // A node has at least its header of four bytes, so that a shorter length cannot stop
            // the loop.
            let length = usize::from(u16::from_le_bytes([*low, *high])).max(4);
            rest = rest.get(length..).unwrap_or_default();
        }
        has_drive && has_file
    }

    /// Encodes the content of the variable; `None` if the device path exceeds the format's limit.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let path_length = u16::try_from(self.path.len()).ok()?;
        let mut bytes = Vec::from(self.attributes.to_le_bytes());
        bytes.extend(path_length.to_le_bytes());
        bytes.extend(utf16(&self.label.replace('\0', "")));
        bytes.extend(&self.path);
        bytes.extend(&self.data);
        Some(bytes)
    }
}

/// Partition in a device path, in sectors of its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardDrive {
    /// Partition number.
    pub number: u32,
    /// First sector.
    pub first: u64,
    /// Number of sectors.
    pub sectors: u64,
    /// Identifier of the partition.
    pub signature: Signature,
}

/// Identifier of a partition in a device path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Partition of a GUID partition table: its own identifier.
    Gpt(Guid),
    /// Partition of an MBR: the identifier of the disk.
    Mbr(u32),
}

impl HardDrive {
    /// Returns the device path of a file on this partition, with the components of `path` separated
    /// by backslashes. `None` if the path exceeds the format's limit.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        let mut nodes = vec![MEDIA, HARD_DRIVE];
        nodes.extend(42u16.to_le_bytes());
        nodes.extend(self.number.to_le_bytes());
        nodes.extend(self.first.to_le_bytes());
        nodes.extend(self.sectors.to_le_bytes());
        match self.signature {
            Signature::Gpt(id) => {
                nodes.extend(id.0);
                nodes.extend([2, 2]);
            }
            Signature::Mbr(id) => {
                nodes.extend(id.to_le_bytes());
                nodes.extend([0; 12]);
                nodes.extend([1, 1]);
            }
        }
        let name = utf16(path);
        nodes.extend([MEDIA, FILE_PATH]);
        nodes.extend(u16::try_from(name.len() + 4).ok()?.to_le_bytes());
        nodes.extend(name);
        nodes.extend(END);
        Some(nodes)
    }
}

/// Parses the numbers of a `BootOrder` variable.
#[must_use]
pub fn boot_order(bytes: &[u8]) -> Vec<u16> {
    let numbers = bytes.chunks_exact(2);
    numbers.filter_map(|n| le_bytes::le16(n, 0)).collect()
}

/// Encodes the numbers of a `BootOrder` variable.
#[must_use]
pub fn encode_boot_order(order: &[u16]) -> Vec<u8> {
    order.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// Boot entry that a `BOOT*.CSV` file defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    /// File name of the loader, in the folder of the CSV file.
    pub file: String,
    /// Label of the boot entry; `None` if it is missing or too long.
    pub label: Option<String>,
}

impl Csv {
    /// Parses the first line of a `BOOT*.CSV` that is not blank: `loader,label,data,description`.
    /// The text is UTF-16, as shim's build writes it, or UTF-8. It ends at its first zero, because
    /// some tools pad the file with zeroes. `None` if the line names no plain file.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = text(bytes);
        let text = text.split('\0').next()?;
        let line = text.lines().find(|line| !line.trim().is_empty())?;
        let mut fields = line.splitn(4, ',').map(str::trim);
        let file = fields.next().filter(|file| safe_name::is_plain(file))?;
        let label = fields.next().filter(|l| (1..=MAX_LABEL).contains(&l.len()));
        Some(Self {
            file: file.to_owned(),
            label: label.map(str::to_owned),
        })
    }
}

/// Decodes text in UTF-16 of either byte order, with or without a byte order mark, or in UTF-8.
fn text(bytes: &[u8]) -> String {
    let (units, is_big) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (rest, false),
        [0xFE, 0xFF, rest @ ..] => (rest, true),
        [_, 0, ..] => (bytes, false),
        [0, _, ..] => (bytes, true),
        [0xEF, 0xBB, 0xBF, rest @ ..] => return String::from_utf8_lossy(rest).into_owned(),
        _ => return String::from_utf8_lossy(bytes).into_owned(),
    };
    let units = units.chunks_exact(2).filter_map(|u| le_bytes::le16(u, 0));
    let units: Vec<u16> = units
        .map(|unit| if is_big { unit.swap_bytes() } else { unit })
        .collect();
    String::from_utf16_lossy(&units)
}

/// Encodes text as UTF-16 (little-endian) with a terminating zero.
fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

/// Maximum length of a label in bytes: a longer one is an attack on the variable store.
const MAX_LABEL: usize = 128;
/// `LOAD_OPTION_ACTIVE`.
const ACTIVE: u32 = 1;
const MEDIA: u8 = 4;
const HARD_DRIVE: u8 = 1;
const FILE_PATH: u8 = 4;
const END: [u8; 4] = [0x7F, 0xFF, 4, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns a boot entry as efibootmgr 17 wrote it under OVMF:
    /// `-c -d /dev/sda -p 1 -L ironic1 -l '\EFI\BOOT\BOOTX64.EFI'`.
    fn record() -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0, 98, 0];
        bytes.extend(b"i\0r\0o\0n\0i\0c\x001\0\0\0");
        bytes.extend([4, 1, 42, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0x18, 0x11, 0, 0, 0, 0, 0]);
        bytes.extend(Guid::LINUX_DATA.0);
        bytes.extend([2, 2, 4, 4, 52, 0]);
        let name = "\\EFI\\BOOT\\BOOTX64.EFI".encode_utf16();
        bytes.extend(name.flat_map(u16::to_le_bytes));
        bytes.extend([0, 0, 0x7F, 0xFF, 4, 0]);
        // The path's length counts the nodes, including the end node.
        let length = bytes.len() - 6 - 16;
        bytes[4] = u8::try_from(length).unwrap();
        let file = u8::try_from(length - 42 - 4).unwrap();
        bytes[6 + 16 + 42 + 2] = file;
        bytes
    }

    #[test]
    fn a_record_for_a_file_on_a_partition_has_the_standards_bytes() {
        let partition = HardDrive {
            number: 1,
            first: 2048,
            sectors: 0x11_1800,
            signature: Signature::Gpt(Guid::LINUX_DATA),
        };
        let path = partition.file("\\EFI\\BOOT\\BOOTX64.EFI").unwrap();
        let option = LoadOption::active("ironic1", path);
        assert_eq!(option.encode().unwrap(), record());
        assert_eq!(LoadOption::decode(&record()), Some(option));
    }

    #[test]
    fn a_partition_of_an_mbr_is_named_by_its_disks_identifier() {
        let partition = HardDrive {
            number: 2,
            first: 1,
            sectors: 2,
            signature: Signature::Mbr(0x1234_5678),
        };
        let path = partition.file("x").unwrap();
        let mut signature = vec![0x78, 0x56, 0x34, 0x12];
        signature.extend([0; 12]);
        signature.extend([1, 1]);
        assert_eq!(path[24..42], signature);
    }

    #[test]
    fn a_csv_names_loader_and_label_in_any_encoding() {
        let wanted = Some(Csv {
            file: "shimx64.efi".into(),
            label: Some("debian".into()),
        });
        let line = "shimx64.efi,debian,,This is the boot entry for debian\n";
        let little: Vec<u8> = line.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = line.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [vec![0xFF, 0xFE], little.clone()].concat();
        let marked_utf8 = format!("\u{feff}{line}").into_bytes();
        for bytes in [line.as_bytes().to_vec(), little, big, marked, marked_utf8] {
            assert_eq!(Csv::decode(&bytes), wanted);
        }
    }

    #[test]
    fn zeroes_behind_a_csv_belong_to_no_field() {
        let csv = |label: Option<&str>| {
            Some(Csv {
                file: "shimx64.efi".into(),
                label: label.map(str::to_owned),
            })
        };
        for (text, wanted) in [
            ("shimx64.efi,debian,,text\n\0\0", csv(Some("debian"))),
            ("shimx64.efi,debian\0\0\0", csv(Some("debian"))),
            ("shimx64.efi, debian \0x", csv(Some("debian"))),
            ("shimx64.efi,\0\0", csv(None)),
            ("shimx64.efi\0", csv(None)),
            ("\n\n\0shimx64.efi", None),
        ] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let marked = format!("\u{feff}{text}").into_bytes();
            for bytes in [text.as_bytes().to_vec(), little, marked] {
                assert_eq!(Csv::decode(&bytes), wanted, "{text:?}");
            }
        }
    }

    #[test]
    fn a_csv_that_leads_out_of_its_folder_is_ignored() {
        for line in [
            "",
            "\n\n",
            ",label",
            "..\\..\\x.efi,label",
            "../x.efi,label",
        ] {
            assert_eq!(Csv::decode(line.as_bytes()), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Csv::decode(&bytes);
            let _ = boot_order(&bytes);
            if let Some(option) = LoadOption::decode(&bytes) {
                let again = LoadOption::decode(&option.encode().unwrap());
                prop_assert_eq!(again, Some(option));
            }
        }

        #[test]
        fn a_label_is_the_same_in_its_record(text in "x\\.efi,[a\u{e9}\0 ,\u{1F600}\t]{0,8}") {
            let csv = Csv::decode(text.as_bytes()).unwrap();
            if let Some(label) = csv.label {
                let record = LoadOption::active(&label, Vec::new()).encode().unwrap();
                prop_assert_eq!(LoadOption::decode(&record).unwrap().label, label);
            }
        }

        #[test]
        fn a_boot_order_converts_both_ways(order: Vec<u16>) {
            prop_assert_eq!(boot_order(&encode_boot_order(&order)), order);
        }
    }
}
