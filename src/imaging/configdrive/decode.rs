//! Decodes a config drive from Ironic (base64 of gzip, or a URL) to the bytes of a file system of
//! at most 64 MiB.

use super::error::{Error, FetchError};
use crate::formats::fat::Fat;
use crate::formats::iso9660::Iso;
use crate::formats::probe;
use crate::imaging::gunzip::{Gunzip, Rest};
use crate::secret::Secret;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;
use std::io::{self, BufReader, Cursor, Read};
use url::Url;
use zeroize::Zeroizing;

/// File system of a config drive.
#[derive(Debug)]
pub struct Drive(Secret<Vec<u8>>);

/// Downloads a URL; the response has at most [`MAX_ENCODED_BYTES`].
pub type Fetch<'a> = dyn Fn(&Url) -> Result<Secret<Vec<u8>>, FetchError> + 'a;

/// Maximum size of an encoded config drive in bytes: 64 MiB of incompressible data, in base64 with
/// line ends.
pub const MAX_ENCODED_BYTES: u64 = 92 << 20;

/// Maximum size of a config drive in Ironic and cloud-init.
pub(super) const SIZE: u64 = 64 << 20;

impl Drive {
    /// Decodes a node's config drive from text, or fetches it if the text is a URL.
    ///
    /// The text is base64 of gzip, decoded as leniently as by Python. A URL may also yield plain
    /// gzip or a plain image.
    ///
    /// # Errors
    /// [`Error::Fetch`], [`Error::Malformed`], [`Error::TooLarge`], [`Error::Url`].
    pub fn from_text(text: &str, node: &str, fetch: &Fetch<'_>) -> Result<Self, Error> {
        if !is_url(text) {
            return Self::from_bytes(text.as_bytes(), node, SIZE);
        }
        let url = Url::parse(text).map_err(|source| Error::Url {
            node: node.into(),
            source,
        })?;
        let fetched = fetch(&url).map_err(|source| Error::Fetch {
            node: node.into(),
            source,
        })?;
        Self::from_bytes(fetched.expose(), node, SIZE)
    }

    /// Exposes the bytes while they are written.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.expose().len()).unwrap_or(u64::MAX)
    }

    /// Checks whether the file system is usable on a disk with sectors of `sector` bytes: the
    /// kernel cannot read smaller blocks.
    pub(super) fn usable_with(&self, sector: u32) -> bool {
        block_bytes(self.expose()).is_some_and(|block| block >= u64::from(sector))
    }

    fn from_bytes(bytes: &[u8], node: &str, most: u64) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed {
            node: node.into(),
            source,
        };
        let is_zipped = |mut reader: &mut dyn Read| {
            let mut start = [0; 2];
            (&mut reader).read_exact(&mut start).is_ok() && start == GZIP
        };
        let decoded = if is_zipped(&mut { bytes }) {
            bounded(Gunzip::new(bytes, Rest::Refused), most)
        } else if block_bytes(bytes).is_some() {
            bounded(bytes, most)
        } else if is_zipped(&mut base64(bytes)) {
            bounded(
                Gunzip::new(BufReader::new(base64(bytes)), Rest::Refused),
                most,
            )
        } else {
            let decoded = bounded(base64(bytes), most).map_err(malformed)?;
            let useful = |drive: &Zeroizing<Vec<u8>>| block_bytes(drive).is_some();
            if decoded.as_ref().is_some_and(|drive| !useful(drive)) {
                let why = "it is neither gzip nor a file system";
                return Err(malformed(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            Ok(decoded)
        };
        match decoded.map_err(malformed)? {
            Some(mut drive) => Ok(Self(Secret::new(std::mem::take(&mut *drive)))),
            None => Err(Error::TooLarge { node: node.into() }),
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let start = text.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Returns the smallest allocation unit of the file system; `None` for unknown file systems.
fn block_bytes(bytes: &[u8]) -> Option<u64> {
    if let Ok(Some(_)) = Iso::open(Cursor::new(bytes)) {
        return Some(2048);
    }
    if let Ok(Some(fat)) = Fat::open(Cursor::new(bytes)) {
        return Some(fat.sector());
    }
    probe::ext_block(bytes)
}

/// Decodes base64 like Python's `b64decode`: characters outside the alphabet are skipped, and the
/// first padding ends the data.
fn base64(text: &[u8]) -> impl Read + '_ {
    DecoderReader::new(Alphabet(text), &ENGINE)
}

/// Reader that filters out characters outside of base64.
struct Alphabet<'a>(&'a [u8]);

impl Read for Alphabet<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut taken = 0;
        for place in into {
            let mut known = self.0.iter().enumerate();
            let next = known.find(|(_, c)| c.is_ascii_alphanumeric() || b"+/=".contains(c));
            match next {
                Some((at, character)) if *character != b'=' => {
                    *place = *character;
                    taken += 1;
                    self.0 = self.0.get(at + 1..).unwrap_or_default();
                }
                _ => {
                    self.0 = &[];
                    break;
                }
            }
        }
        Ok(taken)
    }
}

