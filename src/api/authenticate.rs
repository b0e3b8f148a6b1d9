//! Identifies the client by the agent token, the observer's secret or a Keystone token. It reads
//! the request's head only.

use super::caller::Caller;
use super::fault::Fault;
use super::query::Query;
use crate::config::Sha256Digest;
use crate::keystone::{Keystone, Refusal};
use crate::secret::{AgentToken, CurrentToken};
use aws_lc_rs::digest;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Credentials that the API accepts.
#[derive(Clone, Debug)]
pub struct Authenticator {
    /// The agent token, shown by the conductor. Without one, no request is authenticated by it.
    pub token: CurrentToken,
    /// SHA-256 of the observer's secret, if an observer is configured.
    pub observer: Option<Sha256Digest>,
    /// Validates Keystone tokens, if Keystone is configured.
    pub keystone: Option<Arc<Keystone>>,
}

impl Authenticator {
    /// Returns the caller that sent the request. The first credential shown decides, in this order:
    /// the agent token, `Authorization: Bearer`, `X-Auth-Token`. A wrong one is refused, whatever
    /// the request is for.
    ///
    /// A request without a token is compared like one with an empty token. Both take the same
    /// steps, and their duration depends only on the length of the token shown.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`], or [`Fault::Unavailable`] if Keystone does not respond.
    pub(super) async fn authenticate(
        &self,
        query: Query<'_>,
        headers: &HeaderMap,
    ) -> Result<Caller, Fault> {
        let shown = query.token();
        let (is_shown, shown) = (shown.is_some(), shown.unwrap_or_default());
        if self
            .token
            .get()
            .is_some_and(|token| AgentToken::matches(&token, &shown))
        {
            return Ok(Caller::Agent);
        }
        if is_shown {
            return Err(Fault::Unauthorized);
        }
        if let Some(header) = headers.get(AUTHORIZATION) {
            return self.observer(header.as_bytes());
        }
        match headers.get(X_AUTH_TOKEN) {
            Some(token) => self.user(token.as_bytes()).await,
            None => Ok(Caller::Anonymous),
        }
    }

    fn observer(&self, header: &[u8]) -> Result<Caller, Fault> {
        let known = self.observer.as_ref().zip(bearer(header));
        match known.is_some_and(|(digest, secret)| is_of(digest, secret)) {
            true => Ok(Caller::Observer),
            false => Err(Fault::Unauthorized),
        }
    }

    async fn user(&self, token: &[u8]) -> Result<Caller, Fault> {
        let keystone = self.keystone.as_ref().ok_or(Fault::Unauthorized)?;
        match keystone.validate(token).await {
            Ok(identity) => Ok(Caller::User(identity)),
            Err(Refusal::Invalid) => Err(Fault::Unauthorized),
            Err(Refusal::Unavailable) => Err(Fault::Unavailable),
        }
    }
}

/// Returns the credential of `Bearer CREDENTIAL` (RFC 6750, section 2.1). The scheme is
/// case-insensitive (RFC 9110, section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, credential) = header.split_at_checked(SCHEME.len())?;
    let credential = credential.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !credential.is_empty()).then_some(credential)
}

/// Returns whether the secret has this digest. The comparison takes constant time.
fn is_of(digest: &Sha256Digest, secret: &[u8]) -> bool {
    let shown = digest::digest(&digest::SHA256, secret);
    shown.as_ref().ct_eq(&digest.0).into()
}

const SCHEME: &[u8] = b"bearer ";
pub(super) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearers_credential_comes_after_one_word_in_any_case() {
        for (header, credential) in [
            ("Bearer hush", Some("hush")),
            ("bearer  hush ", Some("hush")),
            ("BEARER hush hush", Some("hush hush")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Bearerhush", None),
            ("Basic aHVzaA==", None),
            ("", None),
        ] {
            assert_eq!(
                bearer(header.as_bytes()),
                credential.map(str::as_bytes),
                "{header}"
            );
        }
    }
}
