//! Limits of names and responses, which are untrusted.

/// Characters of a name without the final dot (RFC 1035 section 3.1).
pub(super) const MAX_NAME: usize = 253;
/// Addresses of one family.
pub(super) const MAX_ADDRESSES: usize = 16;
/// Aliases between a name and its addresses.
pub(super) const MAX_ALIASES: usize = 8;
