//! Cipher suites of TLS 1.2 by OpenSSL's names, as in `tls_cipher_suites`. TLS 1.3 suites are
//! always enabled.

use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;
use std::str::FromStr;
use std::sync::Arc;

/// Allowed TLS 1.2 cipher suites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CipherSuites(Vec<CipherSuite>);

impl CipherSuites {
    /// Returns the provider without the TLS 1.2 suites that are not listed.
    pub(super) fn limit(&self, provider: &CryptoProvider) -> Arc<CryptoProvider> {
        let mut limited = provider.clone();
        limited
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || self.0.contains(&suite.suite()));
        Arc::new(limited)
    }
}

/// Default suites of the agent's server (IPA: `utils.create_ssl_context`).
impl Default for CipherSuites {
    fn default() -> Self {
        Self(vec![
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ])
    }
}

/// Parses an OpenSSL list. As in OpenSSL, unknown names are ignored if at least one name is known.
impl FromStr for CipherSuites {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known: Vec<CipherSuite> = text
            .split([':', ',', ' '])
            .filter_map(|name| {
                NAMES
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, suite)| *suite)
            })
            .collect();
        if known.is_empty() {
            return Err("names no TLS 1.2 cipher suite that Ferrite has");
        }
        Ok(Self(known))
    }
}

const NAMES: &[(&str, CipherSuite)] = &[
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_passed_over_while_one_is_known() {
        assert_eq!(
            "AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256".parse(),
            Ok(CipherSuites(vec![
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            ]))
        );
        assert!("HIGH:!aNULL".parse::<CipherSuites>().is_err());
    }

    #[test]
    fn a_list_takes_away_tls_1_2_suites_and_leaves_tls_1_3() {
        let limited = "ECDHE-ECDSA-AES256-GCM-SHA384"
            .parse::<CipherSuites>()
            .unwrap()
            .limit(&crate::tls::provider());
        let old: Vec<_> = limited
            .cipher_suites
            .iter()
            .filter(|suite| suite.tls13().is_none())
            .map(|suite| suite.suite())
            .collect();
        assert_eq!(old, [CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]);
        assert_eq!(limited.cipher_suites.len(), 4);
    }
}
