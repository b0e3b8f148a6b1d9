//! Credentials for image servers and proxies.

use super::source::Source;
use crate::redact::mask_each_known;
use crate::secret::Secret;
use crate::tls::client::{login, proxy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::ClientBuilder;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

/// User and password of an image server. Either may be missing, which is an error only when they
/// are needed.
#[derive(Debug)]
pub struct BasicAuth {
    /// Name of the user.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<Secret<String>>,
}

/// Proxies of one node.
#[derive(Debug, Default)]
pub struct Proxies {
    /// Proxy for `http` URLs.
    pub http: Option<Secret<String>>,
    /// Proxy for `https` URLs.
    pub https: Option<Secret<String>>,
    /// Hosts reached without a proxy, separated by commas.
    pub no_proxy: Option<String>,
}

/// Value of an `Authorization` header, and the servers that may receive it.
#[derive(Debug)]
pub(super) struct Authorization {
    value: HeaderValue,
    /// Sources of the image, if the header came with it: only their servers may receive it. `None`
    /// for a header from the agent's options, which every server of images or checksums may
    /// receive.
    image: Option<Vec<Source>>,
}

impl Authorization {
    /// Returns the header for the first request to a place, which no redirect led to.
    pub(super) fn towards(&self, place: &Source) -> Option<&HeaderValue> {
        let may_see = self.image.as_ref().is_none_or(|sources| {
            let mut sources = sources.iter();
            sources.any(|source| source.shares_credentials_with(place))
        });
        may_see.then_some(&self.value)
    }
}

/// Masks in a server's text the credentials sent to these places: parts of URLs and of the header.
/// The server may repeat them under any name, or none.
pub(super) fn without_credentials<'a>(
    text: &str,
    places: impl IntoIterator<Item = &'a Source>,
    authorization: Option<&Authorization>,
) -> String {
    mask_each_known(text, &shown(places, authorization))
}

/// Checks whether a part of a URL repeats credentials sent to these places. The comparison ignores
/// case and decodes percent-encoding, because URLs may be written so.
pub(super) fn repeats_credentials<'a>(
    part: &str,
    places: impl IntoIterator<Item = &'a Source>,
    authorization: Option<&Authorization>,
) -> bool {
    let part = Zeroizing::new(login::decoded(part).to_lowercase());
    let shown = shown(places, authorization);
    let mut shown = shown.iter().map(|secret| login::decoded(secret));
    shown.any(|secret| part.contains(secret.to_lowercase().as_str()))
}

