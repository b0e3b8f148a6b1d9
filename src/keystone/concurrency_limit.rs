//! Limits concurrent requests to Keystone, and how many may wait for a permit.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Semaphore with a bounded number of waiters.
pub(super) struct ConcurrencyLimit {
    permits: Semaphore,
    waiting: AtomicUsize,
}

impl Default for ConcurrencyLimit {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(MAX_INSIDE),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl ConcurrencyLimit {
    /// Acquires a permit; `None` after the deadline, or if too many callers wait already.
    pub(super) async fn acquire(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Some(permit);
        }
        let _waiting = Waiting::begin(&self.waiting)?;
        timeout_at(deadline, self.permits.acquire())
            .await
            .ok()?
            .ok()
    }
}

/// Counts one waiter until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let this = Self(count);
        (before < MAX_WAITING).then_some(this)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const MAX_INSIDE: usize = 4;
const MAX_WAITING: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::task::JoinSet;

    #[tokio::test(start_paused = true)]
    async fn four_are_inside_sixteen_wait_and_nobody_waits_longer_than_his_time() {
        let door: &ConcurrencyLimit = Box::leak(Box::default());
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut inside = Vec::new();
        for _ in 0..MAX_INSIDE {
            inside.push(door.acquire(deadline).await.unwrap());
        }
        let mut waiting = JoinSet::new();
        for _ in 0..MAX_WAITING {
            waiting.spawn(door.acquire(deadline));
        }
        while door.waiting.load(Ordering::Relaxed) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(door.acquire(deadline).await.is_none());
        assert_eq!(deadline.duration_since(Instant::now()).as_secs(), 10);
        inside.pop();
        let entered = waiting.join_next().await.unwrap().unwrap();
        assert!(entered.is_some());
        let late = door.acquire(deadline).await;
        assert!(late.is_none() && Instant::now() >= deadline);
        drop(entered);
        while let Some(outcome) = waiting.join_next().await {
            drop(outcome.unwrap());
        }
        drop(inside);
        assert!(door.acquire(Instant::now()).await.is_some());
        assert_eq!(door.waiting.load(Ordering::Relaxed), 0);
    }
}
