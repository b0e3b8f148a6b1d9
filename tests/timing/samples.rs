//! Times of single comparisons, of two classes of wrong tokens in random order.
//!
//! What is compared is made before anything is timed, with the same work for either class.

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
            Self::Random => "all characters random",
        }
    }

    /// Makes a wrong token out of random characters.
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

/// Times what is done with tokens of two classes, once something was prepared of each.
pub(crate) fn measure<T>(
    token: &[u8],
    classes: [Class; 2],
    prepare: &dyn Fn(&[u8]) -> T,
    accepts: &dyn Fn(&T) -> bool,
) -> Vec<Sample> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut samples = Vec::with_capacity(NUMBER + BATCH);
    let mut presented = vec![0; token.len()];
    let mut batch = Vec::with_capacity(BATCH);
    // The first batch warms everything up.
    let mut warm = false;
    while samples.len() < NUMBER {
        batch.clear();
        for _ in 0..BATCH {
            presented.fill_with(|| chance.character());
            let second = chance.byte() & 1 == 1;
            classes[usize::from(second)].apply(token, &mut presented);
            batch.push((prepare(&presented), second));
        }
        for (prepared, second) in &batch {
            let begin = Instant::now();
            let accepted = black_box(accepts(black_box(prepared)));
            let took = begin.elapsed();
            assert!(!accepted, "a wrong token is taken");
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

    /// One that a query's parameter holds as it is.
    fn character(&mut self) -> u8 {
        CHARACTERS[usize::from(self.byte() & 0x3f)]
    }
}

/// Base64's for URLs (RFC 4648, section 5), of which tokens are made.
const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// For each row of the table.
pub(crate) const NUMBER: usize = 1_000_000;
const BATCH: usize = 200;
