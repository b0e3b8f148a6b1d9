//! From what Ironic sends (base64 of gzip, or a URL) to a file system's bytes, within 64 MiB.

use super::{Error, SIZE};
use crate::formats::fat::Fat;
use crate::formats::iso9660::Iso;
use crate::formats::signature;
use crate::secret::Secret;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;
use flate2::read::MultiGzDecoder;
use std::io::{self, Cursor, Read};
use url::Url;
use zeroize::Zeroizing;

/// A config drive's file system.
#[derive(Debug)]
pub struct Drive(Secret<Vec<u8>>);

/// Downloads a URL; the answer has at most [`MOST_ENCODED_BYTES`].
pub type Fetch<'a> = dyn Fn(&Url) -> Result<Secret<Vec<u8>>, FetchError> + 'a;

/// Why a download failed.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// The most bytes that a config drive may have on its way: 64 MiB that do not compress, in base64 with line ends.
pub const MOST_ENCODED_BYTES: u64 = 92 << 20;

impl Drive {
    /// Decodes what Ironic sent for a node: text, or the URL of it, which is fetched.
    ///
    /// The text is base64 of gzip, read as leniently as Python's decoder; a URL may also give plain gzip or a plain image.
    ///
    /// # Errors
    /// [`Error::Fetch`], [`Error::Malformed`], [`Error::TooLarge`], [`Error::Url`].
    pub fn from_text(text: &str, node: &str, fetch: &Fetch<'_>) -> Result<Self, Error> {
        if !is_url(text) {
            return Self::from_bytes(text.as_bytes(), node);
        }
        let url = Url::parse(text).map_err(|source| Error::Url {
            node: node.into(),
            source,
        })?;
        let fetched = fetch(&url).map_err(|source| Error::Fetch {
            node: node.into(),
            source,
        })?;
        Self::from_bytes(fetched.expose(), node)
    }

    /// The bytes, for the moment in which they are written.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.expose().len()).unwrap_or(u64::MAX)
    }

    /// Whether its file system can be used on a disk with sectors of this many bytes: the kernel reads no smaller blocks
    /// than those.
    pub(super) fn usable_with(&self, sector: u32) -> bool {
        block_bytes(self.expose()).is_some_and(|block| block >= u64::from(sector))
    }

    fn from_bytes(bytes: &[u8], node: &str) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed {
            node: node.into(),
            source,
        };
        let is_zipped = |mut reader: &mut dyn Read| {
            let mut start = [0; 2];
            (&mut reader).read_exact(&mut start).is_ok() && start == GZIP
        };
        let decoded = if is_zipped(&mut { bytes }) {
            bounded(MultiGzDecoder::new(bytes))
        } else if is_zipped(&mut base64(bytes)) {
            bounded(MultiGzDecoder::new(base64(bytes)))
        } else if block_bytes(bytes).is_some() {
            bounded(bytes)
        } else {
            let decoded = bounded(base64(bytes)).map_err(malformed)?;
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

/// The smallest unit of the file system in these bytes; `None` for what we do not know.
fn block_bytes(bytes: &[u8]) -> Option<u64> {
    if let Ok(Some(_)) = Iso::open(Cursor::new(bytes)) {
        return Some(2048);
    }
    if let Ok(Some(fat)) = Fat::open(Cursor::new(bytes)) {
        return Some(fat.sector());
    }
    signature::ext_block(bytes)
}

/// Base64 as Python's `b64decode` reads it: characters outside the alphabet are skipped, the first padding ends it.
fn base64(text: &[u8]) -> impl Read + '_ {
    DecoderReader::new(Alphabet(text), &ENGINE)
}

/// Only the characters that base64 knows.
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

/// Everything that `reader` gives, unless it is more than a config drive may have. What is outgrown is wiped.
fn bounded(reader: impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut reader = reader.take(SIZE + 1);
    let mut bytes = Zeroizing::new(Vec::new());
    let mut piece = Zeroizing::new(vec![0; 1 << 16]);
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if bytes.capacity() - bytes.len() < read {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2 + read));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= SIZE);
    Ok(fits.then_some(bytes))
}

static ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// How gzip begins.
const GZIP: [u8; 2] = [0x1F, 0x8B];
