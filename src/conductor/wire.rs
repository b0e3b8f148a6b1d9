//! JSON formats of Ironic: root document, lookup response, heartbeat body, error messages.

use super::error::Error;
use crate::config::ApiVersion;
use crate::http;
use crate::json::Object;
use crate::secret::{AgentToken, json_body};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::time::Duration;

/// Response to `GET /`.
#[derive(Deserialize)]
struct RootDocument<'a> {
    #[serde(borrow)]
    default_version: VersionDocument<'a>,
}

#[derive(Deserialize)]
struct VersionDocument<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
}

/// Parses the newest API version from the root document.
pub(super) fn version(body: &[u8]) -> Result<ApiVersion, Error> {
    let document: RootDocument<'_> = parse(body)?;
    document.default_version.version.parse().map_err(|_| {
        // serde no longer knows its position.
        malformed(0, 0, "default_version.version is no version")
    })
}

/// Response to a lookup. Strings are borrowed from the body, so that the token is not copied here.
#[derive(Deserialize)]
pub(super) struct LookupAnswer<'a> {
    pub(super) node: Object,
    #[serde(borrow, default)]
    pub(super) config: LookupConfig<'a>,
    /// Position before Ironic 2015.
    #[serde(default, deserialize_with = "seconds")]
    heartbeat_timeout: Option<u64>,
}

/// Ironic's settings for the agent. A key that is missing, null or of another type does not
/// override the agent's own setting, and is no error. The response may contain the token, which
/// Ironic issues only once.
#[derive(Deserialize, Default)]
pub(super) struct LookupConfig<'a> {
    #[serde(default, deserialize_with = "seconds")]
    heartbeat_timeout: Option<u64>,
    #[serde(borrow)]
    pub(super) agent_token: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) agent_token_required: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) agent_md5_checksum_enable: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) disable_deep_image_inspection: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) permitted_image_formats: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) agent_skip_bmc_detect: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) enable_bios_bootloader_install: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tls_min_version: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tls_cipher_suites: Option<String>,
}

/// Deserializes a value of this type; `None` if it has another type.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(from).map(|value| serde_json::from_value(value).ok())
}

/// Deserializes whole seconds; fractions are truncated.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value: Option<Number> = lenient(from)?;
    Ok(value.and_then(|number| {
        let seconds = || Duration::try_from_secs_f64(number.as_f64()?).ok();
        number.as_u64().or_else(|| Some(seconds()?.as_secs()))
    }))
}

/// String that is borrowed if it has no escapes: inside `Option`, serde borrows only through a
/// separate type.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl LookupAnswer<'_> {
    /// Returns the timeout in seconds; the only mandatory key.
    pub(super) fn heartbeat_timeout(&self) -> Result<u64, Error> {
        self.config
            .heartbeat_timeout
            .or(self.heartbeat_timeout)
            .ok_or_else(|| malformed(0, 0, "heartbeat_timeout is missing"))
    }
}

/// Parses the response to a lookup.
pub(super) fn lookup(body: &[u8]) -> Result<LookupAnswer<'_>, Error> {
    parse(body)
}

/// Body of a heartbeat.
#[derive(Serialize)]
struct HeartbeatBody<'a> {
    callback_url: &'a str,
    agent_token: &'a str,
    agent_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_verify_ca: Option<&'a str>,
}

/// Serializes a heartbeat's body, into memory that is wiped when the last request that shares it is
/// done.
pub(super) fn heartbeat(
    callback_url: &str,
    token: &AgentToken,
    agent_version: &str,
    verify_ca: Option<&str>,
) -> Bytes {
    token.expose_with(|agent_token| {
        json_body(&HeartbeatBody {
            callback_url,
            agent_token,
            agent_version,
            agent_verify_ca: verify_ca,
        })
    })
}

/// Returns the message of an error document (IPA: `ironic_api_client._error_from_response`).
///
/// Ironic wraps its message: `{"error_message": {"faultstring": …}}`, where the inner object is
/// often a string itself.
pub(super) fn message_in(document: &Value) -> Option<String> {
    unwrapped(document.get("error_message").unwrap_or(document))
}

