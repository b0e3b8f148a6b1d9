//! The one redactor: every text that leaves the agent passes it, be it a log line, an error or a member of the log archive.
//!
//! It knows how secrets look in texts that others wrote: values by their names (`assignments`), who asks in URLs
//! (`url`), credentials of HTTP (`headers`), hashes of passwords and private keys (`blocks`). It does not know the
//! secrets themselves; who has one takes it out of what its server repeats (`mask_known`). Where it is in doubt it masks: a
//! reader misses a word rather than a stranger finds one.
//!
//! ```
//! use ferrite::redact::redact;
//! assert_eq!(redact("GET /?agent_token=abc&wait=true"), "GET /?agent_token=******&wait=true");
//! ```

mod assignments;
mod blocks;
mod bounds;
mod elements;
mod escapes;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod headers;
mod json;
mod mask;
mod names;
mod pairs;
mod separators;
mod text;
mod url;
mod value;
mod values;
mod visible;
mod yaml;

pub use json::mask as mask_json;
pub use mask::MASK;
pub use names::is_secret;
pub use text::{redact, redact_lines};
pub use url::is_plain_url;
pub use value::{mask_each_known, mask_known};
pub use visible::{one_line, visible};

#[cfg(test)]
mod tests;
