//! The agent token (Ironic's administrator guide, chapter "Agent Token").

use super::secret_bytes::SecretBytes;
use super::vault::Item;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The secret that authenticates the conductor to the agent and the agent to the conductor. Ironic
/// generates 43 characters of URL-safe base64; the length is only Ironic's default.
pub struct AgentToken(SecretBytes);

impl AgentToken {
    /// Ironic's placeholder for a token that was issued before.
    pub const MASKED: &'static str = "******";
    /// Minimum number of characters of a token from a lookup (IPA: `agent.process_lookup_data`).
    pub const MINIMUM_FROM_LOOKUP: usize = 32;

    /// Accepts a token from the operator or the boot media, unchanged, but never empty and never
    /// the mask.
    ///
    /// # Errors
    /// [`TokenError`] when the text cannot be a token.
    pub fn from_operator(text: String) -> Result<Self, TokenError> {
        let token = Self(SecretBytes::own(text.into()));
        token.expose_with(|text| match text {
            "" => Err(TokenError::Empty),
            Self::MASKED => Err(TokenError::Masked),
            _ => Ok(()),
        })?;
        Ok(token)
    }

    /// Accepts a token from a lookup response: at least [`AgentToken::MINIMUM_FROM_LOOKUP`]
    /// characters.
    ///
    /// # Errors
    /// [`TokenError::Masked`] when the token was issued to another client before; another
    /// [`TokenError`] when the text is none.
    pub fn from_lookup(text: String) -> Result<Self, TokenError> {
        let token = Self::from_operator(text)?;
        match token.expose_with(|text| text.chars().count()) {
            n if n < Self::MINIMUM_FROM_LOOKUP => Err(TokenError::Short(n)),
            _ => Ok(token),
        }
    }

    /// Returns whether a client's text is this token. The time does not depend on where or how the
    /// two differ: it takes as many steps as this token has bytes.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.expose_with(|own| {
            // A wiped vault yields the empty text, which is never a valid token.
            let is_there = Choice::from(u8::from(!own.is_empty()));
            let as_long = own.len().ct_eq(&presented.len());
            let padding = std::iter::repeat(&0);
            own.iter()
                .zip(presented.iter().chain(padding))
                .fold(is_there & as_long, |same, (own, shown)| {
                    same & own.ct_eq(shown)
                })
                .into()
        })
    }

    /// Returns whether both are the same text.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.expose_with(|text| other.matches(text.as_bytes()))
    }

    /// Calls `look` with the token in place: only for the heartbeat's body.
    pub fn expose_with<R>(&self, look: impl FnOnce(&str) -> R) -> R {
        // The bytes came from a text.
        self.0
            .expose_with(|bytes| look(std::str::from_utf8(bytes).unwrap_or_default()))
    }

    pub(super) fn held(held: SecretBytes) -> Self {
        Self(held)
    }

    pub(super) fn item(&self) -> Option<Item> {
        self.0.item()
    }
}

impl fmt::Debug for AgentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentToken([redacted])")
    }
}

/// Reason why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is empty.
    #[error("the agent token is empty")]
    Empty,
    /// The text is Ironic's mask: the token was issued before.
    #[error("the agent token is masked: it was handed out before")]
    Masked,
    /// The text has fewer characters than a token from a lookup.
    #[error("the agent token has {0} characters, fewer than {min}", min = AgentToken::MINIMUM_FROM_LOOKUP)]
    Short(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    #[test]
    fn only_the_whole_token_matches() {
        let token = AgentToken::from_lookup(TOKEN.into()).unwrap();
        assert!(token.matches(TOKEN.as_bytes()));
        assert!(!token.matches(b""));
        assert!(!token.matches(&TOKEN.as_bytes()[1..]));
        assert!(!token.matches(&TOKEN.to_lowercase().into_bytes()));
        assert!(!token.matches(format!("{TOKEN}x").as_bytes()));
        assert!(!token.matches(format!("{TOKEN}\0").as_bytes()));
        let short = AgentToken::from_operator("a\0".into()).unwrap();
        assert!(!short.matches(b"a") && short.matches(b"a\0"));
    }

    #[test]
    fn a_lookup_gives_at_least_32_characters() {
        assert_eq!(
            AgentToken::from_lookup("a".repeat(31)).unwrap_err(),
            TokenError::Short(31)
        );
        assert!(AgentToken::from_lookup("a".repeat(32)).is_ok());
    }

    #[test]
    fn the_mask_is_never_a_token() {
        assert_eq!(
            AgentToken::from_lookup("******".into()).unwrap_err(),
            TokenError::Masked
        );
        assert_eq!(
            AgentToken::from_operator("******".into()).unwrap_err(),
            TokenError::Masked
        );
        assert_eq!(
            AgentToken::from_operator(String::new()).unwrap_err(),
            TokenError::Empty
        );
    }

    #[test]
    fn an_operators_token_may_be_short() {
        assert!(
            AgentToken::from_operator("secret".into())
                .unwrap()
                .matches(b"secret")
        );
    }

    #[test]
    fn debug_does_not_show_the_token() {
        assert_eq!(
            format!("{:?}", AgentToken::from_lookup(TOKEN.into())),
            "Ok(AgentToken([redacted]))"
        );
    }
}
