//! URL of an image or a checksum, displayed without its secrets.

use crate::redact::is_plain_url;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use url::Url;

/// An `http` or `https` URL. It is displayed without user, password and query: the query contains
/// the secrets of signed URLs.
#[derive(Clone, PartialEq, Eq)]
pub struct Source(Url);

impl Source {
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Resolves the target of a redirect. Bytes outside of ASCII, which many servers send raw, are
    /// percent-encoded. User and password apply to the target if it has none of its own and shares
    /// credentials with this place.
    pub(super) fn join(&self, location: &[u8]) -> Result<Self, Error> {
        let mut text = String::with_capacity(location.len());
        for byte in location {
            match byte {
                0..=0x7f => text.push(char::from(*byte)),
                // Writing to a string cannot fail.
                _ => _ = write!(text, "%{byte:02X}"),
            }
        }
        let url = self.0.join(&text).map_err(Error::Syntax)?;
        let mut place = Self::try_from(url).map_err(|_| Error::Redirect)?;
        let has_own = !place.0.username().is_empty() || place.0.password().is_some();
        if !has_own && self.shares_credentials_with(&place) {
            // These fail only for URLs without a host, which `try_from` refuses.
            let _ = place.0.set_username(self.0.username());
            let _ = place.0.set_password(self.0.password());
        }
        Ok(place)
    }

    /// Checks whether credentials for one place may be sent to the other. Both must be the same
    /// server by the same protocol, or the second uses TLS, with default ports for both. As with
    /// requests (`should_strip_auth`), and so with IPA.
    pub(super) fn shares_credentials_with(&self, other: &Self) -> bool {
        let place = |source: &Self| {
            let port = source.0.port_or_known_default();
            (source.0.scheme() == "https", port)
        };
        self.0.host() == other.0.host()
            && (place(self) == place(other)
                || (place(self), place(other)) == ((false, Some(80)), (true, Some(443))))
    }

    /// Returns the last component of the path.
    pub(super) fn file_name(&self) -> &str {
        self.0.path().rsplit('/').next().unwrap_or_default()
    }

    /// Returns the URL without user and password, for requests that carry a header of their own.
    pub(super) fn without_credentials(&self) -> Self {
        let mut url = self.0.clone();
        // These fail only for URLs without a host, which `try_from` refuses.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Self(url)
    }
}

impl TryFrom<Url> for Source {
    type Error = Error;

    fn try_from(url: Url) -> Result<Self, Error> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::Scheme(url.scheme().to_owned()));
        }
        Ok(Self(url))
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let source = Self::try_from(Url::parse(text).map_err(Error::Syntax)?)?;
        match is_plain_url(text) {
            true => Ok(source),
            false => Err(Error::NotPlain),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.origin().ascii_serialization();
        write!(f, "{origin}{}", self.0.path())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Errors of an invalid source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scheme is unsupported: files of the ramdisk and the like are not valid sources.
    #[error("only http and https URLs are allowed, not {0}")]
    Scheme(String),
    /// A redirect to an unsupported scheme. The message omits it, because the server controls it
    /// and has received secrets.
    #[error("it redirects to a URL that is neither http nor https")]
    Redirect,
    /// The URL is ambiguous: see [`is_plain_url`].
    #[error(
        "the URL must have two slashes behind its scheme, and neither backslashes nor control characters"
    )]
    NotPlain,
    /// The text is no URL.
    #[error("the URL is malformed")]
    Syntax(#[source] url::ParseError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_shows_neither_credentials_nor_query() {
        let source: Source = "https://user:hush@host:8443/a/b.img?sig=hush#x"
            .parse()
            .unwrap();
        assert_eq!(source.to_string(), "https://host:8443/a/b.img");
        assert_eq!(format!("{source:?}"), "https://host:8443/a/b.img");
        assert_eq!(source.file_name(), "b.img");
        assert_eq!(source.without_credentials().url().username(), "");
    }

    #[test]
    fn a_host_beyond_ascii_is_refused_in_any_case_of_letters() {
        for text in ["https://h\u{e9}/i", "https://H\u{e9}/i"] {
            let refused = text.parse::<Source>();
            assert!(matches!(refused, Err(Error::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn a_url_that_is_read_in_two_ways_is_refused() {
        for text in ["http:///user:hush@host/a", r"http:\\user:hush@host/a"] {
            let error = text.parse::<Source>().unwrap_err();
            assert!(matches!(error, Error::NotPlain), "{error:?}");
        }
        let error = "file:///etc/shadow".parse::<Source>().unwrap_err();
        assert!(matches!(error, Error::Scheme(_)), "{error:?}");
    }

    #[test]
    fn credentials_are_the_same_servers_by_the_same_protocol_or_its_better_one() {
        for (from, to, shared) in [
            ("https://host/a", "https://HOST:443/b", true),
            ("http://host:8080/a", "http://host:8080/b", true),
            ("http://host/a", "https://host/b", true),
            ("http://host:80/a", "https://host:443/b", true),
            ("https://host/a", "http://host/a", false),
            ("http://host:8080/a", "https://host/b", false),
            ("http://host/a", "https://host:8443/b", false),
            ("https://host/a", "https://host:8443/a", false),
            ("https://host/a", "https://other/a", false),
            ("http://host/a", "https://sub.host/a", false),
            ("http://127.0.0.1/a", "http://localhost/a", false),
        ] {
            let (from, to): (Source, Source) = (from.parse().unwrap(), to.parse().unwrap());
            assert_eq!(from.shares_credentials_with(&to), shared, "{from} {to}");
            let with = from.0.as_str().replacen("://", "://u:p@", 1);
            let with: Source = with.parse().unwrap();
            let next = with.join(to.0.as_str().as_bytes()).unwrap();
            let carried = (next.0.username(), next.0.password());
            assert_eq!(carried, if shared { ("u", Some("p")) } else { ("", None) });
        }
    }

    #[test]
    fn a_redirect_leads_to_http_alone_from_where_it_is_met() {
        let source: Source = "https://host/a".parse().unwrap();
        assert!(matches!(
            source.join(b"file:///etc/passwd"),
            Err(Error::Redirect)
        ));
        for (location, place) in [
            (&b"/c"[..], "https://host/c"),
            ("/größe".as_bytes(), "https://host/gr%C3%B6%C3%9Fe"),
            // Latin-1: only the server can interpret it.
            (b"b/caf\xe9?x=\xe9", "https://host/b/caf%E9?x=%E9"),
            (b"//user@other/", "https://user@other/"),
        ] {
            assert_eq!(source.join(location).unwrap().0.as_str(), place);
        }
    }

    proptest! {
        #[test]
        fn only_http_and_https_get_in(text in "[a-z]{2,8}:/{0,3}[a-z/.]{0,20}") {
            if let Ok(source) = text.parse::<Source>() {
                prop_assert!(text.starts_with("http:") || text.starts_with("https:"));
                prop_assert!(source.url().has_host());
            }
        }
    }
}
