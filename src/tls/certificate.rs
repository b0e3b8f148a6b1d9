//! The agent's own certificate: generated at start, sent to Ironic with the heartbeat, and trusted
//! by no other client.
//!
//! Ironic stores the certificate of the first heartbeat and then trusts only that one for this
//! node. It is therefore both server certificate and trust anchor, which leads to these
//! requirements:
//!
//! * **Names.** Ironic checks the host of the callback URL, so the subject alternative name holds
//!   the advertised address.
//! * **Strictness.** Python 3.13 sets OpenSSL's `X509_STRICT`: basic constraints and both key
//!   identifiers are present. It is marked `CA:FALSE`, because other clients (webpki) refuse a CA
//!   as a server certificate. Key usage is not restricted: without `keyCertSign`, OpenSSL before
//!   3.0 does not accept the certificate as its own issuer. With it, the certificate would have to
//!   be a CA.
//! * **Time.** The client checks validity by *its* clock. Ours may be at 1970, at a firmware's
//!   build date, or hours ahead in local time. The key lives for one boot and is pinned, so dates
//!   protect nothing here: the validity period is wide on purpose.

use super::key::PrivateKey;
use super::{Error, Identity};
use crate::secret::SecretBytes;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, KeyPair};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use url::Host;
use zeroize::Zeroizing;

/// Elliptic curve of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    #[default]
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    /// Returns the curve's name in the configuration.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
        }
    }
}

impl FromStr for Curve {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "p256" => Ok(Self::P256),
            "p384" => Ok(Self::P384),
            "p521" => Ok(Self::P521),
            _ => Err("must be p256, p384 or p521"),
        }
    }
}

/// Parameters of a certificate to generate.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Host of the callback URL.
    pub address: Host,
    /// Host name of the machine.
    pub host_name: String,
    /// Curve of the key.
    pub curve: Curve,
    /// Minimum time by which a client's clock may be behind ours.
    pub allowed_clock_skew: Duration,
    /// Our time since 1970.
    pub now: Duration,
}

/// Certificate generated at start.
#[derive(Debug)]
pub struct SelfSigned {
    /// Certificate and key for the server.
    pub identity: Identity,
    /// PEM text of the certificate with its final newline, for the heartbeat.
    pub pem: String,
}

impl SelfSigned {
    /// Generates a key and its certificate.
    ///
    /// # Errors
    /// [`Error::Generate`] if the address is not a valid name or the library refuses.
    pub fn generate(subject: &Subject) -> Result<Self, Error> {
        let key = Zeroizing::new(
            KeyPair::generate_for(match subject.curve {
                Curve::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
                Curve::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
                Curve::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            })
            .map_err(Error::Generate)?,
        );
        let certificate = parameters(subject)
            .self_signed(&*key)
            .map_err(Error::Generate)?;
        Ok(Self {
            pem: certificate.pem().replace('\r', ""),
            identity: Identity {
                chain: vec![certificate.der().clone()],
                key: Arc::new(PrivateKey::pkcs8(SecretBytes::own(key.serialize_der()))),
            },
        })
    }
}

fn parameters(subject: &Subject) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(
        DnType::CommonName,
        subject
            .host_name
            .chars()
            .take(COMMON_NAME_MAX)
            .collect::<String>(),
    );
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.use_authority_key_identifier_extension = true;
    let mut name = CustomExtension::from_oid_content(SUBJECT_ALT_NAME, names(&subject.address));
    name.set_criticality(true);
    parameters.custom_extensions.push(name);
    let (begin, end) = window(subject.now, subject.allowed_clock_skew);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + begin;
    parameters.not_after = epoch + end;
    parameters
}

/// Returns the first and last second of validity, since 1970.
///
/// It begins no later than Ferrite's release year, however far ahead our clock is. It ends [`LIFE`]
/// after the later of that year and our clock. A clock past [`CLOCK_MAX`] is ignored.
fn window(now: Duration, allowed_clock_skew: Duration) -> (Duration, Duration) {
    let now = if now > CLOCK_MAX {
        RELEASED
    } else {
        now.max(RELEASED)
    };
    let begin = now.saturating_sub(allowed_clock_skew).min(RELEASED);
    (begin, now + LIFE)
}

