//! The latest lines of the log, for log collection.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
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
    mirror: Option<Box<dyn Mirror>>,
}

/// Who is told every line, so that it outlives this process.
pub trait Mirror: fmt::Debug + Send {
    /// Takes a line with its end.
    fn tell(&self, line: &str);
}

impl Ring {
    /// Goes on where a process before this one ended: its text comes before what was said here, and `mirror` is told all of this
    /// process.
    pub fn resume(&self, earlier: &str, mirror: Box<dyn Mirror>) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.lines.iter().for_each(|line| mirror.tell(line));
        for line in earlier.split_inclusive('\n').rev() {
            ring.bytes += line.len();
            ring.lines.push_front(line.to_owned());
        }
        ring.mirror = Some(mirror);
    }

    /// Keeps a line; the oldest leave when there are too many.
    pub fn push(&self, line: String) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mirror) = &ring.mirror {
            mirror.tell(&line);
        }
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

    #[derive(Debug, Default)]
    struct Heard(Arc<Mutex<String>>);

    impl Mirror for Heard {
        fn tell(&self, line: &str) {
            self.0.lock().unwrap().push_str(line);
        }
    }

    #[test]
    fn a_log_that_goes_on_begins_with_what_was_said_before_and_tells_its_own_lines() {
        let (ring, heard) = (Ring::default(), Heard::default());
        let said = Arc::clone(&heard.0);
        ring.push("second\n".into());
        ring.resume("zeroth\nfirst\n", Box::new(heard));
        ring.push("third\n".into());
        assert_eq!(ring.text(), "zeroth\nfirst\nsecond\nthird\n");
        assert_eq!(*said.lock().unwrap(), "second\nthird\n");
    }
}
