//! Limits of what clients may use.

use std::time::Duration;

/// Resource limits of the API.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time: more than a network of 256 addresses has, so that single connections
    /// from it never block a new one. A further connection evicts one that never showed the token,
    /// from the network with most connections.
    pub connections: usize,
    /// Time for a connection to show the token, before one of a crowd as large as its own can evict
    /// it. It starts with the connection or with its turn at the handshake.
    pub grace: Duration,
    /// Timeout of the peer's part of the TLS handshake. The time in the queue does not count.
    pub handshake: Duration,
    /// Timeout of a request's head, and of an idle connection before it.
    pub head: Duration,
    /// Maximum size of a head in bytes (hyper requires at least 8 KiB).
    pub head_bytes: usize,
    /// Timeout of a pause within a body.
    pub body: Duration,
    /// Maximum size of the conductor's body in bytes, read only after authorization. A config drive
    /// of 64 MiB arrives as 86 MiB of base64.
    pub body_bytes: usize,
    /// Maximum size of the body of a caller other than the conductor, in bytes. One such body is
    /// read at a time, within the timeout of one pause.
    pub user_body_bytes: usize,
    /// Responses with results, the inventory or the log that callers other than the conductor are
    /// still receiving. The next response waits.
    pub user_answers: usize,
    /// Time for which an authorization is valid while a request of a caller other than the
    /// conductor waits. A changed policy may go unnoticed for the same time.
    pub decision: Duration,
    /// Time for responses in flight when the API shuts down.
    pub drain: Duration,
    /// Time in which a client that still sends may read the response that refused its body.
    pub linger: Duration,
    /// Delay of the response to the second wrong token from a network. Each further one doubles it.
    pub failure_delay: Duration,
    /// Maximum of that delay.
    pub failure_delay_max: Duration,
    /// Delayed responses at a time. The next one is sent at once.
    pub max_delayed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            grace: Duration::from_secs(1),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            head_bytes: 32 * 1024,
            body: Duration::from_secs(30),
            body_bytes: 100 * 1024 * 1024,
            user_body_bytes: 1024 * 1024,
            user_answers: 8,
            decision: Duration::from_secs(2),
            drain: Duration::from_secs(3),
            linger: Duration::from_secs(2),
            failure_delay: Duration::from_millis(50),
            failure_delay_max: Duration::from_secs(2),
            max_delayed: 32,
        }
    }
}
