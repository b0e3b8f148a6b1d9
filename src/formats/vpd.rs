//! Vital product data of SCSI devices: the pages that identify a disk.
//!
//! Layouts: SPC-4 7.8.15 (page 80h, unit serial number), 7.8.5 (page 83h, device identification)
//! and SAT-3 12.4.2 (page 89h, ATA information). A disk's data is not trusted: every length is
//! checked, and no allocation depends on one.

/// Returns the unit serial number of page 80h, without padding.
#[must_use]
pub fn unit_serial(page: &[u8]) -> Option<String> {
    printable(payload(page, 0x80)?)
}

/// Returns the identifiers of the logical unit in page 83h, in the page's order. Those of ports and
/// targets are left out.
#[must_use]
pub fn designators(page: &[u8]) -> Vec<Designator> {
    let mut found = Vec::new();
    let Some(mut rest) = payload(page, 0x83) else {
        return found;
    };
    while let Some(([codes, kind, _, length], body)) = rest.split_first_chunk::<4>() {
        let Some((value, next)) = body.split_at_checked(usize::from(*length)) else {
            break;
        };
        rest = next;
        // Association 0: the identifier belongs to the logical unit.
        if kind & 0x30 != 0 || value.is_empty() {
            continue;
        }
        let code_set = match codes & 0x0f {
            1 => CodeSet::Binary,
            2 | 3 => CodeSet::Text,
            _ => continue,
        };
        found.push(Designator {
            kind: kind & 0x0f,
            code_set,
            value: value.to_vec(),
        });
    }
    found
}

/// Identifier of page 83h.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Designator {
    /// Designator type (SPC-4 table 589): 0 vendor specific, 1 T10, 2 EUI-64, 3 NAA.
    pub kind: u8,
    /// Encoding of the value.
    pub code_set: CodeSet,
    /// Value, never empty.
    pub value: Vec<u8>,
}

/// Encoding of the value of a [`Designator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSet {
    /// Bytes.
    Binary,
    /// ASCII or UTF-8.
    Text,
}

impl Designator {
    /// Returns the value as text: hexadecimal digits for bytes, trimmed for text.
    #[must_use]
    pub fn text(&self) -> String {
        match self.code_set {
            CodeSet::Binary => hex(&self.value),
            CodeSet::Text => printable(&self.value).unwrap_or_default(),
        }
    }

    /// Returns the name address authority of an NAA identifier: 5 registered, 6 registered
    /// extended.
    #[must_use]
    pub fn naa(&self) -> Option<u8> {
        let first = self.value.first()?;
        (self.kind == 3).then(|| match self.code_set {
            CodeSet::Binary => first >> 4,
            CodeSet::Text => char::from(*first)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
                .unwrap_or(0),
        })
    }
}

/// Identity of an ATA disk behind a SCSI translation (page 89h).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtaIdentity {
    /// Complete model number (the SCSI inquiry cuts it to 16 characters).
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World wide name, if the disk has one.
    pub wwn: Option<u64>,
}

/// Returns the identity in page 89h, from its IDENTIFY DEVICE data (ATA8-ACS 7.12.7).
#[must_use]
pub fn ata_identity(page: &[u8]) -> Option<AtaIdentity> {
    let data = payload(page, 0x89)?.get(56..)?.first_chunk::<512>()?;
    let words = |from: usize, count: usize| data.get(from * 2..(from + count) * 2).unwrap_or(&[]);
    let support = words(87, 1)
        .first_chunk::<2>()
        .map(|w| u16::from_le_bytes(*w))?;
    let wwn = words(108, 4).chunks_exact(2).fold(0, |wwn, word| {
        wwn << 16
            | word
                .iter()
                .rev()
                .fold(0, |w, byte| w << 8 | u64::from(*byte))
    });
    // Word 87 is valid if bits 15:14 are 01; bit 8 is set if there is a world wide name.
    let has_wwn = support & 0xc100 == 0x4100 && wwn >> 60 == 5;
    Some(AtaIdentity {
        model: ata_text(words(27, 20)),
        serial: ata_text(words(10, 10)),
        wwn: has_wwn.then_some(wwn),
    })
}

