//! `ipa-agent-token-required` and `agent_token_required`: Ironic's old switch, from before every agent had to have a token.
//!
//! Boot media, files and the lookup's answer may still assert it. Each assertion is read and kept with its origin; none has any
//! effect: without a valid token no command is ever accepted.

use super::kernel_args::{KernelArgs, TOKEN_REQUIRED_ARGUMENT};
use super::merge::Origin;
use super::values::boolean;

/// One assertion that the agent token is, or is not, required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequired {
    /// Where it stands.
    pub origin: Origin,
    /// What it says; `None` where that is neither yes nor no.
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

/// The switch that Ironic once had: read, never obeyed.
pub(super) const TOKEN_REQUIRED: &str = "agent_token_required";
