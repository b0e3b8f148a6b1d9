//! Names whose values are secrets.

use super::bounds::byte;
use super::escapes::character;

/// Parts of secret names, at any position.
const ANYWHERE: &[&str] = &[
    "accesskeyid",
    "access_key",
    "api_key",
    "apikey",
    "authorization",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "snmp_community",
    "temp_url_expires",
    "temp_url_key",
    "temp_url_sig",
    "token",
    "x_amz_expires",
    "x_amz_signature",
    "x_goog_expires",
    "x_goog_signature",
];

/// Ends of secret names.
const AT_THE_END: &[&str] = &[
    "_pass",
    "_psk",
    "configdrive",
    "config_drive",
    "image_server_user",
    // IPA's argument for a login to the ramdisk.
    "rootpwd",
];

/// Ends of names that only describe a secret: `agent_token_required`, `password_file`,
/// `systemd-ask-password.path`.
const REVEALING: &[&str] = &[
    "_algorithm",
    "_cache_time",
    "_count",
    "_file",
    "_length",
    "_required",
    "_timeout",
    ".c",
    ".conf",
    ".json",
    ".log",
    ".mount",
    ".path",
    ".py",
    ".rs",
    ".service",
    ".slice",
    ".socket",
    ".target",
    ".timer",
    ".txt",
];

/// Parameters of temporary URLs, whose names have another meaning elsewhere. They are those of
/// Azure's shared access signatures, and of the signatures of S3 (version 2), CloudFront, Google,
/// Tencent and Akamai.
const IN_QUERIES: &[&str] = &[
    "expires",
    "googleaccessid",
    "hmac",
    "key_pair_id",
    "policy",
    "q_ak",
    "q_key_time",
    "q_sign_time",
    "se",
    "sig",
    "sign",
    "sip",
    "ske",
    "skoid",
    "sks",
    "skt",
    "sktid",
    "skv",
    "sp",
    "spr",
    "sr",
    "st",
    "sv",
];

/// Ends of names of temporary URLs' parameters, where each store has its own prefix
/// (`X-Oss-Signature`, `X-Obs-Expires`, `q-signature`).
const AT_THE_END_IN_QUERIES: &[&str] = &["_expires", "_sig", "_sign", "signature"];

/// Maximum length of a name.
const MAX_LEN: usize = 256;

/// Returns whether the value of this name is a secret. Names match in any case, with dashes or
/// underscores, percent-encoded or not.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = normal(name);
    ANYWHERE.iter().any(|word| name.contains(word)) && !is_revealing(&name)
        || AT_THE_END.iter().any(|end| name.ends_with(end))
}

/// Returns whether a URL's query parameter with this name is a secret.
pub(super) fn is_secret_in_query(name: &str) -> bool {
    let name = normal(name);
    // JSON's escapes of the ampersand and the question mark may precede the name.
    let name = name
        .strip_prefix("u0026")
        .or_else(|| name.strip_prefix("u003f"))
        .unwrap_or(&name);
    IN_QUERIES.contains(&name) || AT_THE_END_IN_QUERIES.iter().any(|end| name.ends_with(end))
}

/// Returns whether the name is that of the HTTP header or a similar option: its value may be two
/// words.
pub(super) fn is_authorization(name: &str) -> bool {
    normal(name).contains("authorization")
}

fn is_revealing(name: &str) -> bool {
    REVEALING.iter().any(|end| name.ends_with(end))
}

/// Normalizes a name: lower case, underscores, percent-encoding removed. Of an overlong name only
/// the end is used.
fn normal(name: &str) -> String {
    let start = name.ceil_char_boundary(name.len().saturating_sub(MAX_LEN));
    let mut rest = name.as_bytes().get(start..).unwrap_or_default();
    let mut normal = String::with_capacity(rest.len());
    while !rest.is_empty() {
        let encoded = Some(character(rest, 0)).filter(|found| found.depth > 0);
        let (byte, length) =
            encoded.map_or_else(|| (byte(rest, 0), 1), |found| (found.byte, found.length));
        normal.push(match byte {
            b'-' => '_',
            byte => char::from(byte.to_ascii_lowercase()),
        });
        rest = rest.get(length..).unwrap_or_default();
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "token",
            "agent_token",
            "ipa-agent-token",
            "AGENT_TOKEN",
            "agent%5Ftoken",
            "agent%5ftoke%6E",
            "X-Auth-Token",
            "image_server_password",
            "oci_pull_secret",
            "passwd",
            "Authorization",
            "image_request_authorization",
            "configdrive",
            "temp_url_sig",
            "AWSAccessKeyId",
            "X-Amz-Security-Token",
            "rootpwd",
            "credential",
            "snmp_community",
            "api%255Fkey",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_that_only_tell_of_secrets_are_none() {
        for name in [
            "agent_token_required",
            "ipa-agent-token-required",
            "systemd-ask-password-console.path",
            "configdrive_mb",
            "token_cache_time",
            "checksum",
            "sig",
            "signature",
            "author",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn short_names_are_secrets_in_queries_only() {
        for name in [
            "Signature",
            "u0026sig",
            "x-oss-signature",
            "X-Oss-Expires",
            "X-Obs-Signature",
            "q-signature",
            "q-ak",
            "hmac",
            "sign",
        ] {
            assert!(is_secret_in_query(name), "{name}");
        }
        for name in ["wait", "design", "assign", "q-url-param-list"] {
            assert!(!is_secret_in_query(name), "{name}");
        }
        assert!(!is_secret("sv"));
    }
}
