//! Log events: one line each on the console, and the latest of them in a ring buffer from which log collection takes them.
//!
//! A line is `time level where: sentence key=value …`. What is secret never gets here: secret types print as `[redacted]`,
//! and the rooms that see secrets in texts (a request's query) mask them before they make an event.

use crate::clock;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

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

/// Which events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// What an operator needs to follow a deployment.
    Info,
    /// How it is done, too.
    Debug,
}

/// The process's log, once started.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The latest lines.
    pub ring: Ring,
    debug: Arc<AtomicBool>,
}

impl Log {
    /// Changes which events are told from now on.
    pub fn set_verbosity(&self, verbosity: Verbosity) {
        self.debug
            .store(verbosity == Verbosity::Debug, Ordering::Relaxed);
    }
}

/// Starts logging for the whole process, as an operator needs it: to standard error and into the ring. Only the first call
/// counts; a later one's log stays empty.
///
/// A panic is told by its place alone from then on: its text may hold whatever was at hand, and the usual hook prints it.
#[must_use]
pub fn start() -> Log {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(Console(log.clone()));
    // Only a second start fails, and then the first one's subscriber goes on.
    let _already_started = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| tell_panic(panic.location())));
    log
}

fn tell_panic(place: Option<&Location<'_>>) {
    let place = place.map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a defect in the agent: a thread panicked");
}

struct Console(Log);

impl Console {
    /// Ours at the chosen level, the libraries' only when something is wrong.
    fn tells(&self, target: &str, level: Level) -> bool {
        let ours = target.starts_with("ferrite");
        let limit = match self.0.debug.load(Ordering::Relaxed) {
            _ if !ours => Level::WARN,
            false => Level::INFO,
            true => Level::DEBUG,
        };
        level <= limit
    }
}

impl<S: Subscriber> Layer<S> for Console {
    /// The verbosity changes while the process runs: no answer of [`Self::enabled`] may be kept.
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        self.tells(metadata.target(), *metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let target = metadata.target();
        let target = target.strip_prefix("ferrite::").unwrap_or(target);
        let mut line = format!("{} {:5} {target}: ", now(), metadata.level());
        event.record(&mut Sentence(&mut line));
        line.push('\n');
        // A console that is gone must not stop the agent; the ring has the line.
        let _gone = std::io::stderr().lock().write_all(line.as_bytes());
        self.0.ring.push(line);
    }
}

/// The time of day as `2026-11-23T04:20:11.250Z`.
fn now() -> String {
    let since = clock::since_epoch();
    i64::try_from(since.as_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"))
}

struct Sentence<'a>(&'a mut String);

impl Visit for Sentence<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.text(value),
            _ if value.contains([' ', '"']) => self.pair(field, format_args!("{value:?}")),
            _ => self.pair(field, format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text(&format!("{value:?}")),
            _ => self.pair(field, format_args!("{value:?}")),
        }
    }
}

impl Sentence<'_> {
    /// The message stays one line: a stranger's line breaks cannot forge another event.
    fn text(&mut self, message: &str) {
        for character in message.chars() {
            match character {
                '\n' | '\r' => self.0.push(' '),
                c if c.is_control() => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    fn pair(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.0.push(' ');
        self.0.push_str(field.name());
        self.0.push('=');
        self.text(&value.to_string());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the log says of it.
    pub(crate) fn told(verbosity: Verbosity, tell: impl FnOnce()) -> String {
        let log = Log::default();
        log.set_verbosity(verbosity);
        let subscriber = tracing_subscriber::registry().with(Console(log.clone()));
        tracing::subscriber::with_default(subscriber, tell);
        log.ring.text()
    }

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let text = told(Verbosity::Info, || {
            tracing::info!(target: "ferrite::imaging", device = "/dev/sda", bytes = 5, "image written");
        });
        assert!(
            text.ends_with(" INFO  imaging: image written device=/dev/sda bytes=5\n"),
            "{text}"
        );
    }

    #[test]
    fn a_line_break_in_a_value_cannot_forge_another_line() {
        let text = told(Verbosity::Info, || {
            tracing::info!(target: "ferrite::api", agent = %"a\nb\u{1b}[2J", "request\r\nanswered");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("request  answered agent=a b\u{fffd}[2J"),
            "{text}"
        );
    }

    #[test]
    fn debug_events_and_the_libraries_chatter_are_told_only_on_demand() {
        let events = || {
            tracing::debug!(target: "ferrite::api", "ours");
            tracing::info!(target: "hyper", "theirs");
        };
        assert_eq!(told(Verbosity::Info, events), "");
        assert!(told(Verbosity::Debug, events).ends_with("DEBUG api: ours\n"));
    }

    #[test]
    fn a_panic_is_told_by_its_place() {
        let place = Location::caller();
        let text = told(Verbosity::Info, || tell_panic(Some(place)));
        assert!(
            text.ends_with(&format!(
                " ERROR logging: a defect in the agent: a thread panicked place={place}\n"
            )),
            "{text}"
        );
    }

    #[test]
    fn the_verbosity_can_change_while_the_process_runs() {
        let log = Log::default();
        let subscriber = tracing_subscriber::registry().with(Console(log.clone()));
        tracing::subscriber::with_default(subscriber, || {
            for verbosity in [Verbosity::Info, Verbosity::Debug, Verbosity::Info] {
                log.set_verbosity(verbosity);
                tracing::debug!(target: "ferrite::api", ?verbosity, "how");
            }
        });
        assert!(
            log.ring
                .text()
                .ends_with("DEBUG api: how verbosity=Debug\n")
        );
        assert_eq!(log.ring.text().lines().count(), 1);
    }

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
