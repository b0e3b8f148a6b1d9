//! The latest lines of the log, for log collection.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of log text kept for collection: several deployments' worth, little beside a machine's memory.
const RING_BYTES: usize = 2 << 20;

/// The latest lines of the log; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Ring(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Ring {
    /// Keeps a line; the oldest leave when there are too many.
    pub fn push(&self, line: String) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += line.len();
        ring.lines.push_back(line);
        while ring.bytes > RING_BYTES {
            let Some(oldest) = ring.lines.pop_front() else {
                break;
            };
            ring.bytes -= oldest.len();
            ring.dropped += 1;
        }
    }

    /// All lines kept, oldest first; says how many older ones are gone.
    #[must_use]
    pub fn text(&self) -> String {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::with_capacity(ring.bytes + 64);
        if ring.dropped > 0 {
            let _infallible = writeln!(text, "({} older lines are gone)", ring.dropped);
        }
        ring.lines.iter().for_each(|line| text.push_str(line));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_latest_lines_within_its_bound() {
        let ring = Ring::default();
        let line = "x".repeat(RING_BYTES / 4 - 1) + "\n";
        (0..6).for_each(|_| ring.push(line.clone()));
        assert_eq!(
            ring.text(),
            format!("(2 older lines are gone)\n{}", line.repeat(4))
        );
    }
}
