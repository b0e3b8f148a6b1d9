//! Keystone's API, as its administrator and its users use it: projects, users, roles, tokens.
//!
//! All names are of the domain `default`.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::Caller;

/// Keystone, with its administrator's rights.
#[derive(Clone, Debug)]
pub struct Identity {
    caller: Caller,
    administrator: Login,
}

/// Somebody with a password.
#[derive(Clone, Debug)]
pub struct User {
    /// Keystone's identifier.
    pub id: String,
    /// What it logs in with.
    pub name: String,
    /// The same.
    pub password: String,
}

/// A project of Keystone's.
#[derive(Clone, Debug)]
pub struct Project {
    /// Keystone's identifier.
    pub id: String,
    /// What the scenario calls it.
    pub name: String,
}

/// An application credential: what a program has in place of its user's password.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Keystone's identifier.
    pub id: String,
    /// What it is used with.
    pub secret: String,
}

/// What a role is held on, and a token is good for.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The domain `default`.
    Domain,
    /// One project.
    Project(&'a Project),
    /// The whole cloud.
    System,
    /// Nothing: no role is held on it.
    Unscoped,
}

/// What its holder shows.
#[derive(Clone, Debug)]
pub struct Token(String);

impl Identity {
    /// Keystone at this URL, with an authority in PEM if it speaks TLS, and its administrator's password.
    pub(super) fn new(url: &str, authority: Option<&str>, password: &str) -> Result<Self> {
        let caller = Caller::new(url, authority)?;
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": password});
        let administrator = Login::new(&caller, by_password(&user, Scope::System));
        Ok(Self {
            caller,
            administrator,
        })
    }

    /// Whether Keystone answers.
    pub(super) fn answers(&self) -> bool {
        self.caller
            .get("", &[])
            .is_ok_and(|(status, _)| status == 200)
    }

    /// The administrator of the whole system.
    pub fn administrator(&self) -> &Login {
        &self.administrator
    }

    /// A new project, or the one of this name.
    pub fn project(&self, name: &str) -> Result<Project> {
        let body = json!({"project": {"name": name, "domain_id": "default"}});
        let id = self.found_or_created("project", name, &body)?;
        Ok(Project {
            id,
            name: name.into(),
        })
    }

    /// A new user without any role.
    pub fn user(&self, name: &str) -> Result<User> {
        let password = format!("{name}'s password");
        let body = json!({"user": {"name": name, "domain_id": "default", "password": password}});
        let created = self.request(Method::POST, "/users", Some(&body))?;
        Ok(User {
            id: text(&created["user"], "id")?,
            name: name.into(),
            password,
        })
    }

    /// Gives a user a role on something; a role that there is not yet is created.
    pub(crate) fn grant(&self, user: &User, role: &str, on: Scope<'_>) -> Result<()> {
        self.assignment(Method::PUT, user, role, on)
    }

    /// Takes it away again.
    pub fn withdraw(&self, user: &User, role: &str, on: Scope<'_>) -> Result<()> {
        self.assignment(Method::DELETE, user, role, on)
    }

    /// A new user with one role.
    pub fn user_with(&self, name: &str, role: &str, on: Scope<'_>) -> Result<User> {
        let user = self.user(name)?;
        self.grant(&user, role, on)?;
        Ok(user)
    }

    /// A new user whom Keystone tells about every token: one of the role and the project `service`.
    pub fn service_user(&self, name: &str) -> Result<User> {
        let project = self.project("service")?;
        self.user_with(name, "service", Scope::Project(&project))
    }

    /// A token for a user's password.
    pub fn token(&self, user: &User, scope: Scope<'_>) -> Result<Token> {
        let user = json!({"id": user.id, "password": user.password});
        issue(&self.caller, &by_password(&user, scope))
    }

    /// A token for an application credential, of that credential's project.
    pub fn token_of(&self, credential: &Credential) -> Result<Token> {
        let credential = json!({"id": credential.id, "secret": credential.secret});
        let method = json!({"methods": [CREDENTIAL], CREDENTIAL: credential});
        issue(&self.caller, &json!({"auth": {"identity": method}}))
    }

    /// A new application credential with these fields besides its name (`roles`, `expires_at`, `access_rules`, …) for the user,
    /// project and roles of a token.
    ///
    /// No token of a credential lives longer than the credential.
    pub fn credential(
        &self,
        user: &User,
        token: &Token,
        name: &str,
        more: &Value,
    ) -> Result<Credential> {
        let mut credential = json!({"name": name});
        if let (Some(credential), Some(more)) = (credential.as_object_mut(), more.as_object()) {
            credential.extend(more.clone());
        }
        let path = format!("/users/{}/application_credentials", user.id);
        let body = json!({CREDENTIAL: credential});
        let (status, created) = self.caller.post(&path, &[token.header()], &body)?;
        ensure!(status == 201, "{path} answered {status}: {created}");
        Ok(Credential {
            id: text(&created[CREDENTIAL], "id")?,
            secret: text(&created[CREDENTIAL], "secret")?,
        })
    }

