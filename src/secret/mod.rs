//! Secret values: no `Clone`, no `Display`, no serialization; in locked pages of their own; wiped
//! when dropped.
//!
//! ```text
//! bytes ─► Secret (a page of its own) ─► expose(), at the last moment
//!      └─► Vault (pages that outlive the agent) ─► SecretBytes::expose_with()
//! ```

mod current;
mod document;
mod secret_bytes;
mod stored;
mod token;
mod value;
mod vault;

pub use current::CurrentToken;
pub use document::json_body;
pub use secret_bytes::SecretBytes;
pub use stored::{Identity, Session};
pub use token::{AgentToken, TokenError};
pub use value::{Sealable, Secret};
pub use vault::{MAX_MEDIA_BYTES, Vault};
