//! What is remembered of callers who show no right token, so that guessing is slow and the log stays readable.
//!
//! A caller with the right token is let in before anything here is asked: nobody can lock the conductor out, from whatever
//! address, by showing wrong ones. Memory is bounded in addresses, and so is the number of callers who are made to wait.

use super::limits::Limits;
use crate::backoff::Backoff;
use crate::logging::{LogBudget, Minute};
use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The strangers of late, by network.
pub(super) struct AuthThrottle {
    /// What the second wrong token and each further one wait for their answers.
    waits: Backoff,
    /// One permit for each caller who may be kept waiting.
    waiting: Semaphore,
    book: Mutex<ClientTable>,
    /// Lines at the level that tells how things are done.
    debug_lines: LogBudget,
}

impl AuthThrottle {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            waits: Backoff {
                first: limits.failure_delay,
                max: limits.failure_delay_max,
            },
            waiting: Semaphore::new(limits.max_delayed),
            book: Mutex::new(ClientTable::new(Instant::now())),
            debug_lines: LogBudget::new(DEBUG_LINES_A_MINUTE),
        }
    }

    /// Takes one line for the debug log, if there is one left for callers without a right credential: the number of lines before it
    /// that were suppressed.
    pub(super) fn take_debug_line(&self) -> Option<u64> {
        self.debug_lines.take()
    }

    /// A caller showed no token, or a wrong one: notes it, and waits for as long as its network has earned.
    ///
    /// Where too many wait already the answer comes at once: connections are dearer than a guesser's time.
    pub(super) async fn delay_failure(&self, address: IpAddr) {
        let (times, report) = self.note(address, Fault::Token);
        if let Some(untold) = report {
            tracing::warn!(client = %address, times, untold, "Refused a caller without a right credential");
        }
        let wait = self.wait(times);
        if wait.is_zero() {
            return;
        }
        if let Ok(_permit) = self.waiting.try_acquire() {
            tokio::time::sleep(wait).await;
        }
    }

    /// A connection brought what is no TLS or no HTTP.
    pub(super) fn note_protocol_error(&self, address: IpAddr, reason: impl Display) {
        match self.note(address, Fault::Protocol) {
            (times, Some(untold)) => {
                tracing::warn!(client = %address, times, untold, %reason, "Ended a stranger's connection");
            }
            (_, None) => {
                if let Some(untold) = self.take_debug_line() {
                    tracing::debug!(client = %address, untold, %reason, "Ended a stranger's connection");
                }
            }
        }
    }

    /// There was no room for a connection.
    pub(super) fn note_eviction(&self, address: IpAddr) {
        if let (times, Some(untold)) = self.note(address, Fault::Crowd) {
            tracing::warn!(client = %address, times, untold, "Refused a connection: there are too many");
        }
    }

    /// How often this network did so, and whether to tell, with the number of events before that were not told.
    fn note(&self, address: IpAddr, fault: Fault) -> (u64, Option<u64>) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.note(client_prefix(address), fault, Instant::now())
    }

    fn wait(&self, times: u64) -> Duration {
        // The first one may be a mistake.
        let Some(doublings) = times.checked_sub(2) else {
            return Duration::ZERO;
        };
        self.waits
            .pause(u32::try_from(doublings).unwrap_or(u32::MAX))
    }
}

/// What a caller did wrong.
#[derive(Clone, Copy)]
enum Fault {
    /// It came when there was no room.
    Crowd,
    Protocol,
    Token,
}

/// What one network did, and when last.
struct ClientFailures {
    crowd: u64,
    protocol: u64,
    token: u64,
    last: Instant,
}

/// The records, and what was told of them in this minute.
struct ClientTable {
    records: HashMap<IpAddr, ClientFailures>,
    minute: Minute,
}

impl ClientTable {
    fn new(now: Instant) -> Self {
        Self {
            records: HashMap::new(),
            minute: Minute::new(now),
        }
    }

    fn note(&mut self, network: IpAddr, fault: Fault, now: Instant) -> (u64, Option<u64>) {
        self.forget(network, now);
        let record = self.records.entry(network).or_insert(ClientFailures {
            crowd: 0,
            protocol: 0,
            token: 0,
            last: now,
        });
        record.last = now;
        let times = match fault {
            Fault::Crowd => &mut record.crowd,
            Fault::Protocol => &mut record.protocol,
            Fault::Token => &mut record.token,
        };
        *times = times.saturating_add(1);
        let times = *times;
        (times, self.should_log(times, now))
    }

    /// Makes room for a network: those that were quiet for long are forgotten, else the one not heard of for the longest time.
    fn forget(&mut self, network: IpAddr, now: Instant) {
        let quiet = |record: &ClientFailures| now.saturating_duration_since(record.last) >= MEMORY;
        if self.records.get(&network).is_some_and(quiet) {
            self.records.remove(&network);
        }
        if self.records.len() < NETWORKS || self.records.contains_key(&network) {
            return;
        }
        let oldest = self.records.iter().min_by_key(|(_, record)| record.last);
        if let Some(oldest) = oldest.map(|(network, _)| *network) {
            self.records.remove(&oldest);
        }
    }

    /// Each network's first, second, fourth, eighth …, and of all networks together so many a minute: who has many addresses
    /// must not fill the log either.
    fn should_log(&mut self, times: u64, now: Instant) -> Option<u64> {
        if times.is_power_of_two() {
            return self.minute.take(LINES_A_MINUTE, now);
        }
        self.minute.suppress();
        None
    }
}

