//! Looks up the node of this machine. The response contains Ironic's settings for its agent, and
//! the agent token.

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

/// Query that identifies the machine to Ironic.
#[derive(Clone, Debug, Default)]
pub struct LookupQuery {
    /// Permanent MAC addresses, in the inventory's order.
    pub addresses: Vec<String>,
    /// UUID of the node, if inspection reported it.
    pub node: Option<Uuid>,
}

/// Ironic's response to a lookup.
#[derive(Debug)]
pub struct Lookup {
    /// Node of this machine.
    pub node: Node,
    /// Ironic's settings, which override the configuration.
    pub settings: ConductorSettings,
    /// Value of the token field.
    pub token: LookupToken,
    /// Value of `agent_token_required`: recorded, but never applied.
    pub token_required: Option<bool>,
}

/// Node as Ironic reports it, with secrets masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// UUID of the node.
    pub uuid: Uuid,
    /// The whole node document, as received.
    pub document: Json,
}

/// Settings of the agent: from the lookup, else from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ConductorSettings {
    /// Ironic's heartbeat timeout: without a heartbeat for so long, it considers the agent lost.
    pub heartbeat_timeout: Duration,
    /// Whether MD5 checksums are accepted.
    pub md5_enabled: bool,
    /// Image formats that may be written.
    pub permitted_image_formats: Vec<String>,
    /// Whether images are written without inspection.
    pub disable_deep_image_inspection: bool,
    /// Whether programs of the image may install a BIOS boot loader.
    pub enable_bios_bootloader_install: bool,
    /// Whether the BMC is not queried for its address.
    pub skip_bmc_detect: bool,
    /// Minimum TLS version of the agent's API.
    pub tls_min_version: MinVersion,
    /// TLS 1.2 cipher suites of the agent's API.
    pub tls_cipher_suites: Option<CipherSuites>,
}

impl ConductorSettings {
    /// Returns the settings of the configuration alone, for an agent without lookup.
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
        // These two are only ever switched on (IPA: `agent.process_lookup_data`).
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

/// Parses a string setting of the lookup. An invalid one does not override the configuration: the
/// node must start all the same.
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

/// Value of the token field in a lookup's response.
#[derive(Debug)]
pub enum LookupToken {
    /// The token, which Ironic issues only once.
    Issued(AgentToken),
    /// A string that is not a token.
    Invalid(TokenError),
    /// The mask: the token was issued before.
    Masked,
    /// No token.
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

    /// Returns the token to use: the issued one before the agent's own.
    ///
    /// # Errors
    /// [`NoToken`] if there is neither, with the reason as a sentence for the operator.
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

/// Reason why the agent has no token, and so can accept no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The lookup returned the mask, and the agent has no token of its own.
    #[error(
        "this node was already looked up since its last power-on, and Ironic gives its agent token out only once: \
         no command can be accepted until Ironic restarts the machine"
    )]
    AlreadyIssued,
    /// The lookup's token is invalid, and the agent has none of its own.
    #[error("the lookup's agent token cannot be used, and the agent has none of its own: {0}")]
    Invalid(TokenError),
    /// Neither the boot nor the lookup provided a token.
    #[error("neither the boot nor the lookup gave an agent token: no command can be accepted")]
    NeverGiven,
}

/// Looks the node up, with retries by the policy, until Ironic knows it. No error contains the
/// agent's own token.
///
/// # Errors
/// [`Error::LookupTimeout`] with the last failure; [`Error::UnsupportedVersion`] without a retry;
/// [`Error::Cancelled`].
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

/// Refreshes a known node, with retries by the policy, for changes that its operator made. Settings
/// and token of the response are ignored: Ironic issues the token only once (IPA:
/// `hardware.update_cached_node`).
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
    // If Ironic does not report its version, the request uses the version that tokens need. A lower
    // one would get a response without the token, and Ironic never issues it again. IPA sends 1.31
    // and then cannot heartbeat.
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
