//! Every kind of caller that the API tells apart, each with what it shows.

use super::harness::{Door, TOKEN};
use aws_lc_rs::digest;
use ferrite::config::{CommandLine, KernelArgs, Sha256Digest, Sources, load};
use ferrite::keystone::Keystone;
use ferrite::root::Root;
use serde_json::{Value, json};
use std::sync::Arc;
use support::conductor::{Answer, Conductor as Server};

/// What the observer shows.
pub(crate) const SECRET: &str = "observers-secret";
/// What a user of Keystone shows.
pub(crate) const USERS: &str = "gAAAAABusers-token";

/// A caller, and the door that it comes to.
pub(crate) struct Caller {
    pub(crate) query: String,
    pub(crate) header: String,
    keystone: Option<Server>,
    /// There is a Keystone, and nobody answers there.
    is_down: bool,
    /// What Keystone says is remembered.
    is_remembered: bool,
}

impl Caller {
    fn new(query: &str, header: &str) -> Self {
        Self {
            query: query.to_owned(),
            header: header.to_owned(),
            keystone: None,
            is_down: false,
            is_remembered: true,
        }
    }

    /// Shows nothing.
    pub(crate) fn nobody() -> Self {
        Self::new("", "")
    }

    /// Shows an agent token.
    pub(crate) fn with_token(token: &str) -> Self {
        Self::new(&format!("?agent_token={token}"), "")
    }

    /// Shows an observer's secret.
    pub(crate) fn with_secret(secret: &str) -> Self {
        Self::new("", &format!("Authorization: Bearer {secret}\r\n"))
    }

    /// Shows a token of Keystone's where nobody knows of Keystone.
    pub(crate) fn unasked() -> Self {
        Self::new("", &format!("X-Auth-Token: {USERS}\r\n"))
    }

    /// Shows a token of Keystone's, which does not answer.
    pub(crate) fn unheard() -> Self {
        Self {
            is_down: true,
            ..Self::unasked()
        }
    }

    /// Shows a token that Keystone does not know: it has ended, or was revoked.
    pub(crate) async fn refused() -> Self {
        let error = json!({"error": {"code": 404, "message": "Could not recognize Fernet token", "title": "Not Found"}});
        Self::answered(Answer::json(404, &error)).await
    }

    /// Shows a token of Keystone's as it was recorded, with these roles.
    pub(crate) async fn user(recorded: &str, roles: &[&str]) -> Self {
        let tokens: Value =
            serde_json::from_str(include_str!("../fixtures/keystone/tokens.json")).unwrap();
        let mut answer = tokens[recorded]["answer"].clone();
        answer["token"]["expires_at"] = "2999-01-01T00:00:00.000000Z".into();
        let roles = roles.iter().map(|role| json!({"id": role, "name": role}));
        answer["token"]["roles"] = roles.collect();
        Self::answered(Answer::json(200, &answer)).await
    }

    async fn answered(answer: Answer) -> Self {
        let server = Server::start().await;
        server.on("GET /v3/auth/tokens", [answer]);
        Self {
            keystone: Some(server),
            ..Self::unasked()
        }
    }

    /// The same with each request asked about anew.
    pub(crate) fn never_remembered(self) -> Self {
        Self {
            is_remembered: false,
            ..self
        }
    }

    /// A door that knows the token, the secret and this caller's Keystone.
    pub(crate) fn door(&self, rules: &[(&'static str, &'static str)]) -> Door<'static> {
        let dead = self.is_down.then(|| "http://127.0.0.1:1".to_owned());
        let url = self.keystone.as_ref().map(Server::url).or(dead);
        Door {
            token: Some(TOKEN),
            observer: Some(hash(SECRET)),
            keystone: url.map(|url| Arc::new(keystone(&url, self.is_remembered))),
            rules: rules.to_vec(),
            file: None,
        }
    }
}

fn hash(secret: &str) -> Sha256Digest {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    Sha256Digest(digest.as_ref().try_into().unwrap())
}

fn keystone(url: &str, is_remembered: bool) -> Keystone {
    let time = if is_remembered { "60" } else { "0" };
    let sources = Sources {
        kernel: KernelArgs::parse(format!("ferrite-keystone-auth-url={url}")),
        media: None,
        environment: vec![(
            "OS_KEYSTONE_AUTHTOKEN__TOKEN_CACHE_TIME".into(),
            time.into(),
        )],
        command_line: CommandLine::default(),
    };
    let config = load(&Root::at("/nonexistent"), sources).unwrap().config;
    let tls = config.tls_client(&Root::machine()).unwrap();
    Keystone::new(&config.keystone, &tls, &Root::machine()).unwrap()
}
