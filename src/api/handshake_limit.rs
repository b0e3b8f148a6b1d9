//! Schedules the computation of TLS handshakes, which unauthenticated clients cause. The agent
//! computes one handshake after another, with priority for addresses that showed the token.
//!
//! A connection enters the queue with the bytes that its peer has sent. Half a message is processed
//! at once and delays no other connection while the rest is awaited. After some milliseconds the
//! queue yields to other ready tasks, so that requests with the token do not wait for handshakes.

use crate::tls::stream::{Handshake, Progress};
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

/// Handshakes of one listener.
pub(super) type Handshakes = Queue<Handshake<TcpStream>>;

/// Work for one connection.
pub(super) trait Compute {
    type Outcome;

    /// Performs the work without blocking.
    fn compute(&mut self) -> Self::Outcome;
}

impl Compute for Handshake<TcpStream> {
    type Outcome = io::Result<Progress>;

    fn compute(&mut self) -> Self::Outcome {
        self.process()
    }
}

/// Queue of work for connections.
pub(super) struct Queue<W: Compute> {
    waiting: Mutex<Waiting<W>>,
    filled: Notify,
}

struct Waiting<W: Compute> {
    known: VecDeque<Job<W>>,
    unknown: VecDeque<Job<W>>,
    /// The last job was of a known address, so the next is of an unknown one, if any waits.
    was_known: bool,
}

struct Job<W: Compute> {
    work: W,
    done: oneshot::Sender<(W, W::Outcome)>,
}

impl<W: Compute> Queue<W> {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                known: VecDeque::new(),
                unknown: VecDeque::new(),
                was_known: false,
            }),
            filled: Notify::new(),
        }
    }

    /// Queues work and returns its outcome. The time until then is for the caller to limit. Returns
    /// nothing if the server has ended.
    pub(super) async fn compute_in_turn(&self, work: W, is_known: bool) -> Option<(W, W::Outcome)> {
        let (done, outcome) = oneshot::channel();
        let job = Job { work, done };
        {
            let mut waiting = self.waiting();
            match is_known {
                true => waiting.known.push_back(job),
                false => waiting.unknown.push_back(job),
            }
        }
        self.filled.notify_one();
        outcome.await.ok()
    }

    /// Processes the queue, without end.
    pub(super) async fn run(&self) {
        loop {
            self.filled.notified().await;
            let mut begin = Instant::now();
            loop {
                let Some(Job { mut work, done }) = self.waiting().next() else {
                    break;
                };
                // A connection that has ended needs no result.
                if done.is_closed() {
                    continue;
                }
                let outcome = work.compute();
                let _ended = done.send((work, outcome));
                if begin.elapsed() >= SLICE {
                    yield_now().await;
                    begin = Instant::now();
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<W>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Compute> Waiting<W> {
    /// Alternates between both kinds: a known address waits for at most one other job, and does not
    /// starve the unknown ones.
    fn next(&mut self) -> Option<Job<W>> {
        let is_known = match (self.known.is_empty(), self.unknown.is_empty()) {
            (false, false) => !self.was_known,
            (is_none_known, _) => !is_none_known,
        };
        self.was_known = is_known;
        match is_known {
            true => self.known.pop_front(),
            false => self.unknown.pop_front(),
        }
    }
}

/// Time to compute without yielding: several handshakes.
const SLICE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::task::JoinSet;

    /// Work that records when it was done.
    struct Noted(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Compute for Noted {
        type Outcome = ();

        fn compute(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    /// Returns the order in which work was done for jobs in this order. The last field of a job is
    /// whether it stays.
    async fn order(waiting: &[(&'static str, bool, bool)]) -> Vec<&'static str> {
        let queue = Arc::new(Queue::new());
        let noted = Arc::new(Mutex::new(Vec::new()));
        let (mut staying, mut leaving) = (JoinSet::new(), JoinSet::new());
        for (name, is_known, stays) in waiting.iter().copied() {
            let (queue, noted) = (Arc::clone(&queue), Arc::clone(&noted));
            let tasks = match stays {
                true => &mut staying,
                false => &mut leaving,
            };
            tasks.spawn(async move { queue.compute_in_turn(Noted(name, noted), is_known).await });
            yield_now().await;
        }
        leaving.shutdown().await;
        let mut worker = JoinSet::new();
        worker.spawn(async move { queue.run().await });
        while let Some(done) = staying.join_next().await {
            assert!(done.unwrap().is_some());
        }
        let noted = noted.lock().unwrap();
        noted.clone()
    }

    #[tokio::test]
    async fn turns_come_in_order() {
        let waiting = ["a", "b", "c", "d"].map(|name| (name, false, true));
        assert_eq!(order(&waiting).await, ["a", "b", "c", "d"]);
    }

    #[tokio::test]
    async fn a_known_address_waits_for_one_other_at_most_and_keeps_none_from_its_turn() {
        let waiting = [
            ("a", false, true),
            ("b", false, true),
            ("c", false, true),
            ("known 1", true, true),
            ("known 2", true, true),
            ("known 3", true, true),
            ("known 4", true, true),
            ("known 5", true, true),
        ];
        let expected = [
            "known 1", "a", "known 2", "b", "known 3", "c", "known 4", "known 5",
        ];
        assert_eq!(order(&waiting).await, expected);
    }

    #[tokio::test]
    async fn nothing_is_computed_for_who_has_left() {
        let waiting = [
            ("a", false, false),
            ("b", false, true),
            ("known", true, false),
        ];
        assert_eq!(order(&waiting).await, ["b"]);
    }

    #[tokio::test]
    async fn who_comes_later_has_a_turn_too() {
        let queue = Queue::new();
        let noted = Arc::new(Mutex::new(Vec::new()));
        let later = async {
            for name in ["a", "b"] {
                let done = queue
                    .compute_in_turn(Noted(name, Arc::clone(&noted)), false)
                    .await;
                assert!(done.is_some());
            }
        };
        tokio::select! {
            () = queue.run() => {}
            () = later => {}
        }
        assert_eq!(*noted.lock().unwrap(), ["a", "b"]);
    }
}
