//! The agent's HTTP(S) API: what the conductor calls (contract of IPA's `api/app`).
//!
//! ```text
//! connection ─► server (TLS, time limits) ─► routes ─► gate ─► body ─► gate ─► dispatcher
//!                                              │  (caller, policy)  │    │
//!                                              └────────┴───────────┴────┴────► fault (every answer of 400 and more)
//! ```
//!
//! `authenticate` says who asks (a `caller`), `gate` whether that may be: by one rule for each operation. Callers without a right
//! credential are remembered in `strangers`, which slows them down; `handshakes` orders what they make the agent compute,
//! `places` how many of them there may be, and the addresses in `known` come before them. The wire's JSON is in `wire`; what a
//! command does is nobody's business here. Bytes that are no HTTP/1.1, and heads larger than [`Limits::head_bytes`], are refused
//! by hyper itself; `envelope` puts the body into its answer.

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
