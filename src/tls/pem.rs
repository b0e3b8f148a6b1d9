//! Parses certificates in PEM, including the forms that only OpenSSL writes.

use super::der::{OBJECT_IDENTIFIER, SEQUENCE, Value, Values};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error, PemObject};
use zeroize::Zeroizing;

/// Certificate, and the trust settings that follow it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) certificate: CertificateDer<'static>,
    /// OpenSSL's `X509_CERT_AUX`; empty if there is none.
    settings: Vec<u8>,
}

impl Section {
    /// Returns whether OpenSSL's trust settings let the certificate vouch for servers
    /// (`X509_check_trust`).
    ///
    /// Server use must not be rejected. If trusted uses are listed, it must be one of them.
    pub(super) fn is_trusted_for_servers(&self) -> bool {
        if self.settings.is_empty() {
            return true;
        }
        let Some(settings) = Values::of(&self.settings).next_of(SEQUENCE) else {
            return false;
        };
        let list = |tag| settings.values().find(|value| value.tag() == tag);
        let names_servers = |list: Value<'_>| {
            list.values().any(|name| {
                name.tag() == OBJECT_IDENTIFIER && [SERVERS, ANY_USE].contains(&name.content())
            })
        };
        !list(REJECTED).is_some_and(names_servers) && list(SEQUENCE).is_none_or(names_servers)
    }
}

/// Returns every certificate in a text, with any of the three labels that OpenSSL supports.
pub(super) fn certificates(pem: &[u8]) -> impl Iterator<Item = Result<Section, Error>> {
    let text = relabelled(pem);
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).collect();
    found.into_iter().map(|found| Ok(section(&found?)))
}

fn section(bytes: &CertificateDer<'_>) -> Section {
    let end = Values::of(bytes).next().map(|value| value.place().end);
    let (certificate, settings) = bytes.split_at(end.unwrap_or(bytes.len()));
    Section {
        certificate: certificate.to_vec().into(),
        settings: settings.to_vec(),
    }
}

