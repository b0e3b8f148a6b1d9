//! The agent's HTTP(S) API, which the conductor calls (contract of IPA's `api/app`).
//!
//! ```text
//! connection ─► server (TLS, timeouts) ─► routes ─► authorize ─► body ─► authorize ─► dispatcher
//!                                           │    (caller, policy)  │         │
//!                                           └──────────┴───────────┴─────────┴──► fault
//!                                                              (every response of 400 and more)
//! ```
//!
//! `authenticate` identifies the client (a `caller`). `authorize` checks the policy rule of the
//! operation. `auth_throttle` delays clients that fail authentication. `handshake_limit` schedules
//! the TLS computation that clients cause, and `places` limits their connections. The addresses in
//! `known` have priority in both. `wire` holds the JSON formats; the commands themselves are
//! outside this module. hyper itself refuses bytes that are not HTTP/1.1, and heads larger than
//! [`Limits::head_bytes`]; `hyper_errors` adds the body to its response.

mod auth_throttle;
mod authenticate;
mod authorize;
mod body;
mod caller;
mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handler;
mod handshake_limit;
mod hyper_errors;
mod known;
mod limits;
mod payload;
mod peer;
mod places;
mod query;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod timing;
mod wire;

pub use authenticate::Authenticator;
pub use authorize::{Authorizer, Resources};
pub use limits::Limits;
pub use server::{serve, serve_within};
pub use state::State;
