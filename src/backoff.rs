//! Pauses between attempts: each twice as long as the one before, up to a longest (binary exponential backoff).

use std::time::Duration;

/// How long to wait before an attempt, by the number of those that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// No pause is longer.
    pub max: Duration,
}

impl Backoff {
    /// The pause after so many failures before the last one: zero of them give the first pause.
    #[must_use]
    pub fn pause(self, earlier: u32) -> Duration {
        let factor = 2_u32.checked_pow(earlier).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }

    /// The pauses in a row that are as long as `limit` together; none are zero.
    pub fn within(self, limit: Duration) -> impl Iterator<Item = Duration> {
        let mut left = limit;
        (0..).map_while(move |earlier| {
            let pause = self.pause(earlier).min(left);
            left = left.saturating_sub(pause);
            (!pause.is_zero()).then_some(pause)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(first: u64, longest: u64) -> Backoff {
        Backoff {
            first: Duration::from_millis(first),
            max: Duration::from_millis(longest),
        }
    }

    fn millis(pauses: impl Iterator<Item = Duration>) -> Vec<u128> {
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_after_any_number_of_failures() {
        let of = |earlier| backoff(1000, 60_000).pause(earlier).as_secs();
        assert_eq!(
            [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(of),
            [1, 2, 4, 32, 60, 60, 60, 60]
        );
        assert_eq!(backoff(3000, 1000).pause(0), Duration::from_secs(1));
    }

    #[test]
    fn pauses_within_a_limit_sum_up_to_it() {
        let within = |limit| backoff(50, 300).within(Duration::from_millis(limit));
        assert_eq!(millis(within(1000)), [50, 100, 200, 300, 300, 50]);
        assert_eq!(millis(within(0)), [0; 0]);
        assert_eq!(
            millis(backoff(50, 0).within(Duration::from_secs(3))),
            [0; 0]
        );
    }
}
