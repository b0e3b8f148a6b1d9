//! The three public documents.

use super::json;
use serde::Serialize;
use std::time::Duration;

/// Serializes the response to `GET /`. `base` is the scheme and host of the request.
pub(in crate::api) fn root(base: &str) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Root<'a> {
        name: &'a str,
        description: &'a str,
        versions: [Version; 1],
        default_version: Version,
    }
    json::bytes(&Root {
        name: "OpenStack Ironic Python Agent API",
        description: "Ironic Python Agent is a provisioning agent for OpenStack Ironic",
        versions: [Version::v1(base)],
        default_version: Version::v1(base),
    })
}

/// Serializes the response to `GET /v1/`.
pub(in crate::api) fn version(base: &str) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Resources {
        #[serde(flatten)]
        version: Version,
        commands: [Link; 2],
        status: [Link; 2],
        media_types: [MediaType; 1],
    }
    #[derive(Serialize)]
    struct MediaType {
        base: &'static str,
        r#type: &'static str,
    }
    let both = |name| {
        [
            Link::new(format!("{base}/v1/{name}"), "self"),
            Link::new(format!("{base}/{name}"), "bookmark"),
        ]
    };
    json::bytes(&Resources {
        version: Version::v1(base),
        commands: both("commands"),
        status: both("status"),
        media_types: [MediaType {
            base: "application/json",
            r#type: "application/vnd.openstack.ironic-python-agent.v1+json",
        }],
    })
}

/// Serializes the response to `GET /v1/status`.
pub(in crate::api) fn status(started_at: Duration, version: &str) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Status<'a> {
        started_at: f64,
        version: &'a str,
    }
    json::bytes(&Status {
        started_at: started_at.as_secs_f64(),
        version,
    })
}

#[derive(Serialize)]
struct Version {
    id: &'static str,
    links: [Link; 2],
}

impl Version {
    fn v1(base: &str) -> Self {
        let described = "https://docs.openstack.org/ironic-python-agent/".to_owned();
        Self {
            id: "v1",
            links: [
                Link::new(format!("{base}/v1"), "self"),
                Link {
                    r#type: Some("text/html"),
                    ..Link::new(described, "describedby")
                },
            ],
        }
    }
}

#[derive(Serialize)]
struct Link {
    href: String,
    rel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
}

impl Link {
    fn new(href: String, rel: &'static str) -> Self {
        Self {
            href,
            rel,
            r#type: None,
        }
    }
}
