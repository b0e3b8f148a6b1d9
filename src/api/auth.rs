//! The agent token's check: before a body is read, in constant time, from the query alone.

use super::fault::Fault;
use super::query::Query;
use crate::secret::AgentToken;

/// Proof that a caller showed the token. Only [`authorise`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authorised(());

/// Lets the caller in who shows the agent's token. An agent without a token lets nobody in.
///
/// Who shows none is compared as one who shows an empty one: each is refused by the same steps, and the time that they take
/// depends on nothing but the length of what was shown.
pub(super) fn authorise(token: Option<&AgentToken>, query: Query<'_>) -> Result<Authorised, Fault> {
    let shown = query.token().unwrap_or_default();
    if token.is_some_and(|token| token.matches(&shown)) {
        return Ok(Authorised(()));
    }
    Err(Fault::Unauthorized)
}
