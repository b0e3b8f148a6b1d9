//! The lookup: which node this machine is, what Ironic wants of its agent, and the agent token.

use super::client::{Client, Request, Sensitivity, Standing, VERSION_AGENT_TOKEN};
use super::error::Error;
use super::{RetryPolicy, wire};
use crate::config::{ApiVersion, Config};
use crate::json::{Field, Json, Object};
use crate::secret::{AgentToken, TokenError};
use crate::tls::{CipherSuites, MinVersion};
use reqwest::StatusCode;
use std::str::FromStr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What Ironic knows the machine by.
#[derive(Clone, Debug, Default)]
pub struct LookupQuery {
    /// Permanent MAC addresses, in the inventory's order.
    pub addresses: Vec<String>,
    /// The node, where inspection told it.
    pub node: Option<Uuid>,
}

/// Ironic's answer.
#[derive(Debug)]
pub struct Lookup {
    /// The node this machine is.
    pub node: Node,
    /// What Ironic wants, over what configuration says.
    pub settings: ConductorSettings,
    /// What the answer holds in the token's place.
    pub token: LookupToken,
    /// What the answer says of `agent_token_required`: recorded, never obeyed.
    pub token_required: Option<bool>,
}

/// A node as Ironic tells it, its secrets masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its identity.
    pub uuid: Uuid,
    /// Everything, as it came.
    pub document: Json,
}

/// How the agent is to work: what the lookup said, else what configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct ConductorSettings {
    /// Ironic gives the agent up when it hears nothing for so long.
    pub heartbeat_timeout: Duration,
    /// MD5 checksums are accepted.
    pub md5_enabled: bool,
    /// Image formats that may be written.
    pub permitted_image_formats: Vec<String>,
    /// Images are not looked into before they are written.
    pub disable_deep_image_inspection: bool,
    /// A BIOS boot loader may be installed by programs of the image.
    pub enable_bios_bootloader_install: bool,
    /// The BMC is not asked for its address.
    pub skip_bmc_detect: bool,
    /// The oldest TLS version of the agent's API.
    pub tls_min_version: MinVersion,
    /// TLS 1.2 suites of the agent's API.
    pub tls_cipher_suites: Option<CipherSuites>,
}

impl ConductorSettings {
    /// What configuration alone says: for an agent without lookup.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            heartbeat_timeout: Duration::from_secs(300),
            md5_enabled: config.md5_enabled,
            permitted_image_formats: config.permitted_image_formats.clone(),
            disable_deep_image_inspection: config.disable_deep_image_inspection,
            enable_bios_bootloader_install: config.enable_bios_bootloader_install,
            skip_bmc_detect: false,
            tls_min_version: config.tls_min_version,
            tls_cipher_suites: config.tls_cipher_suites.clone(),
        }
    }

    fn apply(&mut self, heartbeat_timeout: u64, wanted: &wire::LookupConfig<'_>) {
        let seconds = u32::try_from(heartbeat_timeout).unwrap_or(u32::MAX);
        self.heartbeat_timeout = Duration::from_secs(seconds.into());
        if let Some(enabled) = wanted.agent_md5_checksum_enable {
            self.md5_enabled = enabled;
        }
        if let Some(formats) = &wanted.permitted_image_formats {
            self.permitted_image_formats.clone_from(formats);
        }
        if let Some(disabled) = wanted.disable_deep_image_inspection {
            self.disable_deep_image_inspection = disabled;
        }
        // These three are only ever switched on (IPA: `agent.process_lookup_data`).
        self.enable_bios_bootloader_install |= wanted.enable_bios_bootloader_install == Some(true);
        self.skip_bmc_detect |= wanted.agent_skip_bmc_detect == Some(true);
        if let Some(version) = understood("tls_min_version", wanted.tls_min_version.as_deref()) {
            self.tls_min_version = version;
        }
        if let Some(suites) = understood("tls_cipher_suites", wanted.tls_cipher_suites.as_deref()) {
            self.tls_cipher_suites = Some(suites);
        }
    }
}

/// A setting of the lookup that is a text. One that is not understood leaves ours: the node must come up all the same.
fn understood<T: FromStr<Err = &'static str>>(name: &str, text: Option<&str>) -> Option<T> {
    let text = text.filter(|text| !text.is_empty())?;
    text.parse()
        .inspect_err(|reason| {
            tracing::warn!(
                setting = name,
                value = text,
                reason,
                "Ironic's setting is not understood: keeping our own"
            );
        })
        .ok()
}

/// What a lookup's answer holds in the token's place.
#[derive(Debug)]
pub enum LookupToken {
    /// The token, given out this once.
    Issued(AgentToken),
    /// A text that is no token.
    Invalid(TokenError),
    /// The mask: the token was given out before.
    Masked,
    /// Nothing.
    None,
}

impl LookupToken {
    fn of(text: Option<&str>) -> Self {
        match text.map(|text| AgentToken::from_lookup(text.to_owned())) {
            None | Some(Err(TokenError::Empty)) => Self::None,
            Some(Err(TokenError::Masked)) => Self::Masked,
            Some(Err(error)) => Self::Invalid(error),
            Some(Ok(token)) => Self::Issued(token),
        }
    }

