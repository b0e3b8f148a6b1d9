//! Decodes gzip (RFC 1952) with all its members. Zeroes between and after them are padding from
//! tapes and block devices, which gzip(1) and Python's `gzip` skip.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Read};

/// Treatment of bytes after the last member that are no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Ignores them.
    LeftOut,
    /// Reports an error.
    Refused,
}

/// A reader of gzip content. It ends for any input: it decodes at most [`MAX_MEMBERS`] members.
#[derive(Debug)]
pub(super) struct Gunzip<R> {
    member: Option<GzDecoder<R>>,
    members: u32,
    rest: Rest,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(reader: R, rest: Rest) -> Self {
        Self {
            member: Some(GzDecoder::new(reader)),
            members: 1,
            rest,
        }
    }

    /// Finds the next member after a member and its padding; `None` at the end.
    fn next_member(&mut self, mut reader: R) -> io::Result<Option<GzDecoder<R>>> {
        let first = loop {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let padding = bytes.iter().take_while(|byte| **byte == 0).count();
            let first = bytes.get(padding).copied();
            reader.consume(padding);
            if let Some(first) = first {
                break first;
            }
        };
        if self.rest == Rest::LeftOut && first != MAGIC {
            return Ok(None);
        }
        self.members += 1;
        if self.members > MAX_MEMBERS {
            let why = "it has too many members";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Some(GzDecoder::new(reader)))
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.member = match self.member.take() {
                Some(member) => self.next_member(member.into_inner())?,
                None => None,
            };
        }
        Ok(0)
    }
}

/// First byte of a member.
const MAGIC: u8 = 0x1f;
/// Maximum number of members. Block compressors create one for some tens of KiB; empty members
/// would cost time without output.
const MAX_MEMBERS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn content(zipped: &[u8], rest: Rest) -> Result<String, String> {
        let mut content = String::new();
        let read = Gunzip::new(zipped, rest).read_to_string(&mut content);
        read.map(|_| content).map_err(|error| error.to_string())
    }

    #[test]
    fn members_are_one_content_and_zeroes_are_padding() {
        let pad = vec![0; 512];
        let zipped = [member(b"a"), pad.clone(), member(b"b"), member(b"c"), pad].concat();
        for rest in [Rest::LeftOut, Rest::Refused] {
            assert_eq!(content(&zipped, rest).as_deref(), Ok("abc"));
        }
    }

    #[test]
    fn what_is_behind_the_last_member_is_left_out_or_refused() {
        let zipped = [member(b"a"), b"\0\0something else".to_vec()].concat();
        assert_eq!(content(&zipped, Rest::LeftOut).as_deref(), Ok("a"));
        assert_eq!(
            content(&zipped, Rest::Refused),
            Err("invalid gzip header".into())
        );
    }

    #[test]
    fn members_without_content_come_to_an_end() {
        let most = usize::try_from(MAX_MEMBERS).unwrap();
        assert_eq!(
            content(&member(b"").repeat(most), Rest::Refused).as_deref(),
            Ok("")
        );
        assert_eq!(
            content(&member(b"").repeat(most + 1), Rest::Refused),
            Err("it has too many members".into())
        );
    }
}
