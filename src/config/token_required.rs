//! `ipa-agent-token-required` and `agent_token_required`: Ironic's obsolete switch, from before
//! every agent had to have a token.
//!
//! Boot media, files and the lookup response may still assert it. Each assertion is recorded with
//! its origin, without effect: no command is ever accepted without a valid token.

use super::kernel_args::{KernelArgs, TOKEN_REQUIRED_ARGUMENT};
use super::merge::Origin;
use super::values::boolean;

/// An assertion that the agent token is, or is not, required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequired {
    /// Where it was found.
    pub origin: Origin,
    /// The asserted value; `None` if it is no boolean.
    pub asserted: Option<bool>,
}

impl TokenRequired {
    pub(super) fn of_boot(kernel: &KernelArgs, media: Option<&KernelArgs>) -> Vec<Self> {
        let read = |arguments: &KernelArgs, origin: fn(String) -> Origin| {
            arguments.value(TOKEN_REQUIRED_ARGUMENT).map(|text| Self {
                origin: origin(TOKEN_REQUIRED_ARGUMENT.to_owned()),
                asserted: boolean(text).ok(),
            })
        };
        read(kernel, Origin::KernelArgument)
            .into_iter()
            .chain(media.and_then(|media| read(media, Origin::MediaParameter)))
            .collect()
    }

    pub(super) fn of_file((text, origin): &(String, Origin)) -> Self {
        Self {
            origin: origin.clone(),
            asserted: boolean(text).ok(),
        }
    }

    pub(super) fn log(&self) {
        let origin = &self.origin;
        if self.asserted == Some(true) {
            tracing::info!(%origin, "{TOKEN_REQUIRED} is asserted: the agent token is always required");
        } else {
            tracing::warn!(
                %origin,
                "{TOKEN_REQUIRED} is not true: this changes nothing, the agent token is always required"
            );
        }
    }
}

/// Ironic's obsolete switch: parsed, without effect.
pub(super) const TOKEN_REQUIRED: &str = "agent_token_required";