/// Lists the credentials sent to servers.
fn shown<'a>(
    places: impl IntoIterator<Item = &'a Source>,
    authorization: Option<&Authorization>,
) -> Vec<Zeroizing<String>> {
    let mut shown: Vec<Zeroizing<String>> = Vec::new();
    let mut show = |text: &str| {
        if text.len() >= MIN_MASKED_LEN {
            shown.push(Zeroizing::new(text.to_owned()));
        }
    };
    for place in places {
        let url = place.url();
        login::secrets_of(url).iter().for_each(|text| show(text));
        if url.password().is_none() {
            // A user name without a password is a key.
            show(url.username());
            show(&login::decoded(url.username()));
        }
        for pair in url.query().unwrap_or_default().split('&') {
            show(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
        url.query_pairs().for_each(|(_, value)| show(&value));
    }
    let header = authorization.and_then(|authorization| authorization.value.to_str().ok());
    if let Some((_, credentials)) = header.and_then(|header| header.split_once(' ')) {
        show(credentials);
        let pair = Zeroizing::new(STANDARD.decode(credentials).unwrap_or_default());
        let pair = str::from_utf8(&pair).unwrap_or_default();
        show(pair.split_once(':').map_or("", |(_, password)| password));
    }
    shown
}

/// Chooses the strongest of the given credentials.
///
/// `header` is Ironic's whole header, `own` also belongs to the image, `general` to the agent's
/// options.
pub(super) fn authorization(
    header: Option<&Secret<String>>,
    own: Option<&BasicAuth>,
    general: Option<&BasicAuth>,
    image: &[Source],
) -> Result<Option<Authorization>, Error> {
    let value = match (header, own.or(general)) {
        (Some(header), _) => HeaderValue::from_str(header.expose()),
        (None, Some(basic)) => HeaderValue::from_str(basic.header()?.expose()),
        (None, None) => return Ok(None),
    };
    let mut value = value.map_err(|_| Error::Authorization)?;
    value.set_sensitive(true);
    let of_the_image = header.is_some() || own.is_some();
    let image = of_the_image.then(|| image.to_vec());
    Ok(Some(Authorization { value, image }))
}

impl BasicAuth {
    fn header(&self) -> Result<Secret<String>, Error> {
        let (Some(user), Some(password)) = (&self.user, &self.password) else {
            let user = self.user.is_none().then_some("'user'");
            let password = self.password.is_none().then_some("'password'");
            let missing: Vec<_> = user.into_iter().chain(password).collect();
            return Err(Error::Incomplete(missing.join(", ")));
        };
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        let encoded = STANDARD.encode(pair.expose());
        Ok(Secret::new(format!("Basic {encoded}")))
    }
}

/// Configures a client with a node's proxies; without any, the environment's apply.
pub(super) fn with_proxies(
    builder: ClientBuilder,
    proxies: &Proxies,
) -> Result<ClientBuilder, Error> {
    if proxies.http.is_none() && proxies.https.is_none() {
        return Ok(builder);
    }
    let http = proxies.http.as_ref().map(Secret::expose);
    let https = proxies.https.as_ref().map(Secret::expose);
    let exceptions = proxies.no_proxy.as_deref().unwrap_or_default();
    proxy::Proxies::new(http, https, exceptions)
        .map(|proxies| proxies.set(builder))
        .map_err(Error::Proxy)
}

/// Errors of credentials or proxies.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header has characters that are invalid in headers.
    #[error("the given Authorization header is malformed")]
    Authorization,
    /// Basic authentication is requested but incomplete.
    #[error("Missing [{0}] fields from HTTP(S) basic auth config")]
    Incomplete(String),
    /// The URL of a proxy is invalid.
    #[error("using the given proxy")]
    Proxy(#[source] url::ParseError),
}

/// Minimum length of a masked text: a shorter one occurs in ordinary text and is no secret.
const MIN_MASKED_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: Option<&str>, password: Option<&str>) -> BasicAuth {
        BasicAuth {
            user: user.map(str::to_owned),
            password: password.map(|text| Secret::new(text.to_owned())),
        }
    }

    #[test]
    fn the_whole_header_is_stronger_than_the_images_pair_and_that_than_the_options() {
        let header = Secret::new("Bearer x".to_owned());
        let (own, general) = (basic(Some("a"), Some("b")), basic(Some("c"), Some("d")));
        let of = |header, own, general| {
            let found = authorization(header, own, general, &[]).unwrap();
            found.map(|found| found.value)
        };
        let value = of(Some(&header), Some(&own), Some(&general)).unwrap();
        assert_eq!(value, "Bearer x");
        let value = of(None, Some(&own), Some(&general)).unwrap();
        assert_eq!(value, "Basic YTpi");
        let value = of(None, None, Some(&general)).unwrap();
        assert_eq!(value, "Basic Yzpk");
        assert!(value.is_sensitive());
        assert_eq!(of(None, None, None), None);
    }

    #[test]
    fn what_came_with_the_image_is_for_its_servers_alone() {
        let header = Secret::new("Bearer x".to_owned());
        let pair = basic(Some("a"), Some("b"));
        let image = ["http://host/x", "https://other:8443/x"].map(|url| url.parse().unwrap());
        let of_the_image = [
            authorization(Some(&header), None, Some(&pair), &image),
            authorization(None, Some(&pair), Some(&pair), &image),
        ];
        let general = authorization(None, None, Some(&pair), &image);
        for (place, shown) in [
            ("http://host/SUMS", true),
            ("https://host/SUMS", true),
            ("https://other:8443/SUMS", true),
            ("http://other:8443/SUMS", false),
            ("http://host:8080/SUMS", false),
            ("http://third/SUMS", false),
        ] {
            let place = place.parse().unwrap();
            for authorization in &of_the_image {
                let authorization = authorization.as_ref().unwrap().as_ref().unwrap();
                assert_eq!(authorization.towards(&place).is_some(), shown, "{place}");
            }
            let general = general.as_ref().unwrap().as_ref().unwrap();
            assert!(general.towards(&place).is_some());
        }
    }

    #[test]
    fn half_a_pair_is_told() {
        let text = authorization(None, Some(&basic(None, None)), None, &[]).unwrap_err();
        assert_eq!(
            text.to_string(),
            "Missing ['user', 'password'] fields from HTTP(S) basic auth config"
        );
    }
}