/// Reads `reader` to its end; `None` if it has more than `most` bytes. The allocator zeroizes
/// outgrown buffers (`sys::wiping`).
fn bounded(reader: impl Read, most: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut reader = reader.take(most + 1);
    let mut bytes = Zeroizing::new(Vec::new());
    let mut piece = Zeroizing::new(vec![0; 1 << 16]);
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= most);
    Ok(fits.then_some(bytes))
}

static ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Magic bytes of gzip.
const GZIP: [u8; 2] = [0x1F, 0x8B];

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose;
    use flate2::Compression;
    use flate2::read::GzEncoder;
    use proptest::prelude::*;
    use std::cell::RefCell;

    /// Builds the smallest image that is recognized as ISO 9660.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 18 * 2048];
        image[16 * 2048..][..6].copy_from_slice(b"\x01CD001");
        image[16 * 2048 + 128..][..2].copy_from_slice(&2048u16.to_le_bytes());
        image[16 * 2048 + 156] = 34;
        image
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut zipped = Vec::new();
        let mut encoder = GzEncoder::new(bytes, Compression::fast());
        encoder.read_to_end(&mut zipped).unwrap();
        zipped
    }

    fn sent(bytes: &[u8]) -> String {
        general_purpose::STANDARD.encode(bytes)
    }

    fn no_fetch(_: &Url) -> Result<Secret<Vec<u8>>, FetchError> {
        Err("nothing is fetched".into())
    }

    fn from_text(text: &str) -> Result<Vec<u8>, Error> {
        Drive::from_text(text, "node-1", &no_fetch).map(|drive| drive.expose().to_vec())
    }

    #[test]
    fn base64_of_gzip_is_decoded_as_leniently_as_python_does() {
        let text = sent(&zipped(&image()));
        assert_eq!(from_text(&text).unwrap(), image());
        let broken: String = text
            .chars()
            .enumerate()
            .flat_map(|(at, c)| {
                if at % 60 == 59 {
                    vec!['\r', '\n', '-', c]
                } else {
                    vec![c]
                }
            })
            .collect();
        assert_eq!(from_text(&broken).unwrap(), image());
        assert_eq!(from_text(text.trim_end_matches('=')).unwrap(), image());
        assert_eq!(from_text(&sent(&image())).unwrap(), image());
    }

    #[test]
    fn nothing_counts_behind_the_first_padding() {
        let mut bytes = zipped(&image());
        bytes.resize(bytes.len().next_multiple_of(3) + 1, 0);
        let text = sent(&bytes);
        assert!(text.ends_with("=="), "{text}");
        assert_eq!(from_text(&format!("{text}QUJD")).unwrap(), image());
    }

    /// Reader that returns one byte at a time, each after an interruption.
    struct Interrupted<'a> {
        bytes: &'a [u8],
        asked: bool,
    }

    impl Read for Interrupted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.asked = !self.asked;
            match self.asked {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => self.bytes.read(&mut into[..1]),
            }
        }
    }

    #[test]
    fn an_interrupted_read_is_made_again() {
        let reader = Interrupted {
            bytes: b"abc",
            asked: false,
        };
        let read = bounded(reader, 3).unwrap();
        assert_eq!(read.as_deref().map(Vec::as_slice), Some(&b"abc"[..]));
    }

    #[test]
    fn gzip_may_be_padded_with_zeroes_and_have_members() {
        let (start, rest) = (image()[..100].to_vec(), image()[100..].to_vec());
        let pad = vec![0; 512];
        for parts in [
            vec![zipped(&image()), pad.clone()],
            vec![zipped(&image()), vec![0; 100_000]],
            vec![zipped(&start), zipped(&rest)],
            vec![zipped(&start), pad.clone(), zipped(&rest), pad],
        ] {
            let parts = parts.concat();
            assert_eq!(from_text(&sent(&parts)).unwrap(), image());
            let plain = Drive::from_bytes(&parts, "node-1", SIZE).unwrap();
            assert_eq!(plain.expose(), image());
        }
        // The trailing bytes are neither padding nor a member.
        let junk = [zipped(&image()), b"\0\0junk".to_vec()].concat();
        assert!(matches!(
            from_text(&sent(&junk)),
            Err(Error::Malformed { .. })
        ));
    }

    #[test]
    fn a_url_gives_base64_gzip_or_a_plain_image() {
        let text = sent(&zipped(&image())).into_bytes();
        for answer in [text, zipped(&image()), image()] {
            let asked = RefCell::new(Vec::new());
            let fetch = |url: &Url| -> Result<_, FetchError> {
                asked.borrow_mut().push(url.to_string());
                Ok(Secret::new(answer.clone()))
            };
            let drive = Drive::from_text("HTTP://server/drive", "node-1", &fetch).unwrap();
            assert_eq!(drive.expose(), image());
            assert_eq!(asked.into_inner(), ["http://server/drive"]);
        }
    }

    #[test]
    fn failures_name_the_node_and_are_deployment_errors() {
        use crate::error::AgentError;
        let cases = [
            (
                "no base64 at all!",
                "Config drive for node node-1 is not base64 encoded or the content is malformed: Invalid input length: 13",
            ),
            (
                "not a drive yes",
                "Config drive for node node-1 is not base64 encoded or the content is malformed: it is neither gzip nor a file system",
            ),
            (
                "https://server/x",
                "Config drive for node node-1 could not be downloaded: nothing is fetched",
            ),
        ];
        for (text, details) in cases {
            let error = AgentError::from(from_text(text).unwrap_err());
            assert_eq!(error.to_string(), format!("Deploy step failed: {details}"));
        }
        let cut = sent(&zipped(&image())[..20]);
        assert!(matches!(from_text(&cut), Err(Error::Malformed { .. })));
    }

    #[test]
    fn more_than_the_limit_is_too_large_in_every_form() {
        let text = sent(&zipped(&image())).into_bytes();
        let size = u64::try_from(image().len()).unwrap();
        for bytes in [text, zipped(&image()), image()] {
            let error = Drive::from_bytes(&bytes, "node-1", size - 1).unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
            assert_eq!(
                Drive::from_bytes(&bytes, "node-1", size).unwrap().bytes(),
                size
            );
        }
    }

    #[test]
    fn decoding_ends_at_the_limit_however_much_there_is() {
        let endless = || io::repeat(7);
        assert_eq!(bounded(endless().take(100_000), 99_999).unwrap(), None);
        let whole = bounded(endless().take(100_000), 100_000).unwrap().unwrap();
        assert_eq!(*whole, vec![7; 100_000]);
        assert_eq!(bounded(endless(), 10).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = from_text(&text);
        }

        #[test]
        fn every_gzip_comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(from_text(&sent(&zipped(&bytes))).unwrap(), bytes);
        }
    }
}
