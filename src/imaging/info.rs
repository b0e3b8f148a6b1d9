//! Ironic's description of the image to write (`image_info`), validated before any work.

use super::credentials::{BasicAuth, Proxies};
use super::source::{self, Source};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Ironic's description of an image.
#[derive(Debug)]
pub struct ImageInfo {
    /// Ironic's name of the image.
    pub id: String,
    /// URLs of the image, tried in order.
    pub urls: Vec<Source>,
    /// Format according to Ironic.
    pub disk_format: Option<String>,
    /// Expected checksums of the image's bytes.
    pub checksums: Checksums,
    /// Kind of the image: one partition's content or a disk.
    pub kind: ImageKind,
    /// User and password of the image server.
    pub basic_auth: Option<BasicAuth>,
    /// Whether its servers may receive the configured credentials for images without their own.
    pub configured_auth: ConfiguredAuth,
    /// Complete `Authorization` header; it takes precedence over user and password.
    pub authorization: Option<Secret<String>>,
    /// Proxies of this node.
    pub proxies: Proxies,
    /// Config drive, where Ironic does not send it separately.
    pub config_drive: Option<Secret<String>>,
}

/// Extent of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// One partition; its table must be created.
    Partition,
    /// The whole disk.
    WholeDisk,
}

/// Checksums from Ironic; at least one is usable for verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Value of the old field: hex digits or the URL of a checksum file.
    pub checksum: Option<String>,
    /// Algorithm and value (or the URL of a file with it).
    pub os_hash: Option<(String, String)>,
}

/// Whether servers of an image may receive the configured user and password (`image_server_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredAuth {
    /// Sent: Ironic names the servers.
    Shown,
    /// Not sent: another client, which a policy allows to write images, names the servers. It must
    /// not obtain the password.
    Withheld,
}

/// Whether MD5 is permitted (`md5_enabled`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Md5 {
    /// The operator permits MD5.
    Allowed,
    /// MD5 is not permitted (recommended).
    Refused,
}

impl ImageInfo {
    /// Parses and validates `image_info`. The rules, their order and their texts are IPA's
    /// (`standby._validate_image_info`).
    ///
    /// # Errors
    /// [`Error`] names the first invalid field.
    pub fn parse(info: &Map<String, Value>, md5: Md5) -> Result<Self, Error> {
        let id = info.get("id").ok_or(Error::Missing("id"))?;
        let urls = info.get("urls").ok_or(Error::Missing("urls"))?;
        let urls = match urls.as_array() {
            Some(urls) if !urls.is_empty() => urls,
            _ => return Err(Error::Urls),
        };
        let checksums = Checksums::parse(info, md5)?;
        Ok(Self {
            id: match id {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
            urls: urls.iter().map(url).collect::<Result<_, _>>()?,
            disk_format: text(info, "disk_format").map(str::to_owned),
            checksums,
            kind: match text(info, "image_type") {
                Some("partition") => ImageKind::Partition,
                _ => ImageKind::WholeDisk,
            },
            basic_auth: basic_auth(info),
            configured_auth: ConfiguredAuth::Shown,
            authorization: authorization(info)?,
            proxies: proxies(info),
            config_drive: text(info, "configdrive")
                .filter(|text| !text.is_empty())
                .map(|text| Secret::new(text.to_owned())),
        })
    }
}

impl Checksums {
    fn parse(info: &Map<String, Value>, md5: Md5) -> Result<Self, Error> {
        let checksum = match info.get("checksum") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(_) => return Err(Error::NotText("checksum")),
        };
        // Empty texts count as missing, as in Python.
        let given = |name| {
            let value = info.get(name).filter(|value| !value.is_null());
            value.is_some_and(|value| value.as_str() != Some(""))
        };
        let os_hash = if given("os_hash_algo") || given("os_hash_value") {
            let field = |name| {
                text(info, name)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .ok_or(Error::NotText(name))
            };
            Some((field("os_hash_algo")?, field("os_hash_value")?))
        } else {
            None
        };
        let good = |text: &String| is_url(text) || text.len() > 32 || md5 == Md5::Allowed;
        if os_hash.is_none() && !checksum.as_ref().is_some_and(good) {
            return Err(Error::NoChecksum);
        }
        Ok(Self { checksum, os_hash })
    }
}

/// Checks whether a checksum field is a URL. As in IPA the scheme must be lower case.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn text<'a>(info: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    info.get(name).and_then(Value::as_str)
}

fn url(value: &Value) -> Result<Source, Error> {
    let text = value.as_str().ok_or(Error::Urls)?;
    text.parse().map_err(Error::Url)
}

fn basic_auth(info: &Map<String, Value>) -> Option<BasicAuth> {
    let strategy = text(info, "image_server_auth_strategy")?;
    (strategy == "http_basic").then(|| BasicAuth {
        user: text(info, "image_server_user").map(str::to_owned),
        password: text(info, "image_server_password").map(|text| Secret::new(text.to_owned())),
    })
}

fn authorization(info: &Map<String, Value>) -> Result<Option<Secret<String>>, Error> {
    let Some(encoded) = text(info, "image_request_authorization").filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let header = STANDARD.decode(encoded).map_err(|_| Error::Authorization)?;
    let header = String::from_utf8(header).map_err(|_| Error::Authorization)?;
    Ok(Some(Secret::new(header)))
}

