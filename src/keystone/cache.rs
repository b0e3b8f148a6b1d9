//! Cache of Keystone's responses, with a time to live. Its keys are SHA-256 digests of the tokens,
//! never the tokens.
//!
//! There are two tables of fixed size, and the oldest entry is evicted first. A client with ever
//! new invalid tokens fills only the table of invalid ones.

use super::identity::{Identity, Outcome, Refusal};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Cache key of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

/// Returns the SHA-256 of a token.
pub(super) fn key(token: &[u8]) -> Key {
    let mut key = [0; 32];
    for (byte, of_digest) in key.iter_mut().zip(digest(&SHA256, token).as_ref()) {
        *byte = *of_digest;
    }
    Key(key)
}

/// Outcomes that have not expired.
pub(super) struct TokenCache {
    kept_for: Duration,
    tables: Mutex<Tables>,
}

struct Tables {
    known: Table<Arc<Identity>>,
    nobody: Table<()>,
}

impl TokenCache {
    /// Creates a cache that stores results of valid tokens for this long. Zero disables it.
    pub(super) fn with_ttl(kept_for: Duration) -> Self {
        Self {
            kept_for,
            tables: Mutex::new(Tables {
                known: Table::of(MAX_KNOWN),
                nobody: Table::of(MAX_NEGATIVE),
            }),
        }
    }

    /// Returns the cached outcome for a token. A token that has expired since is invalid.
    pub(super) fn find(&self, key: &Key, now: Duration) -> Option<Outcome> {
        let tables = self.tables();
        if let Some(identity) = tables.known.find(key) {
            let is_over = identity.has_expired(now);
            return Some(if is_over {
                Err(Refusal::Invalid)
            } else {
                Ok(Arc::clone(identity))
            });
        }
        tables.nobody.find(key).map(|()| Err(Refusal::Invalid))
    }

    /// Stores an outcome, unless Keystone was unavailable.
    pub(super) fn store(&self, key: Key, outcome: &Outcome) {
        if self.kept_for.is_zero() {
            return;
        }
        let mut tables = self.tables();
        match outcome {
            Ok(identity) => tables.known.put(key, Arc::clone(identity), self.kept_for),
            Err(Refusal::Invalid) => {
                let kept_for = self.kept_for.min(MAX_NEGATIVE_TTL);
                tables.nobody.put(key, (), kept_for);
            }
            Err(Refusal::Unavailable) => {}
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A small table, the oldest entry first. It is short enough for a linear search.
struct Table<V> {
    most: usize,
    entries: VecDeque<Entry<V>>,
}

struct Entry<V> {
    key: Key,
    until: Instant,
    value: V,
}

impl<V> Table<V> {
    fn of(most: usize) -> Self {
        Self {
            most,
            entries: VecDeque::with_capacity(most),
        }
    }

    fn find(&self, key: &Key) -> Option<&V> {
        let now = Instant::now();
        self.entries
            .iter()
            .find(|entry| entry.key == *key && entry.until > now)
            .map(|entry| &entry.value)
    }

    fn put(&mut self, key: Key, value: V, kept_for: Duration) {
        let now = Instant::now();
        self.entries
            .retain(|entry| entry.key != key && entry.until > now);
        if self.entries.len() >= self.most {
            self.entries.pop_front();
        }
        let until = now + kept_for;
        self.entries.push_back(Entry { key, until, value });
    }
}

const MAX_KNOWN: usize = 64;
const MAX_NEGATIVE: usize = 256;
/// Maximum time to live of an unknown token: it may become valid, as Keystone's servers can be out
/// of step for a moment.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, pause};

    const NOW: Duration = Duration::from_secs(1_000);

    fn somebody(expires: u64) -> Outcome {
        Ok(Arc::new(Identity {
            expires: Duration::from_secs(expires),
            ..Identity::default()
        }))
    }

    fn numbered(number: usize) -> Key {
        key(&number.to_be_bytes())
    }

    #[tokio::test]
    async fn answers_are_believed_for_their_time_and_refusals_for_ten_seconds() {
        pause();
        let answers = TokenCache::with_ttl(Duration::from_secs(60));
        answers.store(key(b"a"), &somebody(5_000));
        answers.store(key(b"b"), &Err(Refusal::Invalid));
        answers.store(key(b"c"), &Err(Refusal::Unavailable));
        assert!(answers.find(&key(b"a"), NOW).unwrap().is_ok());
        assert!(answers.find(&key(b"b"), NOW).unwrap().is_err());
        assert!(answers.find(&key(b"c"), NOW).is_none());
        advance(Duration::from_secs(10)).await;
        assert!(answers.find(&key(b"b"), NOW).is_none());
        advance(Duration::from_millis(49_999)).await;
        assert!(answers.find(&key(b"a"), NOW).is_some());
        advance(Duration::from_millis(1)).await;
        assert!(answers.find(&key(b"a"), NOW).is_none());
    }

    #[test]
    fn a_token_ends_by_our_clock_while_its_answer_is_still_believed() {
        let answers = TokenCache::with_ttl(Duration::from_secs(60));
        answers.store(key(b"a"), &somebody(1_001));
        assert!(answers.find(&key(b"a"), NOW).unwrap().is_ok());
        let later = NOW + Duration::from_secs(1);
        assert_eq!(
            answers.find(&key(b"a"), later).unwrap().unwrap_err(),
            Refusal::Invalid
        );
    }

    #[test]
    fn any_number_of_wrong_tokens_pushes_no_right_one_out() {
        let answers = TokenCache::with_ttl(Duration::from_secs(60));
        answers.store(key(b"a"), &somebody(5_000));
        for number in 0..10_000 {
            answers.store(numbered(number), &Err(Refusal::Invalid));
        }
        assert!(answers.find(&key(b"a"), NOW).unwrap().is_ok());
        assert_eq!(answers.tables().nobody.entries.len(), MAX_NEGATIVE);
        assert!(answers.find(&numbered(9_999 - 255), NOW).is_some());
        assert!(answers.find(&numbered(9_999 - 256), NOW).is_none());
        for number in 0..MAX_KNOWN {
            answers.store(numbered(number), &somebody(5_000));
        }
        assert_eq!(answers.tables().known.entries.len(), MAX_KNOWN);
        assert!(answers.find(&key(b"a"), NOW).is_none());
    }

    #[test]
    fn nothing_is_kept_for_no_time() {
        let answers = TokenCache::with_ttl(Duration::ZERO);
        answers.store(key(b"a"), &somebody(5_000));
        answers.store(key(b"b"), &Err(Refusal::Invalid));
        assert!(answers.find(&key(b"a"), NOW).is_none());
        assert!(answers.find(&key(b"b"), NOW).is_none());
    }
}