fn unwrapped(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => ["faultstring", "title"]
            .iter()
            .find_map(|key| fields.get(*key)?.as_str())
            .map(str::to_owned),
        Value::String(text) => Some(
            serde_json::from_str::<Map<String, Value>>(text)
                .ok()
                .and_then(|inner| unwrapped(&Value::Object(inner)))
                .unwrap_or_else(|| text.clone()),
        ),
        _ => None,
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let parsed = http::parse(body);
    parsed.map_err(|http::Malformed { line, column, what }| malformed(line, column, what))
}

fn malformed(line: usize, column: usize, what: &'static str) -> Error {
    Error::Malformed { line, column, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    #[test]
    fn the_version_is_the_default_one() {
        let body = br#"{"name": "x", "default_version": {"id": "v1", "version": "1.115"}}"#;
        assert_eq!(version(body).unwrap().to_string(), "1.115");
        assert!(version(b"{}").is_err() && version(b"[1").is_err());
        assert!(version(br#"{"default_version": {"version": "new"}}"#).is_err());
    }

    #[test]
    fn a_heartbeat_has_ipas_fields_in_a_buffer_of_its_size() {
        let token = AgentToken::from_lookup(TOKEN.into()).unwrap();
        let body = heartbeat("https://h:9999", &token, "13.0.0", Some("PEM\n"));
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            serde_json::json!({
                "callback_url": "https://h:9999",
                "agent_token": TOKEN,
                "agent_version": "13.0.0",
                "agent_verify_ca": "PEM\n",
            })
        );
        let body = heartbeat("http://h:9999", &token, "13.0.0", None);
        assert!(!String::from_utf8_lossy(&body).contains("verify_ca"));
    }

    #[test]
    fn the_token_is_borrowed_from_the_body() {
        let body = format!(
            r#"{{"node": {{}}, "config": {{"heartbeat_timeout": 1, "agent_token": "{TOKEN}"}}}}"#
        );
        let answer = lookup(body.as_bytes()).unwrap();
        assert!(matches!(
            answer.config.agent_token,
            Some(Text(Cow::Borrowed(TOKEN)))
        ));
    }

    #[test]
    fn the_old_place_of_the_heartbeat_timeout_is_read() {
        let old = lookup(br#"{"node": {}, "heartbeat_timeout": 7}"#).unwrap();
        assert_eq!(old.heartbeat_timeout().unwrap(), 7);
        let exact = lookup(br#"{"node": {}, "config": {"heartbeat_timeout": 7.5}}"#).unwrap();
        assert_eq!(exact.heartbeat_timeout().unwrap(), 7);
        let none = lookup(br#"{"node": {}, "config": {"heartbeat_timeout": -1}}"#).unwrap();
        assert!(none.heartbeat_timeout().is_err());
        let none = lookup(br#"{"node": {}, "config": {}}"#).unwrap();
        assert!(none.heartbeat_timeout().is_err());
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_repeated() {
        let body = format!(r#"{{"node": "{TOKEN}", "config": {{}}}}"#);
        let error = lookup(body.as_bytes()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "understanding the answer: line 1, column 54: a field is missing or of the wrong type"
        );
    }

    #[test]
    fn the_servers_message_is_unwrapped() {
        let inner = r#"{"faultcode": "Client", "faultstring": "Node is locked."}"#;
        for (body, told) in [
            (
                format!(r#"{{"error_message": {inner}}}"#),
                "Node is locked.",
            ),
            (
                serde_json::json!({ "error_message": inner }).to_string(),
                "Node is locked.",
            ),
            (r#"{"error_message": {"title": "Gone"}}"#.into(), "Gone"),
            (inner.into(), "Node is locked."),
            (r#"{"error_message": "plain"}"#.into(), "plain"),
            ("<html>\r\n".into(), "<html>"),
            (r#"{"other": 1}"#.into(), r#"{"other": 1}"#),
        ] {
            let message = http::server_message(body.as_bytes(), &[], message_in);
            assert_eq!(message, told, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = lookup(&body);
            let _ = version(&body);
            let _ = http::server_message(&body, &[], message_in);
        }

        #[test]
        fn any_text_is_a_message(text in any::<String>()) {
            let document = serde_json::json!({ "error_message": text }).to_string();
            let told = http::server_message(document.as_bytes(), &[], message_in);
            prop_assert!(told.chars().count() <= http::MAX_MESSAGE_LEN && !told.contains(char::is_control));
        }
    }
}
