//! Verifies servers, by what the operator trusts: authorities, pinned keys, both, or nothing.
//!
//! Signatures of the handshake itself are always checked: a broken peer is told apart from a strange one.

use super::chain::ChainVerifier;
use super::pin::Pins;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Whose certificates are believed.
#[derive(Debug)]
pub(super) enum Trust {
    /// Everybody's. For laboratories.
    Anyone,
    /// Those of servers that an authority vouches for.
    Authorities(Box<ChainVerifier>),
}

/// The one verifier of servers.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) trust: Trust,
    /// The keys of which every server must show one: in the place of a chain to an authority, and of nothing else.
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

/// Whether all that is wrong is who signed: an unknown authority, or one that may not sign this (what authorities may do, the
/// library has no names for).
const fn is_of_the_chain(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))
    )
}
