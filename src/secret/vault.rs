//! The memory that outlives an agent: what its successor must know so that Ironic notices no change.
//!
//! It is a memory file (see [`crate::sys::sealed`]): process 1, or another keeper, holds its descriptor and never looks inside;
//! the agent maps it, and its secrets have no other place. An agent without a keeper has one of its own, which ends with it.
//!
//! Each item has a fixed room: four bytes of length (little endian), then its bytes. An item is written bytes first and its
//! length last, and removed the other way round, so that an agent which dies half-way leaves all of it or nothing.

use super::{AgentToken, Held};
use crate::sys::sealed::{SealedMemory, memory_file};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, compiler_fence};
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

/// What an agent leaves to the next; clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

struct Shared {
    file: OwnedFd,
    memory: RwLock<SealedMemory>,
}

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The token that the kernel's command line brought.
    BootToken,
    /// For whom the certificate was made, and its PEM text.
    Certificate,
    /// The certificate's key, as PKCS #8 in DER.
    Key,
    /// The node and where Ironic was told to call.
    Session,
    /// The token that was settled with Ironic.
    Token,
}

impl Item {
    const ALL: [Self; 5] = [
        Self::BootToken,
        Self::Certificate,
        Self::Key,
        Self::Session,
        Self::Token,
    ];

    /// Where its room begins, and the most bytes it has.
    const fn room(self) -> (usize, usize) {
        match self {
            Self::BootToken => (64, 1024),
            Self::Token => (2048, 1024),
            Self::Session => (4096, 2048),
            Self::Key => (8192, 2048),
            Self::Certificate => (12288, 3072),
        }
    }
}

/// Who the agent was to Ironic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The node.
    pub node: Uuid,
    /// Where Ironic was told to call: it refuses any other until the machine starts anew.
    pub callback_url: String,
}

/// The agent's own certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate's PEM text.
    pub certificate: String,
    /// Its key, as PKCS #8 in DER.
    pub key: Held,
}

impl Vault {
    /// A new, empty one.
    ///
    /// # Errors
    /// What the kernel says when it has no memory.
    pub fn create() -> io::Result<Self> {
        let file = memory_file(BYTES)?;
        let vault = Self::map(file)?;
        vault.change(|bytes| replace(bytes, 0, MARK));
        Ok(vault)
    }

