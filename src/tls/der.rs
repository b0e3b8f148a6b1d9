//! Parses the parts of DER (X.690) and of certificates (RFC 5280) that the TLS library does not
//! expose. They are the end of a certificate, its CA flag and its key usage.
//!
//! The results count only for bytes that the library also parses as a certificate. What cannot be
//! parsed here is `None`.

use std::ops::Range;

/// Consecutive DER values.
#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    text: &'a [u8],
    left: Range<usize>,
}

/// DER value and its range in the text.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    text: &'a [u8],
    tag: u8,
    begin: usize,
    content: Range<usize>,
}

impl<'a> Values<'a> {
    pub(super) const fn of(text: &'a [u8]) -> Self {
        let left = 0..text.len();
        Self { text, left }
    }

    /// Returns the next value if it has this tag.
    pub(super) fn next_of(&mut self, tag: u8) -> Option<Value<'a>> {
        self.next().filter(|value| value.tag == tag)
    }

    fn read(&self) -> Option<Value<'a>> {
        let text = self.text.get(self.left.clone())?;
        let (&tag, rest) = text.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits
                    .iter()
                    .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
                (length, rest)
            }
            // Indefinite, or longer than anything parsed here.
            _ => return None,
        };
        let begin = self.left.end - rest.len();
        let content = begin..begin.checked_add(length)?;
        (tag & MULTIPLE_BYTES != MULTIPLE_BYTES && content.end <= self.left.end).then_some(Value {
            text: self.text,
            tag,
            begin: self.left.start,
            content,
        })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let value = self.read();
        self.left.start = value
            .as_ref()
            .map_or(self.left.end, |value| value.content.end);
        value
    }
}

impl<'a> Value<'a> {
    pub(super) const fn tag(&self) -> u8 {
        self.tag
    }

    /// Returns the content of the value.
    pub(super) fn content(&self) -> &'a [u8] {
        self.text.get(self.content.clone()).unwrap_or_default()
    }

    /// Returns the values in the content.
    pub(super) fn values(&self) -> Values<'a> {
        let (text, left) = (self.text, self.content.clone());
        Values { text, left }
    }

    /// Returns the range of the value, with tag and length.
    pub(super) const fn place(&self) -> Range<usize> {
        self.begin..self.content.end
    }
}

