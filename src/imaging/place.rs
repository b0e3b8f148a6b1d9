//! Origin of a response, after redirects, and its form in logs.

use super::credentials::{Authorization, repeats_credentials, without_credentials};
use super::source::Source;
use std::fmt;

/// A place of a download. Its server controls the target of a redirect and may include received
/// credentials in it, such as a path for wrong passwords.
#[derive(Clone, Debug)]
pub(super) struct Place {
    source: Source,
    /// Places before this one, beginning with the first.
    before: Vec<Source>,
    shown: String,
    has_secret_host: bool,
}

impl Place {
    /// Creates the place of a request that no redirect led to.
    pub(super) fn first(source: &Source) -> Self {
        Self {
            source: source.clone(),
            before: Vec::new(),
            shown: source.to_string(),
            has_secret_host: false,
        }
    }

    /// Returns the place that this one redirects to.
    pub(super) fn redirected(self, to: Source, authorization: Option<&Authorization>) -> Self {
        let mut before = self.before;
        before.push(self.source);
        let shown = without_credentials(&to.to_string(), &before, authorization);
        let repeats = |part: &str| repeats_credentials(part, &before, authorization);
        let shown = match before.first() {
            Some(first) if repeats(&shown) => format!("a place that {first} redirects to"),
            _ => shown,
        };
        Self {
            shown,
            has_secret_host: repeats(to.url().host_str().unwrap_or_default()),
            source: to,
            before,
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Returns whether its host must not appear in logs.
    pub(super) fn has_secret_host(&self) -> bool {
        self.has_secret_host
    }

    /// Masks in a server's text the credentials sent to this place and those before it.
    pub(super) fn without_credentials(
        &self,
        text: &str,
        authorization: Option<&Authorization>,
    ) -> String {
        let places = self.before.iter().chain([&self.source]);
        without_credentials(text, places, authorization)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_shown_without_what_its_server_was_shown_however_urls_write_it() {
        let source: Source = "http://user:Pa%24%22word@host/a?sig=5iGnature"
            .parse()
            .unwrap();
        let hidden = "a place that http://host/a redirects to";
        for (location, shown, has_secret_host) in [
            ("/b?sig=5iGnature", "http://host/b", false),
            ("/for/Pa$word", "http://host/for/Pa$word", false),
            ("/for/5iGnature/b", "http://host/for/******/b", false),
            ("/for/Pa%24%22word", "http://host/for/******", false),
            // In the library's form, and in other forms.
            ("/for/Pa$\"word", hidden, false),
            ("/for/%50a%24%22word", hidden, false),
            ("http://5ignature.example/", hidden, true),
        ] {
            let next = source.join(location.as_bytes()).unwrap();
            let place = Place::first(&source).redirected(next, None);
            assert_eq!(place.to_string(), shown, "{location}");
            assert_eq!(place.has_secret_host(), has_secret_host, "{location}");
        }
        // Credentials of earlier places count too.
        let next = source.join(b"http://other/c?key=0ther5ecret").unwrap();
        let place = Place::first(&source).redirected(next, None);
        let next = place.source().join(b"/5iGnature/0ther5ecret").unwrap();
        let place = place.redirected(next, None);
        assert_eq!(place.to_string(), "http://other/******/******");
        let told = place.without_credentials("5iGnature 0ther5ecret Pa$\"word", None);
        assert_eq!(told, "****** ****** ******");
    }
}
