//! Parsers of option values: one function for each kind of value. Messages describe what was
//! expected and never repeat the text: it may be a secret, and only the caller knows.

use crate::redact::is_plain_url;
use crate::secret::{AgentToken, Secret, TokenError};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use url::{Host, Url};

/// Description of what a text should have been.
pub(super) type Reason = String;

/// Where Ironic's API is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiUrl {
    /// Discovered by multicast DNS.
    Mdns,
    /// At these URLs; an empty list means that there is no Ironic.
    Urls(Vec<Url>),
}

impl ApiUrl {
    /// Returns the configured URLs.
    #[must_use]
    pub fn urls(&self) -> &[Url] {
        match self {
            Self::Mdns => &[],
            Self::Urls(urls) => urls,
        }
    }
}

impl FromStr for ApiUrl {
    type Err = &'static str;

    /// Parses URLs with a host, separated by commas. A trailing `/` is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "mdns" {
            return Ok(Self::Mdns);
        }
        words(text)
            .map(|word| match Url::parse(word) {
                Ok(url)
                    if matches!(url.scheme(), "http" | "https")
                        && url.has_host()
                        && is_plain_url(word) =>
                {
                    Ok(url)
                }
                _ => Err("must be http:// or https:// URLs, separated by commas, or mdns"),
            })
            .collect::<Result<_, _>>()
            .map(Self::Urls)
    }
}

/// A version of Ironic's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// The number before the dot.
    pub major: u16,
    /// The number after the dot.
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
    /// Plain text.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// Returns the scheme as written in a URL.
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

/// How the agent authenticates to image servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageServerAuth {
    /// HTTP basic authentication with user name and password.
    HttpBasic,
    /// No authentication.
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

/// Syslog facility (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Returns its numerical code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl FromStr for Facility {
    type Err = &'static str;

    /// Parses a name with or without `LOG_`, in any case, as oslo.log does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("LOG_").unwrap_or(&name);
        FACILITIES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, code)| Self(*code))
            .ok_or("must be a facility such as LOG_USER or LOG_LOCAL0")
    }
}

/// Names and codes from `<syslog.h>`.
const FACILITIES: &[(&str, u8)] = &[
    ("KERN", 0),
    ("USER", 1),
    ("MAIL", 2),
    ("DAEMON", 3),
    ("AUTH", 4),
    ("SYSLOG", 5),
    ("LPR", 6),
    ("NEWS", 7),
    ("UUCP", 8),
    ("CRON", 9),
    ("AUTHPRIV", 10),
    ("FTP", 11),
    ("LOCAL0", 16),
    ("LOCAL1", 17),
    ("LOCAL2", 18),
    ("LOCAL3", 19),
    ("LOCAL4", 20),
    ("LOCAL5", 21),
    ("LOCAL6", 22),
    ("LOCAL7", 23),
];

/// Parses a value that may be absent: an empty text is `None`.
pub(super) fn optional<T>(
    parse: impl Fn(&str) -> Result<T, Reason>,
) -> impl Fn(&str) -> Result<Option<T>, Reason> {
    move |text| match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

/// Parses a value whose type implements [`FromStr`].
pub(super) fn known<T: FromStr<Err = &'static str>>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(str::to_owned)
}

pub(super) fn text(text: &str) -> Result<String, Reason> {
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, Reason> {
    Ok(PathBuf::from(text))
}

/// Parses the booleans of oslo.config and oslo.utils.
pub(super) fn boolean(text: &str) -> Result<bool, Reason> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

pub(super) fn count<const MIN: u32>(text: &str) -> Result<u32, Reason> {
    match text.trim().parse() {
        Ok(number) if number >= MIN => Ok(number),
        _ => Err(format!("must be a whole number, {MIN} or more")),
    }
}

pub(super) fn seconds<const MIN: u32>(text: &str) -> Result<Duration, Reason> {
    count::<MIN>(text)
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| format!("must be a whole number of seconds, {MIN} or more"))
}

/// Parses any integer, for options without bounds.
pub(super) fn number(text: &str) -> Result<i64, Reason> {
    text.trim()
        .parse()
        .map_err(|_| "must be a whole number".into())
}

pub(super) fn float(text: &str) -> Result<f64, Reason> {
    text.trim().parse().map_err(|_| "must be a number".into())
}

/// Checks that a text is one of these words.
pub(super) fn one_of(words: &[&str], text: &str) -> Result<(), Reason> {
    if words.contains(&text) {
        return Ok(());
    }
    Err(format!("must be {}", words.join(" or ")))
}

