//! Verifies the chain of a server's certificate: by the library, and where that is stricter than OpenSSL, by the library once more.
//!
//! webpki refuses a server whose certificate calls itself an authority (CA:TRUE), as `openssl req -x509` makes them, and knows no
//! server certificate that is trusted as it is. Both are accepted by OpenSSL, and so by everything in Python. Only that one
//! rule is passed over: signatures, chain, constraints of the authorities, times, names and uses are the library's to judge, on a
//! copy of the certificate that differs in the one byte. The handshake's signature is checked as ever.

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

/// The library's verifier, and the authorities that it trusts.
#[derive(Debug)]
pub(super) struct ChainVerifier {
    /// `None` where nobody may sign.
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

    /// Whether a certificate that is trusted as it is may be this server's. Nobody needs to have signed it; all else counts.
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
            // Times and extended uses were looked at before anybody was sought who signed it.
            Ok(()) | Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
            Err(error) => return Err(error),
        }
        verify_name_and_use(&parsed, certificate, name)
    }

    /// Whether a certificate that calls itself an authority chains to one that is trusted, as any server's must.
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

/// The rest of what OpenSSL asks of a server's certificate (`check_purpose_ssl_server`): the library does not look at key usage,
/// and without this an authority's key that may only sign certificates would do.
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

/// An algorithm that verifies the signature under the original certificate where it is shown the copy.
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