/// Formats bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the bytes behind a page's header, as many as the header announces and the page has.
fn payload(page: &[u8], code: u8) -> Option<&[u8]> {
    let ([_, found, high, low], rest) = page.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (*found == code).then(|| rest.get(..length).unwrap_or(rest))
}

/// Decodes an ATA string, in which the two characters of each word are swapped.
fn ata_text(words: &[u8]) -> Option<String> {
    let swapped: Vec<u8> = words
        .chunks_exact(2)
        .flat_map(|word| word.iter().rev().copied())
        .collect();
    printable(&swapped)
}

/// Returns printable ASCII without padding; any other byte becomes a space. `None` if nothing is
/// left.
fn printable(bytes: &[u8]) -> Option<String> {
    let text: String = bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                ' '
            }
        })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(code: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0, code], &length[..], payload].concat()
    }

    #[test]
    fn the_serial_number_loses_its_padding() {
        assert_eq!(
            unit_serial(&page(0x80, b"   WD-123 \0\0")).as_deref(),
            Some("WD-123")
        );
        assert_eq!(unit_serial(&page(0x80, b"    ")), None);
        assert_eq!(unit_serial(&page(0x83, b"WD-123")), None);
    }

    #[test]
    fn identifiers_of_ports_are_left_out() {
        let naa = [
            1, 0x03, 0, 8, 0x50, 0x00, 0xc5, 0x00, 0xa1, 0xb2, 0xc3, 0xd4,
        ];
        let port = [
            1, 0x93, 0, 8, 0x50, 0x00, 0xc5, 0x00, 0xa1, 0xb2, 0xc3, 0xd5,
        ];
        let found = designators(&page(0x83, &[port, naa].concat()));
        assert_eq!(
            found,
            [Designator {
                kind: 3,
                code_set: CodeSet::Binary,
                value: naa[4..].to_vec()
            }]
        );
        assert_eq!(
            (found[0].text().as_str(), found[0].naa()),
            ("5000c500a1b2c3d4", Some(5))
        );
    }

    #[test]
    fn a_designator_longer_than_its_page_ends_the_list() {
        let page = page(0x83, &[2, 0, 0, 200, b's', b'1']);
        assert_eq!(designators(&page), []);
    }

    #[test]
    fn the_whole_model_of_an_ata_disk_is_in_page_89() {
        let mut identify = [0; 512];
        let put = |data: &mut [u8; 512], word: usize, words: usize, text: &str| {
            let padded = format!("{text:width$}", width = words * 2);
            for (index, byte) in padded.bytes().enumerate() {
                data[word * 2 + (index ^ 1)] = byte;
            }
        };
        put(&mut identify, 10, 10, "S3Z9NB0K123456");
        put(&mut identify, 27, 20, "Samsung SSD 860 EVO 1TB");
        identify[87 * 2..88 * 2].copy_from_slice(&0x4163_u16.to_le_bytes());
        for (index, word) in [0x5002_u16, 0x538e, 0x4001, 0x2345].iter().enumerate() {
            identify[(108 + index) * 2..(109 + index) * 2].copy_from_slice(&word.to_le_bytes());
        }
        let page = page(0x89, &[&[0; 56][..], &identify].concat());
        assert_eq!(
            ata_identity(&page),
            Some(AtaIdentity {
                model: Some("Samsung SSD 860 EVO 1TB".into()),
                serial: Some("S3Z9NB0K123456".into()),
                wwn: Some(0x5002_538e_4001_2345),
            })
        );
    }

    proptest! {
        #[test]
        fn no_page_makes_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700), code in prop_oneof![Just(0x80_u8), Just(0x83), Just(0x89)]) {
            let mut page = bytes;
            if let Some(byte) = page.get_mut(1) { *byte = code; }
            let _ = unit_serial(&page);
            let _ = ata_identity(&page);
            for designator in designators(&page) {
                prop_assert!(designator.text().len() <= 2 * page.len());
                let _ = designator.naa();
            }
        }
    }
}
