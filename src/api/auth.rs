//! The agent token's check: before a body is read, in constant time, from the query alone.

use super::fault::Fault;
use super::query::Query;
use crate::secret::AgentToken;

/// Proof that a caller showed the token. Only [`authorise`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authorised(());

/// Lets the caller in who shows the agent's token. An agent without a token lets nobody in.
pub(super) fn authorise(token: Option<&AgentToken>, query: Query<'_>) -> Result<Authorised, Fault> {
    match (token, query.token()) {
        (Some(token), Some(shown)) if token.matches(&shown) => Ok(Authorised(())),
        _ => Err(Fault::Unauthorized),
    }
}
