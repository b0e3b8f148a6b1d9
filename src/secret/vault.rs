//! Memory that outlives an agent: the state its successor needs so that Ironic notices no change.
//!
//! It is a memory file (see [`crate::sys::locked_memory`]). PID 1, or another holder, holds its
//! descriptor. The holder never reads it, but wipes it when the machine is handed to its owner. The
//! agent maps it, and its secrets are stored nowhere else. An agent without a holder has a vault of
//! its own, which ends with it.
//!
//! Each item has a fixed slot: four bytes of length (little endian), then its bytes. A write stores
//! the bytes first and the length last; a removal clears the length first. An agent that dies
//! half-way therefore leaves a complete item or none.

use crate::sys::locked_memory::{LockedMemory, memory_file};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, compiler_fence};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroize;

/// State that an agent leaves to the next; clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

struct Shared {
    file: OwnedFd,
    memory: RwLock<LockedMemory>,
}

/// Item of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The token from the kernel's command line.
    BootToken,
    /// The name that the certificate was issued for, and its PEM text.
    Certificate,
    /// The certificate's key, as PKCS #8 in DER.
    Key,
    /// Whether Ironic answered a lookup.
    Lookup,
    /// Text of virtual media that are not read again; their token is stored as the boot token.
    Media,
    /// The node, and the callback URL that Ironic was given.
    Session,
    /// The token that was agreed with Ironic.
    Token,
}

impl Item {
    const ALL: [Self; 7] = [
        Self::BootToken,
        Self::Certificate,
        Self::Key,
        Self::Lookup,
        Self::Media,
        Self::Session,
        Self::Token,
    ];

    /// Returns the offset of its slot and the maximum length of its bytes.
    const fn slot(self) -> (usize, usize) {
        match self {
            Self::BootToken => (64, 1024),
            Self::Token => (2048, 1024),
            Self::Session => (4096, 2048),
            Self::Lookup => (7168, 64),
            Self::Key => (8192, 2048),
            Self::Certificate => (12288, 3072),
            Self::Media => (16384, MAX_MEDIA_BYTES + 1024),
        }
    }
}

impl Vault {
    /// Creates an empty vault.
    ///
    /// # Errors
    /// The kernel's error when it has no memory.
    pub fn create() -> io::Result<Self> {
        let file = memory_file(BYTES)?;
        let vault = Self::map(file)?;
        vault.change(|bytes| replace(bytes, 0, MARK));
        Ok(vault)
    }

