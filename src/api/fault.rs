//! Error responses (400 and more): status and text in the envelope that the conductor parses.
//!
//! The conductor searches `faultstring`; without that string it fails with a type error.

use super::caller::Caller;
use super::wire;
use crate::error::{AgentError, shortened};
use crate::policy::Denied;
use hyper::StatusCode;

/// Reason why a request failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Error of the dispatcher.
    Agent(AgentError),
    /// The body does not match the route.
    BadRequest(String),
    /// Other callers use up the permits.
    Busy,
    /// A known caller without permission, and the rule that denied it.
    Forbidden(Caller, Denied),
    /// The response could not be serialized.
    Internal,
    /// hyper refused the request with this status: not HTTP, or a head that is too large.
    Malformed(StatusCode),
    /// The method is not allowed; these are.
    MethodNotAllowed(&'static str),
    NotFound,
    /// The body stopped arriving.
    SlowBody,
    /// The body exceeds this maximum, in bytes.
    TooLarge(usize),
    Unauthorized,
    /// Keystone cannot validate the token.
    Unavailable,
}

impl Fault {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Agent(error) => StatusCode::from_u16(error.class.code())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Forbidden(..) => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Malformed(status) => *status,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the `faultstring`: an agent error's own text, or `<code> <name>: <text>` for the
    /// others.
    pub(super) fn text(&self) -> String {
        let text = match self {
            Self::Agent(error) => return error.to_string(),
            Self::BadRequest(text) => text.clone(),
            Self::Busy => "Too many callers ask at a time: try again.".to_owned(),
            // Ironic's own sentence (`exception.HTTPForbidden`).
            Self::Forbidden(_, denied) => {
                format!(
                    "Access was denied to the following resource: {}",
                    denied.rule
                )
            }
            Self::Internal => "The answer could not be written.".to_owned(),
            Self::Malformed(StatusCode::BAD_REQUEST) => "This is no HTTP/1.1 request.".to_owned(),
            Self::Malformed(_) => "The request's head is too large.".to_owned(),
            Self::MethodNotAllowed(allowed) => {
                format!("The method is not allowed for this URL; these are: {allowed}.")
            }
            Self::NotFound => "There is nothing at this URL.".to_owned(),
            Self::SlowBody => "The request body stopped coming.".to_owned(),
            Self::TooLarge(most) => format!("A request body has at most {most} bytes."),
            Self::Unauthorized => "Token invalid.".to_owned(),
            Self::Unavailable => {
                "The identity service is not available: the token cannot be verified.".to_owned()
            }
        };
        let status = self.status();
        let name = status.canonical_reason().unwrap_or_default();
        format!("{} {name}: {text}", status.as_u16())
    }

    /// Returns the response body. The text may repeat parts of the request, so a long one is
    /// truncated.
    pub(super) fn body(&self) -> Vec<u8> {
        let text = shortened(self.text(), MAX_TEXT_LEN);
        wire::fault(self.status().is_server_error(), &text)
    }
}

/// Maximum length of a text in bytes: all connections may have such a response at a time.
const MAX_TEXT_LEN: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;
    use crate::policy::Refusal;

    fn body(fault: &Fault) -> String {
        String::from_utf8(fault.body()).unwrap()
    }

    #[test]
    fn an_agent_error_speaks_for_itself() {
        let fault = Fault::Agent(AgentError::new(
            ErrorClass::AgentIsBusy,
            "executing command write_image",
        ));
        assert_eq!(
            (fault.status().as_u16(), body(&fault)),
            (
                409,
                r#"{"faultcode": "Client", "faultstring": "Agent is busy: executing command write_image"}"#.into()
            )
        );
    }

    #[test]
    fn a_text_that_repeats_a_long_request_loses_its_end() {
        let details = "x".repeat(1 << 20);
        let fault = Fault::Agent(AgentError::new(ErrorClass::InvalidCommandError, &*details));
        let text: serde_json::Value = serde_json::from_slice(&fault.body()).unwrap();
        let text = text["faultstring"].as_str().unwrap();
        let whole = fault.text();
        assert!(whole.starts_with(text.strip_suffix('…').unwrap()));
        assert_eq!(text.len(), MAX_TEXT_LEN + '…'.len_utf8());
    }

    #[test]
    fn ours_say_code_and_name() {
        assert_eq!(
            body(&Fault::Unauthorized),
            r#"{"faultcode": "Client", "faultstring": "401 Unauthorized: Token invalid."}"#
        );
        assert_eq!(
            body(&Fault::Forbidden(
                Caller::Observer,
                Denied {
                    rule: "baremetal:agent:command:run".into(),
                    why: Refusal::NotAllowed,
                }
            )),
            r#"{"faultcode": "Client", "faultstring": "403 Forbidden: Access was denied to the following resource: baremetal:agent:command:run"}"#
        );
        assert_eq!(
            body(&Fault::Internal),
            r#"{"faultcode": "Server", "faultstring": "500 Internal Server Error: The answer could not be written."}"#
        );
    }
}
