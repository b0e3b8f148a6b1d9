//! An agent without a token: silent on the network for good, and loud on the console, for whoever stands before the machine.

use crate::clock;
use crate::conductor::lookup::NoToken;
use jiff::Timestamp;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// What is known of why there is no token.
#[derive(Debug)]
pub(super) struct MissingToken {
    pub(super) node: Uuid,
    pub(super) reason: NoToken,
    /// When the agent asked.
    pub(super) asked_at: Timestamp,
    /// How old the agent was then.
    pub(super) age: Duration,
}

impl MissingToken {
    /// What an answer that came now says of a node.
    pub(super) fn now(node: Uuid, reason: NoToken, begun: Instant) -> Self {
        Self {
            node,
            reason,
            asked_at: timestamp(clock::since_epoch()),
            age: begun.elapsed(),
        }
    }

    /// Tells what happened, what may be behind it, and what can be done.
    fn warn(&self) {
        let Self {
            node,
            reason,
            asked_at,
            age,
        } = self;
        let age = age.as_secs();
        match reason {
            NoToken::AlreadyIssued => tracing::error!(
                %node,
                "the agent stays silent, no API, no heartbeat: {reason}. That was before {asked_at}, when this agent was {age} \
                 seconds old and asked for the first time. Either ANOTHER MACHINE asked in this one's name (one with a MAC address \
                 of this machine), or an agent was started here before and its memory is gone (below `ferrite init`, `ferrite supervise` or \
                 with systemd's store of descriptors it outlives its own end). Find out which, then let Ironic \
                 restart the machine, so that the old token is worthless: baremetal node reboot {node}"
            ),
            NoToken::Invalid(_) | NoToken::NeverGiven => tracing::error!(
                %node,
                "the agent stays silent, no API, no heartbeat: {reason}. It was told so at {asked_at}, {age} seconds old. Let Ironic restart the machine: baremetal node reboot {node}"
            ),
        }
    }

    /// Tells it at once and every few minutes, for a console scrolls and its reader comes late, until the agent is to end.
    /// Nothing else happens: whoever has the token must not be told that there is a second agent, nor get another try.
    pub(super) async fn warn_until(&self, end: impl Future<Output = ()>) {
        self.repeat(end, Self::warn).await;
    }

    async fn repeat(&self, end: impl Future<Output = ()>, mut log: impl FnMut(&Self)) {
        let mut end = std::pin::pin!(end);
        loop {
            log(self);
            if tokio::time::timeout(WARN_INTERVAL, end.as_mut())
                .await
                .is_ok()
            {
                return;
            }
        }
    }
}

fn timestamp(since_epoch: Duration) -> Timestamp {
    let seconds = i64::try_from(since_epoch.as_secs()).ok();
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or_default()
}

const WARN_INTERVAL: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn missing_token() -> MissingToken {
        MissingToken::now(Uuid::nil(), NoToken::AlreadyIssued, Instant::now())
    }

    /// When it was told, in seconds, by an agent that ends after so many.
    async fn logged_within(seconds: u64) -> Vec<u64> {
        let begin = Instant::now();
        let mut logged = Vec::new();
        let end = tokio::time::sleep(Duration::from_secs(seconds));
        let log = |_: &MissingToken| logged.push(begin.elapsed().as_secs());
        missing_token().repeat(end, log).await;
        logged
    }

    #[tokio::test(start_paused = true)]
    async fn the_reason_is_told_at_once_and_then_every_five_minutes_until_the_end() {
        assert_eq!(logged_within(0).await, [0]);
        assert_eq!(logged_within(299).await, [0]);
        assert_eq!(logged_within(1000).await, [0, 300, 600, 900]);
        assert_eq!(logged_within(24 * 3600 + 1).await.len(), 289);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_end_by_itself() {
        let day = Duration::from_secs(24 * 3600);
        let missing_token = missing_token();
        let repeated = missing_token.repeat(pending(), |_| ());
        assert!(tokio::time::timeout(day, repeated).await.is_err());
    }

    #[test]
    fn the_time_of_the_question_is_a_date() {
        let at = timestamp(Duration::from_millis(1_700_000_000_250));
        assert_eq!(at.to_string(), "2023-11-14T22:13:20Z");
    }
}
