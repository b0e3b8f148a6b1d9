//! Times of single comparisons, of two classes of wrong tokens in random order.
//!
//! What is compared is made before anything is timed, with the same work for either class, and lies in the same few pages.

use std::hint::black_box;
use std::time::Instant;

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    FirstByte,
    LastByte,
    Random,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FirstByte => "first byte wrong",
            Self::LastByte => "last byte wrong",
            Self::Random => "all bytes random",
        }
    }

    /// Makes a wrong token out of random bytes.
    fn apply(self, token: &[u8], random: &mut [u8]) {
        let at = match self {
            Self::FirstByte => 0,
            Self::LastByte => token.len() - 1,
            Self::Random => return,
        };
        random.copy_from_slice(token);
        random[at] ^= 1;
    }
}

/// Nanoseconds, and which of the two classes it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) nanoseconds: u32,
    pub(crate) second: bool,
}

/// Times comparisons with tokens of two classes.
pub(crate) fn measure(
    token: &[u8],
    classes: [Class; 2],
    compare: &dyn Fn(&[u8]) -> bool,
) -> Vec<Sample> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut samples = Vec::with_capacity(NUMBER + BATCH);
    let mut presented = vec![0; BATCH * token.len()];
    let mut second = vec![false; BATCH];
    // The first batch warms everything up.
    let mut warm = false;
    while samples.len() < NUMBER {
        for (place, second) in presented.chunks_exact_mut(token.len()).zip(&mut second) {
            place.fill_with(|| chance.byte());
            *second = chance.byte() & 1 == 1;
            classes[usize::from(*second)].apply(token, place);
        }
        for (place, second) in presented.chunks_exact(token.len()).zip(&second) {
            let begin = Instant::now();
            let equal = black_box(compare(black_box(place)));
            let took = begin.elapsed();
            assert!(!equal, "a wrong token is taken");
            if warm {
                samples.push(Sample {
                    nanoseconds: u32::try_from(took.as_nanos()).unwrap_or(u32::MAX),
                    second: *second,
                });
            }
        }
        warm = true;
    }
    samples.truncate(NUMBER);
    samples
}

/// The same numbers every time (xorshift).
struct Chance(u64);

impl Chance {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[2]
    }
}

/// For each row of the table.
pub(crate) const NUMBER: usize = 1_000_000;
const BATCH: usize = 1000;
