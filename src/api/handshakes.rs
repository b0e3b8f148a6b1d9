//! Turns at the TLS handshake: it is what a stranger makes the agent compute for, so only so many are done at a time.
//!
//! A network begins one more only while more turns are free than it has taken: a flood from one address takes half of them at
//! most, one from two addresses three quarters, and there is always one for somebody else. Who dawdles loses the turn, and may
//! go on without: what takes long does not compute much.

use super::strangers::network;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The turns of one listener.
pub(super) struct Handshakes {
    taken: Mutex<Taken>,
    freed: Notify,
}

struct Taken {
    free: usize,
    by: HashMap<IpAddr, usize>,
}

/// Leave to do a handshake, until dropped.
struct Turn<'a> {
    of: &'a Handshakes,
    network: IpAddr,
}

impl Handshakes {
    pub(super) fn new(most: usize) -> Self {
        Self {
            taken: Mutex::new(Taken {
                free: most,
                by: HashMap::new(),
            }),
            freed: Notify::new(),
        }
    }

    /// Does a handshake when its turn has come; how long all of that may take is the caller's to bound.
    pub(super) async fn take_turn<F: Future>(&self, address: IpAddr, handshake: F) -> F::Output {
        let turn = self.turn(address).await;
        let mut handshake = pin!(handshake);
        let soon = timeout(DAWDLING, handshake.as_mut()).await;
        drop(turn);
        match soon {
            Ok(done) => done,
            Err(_) => handshake.await,
        }
    }

    async fn turn(&self, address: IpAddr) -> Turn<'_> {
        let network = network(address);
        loop {
            // Made before the look, so that a turn that is freed in between is not missed.
            let freed = self.freed.notified();
            if self.take(network) {
                return Turn { of: self, network };
            }
            freed.await;
        }
    }

    fn take(&self, network: IpAddr) -> bool {
        let mut taken = self.taken();
        let held = taken.by.get(&network).copied().unwrap_or_default();
        if taken.free <= held {
            return false;
        }
        taken.free -= 1;
        taken.by.insert(network, held + 1);
        true
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.free += 1;
        match taken.by.get_mut(&self.network) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                taken.by.remove(&self.network);
            }
        }
        drop(taken);
        self.of.freed.notify_waiters();
    }
}

/// As long as nobody needs who means it, even far away.
const DAWDLING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::task::{Context, Poll, Waker};

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// A turn, if there is one now.
    fn now(handshakes: &Handshakes, last: u8) -> Option<Turn<'_>> {
        let turn = pin!(handshakes.turn(address(last)));
        match turn.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_network_takes_half_of_the_turns_at_most() {
        let handshakes = Handshakes::new(32);
        let flood: Vec<_> = (0..1000).map_while(|_| now(&handshakes, 1)).collect();
        assert_eq!(flood.len(), 16);
        let second: Vec<_> = (0..1000).map_while(|_| now(&handshakes, 2)).collect();
        assert_eq!(second.len(), 8);
        assert!(now(&handshakes, 3).is_some());
    }

    #[test]
    fn turns_are_given_back_and_nothing_is_remembered() {
        let handshakes = Handshakes::new(2);
        for _ in 0..10 {
            let turn = now(&handshakes, 1).unwrap();
            assert!(now(&handshakes, 1).is_none());
            drop(turn);
        }
        let taken = handshakes.taken();
        assert_eq!((taken.free, taken.by.len()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_dawdles_in_many_networks_keeps_nobody_waiting_for_longer_than_a_second() {
        let handshakes = Handshakes::new(2);
        let begin = tokio::time::Instant::now();
        let dawdling = |last| handshakes.take_turn(address(last), pending::<()>());
        let other = handshakes.take_turn(address(3), async { begin.elapsed().as_secs() });
        let waited = tokio::select! {
            biased;
            () = dawdling(1) => None,
            () = dawdling(2) => None,
            waited = other => Some(waited),
        };
        assert_eq!(waited, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_without_a_turn_goes_on() {
        let handshakes = Handshakes::new(1);
        let slow = tokio::time::sleep(DAWDLING * 5);
        handshakes.take_turn(address(1), slow).await;
        assert_eq!(handshakes.taken().free, 1);
    }

    #[tokio::test]
    async fn who_waits_gets_the_turn_that_is_freed() {
        let handshakes = Handshakes::new(2);
        let turn = handshakes.turn(address(1)).await;
        let waiting = handshakes.turn(address(1));
        let (second, ()) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            drop(turn);
        });
        drop(second);
    }
}