/// Whom an address belongs to, as far as that can be told: one host has a whole /64 of IPv6.
pub(super) fn client_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Networks that are remembered.
const NETWORKS: usize = 256;
/// How long one is.
const MEMORY: Duration = Duration::from_secs(600);
const LINES_A_MINUTE: u32 = 20;
/// With these a ring of 2 MiB holds more than an hour of everything else.
const DEBUG_LINES_A_MINUTE: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers(refused_waiting: usize) -> AuthThrottle {
        AuthThrottle::new(&Limits {
            max_delayed: refused_waiting,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Milliseconds that a refusal takes.
    async fn refused(strangers: &AuthThrottle, address: &str) -> u128 {
        let begin = Instant::now();
        strangers.delay_failure(ip(address)).await;
        begin.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wrong_token_of_a_network_waits_twice_as_long_up_to_two_seconds() {
        let strangers = strangers(1);
        for wait in [0, 50, 100, 200, 400, 800, 1600, 2000, 2000] {
            assert_eq!(refused(&strangers, "192.0.2.1").await, wait);
        }
        // Nobody else pays for it.
        assert_eq!(refused(&strangers, "192.0.2.2").await, 0);
        for _ in 0..100 {
            assert_eq!(refused(&strangers, "192.0.2.1").await, 2000);
        }
    }

    #[test]
    fn a_connection_without_room_is_a_line_in_the_log() {
        let text = crate::logging::tests::captured(crate::logging::Verbosity::Info, || {
            strangers(1).note_eviction(ip("192.0.2.1"));
        });
        let line = "Refused a connection: there are too many client=192.0.2.1 times=1 untold=0";
        assert_eq!(text.matches(line).count(), 1, "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_that_was_quiet_for_ten_minutes_begins_anew() {
        let strangers = strangers(1);
        for wait in [0, 50, 100] {
            assert_eq!(refused(&strangers, "192.0.2.1").await, wait);
        }
        tokio::time::advance(MEMORY - Duration::from_secs(1)).await;
        assert_eq!(refused(&strangers, "192.0.2.1").await, 200);
        tokio::time::advance(MEMORY).await;
        assert_eq!(refused(&strangers, "192.0.2.1").await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_callers_wait_than_may_and_the_others_are_answered_at_once() {
        let strangers = strangers(2);
        let address = "192.0.2.1";
        for _ in 0..8 {
            refused(&strangers, address).await;
        }
        let waits = tokio::join!(
            refused(&strangers, address),
            refused(&strangers, address),
            refused(&strangers, address),
        );
        assert_eq!(waits, (2000, 2000, 0));
        // Who has waited makes room for the next.
        assert_eq!(refused(&strangers, address).await, 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_addresses_of_one_host_count_as_one() {
        let strangers = strangers(1);
        assert_eq!(refused(&strangers, "2001:db8::1").await, 0);
        assert_eq!(refused(&strangers, "2001:db8::ffff:0:1").await, 50);
        assert_eq!(refused(&strangers, "2001:db8:0:1::1").await, 0);
        assert_eq!(refused(&strangers, "192.0.2.1").await, 0);
        assert_eq!(refused(&strangers, "::ffff:192.0.2.1").await, 50);
    }

    #[test]
    fn no_more_networks_are_remembered_than_fit_and_the_one_unheard_of_goes_first() {
        let begin = Instant::now();
        let mut book = ClientTable::new(begin);
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(number));
        let at = |number: u32| begin + Duration::from_millis(number.into());
        for number in 0..10_000 {
            book.note(address(number), Fault::Token, at(number));
            // This one is heard of all the time.
            book.note(ip("192.0.2.1"), Fault::Token, at(number));
            assert!(book.records.len() <= NETWORKS);
        }
        let later = at(10_000);
        assert_eq!(book.note(address(9_999), Fault::Token, later).0, 2);
        assert_eq!(book.note(address(0), Fault::Token, later).0, 1);
        assert_eq!(book.note(ip("192.0.2.1"), Fault::Token, later).0, 10_001);
    }

    #[test]
    fn the_first_of_a_network_is_told_and_then_every_doubling() {
        let now = Instant::now();
        let mut book = ClientTable::new(now);
        let told: Vec<_> = (0..1000)
            .map(|_| book.note(ip("192.0.2.1"), Fault::Token, now))
            .filter_map(|(times, untold)| untold.map(|untold| (times, untold)))
            .collect();
        let expected = [
            (1, 0),
            (2, 0),
            (4, 1),
            (8, 3),
            (16, 7),
            (32, 15),
            (64, 31),
            (128, 63),
            (256, 127),
            (512, 255),
        ];
        assert_eq!(told, expected);
        // What is no TLS is counted apart.
        assert_eq!(book.note(ip("192.0.2.1"), Fault::Protocol, now).0, 1);
    }

    #[test]
    fn who_has_many_addresses_does_not_fill_the_log() {
        let begin = Instant::now();
        let mut book = ClientTable::new(begin);
        let mut lines = |minute: u32| {
            let now = begin + Duration::from_secs(60) * minute;
            (0..5_000_u32)
                .filter(|number| {
                    let address = std::net::Ipv4Addr::from(minute * 10_000 + number);
                    book.note(address.into(), Fault::Token, now).1.is_some()
                })
                .count()
        };
        assert_eq!([lines(0), lines(1), lines(2)], [20, 20, 20]);
    }
}