/// Replaces OpenSSL's labels by the one that the library supports. The text may contain a private
/// key too.
fn relabelled(pem: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(pem.len()));
    for line in pem.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let renamed = [BEGIN, END].into_iter().find_map(|marker| {
            let label = line.strip_prefix(marker)?;
            let mut others = OTHER_LABELS.iter();
            let rest = others.find_map(|other| label.strip_prefix(*other))?;
            Some([marker, LABEL, rest])
        });
        match renamed {
            Some(parts) => parts.iter().for_each(|part| text.extend_from_slice(part)),
            None => text.extend_from_slice(line),
        }
    }
    text
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const LABEL: &[u8] = b"CERTIFICATE-----";
/// Labels of `openssl x509 -trustout`, and of its first versions.
const OTHER_LABELS: [&[u8]; 2] = [b"TRUSTED CERTIFICATE-----", b"X509 CERTIFICATE-----"];
/// Tag `[0]` of the rejected uses. The trusted uses are a bare sequence before it.
const REJECTED: u8 = 0xa0;
/// OID 1.3.6.1.5.5.7.3.1.
const SERVERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// OID 2.5.29.37.0.
const ANY_USE: &[u8] = &[0x55, 0x1d, 37, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::der::Certificate;

    /// Self-signed certificate by `openssl x509 -addtrust serverAuth -setalias lab` of OpenSSL 3.0.
    const TRUSTED: &str = "\
-----BEGIN TRUSTED CERTIFICATE-----
MIIBhDCCASmgAwIBAgIUBaN9ooFxLPtQGW07eIVg9KVqZmswCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDbGFiMCAXDTI2MTEzMDA5MTE1N1oYDzIxMjYxMTA2MDkxMTU3
WjAOMQwwCgYDVQQDDANsYWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASV1GiS
bekulZTNLWipkX4pXbHheeuKHo/66Qn1kxERBkToyO0kjFAGNjmQ75VpAYM9HsNj
wkjTyt8DCh+evjb+o2MwYTAdBgNVHQ4EFgQUWD0hV3lEW8HgxoUZ8vj9nPZmXB4w
HwYDVR0jBBgwFoAUWD0hV3lEW8HgxoUZ8vj9nPZmXB4wDwYDVR0TAQH/BAUwAwEB
/zAOBgNVHREEBzAFggNsYWIwCgYIKoZIzj0EAwIDSQAwRgIhAIkTZsxsqI5ylRXG
vIh8Scpfj68JU/SvM3yrWFN6fwUdAiEA2Gaf8BQELkr42W+u2omzllSY3zoevB3o
TK5S31JTRFQwETAKBggrBgEFBQcDAQwDbGFi
-----END TRUSTED CERTIFICATE-----
";
    /// The same certificate by `-addtrust anyExtendedKeyUsage -addreject serverAuth`.
    const REJECTED_IN_THE_END: &str = "\
-----BEGIN TRUSTED CERTIFICATE-----
MIIBhDCCASmgAwIBAgIUBaN9ooFxLPtQGW07eIVg9KVqZmswCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDbGFiMCAXDTI2MTEzMDA5MTE1N1oYDzIxMjYxMTA2MDkxMTU3
WjAOMQwwCgYDVQQDDANsYWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASV1GiS
bekulZTNLWipkX4pXbHheeuKHo/66Qn1kxERBkToyO0kjFAGNjmQ75VpAYM9HsNj
wkjTyt8DCh+evjb+o2MwYTAdBgNVHQ4EFgQUWD0hV3lEW8HgxoUZ8vj9nPZmXB4w
HwYDVR0jBBgwFoAUWD0hV3lEW8HgxoUZ8vj9nPZmXB4wDwYDVR0TAQH/BAUwAwEB
/zAOBgNVHREEBzAFggNsYWIwCgYIKoZIzj0EAwIDSQAwRgIhAIkTZsxsqI5ylRXG
vIh8Scpfj68JU/SvM3yrWFN6fwUdAiEA2Gaf8BQELkr42W+u2omzllSY3zoevB3o
TK5S31JTRFQwFDAGBgRVHSUAoAoGCCsGAQUFBwMB
-----END TRUSTED CERTIFICATE-----
";

    fn all(pem: &[u8]) -> Vec<Section> {
        certificates(pem).map(Result::unwrap).collect()
    }

    #[test]
    fn openssls_own_text_is_read_with_its_settings() {
        let text = [TRUSTED, REJECTED_IN_THE_END].concat();
        let [trusted, rejected] = &all(text.as_bytes())[..] else {
            panic!("two certificates");
        };
        assert!(trusted.is_trusted_for_servers() && !rejected.is_trusted_for_servers());
        assert_eq!(trusted.certificate, rejected.certificate);
        let read = Certificate::read(&trusted.certificate).unwrap();
        assert!(read.is_authority() && read.is_for_servers());
    }

    #[test]
    fn certificates_keep_their_order_whatever_they_are_called() {
        let section = |label: &str, text: &str| {
            format!("-----BEGIN {label}-----\r\n{text}\r\n-----END {label}-----\r\n")
        };
        let text = [
            section("X509 CERTIFICATE", "MAEB"),
            section("PRIVATE KEY", "MAEC"),
            section("TRUSTED CERTIFICATE", "MAEDMAA="),
            section("CERTIFICATE", "MAEE"),
        ]
        .concat();
        let found = all(text.as_bytes());
        let found: Vec<_> = found
            .iter()
            .map(|section| (&section.certificate[..], &section.settings[..]))
            .collect();
        assert_eq!(
            found,
            [
                (&[0x30, 1, 1][..], &[][..]),
                (&[0x30, 1, 3], &[0x30, 0]),
                (&[0x30, 1, 4], &[])
            ]
        );
    }

    #[test]
    fn settings_that_cannot_be_read_are_no_trust() {
        for (settings, trusted) in [
            (&[][..], true),
            (&[0x30, 0], true),
            // An empty list of trusted uses.
            (&[0x30, 2, 0x30, 0], false),
            (&[0x30, 9], false),
            (b"x", false),
        ] {
            let section = Section {
                certificate: vec![].into(),
                settings: settings.to_vec(),
            };
            assert_eq!(section.is_trusted_for_servers(), trusted, "{settings:x?}");
        }
    }
}
