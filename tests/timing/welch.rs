//! Welch's t between two classes of samples, without the slowest ones, which an interrupted core makes.

use super::samples::Sample;

/// The most that |t| is over all samples and over those below each of some percentiles.
///
/// dudect crops alike: what a comparison leaks is in its usual times, what disturbs it in the long tail.
pub(crate) fn most(samples: &[Sample]) -> f64 {
    let mut sorted: Vec<_> = samples.iter().map(|sample| sample.nanoseconds).collect();
    sorted.sort_unstable();
    let mut limits: Vec<u32> = (1..=CROPS)
        .map(|crop| 1.0 - 0.5_f64.powf(10.0 * f64::from(crop) / f64::from(CROPS)))
        .map(|share| percentile(&sorted, share))
        .collect();
    limits.push(u32::MAX);
    limits.dedup();
    limits
        .into_iter()
        .filter_map(|limit| t(samples, limit))
        .map(f64::abs)
        .fold(0.0, f64::max)
}

/// The mean of each class, without the slowest tenth.
pub(crate) fn means(samples: &[Sample]) -> [f64; 2] {
    let mut sorted: Vec<_> = samples.iter().map(|sample| sample.nanoseconds).collect();
    sorted.sort_unstable();
    let [one, other] = both(samples, percentile(&sorted, 0.9));
    [one.mean, other.mean]
}

/// Welch's t of what took no longer than `limit`; nothing of classes too small to tell.
fn t(samples: &[Sample], limit: u32) -> Option<f64> {
    let [one, other] = both(samples, limit);
    if one.number < FEWEST || other.number < FEWEST {
        return None;
    }
    let spread = one.variance() / one.number + other.variance() / other.number;
    let t = (one.mean - other.mean) / spread.sqrt();
    // Where nothing varies, nothing differs or everything does.
    Some(if t.is_nan() { 0.0 } else { t })
}

fn both(samples: &[Sample], limit: u32) -> [Class; 2] {
    let mut classes = [Class::default(), Class::default()];
    for sample in samples.iter().filter(|sample| sample.nanoseconds <= limit) {
        classes[usize::from(sample.second)].add(sample.nanoseconds.into());
    }
    classes
}

fn percentile(sorted: &[u32], share: f64) -> u32 {
    // A share is below one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a place in the list"
    )]
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)]
}

/// Mean and variance as they come (Welford).
#[derive(Debug, Default)]
struct Class {
    number: f64,
    mean: f64,
    squares: f64,
}

impl Class {
    fn add(&mut self, value: f64) {
        self.number += 1.0;
        let apart = value - self.mean;
        self.mean += apart / self.number;
        self.squares += apart * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / (self.number - 1.0)
    }
}

const CROPS: u32 = 100;
/// Samples of a class that say something.
const FEWEST: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Twice as many samples as the fewest, with these values in turn.
    fn samples(one: &[u32], other: &[u32]) -> Vec<Sample> {
        let class = |values: &[u32], second| -> Vec<_> {
            let values = values.iter().copied().cycle().take(2000);
            values
                .map(|nanoseconds| Sample {
                    nanoseconds,
                    second,
                })
                .collect()
        };
        [class(one, false), class(other, true)].concat()
    }

    #[test]
    fn t_is_that_of_the_textbook() {
        // Variances 2000/1999 and 8000/1999 (of 2000 samples each), means 11 and 12.
        let t = t(&samples(&[10, 12], &[10, 14]), u32::MAX).unwrap();
        let expected = -1.0 / ((2000.0 + 8000.0) / 1999.0 / 2000.0_f64).sqrt();
        assert!((t - expected).abs() < 1e-9, "{t} {expected}");
    }

    #[test]
    fn classes_that_are_alike_do_not_differ() {
        assert!(most(&samples(&[10, 11, 12], &[12, 10, 11])) < 0.1);
    }

    #[test]
    fn a_difference_shows_although_interruptions_hide_it() {
        let interrupted = |usual: u32| [usual; 40].into_iter().chain([1_000_000]).collect();
        let (one, other): (Vec<_>, Vec<_>) = (interrupted(20), interrupted(21));
        let all = samples(&[&one[..], &[19]].concat(), &[&other[..], &[22]].concat());
        assert!(t(&all, u32::MAX).unwrap().abs() < 4.5);
        assert!(most(&all) > 100.0);
    }
}
