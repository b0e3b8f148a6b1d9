//! Expected checksums of images, and hashing.
//!
//! Ironic's fields have the same precedence as in IPA. Three things differ. MD5 always needs the
//! operator's permission (IPA requires it only for the old `checksum` field). Hex digits match in
//! either case. A value of the wrong form for its algorithm is refused before the download instead
//! of after it.

use super::download;
use super::info::{Checksums, Md5, is_url};
use super::source::{self, Source};
use super::sums::{self, Sum};
use aws_lc_rs::digest::{self, Context};
use blake2::{Blake2b512, Blake2s256};
use md5::Digest;
use sha2::Sha512_224;
use sha3::Sha3_224;
use std::fmt::{self, Write as _};

/// A hash function for the verification of images.
#[derive(Clone, Copy)]
pub struct Algorithm(&'static Function);

struct Function {
    /// Name in Glance and Python's `hashlib`.
    name: &'static str,
    /// Number of hex digits of a hash.
    digits: usize,
    begin: fn() -> Box<dyn Hash>,
}

impl Algorithm {
    /// Finds a function by its name in Glance and Python's `hashlib`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let function = FUNCTIONS.iter().find(|known| known.name == name);
        function.map(Self)
    }

    /// Finds a function by the number of hex digits, for the old `checksum` field.
    fn by_length(digits: usize) -> Option<Self> {
        match digits {
            32 => Self::by_name(MD5),
            64 => Self::by_name("sha256"),
            128 => Self::by_name("sha512"),
            _ => None,
        }
    }

    /// Returns the name in Glance.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Checks whether a checksum file's sum can be of this function.
    fn may_be_of(self, sum: &Sum<'_>) -> bool {
        sum.digits.len() == self.digits() && sum.may_be(self.name())
    }

    fn digits(self) -> usize {
        self.0.digits
    }
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Algorithm {}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Incremental computation of a hash.
pub(super) struct Hasher(Box<dyn Hash>);

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self((algorithm.0.begin)())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the hash as lower-case hex digits.
    pub(super) fn finish(self) -> String {
        self.0.finish()
    }
}

/// State of a hash function.
trait Hash: Send {
    fn update(&mut self, bytes: &[u8]);
    fn finish(self: Box<Self>) -> String;
}

/// Hash of the library with the fast implementations.
struct Fast(Context);

impl Hash for Fast {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// Hash of a function that the fast library does not have.
struct Other<D>(D);

impl<D: Digest + Send> Hash for Other<D> {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> String {
        hex(&self.0.finalize())
    }
}

/// Expected hash of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Hash function.
    pub algorithm: Algorithm,
    /// Hash as lower-case hex digits.
    pub digits: String,
}

impl Expected {
    fn new(algorithm: Algorithm, value: &str) -> Result<Self, Error> {
        let digits = value.trim().to_ascii_lowercase();
        if digits.len() != algorithm.digits() || !is_hex(&digits) {
            return Err(Error::WrongLength {
                algorithm: algorithm.name(),
                digits: algorithm.digits(),
            });
        }
        Ok(Self { algorithm, digits })
    }
}

/// Chooses the strongest checksum from Ironic, and downloads it if it is a URL.
///
/// `image` is the file name to find in checksum files.
pub(super) fn expected(
    checksums: &Checksums,
    image: &str,
    md5: Md5,
    download: impl Fn(&Source) -> Result<Vec<u8>, download::Error>,
) -> Result<Expected, Error> {
    let usable = |algorithm: &Algorithm| algorithm.name() != MD5 || md5 == Md5::Allowed;
    // Of several sums in a file, takes the first that meets the earliest matching criterion.
    let resolve = |value: &str, wanted: &'static str, wishes: &[&dyn Fn(&Sum<'_>) -> bool]| {
        if !is_url(value) {
            return Ok(value.to_owned());
        }
        let source: Source = value.parse().map_err(Error::Url)?;
        let file = download(&source).map_err(Error::Download)?;
        let found = wishes.iter().find_map(|wish| {
            let mut sums = sums::of_image(&file, image);
            sums.find(|sum| wish(sum))
        });
        found
            .map(|sum| sum.digits.to_owned())
            .ok_or_else(|| Error::NotInFile {
                file: source.to_string(),
                wanted,
                image: image.to_owned(),
            })
    };
    if let Some((name, value)) = &checksums.os_hash
        && let Some(algorithm) = Algorithm::by_name(name).filter(usable)
    {
        let value = resolve(value, algorithm.name(), &[&|sum| algorithm.may_be_of(sum)])?;
        return Expected::new(algorithm, &value);
    }
    let Some(checksum) = &checksums.checksum else {
        let algorithm = checksums.os_hash.as_ref().map(|(name, _)| name.clone());
        return Err(Error::Unknown(algorithm.unwrap_or_default()));
    };
    let known = |sum: &Sum<'_>| {
        let algorithm = Algorithm::by_length(sum.digits.len());
        algorithm.filter(|algorithm| algorithm.may_be_of(sum))
    };
    let value = resolve(
        checksum,
        "checksum",
        &[
            &|sum| known(sum).is_some_and(|algorithm| usable(&algorithm)),
            &|sum| known(sum).is_some(),
        ],
    )?;
    let algorithm = Algorithm::by_length(value.len()).ok_or(Error::Unidentified)?;
    if !usable(&algorithm) {
        return Err(Error::Md5);
    }
    Expected::new(algorithm, &value)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Functions that Python's `hashlib` always has, and SHA-512/t. SHAKE is missing, because its
