//! Values of `[keystone_authtoken]`, and the digest of the observer's secret.

use super::merge::{Merged, Problem};
use super::values::{Reason, boolean, count};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// Interface of a service's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// For administrators.
    Admin,
    /// For the cloud's own networks.
    Internal,
    /// For everyone.
    Public,
}

impl Interface {
    /// Returns its name in a Keystone v3 catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

impl FromStr for Interface {
    type Err = &'static str;

    /// Parses the names of Keystone v3 and v2 (keystoneauth1:
    /// `ServiceCatalogV3.normalize_interface`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix("URL").unwrap_or(text) {
            "admin" => Ok(Self::Admin),
            "internal" => Ok(Self::Internal),
            "public" => Ok(Self::Public),
            _ => Err("must be internal, public or admin"),
        }
    }
}

/// The only scope besides projects and domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemScope {
    /// The whole cloud.
    All,
}

impl FromStr for SystemScope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            _ => Err("must be all"),
        }
    }
}

/// SHA-256 digest of a secret that is not stored itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Digest(pub [u8; 32]);

impl FromStr for Sha256Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "must be a SHA-256 of 64 hexadecimal digits";
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wanted);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wanted)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wanted)?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256Digest(..)")
    }
}

/// Parses the URL of a service. It is shown without redaction, so it must not have user
/// information, a query or a fragment.
pub(super) fn service_url(text: &str) -> Result<Url, Reason> {
    let url = Url::parse(text).ok().filter(|url| {
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_user = !url.username().is_empty() || url.password().is_some();
        is_http && !has_user && url.query().is_none() && url.fragment().is_none()
    });
    url.ok_or_else(|| "must be an http:// or https:// URL without user and query".into())
}

/// Parses a cache time in seconds. keystonemiddleware's -1 disables the cache, as 0 does.
pub(super) fn cache_time(text: &str) -> Result<Duration, Reason> {
    match text.trim() {
        "-1" => Ok(Duration::ZERO),
        text => count::<0>(text)
            .map(|seconds| Duration::from_secs(seconds.into()))
            .map_err(|_| "must be a whole number of seconds, or -1".into()),
    }
}

/// Returns conflicts: incomplete credentials, or two sets of them.
pub(super) fn conflicts(merged: &Merged) -> Vec<Problem> {
    let mut wrong = Vec::new();
    for (one, other) in [
        ("username", "password"),
        ("password", "username"),
        ("application_credential_id", "application_credential_secret"),
        ("application_credential_secret", "application_credential_id"),
    ] {
        if !is_set(merged, other) {
            wrong.push((one, format!("is set and {other} is not")));
        }
    }
    for (one, other, reason) in [
        (
            "application_credential_id",
            "username",
            "the agent is one user",
        ),
        (
            "application_credential_id",
            "system_scope",
            "an application credential has its own scope",
        ),
        (
            "application_credential_id",
            "project_name",
            "an application credential has its own scope",
        ),
        ("system_scope", "project_name", "a token has one scope"),
    ] {
        if is_set(merged, other) {
            wrong.push((one, format!("is set, and so is {other}: {reason}")));
        }
    }
    problems(merged, wrong)
}

/// Returns warnings about settings that expose tokens, and about credentials without a Keystone.
pub(super) fn warnings(merged: &Merged) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let url = merged
        .get(GROUP, "auth_url")
        .map(|raw| Url::parse(&raw.text));
    match url {
        Some(Ok(url)) if url.scheme() == "http" => warnings.push((
            "auth_url",
            "is without TLS (http://): THE TOKENS OF CALLERS TRAVEL TO KEYSTONE IN CLEAR, and whoever sees one can do all that its owner may"
                .to_owned(),
        )),
        None => {
            for name in ["username", "application_credential_id"] {
                warnings.push((name, "is set and auth_url is not: there is no Keystone to ask".to_owned()));
            }
        }
        Some(_) => {}
    }
    if merged
        .get(GROUP, "insecure")
        .is_some_and(|raw| boolean(&raw.text) == Ok(true))
    {
        warnings.push((
            "insecure",
            "is set: KEYSTONE IS NOT VERIFIED, and whoever answers in its name is believed"
                .to_owned(),
        ));
    }
    problems(merged, warnings)
}

/// Adds the origin to each problem; drops those whose option is not set.
fn problems(merged: &Merged, said: Vec<(&str, String)>) -> Vec<Problem> {
    said.into_iter()
        .filter_map(|(name, reason)| {
            Some(Problem {
                origin: merged.get(GROUP, name)?.origin.clone(),
                reason: format!("[{GROUP}] {name} {reason}"),
            })
        })
        .collect()
}

fn is_set(merged: &Merged, name: &str) -> bool {
    merged.get(GROUP, name).is_some()
}

const GROUP: &str = "keystone_authtoken";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_their_old_names_too() {
        assert_eq!("internal".parse(), Ok(Interface::Internal));
        assert_eq!("publicURL".parse(), Ok(Interface::Public));
        assert!("URL".parse::<Interface>().is_err() && "Admin".parse::<Interface>().is_err());
    }

    #[test]
    fn a_digest_has_64_digits_in_any_case() {
        let text = "00Ff".repeat(16);
        let Sha256Digest(bytes) = text.parse().unwrap();
        assert_eq!(bytes, [0, 255].repeat(16)[..]);
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(wrong.parse::<Sha256Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_services_url_holds_no_secret() {
        assert!(service_url("https://k.example:5000/v3").is_ok());
        for wrong in [
            "",
            "k.example",
            "ftp://k",
            "https://u:p@k/",
            "https://u@k/",
            "https://k/?a=b",
        ] {
            assert!(service_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_cache_is_written_in_two_ways() {
        assert_eq!(cache_time("-1"), Ok(Duration::ZERO));
        assert_eq!(cache_time("0"), Ok(Duration::ZERO));
        assert_eq!(cache_time("300"), Ok(Duration::from_secs(300)));
        assert!(cache_time("-2").is_err());
    }
}
