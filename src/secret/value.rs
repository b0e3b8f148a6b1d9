//! A secret value in a locked page of its own.

use crate::sys::locked_memory::LockedMemory;
use std::fmt;
use std::marker::PhantomData;
use zeroize::{Zeroize, Zeroizing};

/// A secret value. It is accessible only through [`Secret::expose`], a name that is easy to search
/// for.
///
/// Small values have a locked page of their own. A config drive of megabytes stays where it was
/// created and is wiped there: sealing it would add a copy.
pub struct Secret<T: Sealable> {
    place: Place,
    kind: PhantomData<fn() -> T>,
}

enum Place {
    /// Not sealed: too large, or the kernel gave no page.
    Heap(Zeroizing<Vec<u8>>),
    /// A locked page, and the length of the value in bytes.
    Page(LockedMemory, usize),
}

impl<T: Sealable> Secret<T> {
    /// Takes ownership of a value, and wipes its former memory. The caller must hold no other copy.
    pub fn new(value: T) -> Self {
        let bytes = Zeroizing::new(value.into_bytes());
        Self {
            place: sealed(&bytes).unwrap_or(Place::Heap(bytes)),
            kind: PhantomData,
        }
    }

    /// Returns the value. Call it at the last moment, before the value is sent or compared.
    pub fn expose(&self) -> &T::View {
        T::view(match &self.place {
            Place::Heap(bytes) => bytes,
            Place::Page(memory, length) => memory.bytes().get(..*length).unwrap_or_default(),
        })
    }
}

fn sealed(bytes: &[u8]) -> Option<Place> {
    if bytes.len() > MAX_SEALED_LEN {
        return None;
    }
    let mut memory = LockedMemory::new(bytes.len()).ok()?;
    let place = memory.bytes_mut().get_mut(..bytes.len())?;
    place.copy_from_slice(bytes);
    Some(Place::Page(memory, bytes.len()))
}

impl<T: Sealable> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Types of secrets: text, or bytes.
pub trait Sealable: Zeroize {
    /// Type of the exposed view.
    type View: ?Sized;

    /// Returns the value's bytes, in the same memory.
    fn into_bytes(self) -> Vec<u8>;

    /// Returns the view of the value's bytes.
    fn view(bytes: &[u8]) -> &Self::View;
}

impl Sealable for String {
    type View = str;

    fn into_bytes(self) -> Vec<u8> {
        self.into()
    }

    fn view(bytes: &[u8]) -> &str {
        // The bytes came from a text.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Sealable for Vec<u8> {
    type View = [u8];

    fn into_bytes(self) -> Vec<u8> {
        self
    }

    fn view(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

/// Maximum length of a sealed value in bytes. Tokens, passwords and keys are shorter; longer values
/// are files or config drives.
const MAX_SEALED_LEN: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_value() {
        let secret = Secret::new(String::from("hush"));
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.expose(), "hush");
    }

    #[test]
    fn small_values_have_a_page_and_large_ones_stay_where_they_are() {
        let small = Secret::new(vec![7; 16_384]);
        assert!(matches!(small.place, Place::Page(..)));
        assert_eq!(small.expose(), [7; 16_384]);
        let large = vec![7; 16_385];
        let at = large.as_ptr();
        let large = Secret::new(large);
        assert_eq!(large.expose().as_ptr(), at);
        assert_eq!(Secret::new(String::new()).expose(), "");
    }
}