/// Properties that a certificate declares.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    der: &'a [u8],
    /// Range of the part that the issuer signs.
    signed: Range<usize>,
    /// Whether it has basic constraints.
    has_constraints: bool,
    /// Position of the CA flag, if it is TRUE.
    authority: Option<usize>,
    /// First byte of the key usage; `None` if the usage is not restricted.
    key_usage: Option<u8>,
    /// Whether its extended key usage, if any, includes TLS servers.
    is_of_servers: bool,
    /// Whether it is of version 1, which has no CA flag, and its issuer is its subject.
    is_old_root: bool,
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let certificate = Values::of(der).next_of(SEQUENCE)?;
        let signed = certificate.values().next_of(SEQUENCE)?;
        let mut read = Self {
            der,
            signed: signed.place(),
            has_constraints: false,
            authority: None,
            key_usage: None,
            is_of_servers: true,
            is_old_root: is_old_root(signed.values()),
        };
        let Some(extensions) = signed.values().find(|field| field.tag == EXTENSIONS) else {
            return Some(read);
        };
        for extension in extensions.values().next_of(SEQUENCE)?.values() {
            let mut parts = extension.values();
            let name = parts.next_of(OBJECT_IDENTIFIER)?;
            let mut value = parts.find(|part| part.tag == OCTET_STRING)?.values();
            match name.content() {
                BASIC_CONSTRAINTS => {
                    read.has_constraints = true;
                    read.authority = true_at(&value.next_of(SEQUENCE)?);
                }
                EXTENDED_KEY_USAGE => {
                    let mut uses = value.next_of(SEQUENCE)?.values();
                    read.is_of_servers = uses.any(|of| of.content() == SERVER_AUTHENTICATION);
                }
                KEY_USAGE => {
                    // The first byte is the number of unused bits at the end.
                    let bits = value.next_of(BIT_STRING)?.content().get(1).copied();
                    read.key_usage = Some(bits.unwrap_or_default());
                }
                _ => {}
            }
        }
        Some(read)
    }

    /// Returns whether it declares itself a CA.
    pub(super) const fn is_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// Returns whether it may sign for TLS servers as a trust anchor.
    ///
    /// The rules are those of OpenSSL (`check_ca`, `check_purpose_ssl_server`). The TLS library
    /// would accept any certificate that it is given as a CA.
    pub(super) fn may_sign(&self) -> bool {
        let key_may = self.key_usage.is_none_or(|bits| bits & KEY_CERT_SIGN != 0);
        let is_authority = match self.has_constraints {
            true => self.authority.is_some(),
            false => self.is_old_root || self.key_usage.is_some(),
        };
        key_may && is_authority && self.is_of_servers
    }

    /// Returns a copy that declares itself no CA. The signature does not cover the copy: see
    /// [`Certificate::signed`].
    pub(super) fn without_authority(&self) -> Vec<u8> {
        let mut der = self.der.to_vec();
        if let Some(says_true) = self.authority.and_then(|at| der.get_mut(at)) {
            *says_true = FALSE;
        }
        der
    }

    /// Returns the part that the issuer signs, of this certificate or of its changed copy.
    pub(super) fn signed<'b>(&self, der: &'b [u8]) -> &'b [u8] {
        der.get(self.signed.clone()).unwrap_or_default()
    }

    /// Returns whether a TLS server may use it. As in OpenSSL, its key must be allowed to sign
    /// handshakes, or at least to encrypt or agree on keys.
    pub(super) fn is_for_servers(&self) -> bool {
        self.key_usage
            .is_none_or(|bits| bits & (DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT) != 0)
    }
}

/// Returns whether the fields are of a certificate of version 1 (no version field) whose issuer is
/// its subject.
fn is_old_root(mut fields: Values<'_>) -> bool {
    // Serial number, algorithm, issuer, validity, subject (RFC 5280, section 4.1).
    let has_version = fields.next_of(INTEGER).is_none();
    let mut sequences = fields.filter(|field| field.tag == SEQUENCE).skip(1);
    let (issuer, subject) = (sequences.next(), sequences.nth(1));
    let content = |name: Option<Value<'_>>| name.map(|name| name.content().to_vec());
    !has_version && issuer.is_some() && content(issuer) == content(subject)
}

