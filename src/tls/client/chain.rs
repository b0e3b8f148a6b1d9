//! Verifies the chain of a server's certificate: by the library, and a second time where the
//! library is stricter than OpenSSL.
//!
//! webpki refuses a server certificate that is a CA (CA:TRUE), as `openssl req -x509` creates it.
//! It also cannot trust a server certificate directly. OpenSSL, and therefore all of Python,
//! accepts both.
//!
//! The second pass skips only that one rule. The library still verifies signatures, chain,
//! constraints of the authorities, times, names and uses, on a copy of the certificate that differs
//! in one byte. The handshake's signature is always checked.

use super::authorities::Authorities;
use crate::tls::Error as TlsError;
use crate::tls::der::Certificate;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    VerifierBuilderError, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor,
    verify_server_name,
};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, FipsStatus, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, UnixTime,
};
use std::sync::Arc;

/// Verifier of the library, and the authorities that it trusts.
#[derive(Debug)]
pub(super) struct ChainVerifier {
    /// `None` if no authority may sign.
    inner: Option<Arc<WebPkiServerVerifier>>,
    authorities: Authorities,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ChainVerifier {
    pub(super) fn new(
        authorities: Authorities,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let roots = Arc::clone(&authorities.roots);
        let usual = match roots.is_empty() {
            true => None,
            false => {
                let builder =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
                let built = builder.build();
                let failed = |error: VerifierBuilderError| {
                    TlsError::Handshake(Error::General(error.to_string()))
                };
                Some(built.map_err(failed)?)
            }
        };
        Ok(Self {
            inner: usual,
            authorities,
            algorithms: provider.signature_verification_algorithms,
        })
    }

    /// Verifies a server's certificate; see [`ServerCertVerifier::verify_server_cert`].
    pub(super) fn verify(
        &self,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let nobody = Err(CertificateError::UnknownIssuer.into());
        let usual = self.inner.as_ref().map_or(nobody, |usual| {
            usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        let Err(refusal) = usual else { return usual };
        match Certificate::read(end_entity) {
            Some(certificate) if self.authorities.has(end_entity) => {
                self.verify_given(&certificate, server_name, now)
            }
            Some(certificate) if certificate.is_authority() => {
                let chain = (end_entity, intermediates);
                self.verify_authority(&certificate, chain, server_name, now)
            }
            _ => Err(refusal),
        }
    }

    /// Verifies a server certificate that is trusted directly. It needs no signature of an
    /// authority; all other checks apply.
    fn verify_given(
        &self,
        certificate: &Certificate<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let copy = CertificateDer::from(certificate.without_authority());
        let parsed = ParsedCertificate::try_from(&copy)?;
        let nobody = RootCertStore::empty();
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &nobody,
            &[],
            now,
            self.algorithms.all,
        );
        match chain {
            // The library checks times and extended key usage before it searches for the issuer.
            Ok(()) | Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
            Err(error) => return Err(error),
        }
        verify_name_and_use(&parsed, certificate, name)
    }

    /// Verifies a server certificate that is a CA: it must chain to a trust anchor like any other.
    fn verify_authority(
        &self,
        certificate: &Certificate<'_>,
        (der, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let copy = CertificateDer::from(certificate.without_authority());
        let parsed = ParsedCertificate::try_from(&copy)?;
        let algorithms = self.algorithms.all.iter().map(|algorithm| OfTheOriginal {
            algorithm: *algorithm,
            copy: certificate.signed(&copy),
            original: certificate.signed(der),
        });
        let algorithms: Vec<_> = algorithms.collect();
        let algorithms: Vec<_> = algorithms
            .iter()
            .map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm)
            .collect();
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.authorities.roots,
            intermediates,
            now,
            &algorithms,
        )?;
        verify_name_and_use(&parsed, certificate, name)
    }
}

/// Performs the rest of OpenSSL's checks of a server certificate (`check_purpose_ssl_server`).
///
/// The library does not check key usage. Without this, a CA's key that may only sign certificates
/// would be accepted.
fn verify_name_and_use(
    parsed: &ParsedCertificate<'_>,
    certificate: &Certificate<'_>,
    name: &ServerName<'_>,
) -> Result<ServerCertVerified, Error> {
    verify_server_name(parsed, name)?;
    if !certificate.is_for_servers() {
        return Err(CertificateError::InvalidPurpose.into());
    }
    Ok(ServerCertVerified::assertion())
}

/// Algorithm that verifies the signature on the original certificate when it is given the copy.
#[derive(Debug)]
struct OfTheOriginal<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    copy: &'a [u8],
    original: &'a [u8],
}

impl SignatureVerificationAlgorithm for OfTheOriginal<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let message = if message == self.copy {
            self.original
        } else {
            message
        };
        self.algorithm
            .verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips_status(&self) -> FipsStatus {
        self.algorithm.fips_status()
    }
}
