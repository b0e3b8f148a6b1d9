//! Where an image or a checksum comes from, shown without its secrets.

use std::fmt;
use std::str::FromStr;
use url::Url;

/// An `http` or `https` URL. It shows itself without user, password and query: a query is where signed URLs keep theirs.
#[derive(Clone, PartialEq, Eq)]
pub struct Source(Url);

impl Source {
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// The place a redirect from here leads to.
    pub(super) fn join(&self, location: &str) -> Result<Self, Error> {
        let url = self.0.join(location).map_err(Error::Syntax)?;
        Self::try_from(url)
    }

    /// Whether both are the same server by the same protocol, so that one's credentials may be shown to the other.
    pub(super) fn same_server(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// The last part of the path.
    pub(super) fn file_name(&self) -> &str {
        self.0.path().rsplit('/').next().unwrap_or_default()
    }

    /// The same place without user and password, for requests that carry a header of their own.
    pub(super) fn without_credentials(&self) -> Self {
        let mut url = self.0.clone();
        // These fail only for URLs without a host, which `try_from` does not let in.
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
        Self::try_from(Url::parse(text).map_err(Error::Syntax)?)
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

/// Why a text is no place to fetch from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another scheme: files of the ramdisk and the like are none of an image's business.
    #[error("only http and https URLs are allowed, not {0}")]
    Scheme(String),
    /// No URL at all.
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
    fn another_protocol_or_port_is_another_server() {
        let source: Source = "https://host/a".parse().unwrap();
        assert!(source.same_server(&"https://host:443/b".parse().unwrap()));
        for other in ["http://host/a", "https://host:8443/a", "https://other/a"] {
            assert!(!source.same_server(&other.parse().unwrap()), "{other}");
        }
        assert!(matches!(
            source.join("file:///etc/passwd"),
            Err(Error::Scheme(_))
        ));
        assert_eq!(source.join("/c").unwrap().to_string(), "https://host/c");
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
