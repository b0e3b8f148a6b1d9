//! Fuzz target for qcow2 images in pieces: decoded within the announced disk, or refused.

use super::file_systems::rules;
use crate::formats::image_format;
use crate::formats::qcow2::{Decoder, Header, Pass, Sink, SinkClosed};

/// Guest disk of a given size, which discards its content.
struct Guest {
    bytes: u64,
    /// Number of calls accepted before the sink closes: empty areas cost nothing to announce.
    left: u32,
}

impl Guest {
    fn take(&mut self, offset: u64, length: u64) -> Result<(), SinkClosed> {
        let end = offset.checked_add(length).expect("an end that can be said");
        assert!(end <= self.bytes, "{offset}+{length} of {}", self.bytes);
        self.left = self.left.checked_sub(1).ok_or(SinkClosed)?;
        Ok(())
    }
}

impl Sink for Guest {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkClosed> {
        self.take(offset, bytes.len() as u64)
    }

    fn zero(&mut self, offset: u64, length: u64) -> Result<(), SinkClosed> {
        self.take(offset, length)
    }
}

pub(crate) fn qcow2_image(bytes: &[u8]) {
    for announced in [None, Some("raw"), Some("gpt"), Some("iso"), Some("qcow2")] {
        for deep_inspection in [true, false] {
            let found = image_format::inspect(bytes, announced, &rules(deep_inspection));
            if let Ok(found) = found {
                let by_header = matches!(found.decoding, image_format::Decoding::Qcow2(_));
                assert_eq!(by_header, found.format == image_format::Format::Qcow2);
            }
        }
    }
    let mut image = bytes.to_vec();
    // Most of the code lies behind the check of these first bytes.
    for (place, byte) in image.iter_mut().zip(*b"QFI\xfb\0\0\0") {
        *place = byte;
    }
    let Ok(header) = Header::parse(&image) else {
        return;
    };
    let Ok(mut decoder) = Decoder::new(&header) else {
        return;
    };
    let mut guest = Guest {
        bytes: header.virtual_size,
        left: 10_000,
    };
    let piece = 1 + usize::from(bytes.last().copied().unwrap_or_default());
    for _pass in 0..3 {
        for part in image.chunks(piece) {
            if decoder.push(part, &mut guest).is_err() {
                return;
            }
        }
        match decoder.end(&mut guest) {
            Ok(Pass::Complete) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