    /// Opens the vault that an earlier agent left.
    ///
    /// # Errors
    /// The descriptor is not that of a vault of this release.
    pub fn of(file: OwnedFd) -> io::Result<Self> {
        let vault = Self::map(file)?;
        let ours = vault.look(|bytes| bytes.starts_with(MARK));
        ours.then_some(vault).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the inherited memory is no vault",
            )
        })
    }

    fn map(file: OwnedFd) -> io::Result<Self> {
        let memory = LockedMemory::of_file(file.as_fd(), BYTES)?;
        Ok(Self(Arc::new(Shared {
            file,
            memory: RwLock::new(memory),
        })))
    }

    /// Returns the descriptor, which a holder holds and the next agent inherits.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    /// Removes all items: no agent is to follow this one, and no secret is needed from here on.
    pub fn wipe(&self) {
        Item::ALL.into_iter().for_each(|item| self.remove(item));
    }

    /// Calls `look` with an item's bytes in place; with an empty slice if it is missing.
    pub(super) fn read<R>(&self, item: Item, look: impl FnOnce(&[u8]) -> R) -> R {
        self.look(|bytes| {
            let (at, most) = item.slot();
            let room = bytes.get(at..).unwrap_or_default();
            let item = room.split_first_chunk().and_then(|(length, rest)| {
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                rest.get(..length).filter(|item| item.len() <= most)
            });
            look(item.unwrap_or_default())
        })
    }

    pub(super) fn write(&self, item: Item, value: &[u8]) -> io::Result<()> {
        let (at, most) = item.slot();
        let length = u32::try_from(value.len()).ok();
        let length = length
            .filter(|_| value.len() <= most)
            .ok_or_else(|| io::Error::other("it is too long for the memory kept for it"))?;
        self.remove(item);
        self.change(|bytes| {
            replace(bytes, at + LENGTH, value);
            compiler_fence(Ordering::SeqCst);
            replace(bytes, at, &length.to_le_bytes());
        });
        Ok(())
    }

    pub(super) fn remove(&self, item: Item) {
        let (at, most) = item.slot();
        self.change(|bytes| {
            replace(bytes, at, &[0; LENGTH]);
            compiler_fence(Ordering::SeqCst);
            if let Some(room) = bytes.get_mut(at + LENGTH..at + LENGTH + most) {
                room.zeroize();
            }
        });
    }

    fn look<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        let memory = self.0.memory.read();
        look(memory.unwrap_or_else(PoisonError::into_inner).bytes())
    }

    fn change(&self, change: impl FnOnce(&mut [u8])) {
        let memory = self.0.memory.write();
        change(memory.unwrap_or_else(PoisonError::into_inner).bytes_mut());
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

fn replace(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Maximum length of `parameters.txt` on virtual media, so that its effective text fits the slot,
/// with masks in place of secrets. The kernel's command line, which has the same content, has 4 KiB
/// at most.
pub const MAX_MEDIA_BYTES: usize = 32 * 1024;
/// Size of the length before each item.
const LENGTH: usize = 4;
const BYTES: usize = 52 * 1024;
/// Magic bytes at the start; a different layout has a different number.
const MARK: &[u8] = b"ferrite vault 3\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::AgentToken;

    fn token(text: &str) -> AgentToken {
        AgentToken::from_operator(text.into()).unwrap()
    }

    /// Opens the vault as the next agent does.
    fn next(vault: &Vault) -> Vault {
        Vault::of(vault.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn rooms_do_not_overlap_and_lie_within_the_memory() {
        let mut rooms: Vec<_> = Item::ALL.iter().map(|item| item.slot()).collect();
        rooms.sort_unstable();
        let mut free = MARK.len();
        for (at, most) in rooms {
            assert!(at >= free, "{at}");
            free = at + LENGTH + most;
        }
        assert!(free <= BYTES);
    }

    #[test]
    fn nothing_is_left_when_it_was_wiped() {
        let vault = Vault::create().unwrap();
        let kept = vault.store_token(token("hush"));
        vault.wipe();
        assert!(!kept.matches(b"hush") && !kept.matches(b""));
        assert!(next(&vault).token().is_none());
        vault.look(|bytes| assert!(bytes[MARK.len()..].iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn an_item_that_is_removed_is_gone_whole_and_alone() {
        for item in Item::ALL {
            let (vault, (at, most)) = (Vault::create().unwrap(), item.slot());
            vault.change(|bytes| bytes.fill(0xFF));
            vault.remove(item);
            let room = at..at + LENGTH + most;
            vault.look(|bytes| {
                for (place, byte) in bytes.iter().enumerate() {
                    let expected = if room.contains(&place) { 0 } else { 0xFF };
                    assert_eq!(*byte, expected, "{item:?} {place}");
                }
            });
            // A value may fill the whole slot.
            vault.write(item, &vec![7; most]).unwrap();
            assert_eq!(vault.read(item, <[u8]>::to_vec), vec![7; most]);
            assert!(vault.write(item, &vec![7; most + 1]).is_err());
        }
    }

    #[test]
    fn other_memory_is_no_vault() {
        assert!(Vault::of(memory_file(BYTES).unwrap()).is_err());
        assert!(Vault::of(memory_file(1).unwrap()).is_err());
        let folder = tempfile::tempfile().unwrap();
        assert!(Vault::of(folder.into()).is_err());
    }

    #[test]
    fn a_length_that_cannot_be_is_nothing() {
        let vault = Vault::create().unwrap();
        for length in [1025_u32, u32::MAX] {
            vault.change(|bytes| replace(bytes, Item::Token.slot().0, &length.to_le_bytes()));
            assert!(vault.token().is_none());
        }
    }
}
