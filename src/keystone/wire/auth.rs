//! Request for the agent's own token, and the catalogue in its response.

use super::{time, versioned};
use crate::config::Interface;
use crate::http;
use crate::secret::json_body;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::Url;

/// Credentials that the agent sends to get its own token.
pub(in super::super) enum Credentials<'a> {
    ApplicationCredential {
        id: &'a str,
        secret: &'a str,
    },
    Password {
        user: &'a str,
        domain: &'a Domain,
        password: &'a str,
    },
}

/// Domain of a user or project: its identifier or its name.
#[derive(Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Domain {
    Id(String),
    Name(String),
}

/// Scope of the agent's own token.
pub(in super::super) enum Scope {
    Project { name: String, domain: Domain },
    System,
}

#[derive(Serialize)]
struct Authentication<'a> {
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct Auth<'a> {
    identity: IdentityPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopePart<'a>>,
}

#[derive(Serialize)]
struct IdentityPart<'a> {
    methods: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<PasswordPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_credential: Option<CredentialPart<'a>>,
}

#[derive(Serialize)]
struct PasswordPart<'a> {
    user: UserPart<'a>,
}

#[derive(Serialize)]
struct UserPart<'a> {
    name: &'a str,
    domain: &'a Domain,
    password: &'a str,
}

#[derive(Serialize)]
struct CredentialPart<'a> {
    id: &'a str,
    secret: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ScopePart<'a> {
    Project { name: &'a str, domain: &'a Domain },
    System { all: bool },
}

impl Credentials<'_> {
    /// Returns the body of `POST /v3/auth/tokens`, in memory that is wiped when the request is
    /// done.
    pub(in super::super) fn request(&self, scope: Option<&Scope>) -> Bytes {
        let identity = match *self {
            Self::ApplicationCredential { id, secret } => IdentityPart {
                methods: ["application_credential"],
                password: None,
                application_credential: Some(CredentialPart { id, secret }),
            },
            Self::Password {
                user,
                domain,
                password,
            } => IdentityPart {
                methods: ["password"],
                password: Some(PasswordPart {
                    user: UserPart {
                        name: user,
                        domain,
                        password,
                    },
                }),
                application_credential: None,
            },
        };
        let scope = scope.map(|scope| match scope {
            Scope::Project { name, domain } => ScopePart::Project { name, domain },
            Scope::System => ScopePart::System { all: true },
        });
        json_body(&Authentication {
            auth: Auth { identity, scope },
        })
    }
}

/// Properties of the agent's own token.
pub(in super::super) struct Made {
    /// Lifetime, by Keystone's own clock.
    pub(in super::super) life: Duration,
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct OwnDocument {
    token: OwnToken,
}

#[derive(Deserialize)]
struct OwnToken {
    #[serde(deserialize_with = "time")]
    issued_at: Duration,
    #[serde(deserialize_with = "time")]
    expires_at: Duration,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: Option<String>,
    region_id: Option<String>,
    region: Option<String>,
    url: Option<String>,
}

/// Parses the response to the agent's credentials.
pub(in super::super) fn own(body: &[u8]) -> Result<Made, &'static str> {
    let OwnDocument { token } = http::parse(body).map_err(|error| error.what)?;
    Ok(Made {
        life: token.expires_at.saturating_sub(token.issued_at),
        catalog: token.catalog,
    })
}

impl Made {
    /// Returns Keystone's own endpoint of this interface, the first in this region (keystoneauth1:
    /// `service_catalog.py`).
    pub(in super::super) fn endpoint(
        &self,
        interface: Interface,
        region: Option<&str>,
    ) -> Option<Url> {
        let services = self.catalog.iter();
        let endpoints = services
            .filter(|service| service.kind.as_deref() == Some("identity"))
            .flat_map(|service| &service.endpoints);
        endpoints
            .filter(|endpoint| endpoint.interface.as_deref() == Some(interface.as_str()))
            .filter(|endpoint| region.is_none() || endpoint.region() == region)
            .filter_map(|endpoint| Url::parse(endpoint.url.as_deref()?).ok())
            .find(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .map(|url| versioned(&url))
    }
}

impl Endpoint {
    fn region(&self) -> Option<&str> {
        let id = self.region_id.as_deref().filter(|id| !id.is_empty());
        id.or(self.region.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn written(credentials: &Credentials<'_>, scope: Option<&Scope>) -> Value {
        serde_json::from_slice(&credentials.request(scope)).unwrap()
    }

    #[test]
    fn credentials_are_sent_as_keystone_wants_them() {
        let password = Credentials::Password {
            user: "ferrite",
            domain: &Domain::Name("Default".into()),
            password: "\"hush\"",
        };
        let identity = json!({
            "methods": ["password"],
            "password": {
                "user": {"name": "ferrite", "domain": {"name": "Default"}, "password": "\"hush\""}
            }
        });
        assert_eq!(
            written(&password, None),
            json!({"auth": {"identity": identity}})
        );
        let project = Scope::Project {
            name: "service".into(),
            domain: Domain::Id("d".into()),
        };
        assert_eq!(
            written(&password, Some(&project)),
            json!({"auth": {
                "identity": identity,
                "scope": {"project": {"name": "service", "domain": {"id": "d"}}}
            }})
        );
        assert_eq!(
            written(&password, Some(&Scope::System)),
            json!({"auth": {"identity": identity, "scope": {"system": {"all": true}}}})
        );
        let credential = Credentials::ApplicationCredential {
            id: "i",
            secret: "s",
        };
        assert_eq!(
            written(&credential, None),
            json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": "i", "secret": "s"}
            }}})
        );
    }

    fn made(catalog: &Value) -> Made {
        let document = json!({"token": {
            "issued_at": "2026-11-27T23:07:02.000000Z",
            "expires_at": "2026-11-28T00:07:02.000000Z",
            "catalog": catalog,
        }});
        own(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_life_is_told_by_keystones_clock_alone() {
        assert_eq!(made(&json!([])).life, Duration::from_secs(3_600));
        assert!(own(b"{\"token\": {}}").is_err());
    }

    #[test]
    fn the_endpoint_is_of_the_interface_and_the_region() {
        let at = |interface: &str, region: &str, url: &str| json!({"interface": interface, "region_id": region, "region": region, "url": url});
        let made = made(&json!([
            {"type": "baremetal", "endpoints": [at("internal", "one", "http://wrong")]},
            {"type": "identity", "endpoints": [
                at("public", "one", "https://public/identity"),
                at("internal", "one", ""),
                at("internal", "one", "https://internal:5000/v2.0/"),
                at("internal", "two", "https://two:5000/v3"),
            ]},
            {"type": "identity"},
            {"name": "nameless"},
        ]));
        let endpoint = |interface, region| {
            let url = made.endpoint(interface, region)?;
            Some(url.to_string())
        };
        for (interface, region, expected) in [
            (Interface::Public, None, Some("https://public/identity/v3")),
            (Interface::Internal, None, Some("https://internal:5000/v3")),
            (
                Interface::Internal,
                Some("two"),
                Some("https://two:5000/v3"),
            ),
            (Interface::Internal, Some("three"), None),
            (Interface::Admin, None, None),
        ] {
            assert_eq!(endpoint(interface, region).as_deref(), expected);
        }
    }
}
