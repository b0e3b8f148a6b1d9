//! Ring buffer of the latest log lines for log collection: those of this process and of related
//! processes.

use crate::clock;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Size of the ring in bytes: enough for several deployments, and little beside a machine's memory.
const RING_BYTES: usize = 2 << 20;

/// The latest log lines; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Ring(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
    mirror: Option<Box<dyn Tee>>,
    sources: Vec<Arc<dyn Source>>,
}

/// Line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Time of the event since boot: wall time may be set in between.
    pub at: Duration,
    /// Text with its line break.
    pub text: String,
}

/// Receives a copy of every line, so that it outlives this process.
pub trait Tee: fmt::Debug + Send {
    /// Writes a line.
    fn write(&self, line: &Line);
}

/// Log of another process.
pub trait Source: fmt::Debug + Send + Sync {
    /// Reads the lines, oldest first.
    fn lines(&self) -> Vec<Line>;
}

impl Ring {
    /// Continues the log of a previous process: its lines precede those logged here, and `mirror`
    /// receives all lines of this process.
    pub fn resume(&self, earlier: Vec<Line>, mirror: Box<dyn Tee>) {
        let mut ring = self.lines();
        ring.lines.iter().for_each(|line| mirror.write(line));
        for line in earlier.into_iter().rev() {
            ring.bytes += line.text.len();
            ring.lines.push_front(line);
        }
        ring.mirror = Some(mirror);
    }

    /// Adds the log of another process to [`Self::text`].
    pub fn add_source(&self, source: Arc<dyn Source>) {
        self.lines().sources.push(source);
    }

    /// Adds a line; removes the oldest ones beyond the limit.
    pub fn push(&self, text: String) {
        let mut ring = self.lines();
        // Within the lock, so that lines are in the order of their times.
        let line = Line {
            at: clock::since_boot(),
            text,
        };
        if let Some(mirror) = &ring.mirror {
            mirror.write(&line);
        }
        ring.bytes += line.text.len();
        ring.lines.push_back(line);
        while ring.bytes > RING_BYTES {
            let Some(oldest) = ring.lines.pop_front() else {
                break;
            };
            ring.bytes -= oldest.text.len();
            ring.dropped += 1;
        }
    }

    /// Returns all lines of this ring and of the other processes, oldest first, with the number of
    /// removed lines.
    #[must_use]
    pub fn text(&self) -> String {
        // The lock is released while the other logs are read, so that logging does not block.
        let sources = self.lines().sources.clone();
        let others: Vec<_> = sources.iter().flat_map(|source| source.lines()).collect();
        let ring = self.lines();
        let mut lines: Vec<_> = ring.lines.iter().chain(&others).collect();
        lines.sort_by_key(|line| line.at);
        let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
        let mut text = String::with_capacity(bytes + 64);
        if ring.dropped > 0 {
            let _infallible = writeln!(text, "({} older lines are gone)", ring.dropped);
        }
        lines.iter().for_each(|line| text.push_str(&line.text));
        text
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    impl Tee for Heard {
        fn write(&self, line: &Line) {
            self.0.lock().unwrap().push_str(&line.text);
        }
    }

    fn line(at: u64, text: &str) -> Line {
        Line {
            at: Duration::from_millis(at),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_log_that_goes_on_begins_with_what_was_said_before_and_tells_its_own_lines() {
        let (ring, heard) = (Ring::default(), Heard::default());
        let said = Arc::clone(&heard.0);
        ring.push("second\n".into());
        let earlier = vec![line(0, "zeroth\n"), line(1, "first\n")];
        ring.resume(earlier, Box::new(heard));
        ring.push("third\n".into());
        assert_eq!(ring.text(), "zeroth\nfirst\nsecond\nthird\n");
        assert_eq!(*said.lock().unwrap(), "second\nthird\n");
    }

    #[derive(Debug)]
    struct Other(Vec<Line>);

    impl Source for Other {
        fn lines(&self) -> Vec<Line> {
            self.0.clone()
        }
    }

    #[test]
    fn lines_of_other_processes_are_between_the_own_ones_in_the_order_of_time() {
        let ring = Ring::default();
        ring.push("own\n".into());
        let own = ring.lines().lines[0].at;
        let far = Duration::from_secs(1 << 40);
        let second = vec![
            line(0, "second process\n"),
            Line {
                at: far,
                ..line(0, "last\n")
            },
        ];
        ring.add_source(Arc::new(Other(vec![
            line(0, "first process\n"),
            Line {
                at: own,
                ..line(0, "at the same time\n")
            },
        ])));
        ring.add_source(Arc::new(Other(second)));
        assert_eq!(
            ring.text(),
            "first process\nsecond process\nown\nat the same time\nlast\n"
        );
    }
}