/// hashes have no fixed length. OpenSSL's additions (`md5-sha1`, `ripemd160`, `sm3`) are
/// unsupported.
static FUNCTIONS: [Function; 14] = [
    Function::of("blake2b", 128, || Box::new(Other(Blake2b512::new()))),
    Function::of("blake2s", 64, || Box::new(Other(Blake2s256::new()))),
    Function::of(MD5, 32, || Box::new(Other(md5::Md5::new()))),
    Function::of("sha1", 40, || fast(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
    Function::of("sha224", 56, || fast(&digest::SHA224)),
    Function::of("sha256", 64, || fast(&digest::SHA256)),
    Function::of("sha384", 96, || fast(&digest::SHA384)),
    Function::of("sha3_224", 56, || Box::new(Other(Sha3_224::new()))),
    Function::of("sha3_256", 64, || fast(&digest::SHA3_256)),
    Function::of("sha3_384", 96, || fast(&digest::SHA3_384)),
    Function::of("sha3_512", 128, || fast(&digest::SHA3_512)),
    Function::of("sha512", 128, || fast(&digest::SHA512)),
    Function::of("sha512_224", 56, || Box::new(Other(Sha512_224::new()))),
    Function::of("sha512_256", 64, || fast(&digest::SHA512_256)),
];

impl Function {
    const fn of(name: &'static str, digits: usize, begin: fn() -> Box<dyn Hash>) -> Self {
        Self {
            name,
            digits,
            begin,
        }
    }
}

fn fast(algorithm: &'static digest::Algorithm) -> Box<dyn Hash> {
    Box::new(Fast(Context::new(algorithm)))
}

/// MD5 is broken: it is accepted only with the operator's permission.
const MD5: &str = "md5";

/// Errors of determining the expected checksum.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Downloading the checksum file failed.
    #[error("downloading the image's checksum")]
    Download(#[source] download::Error),
    /// The only checksum is MD5, which is not permitted.
    #[error("only an MD5 checksum was given, which is not allowed unless md5_enabled is set")]
    Md5,
    /// The file does not name the image, or only has its sums of other functions.
    #[error("{file} has no {wanted} for {image}")]
    NotInFile {
        /// URL of the checksum file.
        file: String,
        /// Name of the function, or any checksum.
        wanted: &'static str,
        /// File name of the image.
        image: String,
    },
    /// The number of hex digits does not match the algorithm.
    #[error("the given checksum is not one of {algorithm}, which has {digits} hex digits")]
    WrongLength {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Number of hex digits in its hash.
        digits: usize,
    },
    /// The length matches no algorithm.
    #[error("the algorithm could not be identified by the checksum's length")]
    Unidentified,
    /// The algorithm is unsupported or not permitted.
    #[error("the algorithm {0:?} is unknown or not allowed, and no other checksum was given")]
    Unknown(String),
    /// The checksum's URL is invalid.
    #[error("the checksum's URL cannot be used")]
    Url(#[source] source::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &Source) -> Result<Vec<u8>, download::Error> {
        panic!("nothing to download")
    }

    fn os_hash(name: &str, value: &str) -> Checksums {
        Checksums {
            checksum: None,
            os_hash: Some((name.into(), value.into())),
        }
    }

    fn hash(name: &str, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(Algorithm::by_name(name).unwrap());
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn known_answers() {
        assert_eq!(hash("md5", b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            hash("sha1", b"abc"),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hash("sha256", b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hash("SHA3-256", b"abc"),
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
        );
        // Vectors of FIPS 202, FIPS 180-4 and RFC 7693; the last two are from the appendices of RFC
        // 7693.
        assert_eq!(
            hash("sha3_224", b"abc"),
            "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"
        );
        assert_eq!(
            hash("sha512_224", b"abc"),
            "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"
        );
        assert_eq!(
            hash("sha512_256", b"abc"),
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"
        );
        assert_eq!(
            hash("blake2b", b"abc"),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
             7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
        );
        assert_eq!(
            hash("blake2s", b"abc"),
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"
        );
    }

    #[test]
    fn every_function_gives_as_many_digits_as_it_says() {
        for Function { name, digits, .. } in &FUNCTIONS {
            assert_eq!(hash(name, b"").len(), *digits, "{name}");
        }
    }

    #[test]
    fn hex_digits_count_in_either_case() {
        let given = os_hash("sha256", &"AB".repeat(32));
        let found = expected(&given, "x", Md5::Refused, nothing).unwrap();
        assert_eq!(found.digits, "ab".repeat(32));
    }

    #[test]
    fn md5_needs_leave_from_either_field() {
        let given = os_hash("md5", &"a".repeat(32));
        assert!(matches!(
            expected(&given, "x", Md5::Refused, nothing),
            Err(Error::Unknown(_))
        ));
        assert!(expected(&given, "x", Md5::Allowed, nothing).is_ok());
        let old = Checksums {
            checksum: Some("a".repeat(32)),
            os_hash: None,
        };
        assert!(matches!(
            expected(&old, "x", Md5::Refused, nothing),
            Err(Error::Md5)
        ));
    }

    #[test]
    fn the_length_of_the_old_field_names_its_function() {
        let old = |digits| Checksums {
            checksum: Some("a".repeat(digits)),
            os_hash: None,
        };
        for (digits, name) in [(32, "md5"), (64, "sha256"), (128, "sha512")] {
            let found = expected(&old(digits), "x", Md5::Allowed, nothing).unwrap();
            let value = "a".repeat(digits);
            let right = format!("Expected {{ algorithm: {name}, digits: {value:?} }}");
            assert_eq!(format!("{found:?}"), right);
        }
        assert!(matches!(
            expected(&old(40), "x", Md5::Allowed, nothing),
            Err(Error::Unidentified)
        ));
    }

    #[test]
    fn a_value_that_is_no_hex_is_refused() {
        let given = os_hash("sha256", &"g".repeat(64));
        assert!(matches!(
            expected(&given, "x", Md5::Refused, nothing),
            Err(Error::WrongLength { .. })
        ));
    }

    #[test]
    fn the_same_digits_of_two_functions_are_two_values() {
        let value = |name| Expected::new(Algorithm::by_name(name).unwrap(), &"a".repeat(64));
        assert_eq!(value("sha256").unwrap(), value("SHA256").unwrap());
        assert_ne!(value("sha256").unwrap(), value("sha3_256").unwrap());
    }

    #[test]
    fn an_unknown_function_gives_way_to_the_old_field() {
        let both = Checksums {
            checksum: Some("a".repeat(64)),
            ..os_hash("sm3", "b")
        };
        let found = expected(&both, "x", Md5::Refused, nothing).unwrap();
        assert_eq!(found.algorithm.name(), "sha256");
    }

    #[test]
    fn a_value_of_another_length_is_refused_at_once() {
        let given = os_hash("sha512", &"a".repeat(64));
        assert!(matches!(
            expected(&given, "x", Md5::Refused, nothing),
            Err(Error::WrongLength { .. })
        ));
    }

    #[test]
    fn a_checksum_file_gives_what_fits_the_wanted_function() {
        let of = |digits: usize, c: &str| c.repeat(digits);
        let (sha1, sha256, sha3, sha512) = (of(40, "1"), of(64, "2"), of(64, "3"), of(128, "5"));
        let file = format!(
            "{sha1}  disk.img\nSHA3-256 (disk.img) = {sha3}\nSHA256 (disk.img) = {sha256}\n{sha512}  disk.img\n"
        );
        let url = "http://host/SUMS";
        let found = |checksums: &Checksums| {
            let expected = expected(checksums, "disk.img", Md5::Refused, |_| {
                Ok(file.clone().into_bytes())
            });
            expected.unwrap().digits
        };
        for (name, digits) in [
            ("sha1", &sha1),
            ("sha256", &sha256),
            ("sha3_256", &sha3),
            ("sha512", &sha512),
        ] {
            assert_eq!(&found(&os_hash(name, url)), digits, "{name}");
        }
        let given = os_hash("sha384", url);
        let error = expected(&given, "disk.img", Md5::Refused, |_| {
            Ok(file.clone().into_bytes())
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "http://host/SUMS has no sha384 for disk.img"
        );
        // The length alone determines the function of the old field.
        let old = Checksums {
            checksum: Some(url.into()),
            os_hash: None,
        };
        assert_eq!(found(&old), sha256);
    }

    #[test]
    fn an_md5_that_does_not_count_hides_nothing_behind_it() {
        let (md5, sha256) = ("a".repeat(32), "b".repeat(64));
        let file = format!("{md5}  x\n{sha256}  x\n");
        let old = Checksums {
            checksum: Some("http://host/SUMS".into()),
            os_hash: None,
        };
        let found = |md5| {
            let expected = expected(&old, "x", md5, |_| Ok(file.clone().into_bytes()));
            expected.unwrap().digits
        };
        assert_eq!(found(Md5::Refused), sha256);
        assert_eq!(found(Md5::Allowed), md5);
    }
}