fn proxies(info: &Map<String, Value>) -> Proxies {
    let proxies = info.get("proxies").and_then(Value::as_object);
    let proxy = |scheme| {
        let text = proxies?.get(scheme)?.as_str()?;
        (!text.is_empty()).then(|| Secret::new(text.to_owned()))
    };
    Proxies {
        http: proxy("http"),
        https: proxy("https"),
        no_proxy: text(info, "no_proxy").map(str::to_owned),
    }
}

/// Errors of an invalid `image_info`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header is not base64 of a text; the message omits its value.
    #[error("Image 'image_request_authorization' must be base64 of a header value.")]
    Authorization,
    /// A field is missing.
    #[error("Image is missing '{0}' field.")]
    Missing(&'static str),
    /// The image has no usable checksum.
    #[error(
        "Image checksum is not available, either the 'checksum' field or the 'os_hash_algo' and 'os_hash_value' fields pair must be set for image verification."
    )]
    NoChecksum,
    /// A field is no text, or an empty one.
    #[error("Image '{0}' must be a non-empty string.")]
    NotText(&'static str),
    /// A URL of the image is invalid.
    #[error("Image 'urls' has an element that cannot be used")]
    Url(#[source] source::Error),
    /// The field is not a list of texts.
    #[error("Image 'urls' must be a list with at least one element.")]
    Urls,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(change: &Value) -> Result<ImageInfo, Error> {
        let mut info = json!({
            "id": "disk.img",
            "urls": ["http://host/disk.img"],
            "checksum": "a".repeat(64),
        });
        for (name, value) in change.as_object().unwrap() {
            info[name] = value.clone();
        }
        ImageInfo::parse(info.as_object().unwrap(), Md5::Refused)
    }

    fn refusal(change: &Value) -> String {
        parse(change).unwrap_err().to_string()
    }

    #[test]
    fn a_config_drive_may_come_with_the_image() {
        for (given, expected) in [
            (json!("H4sI"), Some("H4sI")),
            (json!(""), None),
            (json!(null), None),
        ] {
            let info = parse(&json!({"configdrive": given})).unwrap();
            let found = info.config_drive.as_ref().map(Secret::expose);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn each_missing_or_wrong_field_is_named_in_ipas_words() {
        let empty = Map::new();
        let text = ImageInfo::parse(&empty, Md5::Refused)
            .unwrap_err()
            .to_string();
        assert_eq!(text, "Image is missing 'id' field.");
        let only_id = json!({"id": "x"});
        let text = ImageInfo::parse(only_id.as_object().unwrap(), Md5::Refused).unwrap_err();
        assert_eq!(text.to_string(), "Image is missing 'urls' field.");
        for urls in [json!([]), json!("http://host/x"), json!(null)] {
            assert_eq!(
                refusal(&json!({"urls": urls})),
                "Image 'urls' must be a list with at least one element."
            );
        }
        for checksum in [json!(""), json!(7)] {
            assert_eq!(
                refusal(&json!({"checksum": checksum})),
                "Image 'checksum' must be a non-empty string."
            );
        }
        assert_eq!(
            refusal(&json!({"os_hash_value": "x"})),
            "Image 'os_hash_algo' must be a non-empty string."
        );
        assert_eq!(
            refusal(&json!({"os_hash_algo": "sha256", "os_hash_value": ""})),
            "Image 'os_hash_value' must be a non-empty string."
        );
    }

    #[test]
    fn empty_hash_fields_are_none() {
        for (algorithm, value) in [(json!(""), json!("")), (json!(null), json!(""))] {
            let hashes = json!({"os_hash_algo": algorithm, "os_hash_value": value});
            let checksums = parse(&hashes).unwrap().checksums;
            let checksum = Some("a".repeat(64));
            assert_eq!(
                checksums,
                Checksums {
                    checksum,
                    os_hash: None
                }
            );
        }
        let half = json!({"os_hash_algo": "", "os_hash_value": "ab"});
        assert_eq!(
            refusal(&half),
            "Image 'os_hash_algo' must be a non-empty string."
        );
    }

    #[test]
    fn an_md5_alone_is_no_checksum_unless_allowed() {
        let md5 = json!({"id": "x", "urls": ["http://host/x"], "checksum": "a".repeat(32)});
        let md5 = md5.as_object().unwrap();
        let text = ImageInfo::parse(md5, Md5::Refused).unwrap_err().to_string();
        assert!(
            text.starts_with("Image checksum is not available, either"),
            "{text}"
        );
        assert!(ImageInfo::parse(md5, Md5::Allowed).is_ok());
        assert!(parse(&json!({"checksum": "http://host/SUMS"})).is_ok());
    }

    #[test]
    fn images_come_by_http_alone() {
        for url in ["file:///etc/shadow", "ftp://host/x", "/dev/sda"] {
            let text = refusal(&json!({"urls": [url]}));
            assert_eq!(
                text, "Image 'urls' has an element that cannot be used",
                "{url}"
            );
        }
    }

    #[test]
    fn credentials_do_not_show() {
        let info = parse(&json!({
            "urls": ["http://u:hush@host/x"],
            "image_server_auth_strategy": "http_basic",
            "image_server_user": "user",
            "image_server_password": "hush",
            "image_request_authorization": STANDARD.encode("Bearer hush"),
            "proxies": {"http": "http://u:hush@proxy"},
        }))
        .unwrap();
        assert_eq!(info.authorization.as_ref().unwrap().expose(), "Bearer hush");
        let shown = format!("{info:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}