    /// A token of a user's for what another user, who holds this token, may do in a project.
    pub fn trust(
        &self,
        trustor: &User,
        token: &Token,
        trustee: &User,
        project: &Project,
    ) -> Result<Token> {
        let trust = json!({"trust": {
            "trustor_user_id": trustor.id,
            "trustee_user_id": trustee.id,
            "project_id": project.id,
            "impersonation": false,
            "roles": [{"name": "member"}],
        }});
        let path = "/OS-TRUST/trusts";
        let (status, created) = self.caller.post(path, &[token.header()], &trust)?;
        ensure!(status == 201, "{path} answered {status}: {created}");
        let user = json!({"id": trustee.id, "password": trustee.password});
        let mut request = by_password(&user, Scope::Unscoped);
        request["auth"]["scope"] = json!({"OS-TRUST:trust": {"id": created["trust"]["id"]}});
        issue(&self.caller, &request)
    }

    /// Makes a token worthless.
    pub fn revoke(&self, token: &Token) -> Result<()> {
        let headers = [token.header(), ("X-Subject-Token", token.as_str())];
        let (status, told) = self.caller.call(Method::DELETE, TOKENS, &headers, None)?;
        ensure!(status == 204, "a token was not revoked ({status}): {told}");
        Ok(())
    }

    /// A request with the administrator's rights, which must succeed: for whatever has no function here.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.administrator.send(|token| {
            self.caller
                .request(method.clone(), path, &[token.header()], body)
        })?;
        let status = answer.status();
        let told = answer.text()?;
        ensure!(status.is_success(), "{path} answered {status}: {told}");
        Ok(serde_json::from_str(&told).unwrap_or(Value::Null))
    }

    fn assignment(&self, method: Method, user: &User, role: &str, on: Scope<'_>) -> Result<()> {
        let body = json!({"role": {"name": role}});
        let role = self.found_or_created("role", role, &body)?;
        let on = match on {
            Scope::Domain => "/domains/default".into(),
            Scope::Project(project) => format!("/projects/{}", project.id),
            Scope::System => "/system".into(),
            Scope::Unscoped => bail!("no role can be held on nothing"),
        };
        let path = format!("{on}/users/{}/roles/{role}", user.id);
        self.request(method, &path, None).map(drop)
    }

    /// The identifier of a thing with a name.
    fn found_or_created(&self, kind: &str, name: &str, body: &Value) -> Result<String> {
        let things = format!("/{kind}s");
        let found = self.request(Method::GET, &format!("{things}?name={name}"), None)?;
        if let Some(thing) = found[&format!("{kind}s")].get(0) {
            return text(thing, "id");
        }
        let created = self.request(Method::POST, &things, Some(body))?;
        text(&created[kind], "id")
    }
}

impl Token {
    /// As a header carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The header to show it with.
    pub fn header(&self) -> (&'static str, &str) {
        (AUTH, &self.0)
    }
}

impl From<&str> for Token {
    /// A token that nobody issued, perhaps.
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

/// Somebody who shows a token, and comes back for another one when it is refused.
#[derive(Clone, Debug)]
pub struct Login {
    keystone: Caller,
    /// What is shown for a token.
    request: Value,
    token: Arc<Mutex<Option<Token>>>,
}

impl Login {
    fn new(keystone: &Caller, request: Value) -> Self {
        Self {
            keystone: keystone.clone(),
            request,
            token: Arc::default(),
        }
    }

    /// The token of the last request, or the first one. It may have grown old since.
    pub fn token(&self) -> Result<Token> {
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = kept.as_ref() {
            return Ok(token.clone());
        }
        let token = issue(&self.keystone, &self.request)?;
        *kept = Some(token.clone());
        Ok(token)
    }

    /// Sends a request with a token; a second time with a new one when the first is refused.
    pub(super) fn send(&self, build: impl Fn(&Token) -> RequestBuilder) -> Result<Response> {
        let answer = build(&self.token()?).send()?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(build(&self.token()?).send()?)
    }
}

/// The request for a token.
fn by_password(user: &Value, scope: Scope<'_>) -> Value {
    let scope = match scope {
        Scope::Domain => json!({"domain": {"id": "default"}}),
        Scope::Project(project) => json!({"project": {"id": project.id}}),
        Scope::System => json!({"system": {"all": true}}),
        Scope::Unscoped => json!("unscoped"),
    };
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    json!({"auth": {"identity": identity, "scope": scope}})
}

fn issue(keystone: &Caller, request: &Value) -> Result<Token> {
    let answer = keystone.send(Method::POST, TOKENS, &[], Some(request))?;
    let token = answer.headers().get("X-Subject-Token").cloned();
    let (status, told) = (answer.status(), answer.text()?);
    let token = token.with_context(|| format!("no token was issued ({status}): {told}"))?;
    Ok(Token(token.to_str()?.into()))
}

fn text(value: &Value, key: &str) -> Result<String> {
    let found = value[key].as_str().map(Into::into);
    found.with_context(|| format!("no {key} in {value}"))
}

const AUTH: &str = "X-Auth-Token";
const CREDENTIAL: &str = "application_credential";
const TOKENS: &str = "/auth/tokens";
