//! A stranger to one of the lab's HTTP APIs: sends the headers it is told to, and reads whatever is answered.

use anyhow::Result;
use reqwest::Method;
use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use serde_json::Value;

use super::api::http;

/// Who calls. It has no credentials but those in the headers of a call.
#[derive(Clone, Debug)]
pub struct Caller {
    http: Http,
    url: String,
}

impl Caller {
    /// A caller of the API below this URL. With an authority (or a certificate that is its own), in PEM, that alone is trusted.
    pub fn new(url: &str, authority: Option<&str>) -> Result<Self> {
        Ok(Self::with(http(authority)?, url))
    }

    /// The same with a client that exists.
    pub(super) fn with(http: Http, url: &str) -> Self {
        Self {
            http,
            url: url.trim_end_matches('/').into(),
        }
    }

    /// The status and the JSON (null where it is none) that a path answers.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, Value)> {
        self.call(Method::GET, path, headers, None)
    }

    /// The same for a request with a body.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<(u16, Value)> {
        self.call(Method::POST, path, headers, Some(body))
    }

    /// The same for any request.
    pub fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let answer = self.send(method, path, headers, body)?;
        let status = answer.status().as_u16();
        let text = answer.text()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// The whole answer.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response> {
        Ok(self.request(method, path, headers, body).send()?)
    }

    /// A request that is not sent yet.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match body {
            None => request,
            Some(body) => request.json(body),
        }
    }
}
