//! Pins of Ironic's API: the keys of which it must present one, whatever its certificate.
//!
//! A pin replaces only the chain to an authority. Times and name still count if a known authority
//! signed the certificate. Otherwise they count as far as the library checks them before it reports
//! the unknown issuer. The server always proves possession of the key, by the handshake's
//! signature. `insecure` skips the usual verification, but not the pin.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, OtherError};
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// SHA-256 hash of a public key as a certificate holds it (SubjectPublicKeyInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// Pins of which a server's key must match one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins(Vec<Pin>);

impl Pin {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let sum = <[u8; 32]>::try_from(digest(&SHA256, &key).as_ref());
        sum.map(Self)
            .map_err(|_| CertificateError::BadEncoding.into())
    }
}

/// Formats the pin like curl.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl FromStr for Pin {
    type Err = &'static str;

    /// Parses base64 or hexadecimal digits, with or without curl's prefix `sha256//`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = match text.len() {
            64 => hexadecimal(text),
            43 => STANDARD_NO_PAD.decode(text).ok(),
            44 => STANDARD.decode(text).ok(),
            _ => None,
        };
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(WANTED)
    }
}

impl FromStr for Pins {
    type Err = &'static str;

    /// Parses a comma-separated list of one to `MAX_PINS` pins.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(',').map(str::trim);
        let pins = words
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if pins.is_empty() || pins.len() > MAX_PINS {
            return Err(WANTED);
        }
        Ok(Self(pins))
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pin) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{pin}")?;
        }
        Ok(())
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| match pair {
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
            }
            _ => None,
        })
        .collect()
}

/// The server's key matches none of the pins.
#[derive(Debug, thiserror::Error)]
#[error("the server's key is {shown}, and only {pinned} is believed (api_pin)")]
struct PinMismatch {
    shown: Pin,
    pinned: Pins,
}

impl Pins {
    /// Verifies that the key of a certificate matches one of the pins.
    pub(super) fn verify(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let shown = Pin::of(certificate)?;
        if self.0.contains(&shown) {
            return Ok(());
        }
        let pinned = self.clone();
        let error = PinMismatch { shown, pinned };
        Err(rustls::Error::Other(OtherError(Arc::new(error))))
    }
}

const PREFIX: &str = "sha256//";
const WANTED: &str = "must be SHA-256 sums of public keys, as curl's sha256//… or in hexadecimal digits, separated by commas";
/// Maximum number of pins: the present and future keys of one API on several machines.
const MAX_PINS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn a_pin_is_written_as_curl_does_or_in_hexadecimal_digits() {
        let wanted: Pin = HEX.parse().unwrap();
        assert_eq!(wanted.to_string(), format!("sha256//{BASE64}"));
        for text in [
            BASE64.to_owned(),
            BASE64.trim_end_matches('=').to_owned(),
            format!("sha256//{BASE64}"),
            format!("sha256//{HEX}"),
            HEX.to_uppercase(),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn several_pins_are_separated_by_commas_and_none_is_no_pin() {
        let both = format!(" {HEX}, sha256//{BASE64},");
        assert_eq!(both.parse::<Pins>().unwrap().0.len(), 2);
        for text in [
            "",
            ",",
            "sha256//",
            "sha1//2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            &HEX[1..],
            &format!("+{}", &HEX[1..]),
            &format!("{HEX}0"),
            &format!("{HEX},x"),
            &format!("{HEX},").repeat(MAX_PINS + 1),
        ] {
            assert_eq!(text.parse::<Pins>(), Err(WANTED), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_pin_or_refused(text in "\\PC{0,70}") {
            let _ = text.parse::<Pins>();
        }

        #[test]
        fn a_pin_is_read_back_as_it_is_shown(sum: [u8; 32]) {
            prop_assert_eq!(Pin(sum).to_string().parse(), Ok(Pin(sum)));
        }
    }
}
