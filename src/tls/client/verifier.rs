//! Verifies servers by what the operator trusts: authorities, pins, both, or anything.
//!
//! Signatures of the handshake are always checked, to distinguish a broken peer from an untrusted
//! one.

use super::chain::ChainVerifier;
use super::pin::Pins;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Certificates that are trusted.
#[derive(Debug)]
pub(super) enum Trust {
    /// Any certificate; for laboratories.
    Anyone,
    /// Certificates of servers that an authority vouches for.
    Authorities(Box<ChainVerifier>),
}

/// Verifier of every server.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) trust: Trust,
    /// Pins of which every server must match one, in place of a chain to an authority and of
    /// nothing else.
    pub(super) pins: Option<Pins>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(pins) = &self.pins {
            pins.verify(end_entity)?;
        }
        let verified = match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::Authorities(chain) => {
                let chain_shown = (end_entity, intermediates);
                chain.verify(chain_shown, server_name, ocsp_response, now)
            }
        };
        match verified {
            Err(error) if self.pins.is_some() && is_of_the_chain(&error) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns whether only the issuer is wrong: an unknown authority, or one that may not sign this
/// (the library reports constraints of authorities as `Other`).
const fn is_of_the_chain(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))
    )
}