/// Encodes `GeneralNames` with one entry in DER (RFC 5280, section 4.2.1.6). rcgen would mark the
/// extension as not critical.
fn names(address: &Host) -> Vec<u8> {
    let (tag, value) = match address {
        Host::Ipv4(address) => (IP_ADDRESS, address.octets().to_vec()),
        Host::Ipv6(address) => (IP_ADDRESS, address.octets().to_vec()),
        Host::Domain(name) => match name.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => (IP_ADDRESS, address.octets().to_vec()),
            Ok(IpAddr::V6(address)) => (IP_ADDRESS, address.octets().to_vec()),
            Err(_) => (DNS_NAME, name.bytes().take(DNS_NAME_MAX).collect()),
        },
    };
    element(SEQUENCE, element(tag, value))
}

/// Encodes one DER element. A length below 128 takes one byte; a longer one follows the number of
/// its bytes.
fn element(tag: u8, content: Vec<u8>) -> Vec<u8> {
    let mut der = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..0x80) => der.push(length),
        Ok(length) => der.extend([0x81, length]),
        Err(_) => {
            der.push(0x82);
            let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
            der.extend(length.to_be_bytes());
        }
    }
    der.extend(content);
    der
}

const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const SEQUENCE: u8 = 0x30;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// RFC 5280, appendix A.1: `ub-common-name`.
const COMMON_NAME_MAX: usize = 64;
/// Maximum length of a domain name (RFC 1035, section 2.3.4).
const DNS_NAME_MAX: usize = 253;
/// 2026-01-01: any clock with an earlier date is wrong.
const RELEASED: Duration = Duration::from_secs(1_767_225_600);
/// 2100-01-01: a later clock is ignored.
const CLOCK_MAX: Duration = Duration::from_secs(4_102_444_800);
/// Validity after the present: ten years.
const LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::tls::client::{Bundle, ClientOptions};
    use crate::tls::{CipherSuites, MinVersion, server};
    use rustls_pki_types::ServerName;
    use x509_parser::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn subject() -> Subject {
        Subject {
            address: Host::Ipv4([127, 0, 0, 1].into()),
            host_name: "node-1".into(),
            curve: Curve::P384,
            allowed_clock_skew: Duration::from_secs(3600),
            now: RELEASED + DAY * 400,
        }
    }

    /// Performs a handshake in memory; returns the protocol version on success.
    fn handshake(
        server: Arc<rustls::ServerConfig>,
        client: rustls::ClientConfig,
        name: &'static str,
    ) -> Result<rustls::ProtocolVersion, rustls::Error> {
        let name = ServerName::try_from(name).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = rustls::ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(client.protocol_version().unwrap())
    }

    fn trusting(made: &SelfSigned) -> ClientOptions {
        ClientOptions {
            authorities: Some(Bundle::new("own.pem", made.pem.clone().into_bytes())),
            ..ClientOptions::default()
        }
    }

    fn shake(
        made: &SelfSigned,
        options: &ClientOptions,
        name: &'static str,
    ) -> Result<rustls::ProtocolVersion, rustls::Error> {
        let empty = Root::at("/nonexistent");
        handshake(
            server::server_config(&made.identity, MinVersion::Tls12, None).unwrap(),
            options.config(&empty).unwrap(),
            name,
        )
    }

    #[test]
    fn every_curve_makes_a_handshake_with_the_certificate_as_the_only_authority() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let made = SelfSigned::generate(&Subject { curve, ..subject() }).unwrap();
            assert_eq!(
                shake(&made, &trusting(&made), "127.0.0.1"),
                Ok(rustls::ProtocolVersion::TLSv1_3)
            );
        }
    }

    #[test]
    fn another_address_another_authority_and_no_authority_are_refused() {
        let made = SelfSigned::generate(&subject()).unwrap();
        let other = SelfSigned::generate(&subject()).unwrap();
        assert!(shake(&made, &trusting(&made), "127.0.0.2").is_err());
        assert!(shake(&made, &trusting(&other), "127.0.0.1").is_err());
        assert!(shake(&made, &ClientOptions::default(), "127.0.0.1").is_err());
    }

    #[test]
    fn insecure_takes_any_server() {
        let made = SelfSigned::generate(&subject()).unwrap();
        let options = ClientOptions {
            insecure: true,
            ..ClientOptions::default()
        };
        assert!(shake(&made, &options, "192.0.2.1").is_ok());
    }

    #[test]
    fn versions_and_suites_are_limited_on_both_sides() {
        let made = SelfSigned::generate(&subject()).unwrap();
        let empty = Root::at("/nonexistent");
        let old = |suites: &str| {
            let mut options = trusting(&made);
            options.cipher_suites = Some(suites.parse::<CipherSuites>().unwrap());
            let mut config = options.config(&empty).unwrap();
            let provider = Arc::clone(config.crypto_provider());
            let verifier = options.verifier(&empty, Arc::clone(&provider)).unwrap();
            config = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS12])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth();
            config
        };
        let serve = |min| server::server_config(&made.identity, min, None).unwrap();
        let aes = "ECDHE-ECDSA-AES256-GCM-SHA384";
        let chacha = "ECDHE-ECDSA-CHACHA20-POLY1305";
        assert_eq!(
            handshake(serve(MinVersion::Tls12), old(aes), "127.0.0.1"),
            Ok(rustls::ProtocolVersion::TLSv1_2)
        );
        assert!(handshake(serve(MinVersion::Tls12), old(chacha), "127.0.0.1").is_err());
        assert!(handshake(serve(MinVersion::Tls13), old(aes), "127.0.0.1").is_err());
    }

    #[test]
    fn the_certificate_says_what_it_must() {
        let made = SelfSigned::generate(&subject()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&made.identity.chain[0]).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=node-1");
        assert_eq!(certificate.issuer(), certificate.subject());
        let name = certificate.subject_alternative_name().unwrap().unwrap();
        assert!(name.critical);
        assert_eq!(
            name.value.general_names,
            [GeneralName::IPAddress(&[127, 0, 0, 1])]
        );
        assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
        assert_eq!(certificate.key_usage().unwrap(), None);
        for wanted in [
            oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
            oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        ] {
            assert!(certificate.extensions().iter().any(|e| e.oid == wanted));
        }
        assert!(made.pem.ends_with("-----END CERTIFICATE-----\n"));
        assert!(!made.pem.contains('\r'));
    }

    #[test]
    fn a_name_or_an_ipv6_address_is_written_as_such() {
        assert_eq!(
            names(&Host::Domain("n.example".into())),
            b"\x30\x0b\x82\x09n.example"
        );
        let six = names(&Host::Ipv6("fd00::1".parse().unwrap()));
        assert_eq!(six.len(), 20);
        assert_eq!(names(&Host::Domain("fd00::1".into())), six);
        assert_eq!(
            names(&Host::Domain("a".repeat(253)))[..6],
            [0x30, 0x82, 0x01, 0x00, 0x82, 0x81]
        );
    }

    #[test]
    fn the_window_holds_the_present_whatever_our_clock_says() {
        let truth = RELEASED + DAY * 500;
        let hour = Duration::from_secs(3600);
        for clock in [
            Duration::ZERO,
            RELEASED - DAY,
            RELEASED + DAY,
            truth,
            truth + hour * 14,
            truth + DAY * 3650,
            CLOCK_MAX + DAY,
            Duration::MAX,
        ] {
            let (begin, end) = window(clock, hour);
            assert!(begin <= truth && end > truth + DAY * 365, "{clock:?}");
        }
    }

    #[test]
    fn an_allowed_skew_reaches_before_the_release() {
        assert_eq!(window(RELEASED + DAY, DAY * 3).0, RELEASED - DAY * 2);
    }
}
