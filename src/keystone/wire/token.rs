//! Token documents of Keystone.
//!
//! Attributes are derived as on the way into Ironic's context. That is keystonemiddleware's headers
//! (`auth_token/_request.py`, over keystoneauth1's `AccessInfoV3`), then oslo.context's
//! `from_environ`.

use super::super::Identity;
use super::time;
use crate::http;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Result of validating a token.
pub(in super::super) enum Verdict {
    Known(Identity),
    /// The token is rejected, with the reason.
    Invalid(&'static str),
}

/// Response to `GET /v3/auth/tokens`.
#[derive(Deserialize)]
struct Document {
    token: Option<Token>,
    /// Present in tokens of API version 2.
    access: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Token {
    user: User,
    #[serde(deserialize_with = "time")]
    expires_at: Duration,
    #[serde(default)]
    roles: Vec<Named>,
    project: Option<Project>,
    domain: Option<Place>,
    system: Option<System>,
    is_admin_project: Option<Value>,
    bind: Option<Map<String, Value>>,
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    domain: Place,
}

#[derive(Deserialize)]
struct Project {
    id: Option<String>,
    name: Option<String>,
    domain: Option<Place>,
}

/// A domain.
#[derive(Deserialize)]
struct Place {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct System {
    all: Option<Value>,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    access_rules: Option<IgnoredAny>,
}

/// Parses the response to a validation.
pub(in super::super) fn verdict(body: &[u8]) -> Result<Verdict, &'static str> {
    let document: Document = http::parse(body).map_err(|error| error.what)?;
    let Some(token) = document.token else {
        return match document.access {
            Some(_) => Ok(Verdict::Invalid(
                "it is a token of Keystone's second version",
            )),
            None => Err("it tells of no token"),
        };
    };
    if token
        .bind
        .as_ref()
        .is_some_and(|bind| bind.contains_key("kerberos"))
    {
        return Ok(Verdict::Invalid("the token is bound to a Kerberos ticket"));
    }
    let credential = token.application_credential.as_ref();
    if credential.is_some_and(|credential| credential.access_rules.is_some()) {
        // Like keystonemiddleware without `service_type`: a rule names paths of a service in the
        // catalogue, and the agent is none.
        return Ok(Verdict::Invalid(
            "the application credential has access rules",
        ));
    }
    Ok(Verdict::Known(token.into()))
}

impl Identity {
    /// Parses Keystone's response to `GET /v3/auth/tokens` alone. Whether the token has expired is
    /// not checked.
    ///
    /// # Errors
    ///
    /// Reason for which the agent would reject the token or the response.
    pub fn of_answer(body: &[u8]) -> Result<Self, &'static str> {
        match verdict(body)? {
            Verdict::Known(identity) => Ok(identity),
            Verdict::Invalid(reason) => Err(reason),
        }
    }
}

impl From<Token> for Identity {
    fn from(token: Token) -> Self {
        let is_system = token
            .system
            .and_then(|system| system.all)
            .is_some_and(|all| is_true(&all));
        let roles: Vec<String> = token.roles.into_iter().map(|role| role.name).collect();
        let project = token.project.as_ref();
        let project_domain = project.and_then(|project| project.domain.as_ref());
        let project_name = project.and_then(|project| project.name.as_deref());
        let attributes = json!({
            "user_id": token.user.id,
            "user_domain_id": token.user.domain.id,
            "system_scope": is_system.then_some("all"),
            "domain_id": token.domain.as_ref().map(|domain| &domain.id),
            "project_id": project.and_then(|project| project.id.as_deref()),
            "project_domain_id": project_domain.map(|domain| &domain.id),
            "roles": through_header(&roles),
            "is_admin_project": token.is_admin_project.as_ref().is_none_or(is_true),
            "service_user_id": null,
            "service_user_domain_id": null,
            "service_project_id": null,
            "service_project_domain_id": null,
            "service_roles": [],
            // Set by Ironic itself.
            "project_name": project_name,
            "is_public_api": false,
        });
        let scope = match (project_name, &token.domain) {
            _ if is_system => "system all".to_owned(),
            (Some(name), _) => {
                let domain = project_domain.map_or("?", |domain| &domain.name);
                format!("project {name}@{domain}")
            }
            (None, Some(domain)) => format!("domain {}", domain.name),
            (None, None) => "no scope".to_owned(),
        };
        Self {
            attributes: match attributes {
                Value::Object(attributes) => attributes,
                _ => Map::new(),
            },
            user: format!("{}@{}", token.user.name, token.user.domain.name),
            scope,
            expires: token.expires_at,
        }
    }
}

/// Returns the names of roles as they result from the `X-Roles` header: one with a comma becomes
/// two.
fn through_header(roles: &[String]) -> Vec<String> {
    let header = roles.join(",");
    if header.is_empty() {
        return Vec::new();
    }
    header
        .split(',')
        .map(|role| role.trim().to_owned())
        .collect()
}

/// Returns whether the value is true in Python.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Recorded {
        answer: Value,
        attributes: Map<String, Value>,
    }

    fn recorded() -> BTreeMap<String, Recorded> {
        let tokens = include_str!("../../../tests/fixtures/keystone/tokens.json");
        serde_json::from_str(tokens).unwrap()
    }

    fn known(answer: &Value) -> Identity {
        match verdict(answer.to_string().as_bytes()) {
            Ok(Verdict::Known(identity)) => identity,
            Ok(Verdict::Invalid(reason)) | Err(reason) => panic!("{reason}"),
        }
    }

    fn nobody(answer: &Value) -> &'static str {
        match verdict(answer.to_string().as_bytes()) {
            Ok(Verdict::Invalid(reason)) => reason,
            _ => panic!("{answer}"),
        }
    }

    #[test]
    fn attributes_are_what_ironic_makes_of_the_same_answer() {
        let recorded = recorded();
        assert_eq!(recorded.len(), 9);
        for (name, Recorded { answer, attributes }) in recorded {
            assert_eq!(known(&answer).attributes, attributes, "{name}");
        }
    }

    #[test]
    fn a_log_names_user_roles_and_scope() {
        let recorded = recorded();
        for (name, user, roles, scope) in [
            ("unscoped", "olga@Default", &[][..], "no scope"),
            (
                "project",
                "olga@Default",
                &["manager", "reader", "member"],
                "project baremetal@Default",
            ),
            (
                "domain",
                "olga@Default",
                &["reader", "member"],
                "domain Default",
            ),
            ("system", "olga@Default", &["reader"], "system all"),
            (
                "trust",
                "tom@Default",
                &["reader", "member"],
                "project baremetal@Default",
            ),
        ] {
            let identity = known(&recorded[name].answer);
            assert_eq!(
                (
                    identity.user.as_str(),
                    identity.roles(),
                    identity.scope.as_str()
                ),
                (user, roles.to_vec(), scope)
            );
        }
    }

    #[test]
    fn a_token_ends_at_its_second() {
        let mut answer = recorded().remove("project").unwrap().answer;
        answer["token"]["expires_at"] = "1970-01-01T01:00:00.000000Z".into();
        let identity = known(&answer);
        assert!(!identity.has_expired(Duration::from_millis(3_599_999)));
        assert!(identity.has_expired(Duration::from_secs(3_600)));
    }

    #[test]
    fn tokens_that_this_agent_cannot_judge_are_nobodys() {
        let project = recorded().remove("project").unwrap().answer;
        let with = |name: &str, value: Value| {
            let mut answer = project.clone();
            answer["token"][name] = value;
            answer
        };
        assert!(nobody(&json!({"access": {"token": {}}})).contains("second version"));
        let bound = with("bind", json!({"kerberos": "olga@EXAMPLE"}));
        assert!(nobody(&bound).contains("Kerberos"));
        for rules in [
            json!([]),
            json!([{"path": "/", "method": "GET", "service": "x"}]),
        ] {
            let limited = with("application_credential", json!({"access_rules": rules}));
            assert!(nobody(&limited).contains("access rules"));
        }
        known(&with("application_credential", json!({"restricted": true})));
        known(&with("bind", json!({"x509": "y"})));
    }

    #[test]
    fn an_answer_without_what_every_token_has_is_none() {
        let project = recorded().remove("project").unwrap().answer;
        for (pointer, name) in [
            ("/token", "user"),
            ("/token", "expires_at"),
            ("/token/user", "id"),
            ("/token/user", "name"),
            ("/token/user", "domain"),
            ("/token/user/domain", "id"),
            ("/token/roles/0", "name"),
        ] {
            let mut answer = project.clone();
            let holder = answer.pointer_mut(pointer).unwrap();
            holder.as_object_mut().unwrap().remove(name).unwrap();
            assert!(verdict(answer.to_string().as_bytes()).is_err(), "{name}");
        }
        for body in [
            "",
            "{}",
            "[]",
            "<html>",
            "{\"token\": 1}",
            "{\"token\": null}",
        ] {
            assert!(verdict(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_not(bytes: Vec<u8>) {
            let _ = verdict(&bytes);
        }
    }
}
