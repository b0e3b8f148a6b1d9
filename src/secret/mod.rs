//! Values nobody may see: no `Clone`, no `Display`, no serialisation; wiped when dropped.

mod current;
mod mask;
mod token;

pub use current::CurrentToken;
pub use mask::{mask_arguments, mask_url};
pub use token::{AgentToken, TokenError};

use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A secret value. It leaves only through [`Secret::expose`], a word one can search for.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a value in. The caller must hold no other copy.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself: for the last moment before it goes onto the wire or into a comparison.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_value() {
        let secret = Secret::new(String::from("hush"));
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.expose(), "hush");
    }
}
