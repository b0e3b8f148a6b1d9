//! Directory entries of FAT: labels, short names and long names.

use crate::formats::{le_bytes, safe_name};
use std::ops::ControlFlow;

/// Searches the entries of a root directory for its label. Breaks with `None` at the end marker,
/// and continues if the bytes end before it.
pub(super) fn label_in(entries: &[u8]) -> ControlFlow<Option<[u8; 11]>> {
    for raw in entries.chunks_exact(32) {
        let [attributes] = le_bytes::array(raw, 11).unwrap_or_default();
        let file = (le_bytes::le16(raw, 20), le_bytes::le16(raw, 26)) != (Some(0), Some(0));
        match raw.first() {
            Some(0) => return ControlFlow::Break(None),
            Some(0xE5) => {}
            _ if file || attributes & 0x3F == 0x0F => {}
            // Other attributes may be set: Windows sets the archive bit on labels.
            _ if attributes & 0x18 == 0x08 => return ControlFlow::Break(le_bytes::array(raw, 0)),
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

/// File or directory.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_directory: bool,
    pub(super) bytes: u32,
    pub(super) first: u32,
}

/// Returns the files and directories in a directory's bytes, without names that are not plain.
pub(super) fn entries_of(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long = LongName::default();
    for raw in bytes.chunks_exact(32) {
        let (start, attributes) = (le_bytes::array(raw, 0), le_bytes::array(raw, 11));
        let (Some([start]), Some([attributes])) = (start, attributes) else {
            continue;
        };
        match (start, attributes) {
            (0, _) => break,
            (0xE5, _) => long = LongName::default(),
            (_, a) if a & 0x3F == 0x0F => long.add(start, raw),
            (_, a) if a & 0x08 != 0 => long = LongName::default(),
            _ => {
                let name = std::mem::take(&mut long).complete(raw);
                let name = name.or_else(|| short_name(raw)).unwrap_or_default();
                if safe_name::is_plain(&name) {
                    entries.extend(Entry::decode(name, attributes, raw));
                }
            }
        }
    }
    entries
}

impl Entry {
    fn decode(name: String, attributes: u8, raw: &[u8]) -> Option<Self> {
        let high = u32::from(le_bytes::le16(raw, 20)?);
        Some(Self {
            name,
            is_directory: attributes & 0x10 != 0,
            bytes: le_bytes::le32(raw, 28)?,
            first: high << 16 | u32::from(le_bytes::le16(raw, 26)?),
        })
    }
}

/// Long name under construction: its pieces come last first, before the entry they belong to.
#[derive(Default)]
struct LongName {
    pieces: Vec<Vec<u16>>,
    expected: u8,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, order: u8, raw: &[u8]) {
        let checksum = raw.get(13).copied().unwrap_or_default();
        let number = order & 0x3F;
        if order & 0x40 != 0 {
            *self = Self {
                pieces: Vec::new(),
                expected: number,
                checksum,
            };
        }
        if number == 0 || number > 20 || number != self.expected || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        let places = (1..11)
            .step_by(2)
            .chain((14..26).step_by(2))
            .chain([28, 30]);
        let units = places.filter_map(|at| le_bytes::le16(raw, at));
        self.pieces
            .push(units.take_while(|unit| *unit != 0).collect());
        self.expected = number - 1;
    }

    fn complete(self, raw: &[u8]) -> Option<String> {
        let short = raw.get(..11)?;
        let sum = short
            .iter()
            .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.pieces.is_empty() || self.expected != 0 || sum != self.checksum {
            return None;
        }
        let units: Vec<u16> = self.pieces.into_iter().rev().flatten().collect();
        Some(String::from_utf16_lossy(&units))
    }
}

/// Returns `NAME.EXT`, in lower case where the flags of Windows require it.
fn short_name(raw: &[u8]) -> Option<String> {
    let case = *raw.get(12)?;
    let part = |from: usize, to: usize, lower: bool| -> Option<String> {
        let text = String::from_utf8_lossy(raw.get(from..to)?).into_owned();
        let text = text.trim_end_matches(' ').to_owned();
        Some(if lower {
            text.to_ascii_lowercase()
        } else {
            text
        })
    };
    let name = part(0, 8, case & 0x08 != 0)?;
    let extension = part(8, 11, case & 0x10 != 0)?;
    Some(match extension.as_str() {
        "" => name,
        extension => format!("{name}.{extension}"),
    })
}