pub(super) fn port(text: &str) -> Result<u16, Reason> {
    text.trim()
        .parse()
        .map_err(|_| "must be a port, 0 to 65535".into())
}

pub(super) fn address(text: &str) -> Result<IpAddr, Reason> {
    text.parse().map_err(|_| "must be an IP address".into())
}

/// Parses a host name or address; IPv6 with or without brackets.
pub(super) fn host(text: &str) -> Result<Host, Reason> {
    if let Ok(IpAddr::V6(address)) = text.parse() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(text).map_err(|_| "must be a host name or an IP address".into())
}

/// Splits a list at commas; trims blanks and drops empty words.
pub(super) fn list(text: &str) -> Result<Vec<String>, Reason> {
    Ok(words(text).map(str::to_owned).collect())
}

/// Parses paths, separated by commas.
pub(super) fn paths(text: &str) -> Result<Vec<PathBuf>, Reason> {
    Ok(words(text).map(PathBuf::from).collect())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// Parses IP addresses, separated by commas.
pub(super) fn addresses(text: &str) -> Result<Vec<IpAddr>, Reason> {
    words(text)
        .map(|word| word.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| "must be IP addresses, separated by commas".into())
}

/// Parses `key:value` pairs, separated by commas. Quotes around a value protect its commas
/// (oslo.config: `types.Dict`).
pub(super) fn pairs(text: &str) -> Result<BTreeMap<String, String>, Reason> {
    let mut pairs = BTreeMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or(NO_PAIRS)?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => after
                .get(1..)
                .and_then(|quoted| quoted.split_once(quote))
                .ok_or(NO_PAIRS)?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        pairs.insert(key.trim().to_owned(), value.trim().to_owned());
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim(),
            None if after.is_empty() => after,
            None => return Err(NO_PAIRS.into()),
        };
    }
    Ok(pairs)
}

const NO_PAIRS: &str = "must be key:value pairs, separated by commas";

/// Parses the priority of a deploy step. Ironic reserves 100 for booting the agent.
pub(super) fn priority(text: &str) -> Result<u8, Reason> {
    match text.trim().parse() {
        Ok(number) if number < 100 => Ok(number),
        _ => Err("must be a whole number, 0 to 99".into()),
    }
}

/// Parses a request ID, which goes into a header: visible ASCII.
pub(super) fn request_id(text: &str) -> Result<String, Reason> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err("must be visible ASCII characters without blanks".into())
}

/// Parses a token. An empty text and the mask yield `None`. PID 1 writes the mask over the token on
/// the kernel's command line.
pub(super) fn agent_token(text: &str) -> Result<Option<AgentToken>, Reason> {
    match AgentToken::from_operator(text.to_owned()) {
        Ok(token) => Ok(Some(token)),
        Err(TokenError::Empty | TokenError::Masked) => Ok(None),
        Err(error) => Err(format!("cannot be used: {error}")),
    }
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
        let urls = |text: &str| text.parse::<ApiUrl>();
        assert_eq!(
            urls(" http://[fd00::1]:6385/ ,, https://b/v1"),
            Ok(ApiUrl::Urls(vec![
                Url::parse("http://[fd00::1]:6385").unwrap(),
                Url::parse("https://b/v1").unwrap()
            ]))
        );
        assert_eq!(urls("mdns"), Ok(ApiUrl::Mdns));
        assert_eq!(urls(""), Ok(ApiUrl::Urls(Vec::new())));
        assert!(urls("ftp://a").is_err() && urls("a").is_err() && urls("mdns,http://a").is_err());
        // An error message for other URLs would show the password.
        assert!(urls("http:///me:hush@a").is_err());
    }

    #[test]
    fn facilities_are_named_with_or_without_their_prefix() {
        for text in ["LOG_DAEMON", "daemon", "log_daemon"] {
            assert_eq!(text.parse(), Ok(Facility(3)));
        }
        assert!("LOG_".parse::<Facility>().is_err() && "17".parse::<Facility>().is_err());
    }

    #[test]
    fn quoted_values_of_pairs_keep_their_commas() {
        let found = pairs("a:1, b : 'x, y' ,c:").unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, [("a", "1"), ("b", "x, y"), ("c", "")]);
        for text in ["a", "a:'x", "a:'x'y", "a:1,b"] {
            assert!(pairs(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_pairs_or_not(text in "[a-c:,'\" \\PC]{0,20}") {
            let _ = pairs(&text);
        }
    }

    #[test]
    fn the_priority_of_a_step_stays_below_ironics_own() {
        assert_eq!((priority("0"), priority("99")), (Ok(0), Ok(99)));
        assert!(priority("100").is_err() && priority("-1").is_err());
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
