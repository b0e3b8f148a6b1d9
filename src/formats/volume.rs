//! What a volume calls itself: the label of an ISO 9660 or FAT file system, and the ISO's publisher.
//!
//! Knows the primary volume descriptor (ECMA-119 section 8.4) and the FAT boot sector (Microsoft's FAT specification,
//! section 3); not the files inside, which the kernel reads.

/// Bytes from the start of a device that [`Volume::parse`] looks at.
pub const VOLUME_HEAD: usize = DESCRIPTOR + SECTOR;

/// A recognised volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// A FAT file system of any width.
    Fat {
        /// The label in the boot sector.
        label: String,
    },
    /// A CD.
    Iso9660 {
        /// The volume identifier.
        label: String,
        /// The publisher identifier: Ironic writes the value of `ir_pub_id` here.
        publisher: String,
    },
}

impl Volume {
    /// Recognises a volume by its first [`VOLUME_HEAD`] bytes; fewer are enough for FAT.
    #[must_use]
    pub fn parse(head: &[u8]) -> Option<Self> {
        iso9660(head).or_else(|| fat(head))
    }

    /// What the volume calls itself; empty when it has no name.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Fat { label } | Self::Iso9660 { label, .. } => label,
        }
    }
}

/// `mkisofs` always writes the primary descriptor first.
fn iso9660(head: &[u8]) -> Option<Volume> {
    let descriptor = head.get(DESCRIPTOR..)?.get(..SECTOR)?;
    if !descriptor.starts_with(b"\x01CD001") {
        return None;
    }
    Some(Volume::Iso9660 {
        label: text(descriptor.get(40..72)?),
        publisher: text(descriptor.get(318..446)?),
    })
}

fn fat(head: &[u8]) -> Option<Volume> {
    let sector = head.get(..512)?;
    let signed = sector.ends_with(&[0x55, 0xAA]);
    let jumps = matches!(sector, [0xEB, _, 0x90, ..] | [0xE9, ..]);
    if !signed || !jumps {
        return None;
    }
    // 16-bit sectors per FAT are zero on FAT32 alone, whose extended boot record lies further on.
    let short = sector.get(22..24)? != [0, 0];
    let (marker, label) = if short { (38, 43..54) } else { (66, 71..82) };
    if *sector.get(marker)? != EXTENDED {
        return None;
    }
    Some(Volume::Fat {
        label: text(sector.get(label)?),
    })
}

/// A field padded with spaces (or zeroes, as some tools do).
fn text(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    text.trim_matches(|c| c == ' ' || c == '\0').into()
}

const SECTOR: usize = 2048;
/// Sixteen sectors are the system area.
const DESCRIPTOR: usize = 16 * SECTOR;
/// "The next three fields are there."
const EXTENDED: u8 = 0x29;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(bytes: &mut [u8], at: usize, length: usize, text: &str) {
        bytes[at..at + length].fill(b' ');
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    }

    #[test]
    fn a_cd_tells_its_label_and_publisher() {
        let mut head = vec![0; VOLUME_HEAD];
        head[DESCRIPTOR..DESCRIPTOR + 6].copy_from_slice(b"\x01CD001");
        field(&mut head, DESCRIPTOR + 40, 32, "VMEDIA_BOOT_ISO");
        field(&mut head, DESCRIPTOR + 318, 128, "1be26c0b-03f2");
        let volume = Volume::parse(&head).unwrap();
        assert_eq!(volume.label(), "VMEDIA_BOOT_ISO");
        assert_eq!(
            volume,
            Volume::Iso9660 {
                label: "VMEDIA_BOOT_ISO".into(),
                publisher: "1be26c0b-03f2".into()
            }
        );
    }

    #[test]
    fn fat_of_each_width_tells_its_label() {
        for (sectors, marker, at) in [([9, 0], 38, 43), ([0, 0], 66, 71)] {
            let mut head = vec![0; 512];
            head[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
            head[22..24].copy_from_slice(&sectors);
            head[marker] = EXTENDED;
            field(&mut head, at, 11, "ir-vfd-dev");
            head[510..].copy_from_slice(&[0x55, 0xAA]);
            assert_eq!(
                Volume::parse(&head),
                Some(Volume::Fat {
                    label: "ir-vfd-dev".into()
                })
            );
        }
    }

    #[test]
    fn a_boot_sector_without_a_file_system_is_none() {
        let mut head = vec![0; 512];
        head[510..].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(Volume::parse(&head), None);
        assert_eq!(Volume::parse(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _volume = Volume::parse(&head);
        }

        #[test]
        fn no_descriptor_makes_it_panic(descriptor in proptest::collection::vec(any::<u8>(), 0..SECTOR)) {
            let mut head = vec![0; DESCRIPTOR];
            head.extend(b"\x01CD001");
            head.extend(descriptor);
            let _volume = Volume::parse(&head);
        }
    }
}