    /// The token to use: the given one before the agent's own.
    ///
    /// # Errors
    /// [`NoToken`], where there is neither: why, in a sentence for the operator.
    pub fn resolve(self, own: Option<AgentToken>) -> Result<AgentToken, NoToken> {
        match (self, own) {
            (Self::Issued(token), _) => Ok(token),
            (Self::Masked, Some(own)) => {
                tracing::info!("the agent token was given out before: using the agent's own");
                Ok(own)
            }
            (Self::Invalid(error), Some(own)) => {
                tracing::warn!(%error, "the lookup's token is invalid: using the agent's own");
                Ok(own)
            }
            (Self::None, Some(own)) => Ok(own),
            (Self::Masked, None) => Err(NoToken::AlreadyIssued),
            (Self::Invalid(error), None) => Err(NoToken::Invalid(error)),
            (Self::None, None) => Err(NoToken::NeverGiven),
        }
    }
}

/// Why the agent has no token, and so can accept no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The lookup's answer was masked, and the agent has none of its own.
    #[error(
        "this node was already looked up since its last power-on, and Ironic gives its agent token out only once: \
         no command can be accepted until Ironic restarts the machine"
    )]
    AlreadyIssued,
    /// The lookup's token cannot be used, and the agent has none of its own.
    #[error("the lookup's agent token cannot be used, and the agent has none of its own: {0}")]
    Invalid(TokenError),
    /// Neither boot nor lookup gave one.
    #[error("neither the boot nor the lookup gave an agent token: no command can be accepted")]
    NeverGiven,
}

/// Looks the node up, again and again by the law, until Ironic knows it. No error repeats the agent's own token.
///
/// # Errors
/// [`Error::LookupTimeout`] with the last failure; [`Error::UnsupportedVersion`] at once; [`Error::Cancelled`].
pub async fn lookup(
    client: &Client,
    machine: &LookupQuery,
    config: &Config,
    own: Option<&AgentToken>,
    law: &RetryPolicy,
    cancel: &CancellationToken,
) -> Result<Lookup, Error> {
    let addresses = machine.addresses.join(",");
    tracing::info!(addresses, "looking the node up");
    let found = law
        .run(cancel, || attempt(client, machine, config, own))
        .await?;
    tracing::info!(node = %found.node.uuid, "Ironic knows this node");
    if found.token_required == Some(false) {
        tracing::warn!(
            "the lookup says agent_token_required = false: this changes nothing, the agent token is always required"
        );
    }
    Ok(found)
}

/// Looks the node up once.
///
/// # Errors
/// The [`Error`] of this attempt.
pub async fn attempt(
    client: &Client,
    machine: &LookupQuery,
    config: &Config,
    own: Option<&AgentToken>,
) -> Result<Lookup, Error> {
    ask(client, machine, own, |body| parse(body, config)).await
}

/// Looks a known node up anew, again and again by the law: what its operator changed since. Settings and token of the answer
/// are not looked at: Ironic gives the token only once (IPA: `hardware.update_cached_node`).
///
/// # Errors
/// As [`lookup`].
pub async fn refresh_node(
    client: &Client,
    machine: &LookupQuery,
    own: Option<&AgentToken>,
    law: &RetryPolicy,
    cancel: &CancellationToken,
) -> Result<Node, Error> {
    law.run(cancel, async || {
        ask(client, machine, own, |body| {
            node_of(wire::lookup(body)?.node)
        })
        .await
    })
    .await
}

async fn ask<T>(
    client: &Client,
    machine: &LookupQuery,
    own: Option<&AgentToken>,
    understand: impl Fn(&[u8]) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut query = vec![("addresses", machine.addresses.join(","))];
    query.extend(machine.node.map(|node| ("node_uuid", node.to_string())));
    // Where Ironic does not tell its version, what the token needs is asked for: less would get an answer without one, once
    // and for all. IPA asks with 1.31 and then cannot heartbeat.
    let version: ApiVersion = client
        .version()
        .await?
        .map_or(VERSION_AGENT_TOKEN, |v| v.min(VERSION_AGENT_TOKEN));
    let request = Request {
        answer: Sensitivity::Secret,
        query,
        version: Some(version),
        ..Request::get("/v1/lookup")
    };
    client
        .send(&request, Standing::KnowsNode, |answer| {
            match answer.status() {
                StatusCode::OK => understand(answer.document()?),
                _ => Err(answer.into_error(own)),
            }
        })
        .await
}

fn parse(body: &[u8], config: &Config) -> Result<Lookup, Error> {
    let answer = wire::lookup(body)?;
    let mut settings = ConductorSettings::of(config);
    settings.apply(answer.heartbeat_timeout()?, &answer.config);
    let token = LookupToken::of(answer.config.agent_token.as_ref().map(|text| &*text.0));
    Ok(Lookup {
        settings,
        token,
        token_required: answer.config.agent_token_required,
        node: node_of(answer.node)?,
    })
}