    /// The one that an earlier agent left.
    ///
    /// # Errors
    /// The descriptor is none of a vault of this release.
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
        let memory = SealedMemory::of_file(file.as_fd(), BYTES)?;
        Ok(Self(Arc::new(Shared {
            file,
            memory: RwLock::new(memory),
        })))
    }

    /// What a keeper holds, and the next agent inherits.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    /// The token that was settled with Ironic.
    #[must_use]
    pub fn token(&self) -> Option<AgentToken> {
        self.held(Item::Token).map(AgentToken::held)
    }

    /// Keeps the token that was settled with Ironic: the one returned has its bytes here, and nowhere else.
    pub fn keep_token(&self, token: AgentToken) -> AgentToken {
        let token = self.keep_as(Item::Token, token);
        if token.item() == Some(Item::Token) {
            self.remove(Item::BootToken);
        }
        token
    }

    /// The token that the kernel's command line brought, where process 1 has covered that.
    #[must_use]
    pub fn boot_token(&self) -> Option<AgentToken> {
        self.held(Item::BootToken).map(AgentToken::held)
    }

    /// Keeps the token that the kernel's command line brought.
    pub fn keep_boot_token(&self, token: AgentToken) -> AgentToken {
        self.keep_as(Item::BootToken, token)
    }

    fn keep_as(&self, item: Item, token: AgentToken) -> AgentToken {
        if token.item() == Some(item) {
            return token;
        }
        // By way of a copy: it may be here already, and what is looked at cannot be written to.
        let copy = token.reveal(|text| Zeroizing::new(text.as_bytes().to_vec()));
        match self.write(item, &copy) {
            Ok(()) => AgentToken::held(Held::in_vault(self, item)),
            Err(error) => {
                // An earlier one is not to come back.
                self.remove(item);
                tracing::warn!(%error, "the agent token cannot be kept: if the agent is started anew, it will have none");
                token
            }
        }
    }

    /// The certificate that was made for whatever `name` says, with its key.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<Identity> {
        let certificate = self.read(Item::Certificate, |bytes| {
            let (kept, pem) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
            (kept == name).then(|| pem.to_owned())
        })?;
        Some(Identity {
            certificate,
            key: self.held(Item::Key)?,
        })
    }

    /// Keeps the certificate with its key, which is then here and nowhere else.
    ///
    /// # Errors
    /// They have no room: the key stays where it was.
    pub fn keep_identity(
        &self,
        name: &str,
        made: Identity,
    ) -> Result<Identity, (Identity, io::Error)> {
        self.remove(Item::Certificate);
        let text = format!("{name}\n{}", made.certificate);
        let key = made.key.reveal(|key| Zeroizing::new(key.to_vec()));
        let kept = self
            .write(Item::Key, &key)
            .and_then(|()| self.write(Item::Certificate, text.as_bytes()));
        match kept {
            Ok(()) => Ok(Identity {
                key: Held::in_vault(self, Item::Key),
                ..made
            }),
            Err(error) => Err((made, error)),
        }
    }

    /// Who an earlier agent was to Ironic.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        self.read(Item::Session, |bytes| {
            let (node, url) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
            Some(Session {
                node: node.parse().ok()?,
                callback_url: url.to_owned(),
            })
        })
    }

    /// Keeps who the agent is to Ironic.
    pub fn keep_session(&self, session: &Session) {
        let text = format!("{}\n{}", session.node, session.callback_url);
        if let Err(error) = self.write(Item::Session, text.as_bytes()) {
            tracing::warn!(%error, "the address that Ironic was told cannot be kept");
        }
    }

    /// Forgets everything: nobody is to come after this agent, and nothing is to be said any more.
    pub fn wipe(&self) {
        Item::ALL.into_iter().for_each(|item| self.remove(item));
    }

    fn held(&self, item: Item) -> Option<Held> {
        let is_there = self.read(item, |bytes| !bytes.is_empty());
        is_there.then(|| Held::in_vault(self, item))
    }

    /// Does something with an item's bytes in their place; none where it is not there.
    pub(super) fn read<R>(&self, item: Item, look: impl FnOnce(&[u8]) -> R) -> R {
        self.look(|bytes| {
            let (at, most) = item.room();
            let room = bytes.get(at..).unwrap_or_default();
            let item = room.split_first_chunk().and_then(|(length, rest)| {
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                rest.get(..length).filter(|item| item.len() <= most)
            });
            look(item.unwrap_or_default())
        })
    }

    fn write(&self, item: Item, value: &[u8]) -> io::Result<()> {
        let (at, most) = item.room();
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

    fn remove(&self, item: Item) {
        let (at, most) = item.room();
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

/// Of the length before each item.
const LENGTH: usize = 4;
const BYTES: usize = 16 * 1024;
/// What it begins with; another arrangement has another number.
const MARK: &[u8] = b"ferrite vault 1\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> AgentToken {
        AgentToken::from_operator(text.into()).unwrap()
    }

    /// What a successor finds.
    fn next(vault: &Vault) -> Vault {
        Vault::of(vault.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn rooms_do_not_overlap_and_lie_within_the_memory() {
        let mut rooms: Vec<_> = Item::ALL.iter().map(|item| item.room()).collect();
        rooms.sort_unstable();
        let mut free = MARK.len();
        for (at, most) in rooms {
            assert!(at >= free, "{at}");
            free = at + LENGTH + most;
        }
        assert!(free <= BYTES);
    }

    #[test]
    fn a_successor_finds_what_was_kept() {
        let vault = Vault::create().unwrap();
        assert!(vault.token().is_none() && vault.session().is_none());
        let session = Session {
            node: Uuid::from_u128(7),
            callback_url: "https://192.0.2.1:9999".into(),
        };
        vault.keep_session(&session);
        assert!(vault.keep_token(token("settled")).matches(b"settled"));
        let next = next(&vault);
        assert!(next.token().unwrap().matches(b"settled"));
        assert_eq!(next.session(), Some(session));
    }

    #[test]
    fn a_settled_token_takes_the_boots_ones_place() {
        let vault = Vault::create().unwrap();
        let boot = vault.keep_boot_token(token("of the boot"));
        assert!(next(&vault).boot_token().unwrap().matches(b"of the boot"));
        assert!(vault.token().is_none());
        let settled = vault.keep_token(boot);
        assert!(settled.matches(b"of the boot"));
        assert!(vault.boot_token().is_none());
        // It is kept once more without being lost.
        assert!(vault.keep_token(settled).matches(b"of the boot"));
    }

    #[test]
    fn a_certificate_is_found_by_whom_it_was_made_for() {
        let vault = Vault::create().unwrap();
        let made = Identity {
            certificate: "PEM\ntext\n".into(),
            key: Held::own(vec![1, 2, 3]),
        };
        let kept = vault.keep_identity("192.0.2.1", made).unwrap();
        let next = next(&vault);
        assert!(next.identity("192.0.2.2").is_none());
        let found = next.identity("192.0.2.1").unwrap();
        assert_eq!(found.certificate, "PEM\ntext\n");
        assert_eq!(found.key.reveal(<[u8]>::to_vec), [1, 2, 3]);
        // The key has no other place.
        assert_eq!(kept.key.reveal(<[u8]>::to_vec), [1, 2, 3]);
        vault.wipe();
        assert_eq!(kept.key.reveal(<[u8]>::to_vec), [0; 0]);
    }

    #[test]
    fn nothing_is_left_when_it_was_wiped() {
        let vault = Vault::create().unwrap();
        let kept = vault.keep_token(token("hush"));
        vault.wipe();
        assert!(!kept.matches(b"hush") && !kept.matches(b""));
        assert!(next(&vault).token().is_none());
        vault.look(|bytes| assert!(bytes[MARK.len()..].iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn an_item_that_is_removed_is_gone_whole_and_alone() {
        for item in Item::ALL {
            let (vault, (at, most)) = (Vault::create().unwrap(), item.room());
            vault.change(|bytes| bytes.fill(0xFF));
            vault.remove(item);
            let room = at..at + LENGTH + most;
            vault.look(|bytes| {
                for (place, byte) in bytes.iter().enumerate() {
                    let expected = if room.contains(&place) { 0 } else { 0xFF };
                    assert_eq!(*byte, expected, "{item:?} {place}");
                }
            });
            // It takes all of its room.
            vault.write(item, &vec![7; most]).unwrap();
            assert_eq!(vault.read(item, <[u8]>::to_vec), vec![7; most]);
            assert!(vault.write(item, &vec![7; most + 1]).is_err());
        }
    }

    #[test]
    fn a_token_without_room_stays_where_it_is() {
        let vault = Vault::create().unwrap();
        let earlier = vault.keep_token(token("earlier"));
        let long = "x".repeat(1025);
        let kept = vault.keep_token(token(&long));
        assert!(kept.matches(long.as_bytes()) && vault.token().is_none());
        // Nobody goes back to one that another has replaced.
        assert!(!earlier.matches(b"earlier"));
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
            vault.change(|bytes| replace(bytes, Item::Token.room().0, &length.to_le_bytes()));
            assert!(vault.token().is_none());
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let vault = Vault::create().unwrap();
        let kept = vault.keep_token(token("hush"));
        assert_eq!(
            format!("{vault:?} {kept:?}"),
            "Vault([redacted]) AgentToken([redacted])"
        );
    }
}
