//! Questions that are on their way: callers who show the same token at once share one.
//!
//! No task asks on its own: the first caller does, and when he is gone before the answer, the next one takes over.

use super::cache::Key;
use super::identity::Outcome;
use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, MutexGuard as LockGuard, PoisonError};
use tokio::sync::{Mutex, MutexGuard};

/// Held by who asks; filled once somebody has.
type Slot = Mutex<Option<Outcome>>;

/// Every question on its way.
#[derive(Default)]
pub(super) struct SingleFlight(Lock<HashMap<Key, Arc<Slot>>>);

impl SingleFlight {
    /// The question about this token, a new one where nobody asks it.
    pub(super) fn join(&self, key: Key) -> Participant<'_> {
        let slot = Arc::clone(self.all().entry(key).or_default());
        Participant {
            flights: self,
            key,
            slot,
        }
    }

    fn all(&self) -> LockGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's part in a question. The last one takes it away.
pub(super) struct Participant<'a> {
    flights: &'a SingleFlight,
    key: Key,
    slot: Arc<Slot>,
}

impl Participant<'_> {
    /// The outcome, or the turn to ask.
    pub(super) async fn outcome(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.slot.lock().await
    }
}

impl Drop for Participant<'_> {
    fn drop(&mut self) {
        let mut all = self.flights.all();
        // Ours and the table's: new ones are made only under this lock.
        if Arc::strong_count(&self.slot) <= 2 {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::key;
    use super::super::identity::Refusal;
    use super::*;

    #[tokio::test]
    async fn a_question_lasts_as_long_as_somebody_asks_it() {
        let flights = SingleFlight::default();
        let (first, second) = (flights.join(key(b"a")), flights.join(key(b"a")));
        let other = flights.join(key(b"b"));
        let mut asked = first.outcome().await;
        assert!(second.slot.try_lock().is_err());
        assert!(other.slot.try_lock().is_ok());
        *asked = Some(Err(Refusal::Invalid));
        drop(asked);
        drop(first);
        assert!(second.outcome().await.is_some());
        drop((second, other));
        assert!(flights.all().is_empty());
        assert!(flights.join(key(b"a")).outcome().await.is_none());
    }

    #[tokio::test]
    async fn who_is_gone_before_the_answer_leaves_the_turn_to_the_next() {
        let flights = SingleFlight::default();
        let (first, second) = (flights.join(key(b"a")), flights.join(key(b"a")));
        drop(first.outcome().await);
        drop(first);
        assert!(second.outcome().await.is_none());
    }
}