fn node_of(document: Object) -> Result<Node, Error> {
    let uuid = document.member("uuid").and_then(Field::text);
    let uuid = uuid.and_then(|uuid| Uuid::parse_str(uuid).ok());
    let uuid = uuid.ok_or(Error::Malformed {
        line: 0,
        column: 0,
        what: "node.uuid is missing or no UUID",
    })?;
    Ok(Node {
        uuid,
        document: document.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use serde_json::{Value, json};

    const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const UUID: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";

    fn config() -> Config {
        let nothing = crate::config::Sources {
            kernel: crate::config::KernelArgs::default(),
            media: None,
            environment: Vec::new(),
            command_line: crate::config::CommandLine::default(),
        };
        crate::config::load(&Root::at("/nonexistent"), nothing)
            .unwrap()
            .config
    }

    fn understood(config_part: Value) -> Result<Lookup, Error> {
        let body = json!({"node": {"uuid": UUID, "properties": {}}, "config": config_part});
        parse(body.to_string().as_bytes(), &config())
    }

    fn token() -> AgentToken {
        AgentToken::from_lookup(TEXT.into()).unwrap()
    }

    #[test]
    fn what_ironic_wants_goes_over_configuration() {
        let lookup = understood(json!({
            "heartbeat_timeout": 120,
            "agent_token": TEXT,
            "agent_token_required": true,
            "agent_md5_checksum_enable": true,
            "disable_deep_image_inspection": true,
            "permitted_image_formats": ["raw", "iso"],
            "agent_skip_bmc_detect": true,
            "enable_bios_bootloader_install": true,
            "tls_min_version": "1.3",
            "tls_cipher_suites": "ECDHE-RSA-AES128-GCM-SHA256",
            "metrics": {"backend": "noop"},
        }))
        .unwrap();
        assert_eq!(lookup.node.uuid.to_string(), UUID);
        assert!(lookup.node.document.field().member("properties").is_some());
        assert_eq!(lookup.token_required, Some(true));
        assert_eq!(
            lookup.settings,
            ConductorSettings {
                heartbeat_timeout: Duration::from_secs(120),
                md5_enabled: true,
                permitted_image_formats: vec!["raw".into(), "iso".into()],
                disable_deep_image_inspection: true,
                enable_bios_bootloader_install: true,
                skip_bmc_detect: true,
                tls_min_version: MinVersion::Tls13,
                tls_cipher_suites: Some("ECDHE-RSA-AES128-GCM-SHA256".parse().unwrap()),
            }
        );
    }

    #[test]
    fn what_is_switched_on_is_switched_off_by_no_lookup() {
        let mut settings = ConductorSettings::of(&config());
        let switches = |value: Value| {
            json!({
                "agent_skip_bmc_detect": value,
                "enable_bios_bootloader_install": value,
            })
        };
        for (value, expected) in [
            (json!(false), false),
            (json!(null), false),
            (json!(true), true),
            (json!(true), true),
            (json!(false), true),
            (json!(null), true),
        ] {
            let text = switches(value).to_string();
            settings.apply(300, &serde_json::from_str(&text).unwrap());
            assert_eq!(
                (
                    settings.skip_bmc_detect,
                    settings.enable_bios_bootloader_install
                ),
                (expected, expected)
            );
        }
    }

    #[test]
    fn what_an_older_ironic_does_not_say_stays_as_configured() {
        let lookup = understood(json!({
            "heartbeat_timeout": 300,
            "tls_min_version": null,
            "tls_cipher_suites": "NONE-SUCH",
            "permitted_image_formats": "raw",
            "agent_md5_checksum_enable": "perhaps",
        }))
        .unwrap();
        assert_eq!(lookup.settings, ConductorSettings::of(&config()));
        assert!(matches!(lookup.token, LookupToken::None));
    }

    #[test]
    fn an_answer_without_its_mandatory_parts_is_refused() {
        assert!(understood(json!({})).is_err());
        let body = br#"{"node": {"uuid": "x"}, "config": {"heartbeat_timeout": 1}}"#;
        assert!(parse(body, &config()).is_err());
        assert!(parse(b"[]", &config()).is_err());
    }

    #[test]
    fn a_given_token_replaces_the_agents_own() {
        let own = AgentToken::from_operator("own".into()).unwrap();
        let settled = LookupToken::of(Some(TEXT)).resolve(Some(own)).unwrap();
        assert!(settled.matches(TEXT.as_bytes()));
    }

    #[test]
    fn the_agents_own_token_is_kept_when_none_is_given() {
        for text in [None, Some(""), Some("******"), Some("short")] {
            let settled = LookupToken::of(text).resolve(Some(token())).unwrap();
            assert!(settled.matches(TEXT.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn without_any_token_the_true_reason_is_told() {
        let reason = |text| LookupToken::of(text).resolve(None).unwrap_err();
        assert_eq!(reason(Some("******")), NoToken::AlreadyIssued);
        assert_eq!(
            reason(Some("short")),
            NoToken::Invalid(TokenError::Short(5))
        );
        assert_eq!(reason(None), NoToken::NeverGiven);
        assert_eq!(reason(Some("")), NoToken::NeverGiven);
    }
}
