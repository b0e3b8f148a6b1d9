//! Retry policy of lookups, and random numbers.

use super::error::Error;
use crate::backoff::Backoff;
use crate::config::Config;
use crate::error::chain;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Function that returns a number from 0 up to 1: random, or fixed by a test.
pub(super) type RandomUnit = fn() -> f64;

/// Retry policy of lookups (IPA: `ironic_api_client.lookup_node`).
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Minimum wait between two attempts.
    pub interval: Duration,
    /// Timeout of all attempts together.
    pub timeout: Duration,
    /// Source of random waits, each value from 0 up to 1.
    pub random: fn() -> f64,
}

impl RetryPolicy {
    /// Returns the configured policy.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            interval: config.lookup_interval,
            timeout: config.lookup_timeout,
            random: random_unit,
        }
    }

    /// Retries until an attempt succeeds, fails for good, or the timeout has expired.
    pub(super) async fn run<T, F>(
        &self,
        cancel: &CancellationToken,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let begin = Instant::now();
        let mut waits = Waits::new(self);
        loop {
            let outcome = tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                outcome = attempt() => outcome,
            };
            let error = match outcome {
                Err(error) if !is_final(&error) => error,
                other => return other,
            };
            let after = begin.elapsed();
            if after >= self.timeout {
                return Err(Error::LookupTimeout {
                    after,
                    last: Box::new(error),
                });
            }
            let wait = waits.next(&error);
            tracing::warn!(
                error = chain(&error),
                seconds = wait.as_secs(),
                "lookup failed: trying again"
            );
            tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

fn is_final(error: &Error) -> bool {
    matches!(error, Error::NoUrl | Error::UnsupportedVersion { .. })
}

/// Waits after failed lookups: random, from a range that grows exponentially; longer while the node
/// is locked.
struct Waits {
    law: RetryPolicy,
    /// Number of failures.
    failures: u32,
    /// Number of consecutive conflicts.
    conflicts: usize,
}

impl Waits {
    fn new(law: &RetryPolicy) -> Self {
        Self {
            law: *law,
            failures: 0,
            conflicts: 0,
        }
    }

    fn next(&mut self, error: &Error) -> Duration {
        let wait = random_between(
            self.law.random,
            self.law.interval,
            RANGES.pause(self.failures).max(self.law.interval),
        );
        self.failures = self.failures.saturating_add(1);
        if matches!(error, Error::Answer { code: 409, .. }) {
            let pause = CONFLICT_PAUSES.get(self.conflicts).unwrap_or(&PAUSE_MAX);
            self.conflicts += 1;
            return wait + *pause;
        }
        self.conflicts = 0;
        wait
    }
}

/// Returns a random duration from a range.
pub(super) fn random_between(chance: RandomUnit, low: Duration, high: Duration) -> Duration {
    low + high.saturating_sub(low).mul_f64(chance().clamp(0.0, 1.0))
}

/// Returns a random number from 0 up to 1, from the TLS provider. Without randomness all agents
/// wait equally long, which is harmless.
#[must_use]
pub fn random_unit() -> f64 {
    f64::from(u32::from_be_bytes(random_bytes())) / 4_294_967_296.0
}

pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0x80; N];
    if let Err(error) = crate::tls::provider().secure_random.fill(&mut bytes) {
        tracing::debug!(?error, "there is no randomness");
    }
    bytes
}

/// Upper limits of the ranges.
const RANGES: Backoff = Backoff {
    first: Duration::from_secs(1),
    max: Duration::from_secs(60),
};
const PAUSE_MAX: Duration = Duration::from_secs(30);
const CONFLICT_PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(10), PAUSE_MAX];

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn answer(code: u16) -> Error {
        Error::Answer {
            code,
            text: "no".into(),
        }
    }

    fn law(timeout: u64, chance: RandomUnit) -> RetryPolicy {
        RetryPolicy {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(timeout),
            random: chance,
        }
    }

    fn waits(chance: RandomUnit, codes: &[u16]) -> Vec<f64> {
        let mut waits = Waits::new(&law(600, chance));
        codes
            .iter()
            .map(|code| waits.next(&answer(*code)).as_secs_f64())
            .collect()
    }

    #[test]
    fn the_range_doubles_up_to_a_minute() {
        assert_eq!(
            waits(|| 1.0, &[404; 9]),
            [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        );
        assert_eq!(waits(|| 0.0, &[404; 9]), [1.0; 9]);
        assert_eq!(waits(|| 0.5, &[404; 3]), [1.0, 1.5, 2.5]);
    }

    #[test]
    fn a_conflict_pauses_longer_each_time_until_another_answer_comes() {
        assert_eq!(
            waits(|| 0.0, &[409, 409, 409, 409, 404, 409]),
            [6.0, 11.0, 31.0, 31.0, 1.0, 6.0]
        );
    }

    #[test]
    fn chance_stays_in_its_range() {
        for _ in 0..100 {
            assert!((0.0..1.0).contains(&random_unit()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_are_tried_until_one_succeeds() {
        let begin = Instant::now();
        let at = RefCell::new(Vec::new());
        let result = law(600, || 1.0)
            .run(&CancellationToken::new(), || {
                at.borrow_mut().push(begin.elapsed().as_secs());
                let done = at.borrow().len() == 5;
                async move { if done { Ok(()) } else { Err(answer(404)) } }
            })
            .await;
        assert!(result.is_ok());
        assert_eq!(*at.borrow(), [0, 1, 3, 7, 15]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_told_when_the_time_is_over() {
        let error = law(20, || 1.0)
            .run(&CancellationToken::new(), || async {
                Err::<(), _>(answer(404))
            })
            .await
            .unwrap_err();
        assert_eq!(
            chain(&error),
            "no lookup succeeded in 31 seconds: error 404: no"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_without_tokens_is_not_asked_twice() {
        let old = || async {
            Err::<(), _>(Error::UnsupportedVersion {
                found: "1.31".parse().unwrap(),
                needed: "1.62".parse().unwrap(),
            })
        };
        let error = law(600, || 1.0)
            .run(&CancellationToken::new(), old)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Ironic's API speaks version 1.31 at most, and agents need 1.62 for their token: upgrade Ironic"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_the_agent_does() {
        let cancel = CancellationToken::new();
        let attempt = || {
            cancel.cancel();
            async { Err::<(), _>(answer(404)) }
        };
        let result = law(600, || 1.0).run(&cancel, attempt).await;
        assert!(matches!(result, Err(Error::Cancelled)));
    }
}
