//! Throttles clients that fail authentication and rate-limits their log lines.
//!
//! A client with the right token never waits here. Wrong tokens, from whatever address, therefore
//! cannot lock out the conductor. The number of client addresses is bounded, and so is the number
//! of delayed responses.

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

/// Recent failures of clients, by network.
pub(super) struct AuthThrottle {
    /// Delays of the second wrong token and of each further one.
    waits: Backoff,
    /// One permit for each delayed response.
    waiting: Semaphore,
    book: Mutex<ClientTable>,
    /// Budget of debug log lines.
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

    /// Takes one debug log line from the budget of unauthenticated clients. Returns the number of
    /// suppressed lines before it, or nothing if the budget is exhausted.
    pub(super) fn take_debug_line(&self) -> Option<u64> {
        self.debug_lines.take()
    }

    /// Records a missing or wrong token, and waits for the delay of the client's network.
    ///
    /// If too many responses are delayed already, it returns at once: connections are scarcer than
    /// the time of a guessing client.
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

    /// Records a connection that sent neither TLS nor HTTP.
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

    /// Records a connection that was refused because there are too many.
    pub(super) fn note_eviction(&self, address: IpAddr) {
        if let (times, Some(untold)) = self.note(address, Fault::Crowd) {
            tracing::warn!(client = %address, times, untold, "Refused a connection: there are too many");
        }
    }

    /// Counts a failure of this network. Returns the count and, if it is to be logged, the number
    /// of suppressed events before it.
    fn note(&self, address: IpAddr, fault: Fault) -> (u64, Option<u64>) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.note(client_prefix(address), fault, Instant::now())
    }

    fn wait(&self, times: u64) -> Duration {
        // The first failure may be a mistake.
        let Some(doublings) = times.checked_sub(2) else {
            return Duration::ZERO;
        };
        self.waits
            .pause(u32::try_from(doublings).unwrap_or(u32::MAX))
    }
}

/// Kind of a client's failure.
#[derive(Clone, Copy)]
enum Fault {
    /// It connected when there were too many connections.
    Crowd,
    Protocol,
    Token,
}

/// Failure counts of one network, and the time of its last failure.
struct ClientFailures {
    crowd: u64,
    protocol: u64,
    token: u64,
    last: Instant,
}

/// Failures by network, and the log budget of this minute.
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

    /// Makes room for a network: removes its own expired entry, or else the entry with the oldest
    /// failure.
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

    /// Decides whether to log the failure: each network's first, second, fourth, eighth …, and for
    /// all networks together at most [`LINES_A_MINUTE`]. A client with many addresses must not fill
    /// the log either.
    fn should_log(&mut self, times: u64, now: Instant) -> Option<u64> {
        if times.is_power_of_two() {
            return self.minute.take(LINES_A_MINUTE, now);
        }
        self.minute.suppress();
        None
    }
}

/// Returns the prefix that identifies a client: the address for IPv4, the /64 for IPv6, which one
/// host may use in whole.
pub(super) fn client_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Networks in the table.
const NETWORKS: usize = 256;
/// Time after its last failure for which a network is counted.
const MEMORY: Duration = Duration::from_secs(600);
const LINES_A_MINUTE: u32 = 20;
/// At this rate, a log ring of 2 MiB holds more than an hour of everything else.
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

    /// Returns how many milliseconds a refusal takes.
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
        // Other clients are not delayed.
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
        // A response that was delayed frees its permit for the next one.
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
            // This one fails throughout.
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
        // Protocol errors are counted separately.
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
