//! Limits log lines, for a process in which any host on a link can cause them.
//!
//! It counts by the source location and the interface of an event. A flood on one link therefore
//! hides no event of another, and no line needs its own limit. It is independent of the outputs.

use super::budget::Minute;
use super::event::{Pair, Record};
use std::collections::HashMap;
use tokio::time::Instant;
use tracing::{Level, Metadata};

/// Line counts of the last minute.
#[derive(Debug, Default)]
pub(super) struct Limit(HashMap<(Place, Option<String>), Minute>);

/// Source location: a module and a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(&'static str, Option<u32>);

impl Place {
    /// Returns the source location of an event.
    pub(super) fn of(metadata: &Metadata<'static>) -> Self {
        Self(
            metadata.module_path().unwrap_or_else(|| metadata.target()),
            metadata.line(),
        )
    }
}

impl Limit {
    /// Returns the records to log for this one. They are the record itself, the number of lines
    /// suppressed in an earlier minute, a notice that further lines are suppressed, or nothing.
    pub(super) fn pass(&mut self, place: Place, told: Record, now: Instant) -> Vec<Record> {
        if self.0.len() >= MAX_PLACES {
            self.0.retain(|_, minute| !minute.is_over(now));
        }
        let minute = self
            .0
            .entry((place, told.interface().map(str::to_owned)))
            .or_insert_with(|| Minute::new(now));
        match minute.take(MAX_LINES, now) {
            Some(0) => vec![told],
            Some(left_out) => vec![
                told.like("left out lines like this one", Some(left_out)),
                told,
            ],
            None if minute.suppressed() == 1 => {
                vec![told.like("leaving out lines like this one for a minute", None)]
            }
            None => Vec::new(),
        }
    }
}

impl Record {
    fn interface(&self) -> Option<&str> {
        let mut fields = self.fields.iter();
        let interface = fields.find(|field| field.name == "interface");
        interface.map(|field| field.value.as_str())
    }

    /// Creates a record about lines like this one.
    fn like(&self, sentence: &str, lines: Option<u64>) -> Self {
        let pair = |name, value: &str, quoted| Pair {
            name,
            value: value.to_owned(),
            quoted,
        };
        let like = Some(pair("like", &self.sentence, true));
        let interface = self.interface();
        let interface = interface.map(|interface| pair("interface", interface, false));
        let lines = lines.map(|lines| pair("lines", &lines.to_string(), false));
        Self {
            time: self.time,
            level: Level::WARN,
            room: self.room.clone(),
            sentence: sentence.to_owned(),
            fields: [interface, like, lines].into_iter().flatten().collect(),
        }
    }
}

/// Maximum number of lines a minute, per location and interface.
const MAX_LINES: u32 = 20;
/// Number of entries at which those that were quiet for a minute are removed. Locations are finite
/// in the program, and interfaces in the machine.
const MAX_PLACES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::budget::MINUTE;
    use crate::logging::tests::log_of;
    use std::time::Duration;

    fn texts(limit: &mut Limit, interface: &str, now: Instant) -> Vec<String> {
        let told = Record {
            time: None,
            level: Level::INFO,
            room: "network".to_owned(),
            sentence: "got an address".to_owned(),
            fields: vec![Pair {
                name: "interface",
                value: interface.to_owned(),
                quoted: false,
            }],
        };
        let logged = limit.pass(Place("ferrite::network", Some(1)), told, now);
        logged.iter().map(Record::text).collect()
    }

    #[test]
    fn each_minute_has_its_lines_and_the_next_one_counts_the_others() {
        let start = Instant::now();
        let mut limit = Limit::default();
        let line = ["got an address interface=eth0"];
        for _ in 0..MAX_LINES {
            assert_eq!(texts(&mut limit, "eth0", start), line);
        }
        assert_eq!(
            texts(&mut limit, "eth0", start),
            ["leaving out lines like this one for a minute interface=eth0 like=\"got an address\""]
        );
        let end = start + MINUTE;
        for _ in 0..100 {
            let last = end - Duration::from_millis(1);
            assert_eq!(texts(&mut limit, "eth0", last), [""; 0]);
        }
        // Lines of another interface are counted separately.
        assert_eq!(
            texts(&mut limit, "eth1", start),
            ["got an address interface=eth1"]
        );
        assert_eq!(
            texts(&mut limit, "eth0", end),
            [
                "left out lines like this one interface=eth0 like=\"got an address\" lines=101",
                line[0]
            ]
        );
        assert_eq!(texts(&mut limit, "eth0", end), line);
        assert_eq!(texts(&mut limit, "eth0", end + MINUTE), line);
    }

    #[test]
    fn quiet_places_are_forgotten() {
        let start = Instant::now();
        let mut limit = Limit::default();
        for number in 0..MAX_PLACES {
            texts(&mut limit, &format!("eth{number}"), start);
        }
        assert_eq!(limit.0.len(), MAX_PLACES);
        texts(&mut limit, "eth0", start + MINUTE);
        assert_eq!(limit.0.len(), 1);
    }

    #[test]
    fn events_are_limited_by_their_place_where_that_is_wanted() {
        let lines = |limited: bool| {
            let log = log_of(Verbosity::Debug, |log| {
                if limited {
                    log.limit_lines();
                }
                for number in 0..100 {
                    tracing::debug!(target: "ferrite::network", number, "passed over a message");
                    if number < 20 {
                        tracing::error!(target: "ferrite::network", "cannot add a route");
                    }
                }
            });
            log.ring.text().lines().count()
        };
        assert_eq!((lines(false), lines(true)), (120, 41));
    }
}
