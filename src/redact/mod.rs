//! The redactor: every text that leaves the agent passes it, such as a log line, an error or a
//! member of the log archive.
//!
//! It detects secrets by their form in texts of any origin. The forms are values by their names
//! (`assignments`), user information in URLs (`url`), HTTP credentials (`headers`), and password
//! hashes and private keys (`blocks`). It does not know the secrets themselves. A caller that has
//! one masks it in the server's responses (`mask_known`). In doubt it masks: a lost word is better
//! than a leaked secret.
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
