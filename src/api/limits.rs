//! Bounds of what callers may take.

use std::time::Duration;

/// How much of the agent a stranger may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, more than a network of 256 addresses has: so one of it is never in a newcomer's way alone. The next
    /// connection ends one that never showed the token, of the network that has most.
    pub connections: usize,
    /// How long a connection has to show the token, from its beginning or its turn at the handshake on, before it makes room for others
    /// of a crowd as large as its own.
    pub grace: Duration,
    /// Time for the peer's part of the TLS handshake; waiting for turns is not its fault.
    pub handshake: Duration,
    /// Time for a request's head, and how long a connection may idle before it.
    pub head: Duration,
    /// Largest head (hyper wants 8 KiB at least).
    pub head_bytes: usize,
    /// Longest pause within a body.
    pub body: Duration,
    /// Largest body, read only after the token was right: a config drive of 64 MiB comes as 86 MiB of base64.
    pub body_bytes: usize,
    /// Largest body of a caller other than the conductor; one such body is read at a time, in as much time as one pause may take.
    pub user_body_bytes: usize,
    /// Answers with results, the inventory or the log that callers other than the conductor have not yet taken whole; the next one waits.
    pub user_answers: usize,
    /// How long it counts who may do what, for a request of a caller other than the conductor that waits: as long as a changed policy
    /// may go unnoticed.
    pub decision: Duration,
    /// Time for answers in flight when the API ends.
    pub drain: Duration,
    /// Time in which a caller who still sends may read the answer that refused its body.
    pub linger: Duration,
    /// What the second wrong token from a network waits for its answer; each further one waits twice as long.
    pub failure_delay: Duration,
    /// The longest such wait.
    pub failure_delay_max: Duration,
    /// Refused callers who are kept waiting at a time; the next one is answered at once.
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
