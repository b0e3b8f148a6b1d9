//! Shares one request to Keystone between callers that present the same token at once.
//!
//! The first caller performs the request. If it is cancelled, the next waiter takes over.

use super::cache::Key;
use super::identity::Outcome;
use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, MutexGuard as LockGuard, PoisonError};
use tokio::sync::{Mutex, MutexGuard};

/// Locked by the caller that performs the request; filled once it has completed.
type Slot = Mutex<Option<Outcome>>;

/// All pending requests.
#[derive(Default)]
pub(super) struct SingleFlight(Lock<HashMap<Key, Arc<Slot>>>);

impl SingleFlight {
    /// Joins the pending request for this token, or adds a new one.
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

/// A caller's share in a request. The last one to be dropped removes the request.
pub(super) struct Participant<'a> {
    flights: &'a SingleFlight,
    key: Key,
    slot: Arc<Slot>,
}

impl Participant<'_> {
    /// Waits for the outcome; if it is `None`, the caller performs the request.
    pub(super) async fn outcome(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.slot.lock().await
    }
}

impl Drop for Participant<'_> {
    fn drop(&mut self) {
        let mut all = self.flights.all();
        // This participant's reference and the table's. New ones are made only under this lock.
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
