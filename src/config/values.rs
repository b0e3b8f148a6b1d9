//! From text to a value: one function a kind of value. Messages say what was expected, and never repeat the text: it may be a
//! secret, and the caller knows better.

use crate::secret::{AgentToken, Secret};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use url::{Host, Url};

/// What a text should have been.
pub(super) type Reason = String;

/// A version of Ironic's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u16,
    /// After the dot.
    pub minor: u16,
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "must be a version such as 1.68";
        let (major, minor) = text.split_once('.').ok_or(wanted)?;
        Ok(Self {
            major: major.parse().map_err(|_| wanted)?,
            minor: minor.parse().map_err(|_| wanted)?,
        })
    }
}

/// The scheme of the callback URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl FromStr for Scheme {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err("must be http or https"),
        }
    }
}

/// How the agent shows itself to image servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageServerAuth {
    /// With user name and password.
    HttpBasic,
    /// Not at all.
    NoAuth,
}

impl FromStr for ImageServerAuth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "http_basic" => Ok(Self::HttpBasic),
            "noauth" => Ok(Self::NoAuth),
            _ => Err("must be noauth or http_basic"),
        }
    }
}

/// A value that may be absent: an empty text means that it is.
pub(super) fn optional<T>(
    parse: impl Fn(&str) -> Result<T, Reason>,
) -> impl Fn(&str) -> Result<Option<T>, Reason> {
    move |text| match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

/// A value whose type knows its own texts.
pub(super) fn known<T: FromStr<Err = &'static str>>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(str::to_owned)
}

pub(super) fn text(text: &str) -> Result<String, Reason> {
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, Reason> {
    Ok(PathBuf::from(text))
}

/// oslo.config's and oslo.utils' words for yes and no.
pub(super) fn boolean(text: &str) -> Result<bool, Reason> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

pub(super) fn count<const MIN: u32>(text: &str) -> Result<u32, Reason> {
    match text.parse() {
        Ok(number) if number >= MIN => Ok(number),
        _ => Err(format!("must be a whole number, {MIN} or more")),
    }
}

pub(super) fn seconds<const MIN: u32>(text: &str) -> Result<Duration, Reason> {
    count::<MIN>(text)
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| format!("must be a whole number of seconds, {MIN} or more"))
}

pub(super) fn port(text: &str) -> Result<u16, Reason> {
    text.parse()
        .map_err(|_| "must be a port, 0 to 65535".into())
}

pub(super) fn address(text: &str) -> Result<IpAddr, Reason> {
    text.parse().map_err(|_| "must be an IP address".into())
}

/// A host name or address; IPv6 with or without brackets.
pub(super) fn host(text: &str) -> Result<Host, Reason> {
    if let Ok(IpAddr::V6(address)) = text.parse() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(text).map_err(|_| "must be a host name or an IP address".into())
}

/// Comma-separated API URLs, each with a host; a trailing `/` means nothing.
pub(super) fn api_urls(text: &str) -> Result<Vec<Url>, Reason> {
    list(text)?.iter().map(|part| api_url(part)).collect()
}

fn api_url(text: &str) -> Result<Url, Reason> {
    if text == "mdns" {
        return Err("names mdns, which Ferrite does not speak: give the URL".into());
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("must be http:// or https:// URLs, separated by commas".into()),
    }
}

/// Words between commas, without blanks and empty ones.
pub(super) fn list(text: &str) -> Result<Vec<String>, Reason> {
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect())
}

/// What goes into a header: visible ASCII.
pub(super) fn request_id(text: &str) -> Result<String, Reason> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err("must be visible ASCII characters without blanks".into())
}

pub(super) fn agent_token(text: &str) -> Result<AgentToken, Reason> {
    AgentToken::from_operator(text.to_owned()).map_err(|error| format!("cannot be used: {error}"))
}

pub(super) fn secret(text: &str) -> Result<Secret<String>, Reason> {
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oslos_words_are_booleans_in_any_case() {
        for word in ["1", "t", "True", "ON", "y", "yes"] {
            assert_eq!(boolean(word), Ok(true));
        }
        for word in ["0", "F", "false", "off", "n", "NO"] {
            assert_eq!(boolean(word), Ok(false));
        }
        assert!(boolean("").is_err() && boolean("2").is_err());
    }

    #[test]
    fn numbers_have_a_least_value() {
        assert_eq!(count::<1>("1"), Ok(1));
        assert!(count::<1>("0").is_err() && count::<0>("-1").is_err());
        assert_eq!(seconds::<0>("600"), Ok(Duration::from_secs(600)));
        assert!(seconds::<0>("1.5").is_err() && port("65536").is_err());
    }

    #[test]
    fn several_api_urls_are_separated_by_commas() {
        assert_eq!(
            api_urls(" http://[fd00::1]:6385/ ,, https://b/v1").unwrap(),
            [
                Url::parse("http://[fd00::1]:6385").unwrap(),
                Url::parse("https://b/v1").unwrap()
            ]
        );
        assert!(api_urls("ftp://a").is_err() && api_urls("a").is_err());
        assert!(api_urls("mdns").unwrap_err().contains("mdns"));
    }

    #[test]
    fn hosts_may_be_bare_ipv6() {
        assert_eq!(host("fd00::1"), Ok(Host::Ipv6("fd00::1".parse().unwrap())));
        assert_eq!(host("[fd00::1]"), host("fd00::1"));
        assert_eq!(host("n.example"), Ok(Host::Domain("n.example".into())));
        assert!(host("a b").is_err());
    }

    #[test]
    fn api_versions_compare_by_number() {
        let parse = |text: &str| text.parse::<ApiVersion>().unwrap();
        assert!(parse("1.9") < parse("1.62") && parse("1.115") < parse("2.0"));
        assert_eq!(parse("1.115").to_string(), "1.115");
        assert!("1".parse::<ApiVersion>().is_err());
    }
}