/// Returns the position of the CA flag in the basic constraints, if it is TRUE.
fn true_at(constraints: &Value<'_>) -> Option<usize> {
    let first = constraints.values().next_of(BOOLEAN)?;
    (first.content() == [TRUE]).then_some(first.content.start)
}

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OBJECT_IDENTIFIER: u8 = 6;
const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const OCTET_STRING: u8 = 4;
/// Tag `[3]` in the signed part.
const EXTENSIONS: u8 = 0xa3;
/// Tag bits of a number that needs further bytes.
const MULTIPLE_BYTES: u8 = 0x1f;
const TRUE: u8 = 0xff;
const FALSE: u8 = 0;
/// OID 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// OID 2.5.29.15.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// OID 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// OID 1.3.6.1.5.5.7.3.1.
const SERVER_AUTHENTICATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_CERT_SIGN: u8 = 0x04;
const KEY_ENCIPHERMENT: u8 = 0x20;
const KEY_AGREEMENT: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose,
    };

    fn made(is_ca: IsCa, usages: &[KeyUsagePurpose]) -> Vec<u8> {
        let mut params = CertificateParams::new(["host".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.key_usages = usages.to_vec();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn what_a_certificate_says_of_itself_is_read() {
        use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyCertSign};
        let ca = || IsCa::Ca(BasicConstraints::Constrained(3));
        for (is_ca, usages, authority, servers, signs) in [
            (IsCa::NoCa, &[][..], false, true, false),
            (IsCa::ExplicitNoCa, &[], false, true, false),
            (IsCa::ExplicitNoCa, &[KeyCertSign], false, false, false),
            (ca(), &[], true, true, true),
            (ca(), &[KeyCertSign, CrlSign], true, false, true),
            (ca(), &[KeyCertSign, DigitalSignature], true, true, true),
            (ca(), &[DigitalSignature], true, true, false),
            (IsCa::NoCa, &[KeyAgreement], false, true, false),
            (IsCa::NoCa, &[KeyCertSign], false, false, true),
        ] {
            let der = made(is_ca, usages);
            let read = Certificate::read(&der).unwrap();
            let found = (read.is_authority(), read.is_for_servers(), read.may_sign());
            assert_eq!(found, (authority, servers, signs), "{usages:?}");
        }
        let mut params = CertificateParams::new(["host".to_owned()]).unwrap();
        params.is_ca = ca();
        for (uses, signs) in [
            (ExtendedKeyUsagePurpose::ClientAuth, false),
            (ExtendedKeyUsagePurpose::ServerAuth, true),
        ] {
            params.extended_key_usages = vec![uses];
            let key = KeyPair::generate().unwrap();
            let der = params.self_signed(&key).unwrap().der().to_vec();
            assert_eq!(Certificate::read(&der).unwrap().may_sign(), signs);
        }
    }

    /// Returns a certificate of version 1: serial number, algorithm, issuer, validity, subject,
    /// key.
    fn of_version_1(issuer: &str, subject: &str) -> Vec<u8> {
        let value = |tag: u8, content: &[u8]| {
            let mut value = vec![tag, u8::try_from(content.len()).unwrap()];
            value.extend_from_slice(content);
            value
        };
        let name = |text: &str| value(SEQUENCE, text.as_bytes());
        let fields = [
            value(INTEGER, &[1]),
            value(SEQUENCE, &[]),
            name(issuer),
            value(SEQUENCE, b"times"),
            name(subject),
            value(SEQUENCE, b"key"),
        ];
        value(SEQUENCE, &value(SEQUENCE, &fields.concat()))
    }

    #[test]
    fn of_the_first_version_only_a_root_signs() {
        for (issuer, signs) in [("root", true), ("another", false)] {
            let der = of_version_1(issuer, "root");
            assert_eq!(Certificate::read(&der).unwrap().may_sign(), signs);
        }
    }

    #[test]
    fn a_copy_without_authority_differs_in_that_alone() {
        let der = made(IsCa::Ca(BasicConstraints::Unconstrained), &[]);
        let read = Certificate::read(&der).unwrap();
        let copy = read.without_authority();
        let differing: Vec<_> = der.iter().zip(&copy).filter(|(a, b)| a != b).collect();
        assert_eq!(differing, [(&TRUE, &FALSE)]);
        assert!(!Certificate::read(&copy).unwrap().is_authority());
        assert!(read.signed(&der).len() < der.len() && read.signed(&der)[0] == SEQUENCE);
        let plain = made(IsCa::NoCa, &[]);
        assert_eq!(
            Certificate::read(&plain).unwrap().without_authority(),
            plain
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Certificate::read(&bytes);
            let values: Vec<_> = Values::of(&bytes).collect();
            prop_assert!(values.iter().all(|value| value.place().end <= bytes.len()));
        }

        #[test]
        fn a_damaged_certificate_is_read_or_not(at in 0usize..200, byte: u8) {
            let mut der = made(IsCa::Ca(BasicConstraints::Unconstrained), &[KeyUsagePurpose::CrlSign]);
            der[at] = byte;
            let _ = Certificate::read(&der);
        }
    }
}
