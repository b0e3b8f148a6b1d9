//! The conductor's side of the agent's API: a client, with the token and the certificate it trusts alone.

use reqwest::{Certificate, Method, StatusCode};
use serde_json::{Value, json};
use support::process::within;
use url::Url;

/// A client of one agent.
pub(crate) struct Caller {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    /// What is shown as `Authorization: Bearer`.
    bearer: Option<String>,
}

impl Caller {
    /// A client that trusts one certificate and nothing else, or speaks in clear.
    pub(crate) fn new(base: &str, certificate: Option<&str>, token: Option<&str>) -> Self {
        // Only the first test of a process installs it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let roots = certificate.map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
        let http = reqwest::Client::builder().tls_certs_only(roots);
        Self {
            http: http.build().unwrap(),
            base: base.to_owned(),
            token: token.map(str::to_owned),
            bearer: None,
        }
    }

    /// An observer with this secret, in the place of the caller.
    pub(crate) fn with_bearer(&self, secret: &str) -> Self {
        Self {
            bearer: Some(secret.to_owned()),
            ..self.with_token(None)
        }
    }

    /// The same caller with another token, or none.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            token: token.map(str::to_owned),
            bearer: None,
        }
    }

    /// Status and document of an answer.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let answer = within(path, self.send(method, path, body)).await.unwrap();
        let status = answer.status();
        (status.as_u16(), within(path, answer.json()).await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// An answer that is text.
    pub(crate) async fn text(&self, path: &str) -> String {
        let answer = self.send(Method::GET, path, &Value::Null).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.unwrap()
    }

    /// Whether anybody answers.
    pub(crate) async fn is_answered(&self) -> bool {
        let answer = within("an answer", self.send(Method::GET, "/", &Value::Null)).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Sends a command and waits for its end: status and document.
    pub(crate) async fn post(&self, name: &str, params: Value) -> (u16, Value) {
        let body = json!({"name": name, "params": params});
        self.ask(Method::POST, "/v1/commands/?wait=true", &body)
            .await
    }

    /// A command's record, without its identifier.
    pub(crate) async fn run(&self, name: &str, params: Value) -> Value {
        let (status, mut record) = self.post(name, params).await;
        assert_eq!(status, 200, "{name}: {record}");
        let id = record.as_object_mut().unwrap().remove("id").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 36, "{id}");
        record
    }

    /// What a command that ended well has to show.
    pub(crate) async fn result(&self, name: &str, params: Value) -> Value {
        let mut record = self.run(name, params).await;
        let result = record["command_result"].take();
        let command = name.split_once('.').unwrap().1;
        assert_eq!(record, record_of(command, "SUCCEEDED", Value::Null));
        result
    }

    /// The error of a command that failed.
    pub(crate) async fn failure(&self, name: &str, params: Value) -> Value {
        let mut record = self.run(name, params).await;
        let error = record["command_error"].take();
        let command = name.split_once('.').unwrap().1;
        assert_eq!(record, record_of(command, "FAILED", Value::Null));
        error
    }

    /// The list of records.
    pub(crate) async fn list(&self) -> Vec<Value> {
        let (status, mut list) = self.get("/v1/commands/").await;
        assert_eq!(status, 200, "{list}");
        match list["commands"].take() {
            Value::Array(records) => records,
            other => panic!("no list: {other}"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> reqwest::Result<reqwest::Response> {
        let mut url = Url::parse(&format!("{}{path}", self.base)).unwrap();
        if let Some(token) = &self.token {
            url.query_pairs_mut().append_pair("agent_token", token);
        }
        let mut request = self.http.request(method, url);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        request.send().await
    }
}

/// A record without result.
fn record_of(command: &str, status: &str, error: Value) -> Value {
    json!({
        "command_name": command,
        "command_status": status,
        "command_error": error,
        "command_result": null,
    })
}
