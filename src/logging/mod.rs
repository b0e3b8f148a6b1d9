//! Logs events: to the console or the configured outputs, and the latest into a ring buffer for log
//! collection.
//!
//! A line is `time level where: sentence key=value …`. Secrets rarely get here: secret types print
//! as `[redacted]`, and modules that handle secrets in texts (a request's query) mask them before
//! they log. The redactor masks the remaining ones before any output. Every output receives the
//! same texts, so that none reveals more than the console.

mod budget;
mod event;
mod limit;
mod outputs;
mod queue;
mod ring;
mod sockets;
mod stderr;

pub(crate) use budget::{LogBudget, Minute};
pub use outputs::Settings;
pub use queue::{LineQueue, Sink};
pub use ring::{Line, Ring, Source, Tee};
pub use stderr::{flush, print};

use crate::root::Root;
use event::Record;
use limit::{Limit, Place};
use outputs::Outputs;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::time::Instant;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Log level of the agent's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Events that an operator needs to follow a deployment.
    Info,
    /// Additionally the details of operation.
    Debug,
}

/// Log of the process, once started.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The latest lines.
    pub ring: Ring,
    debug: Arc<AtomicBool>,
    limit: Arc<Mutex<Option<Limit>>>,
    outputs: Arc<RwLock<Outputs>>,
}

impl Log {
    /// Changes the log level.
    pub fn set_verbosity(&self, verbosity: Verbosity) {
        self.debug
            .store(verbosity == Verbosity::Debug, Ordering::Relaxed);
    }

    /// Limits the log to 20 lines a minute for each source location and interface, and counts the
    /// suppressed ones. It is for a process in which any host on a link can cause lines.
    pub fn limit_lines(&self) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.get_or_insert_default();
    }

    /// Switches to the configured outputs. Unusable ones are logged and replaced by standard error.
    pub fn send_to(&self, root: &Root, settings: &Settings) {
        let (outputs, problems) = Outputs::open(root, settings);
        *self.outputs.write().unwrap_or_else(PoisonError::into_inner) = outputs;
        for problem in problems {
            tracing::warn!("{problem}");
        }
    }
}

/// Starts logging for the whole process, at level `info`, to standard error and into the ring. Only
/// the first call takes effect; the log of a later one stays empty.
///
/// From then on a panic is logged by its location only. Its text may contain anything, and the
/// default hook prints it.
#[must_use]
pub fn start() -> Log {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(Console(log.clone()));
    // Only a second call fails; the first subscriber stays in use.
    let _already_started = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| log_panic(panic.location())));
    log
}

fn log_panic(place: Option<&Location<'_>>) {
    let place = place.map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a defect in the agent: a thread panicked");
}

struct Console(Log);

impl Console {
    /// Returns whether to log an event: the agent's at the chosen level, those of libraries at
    /// `warn` or above.
    fn is_enabled(&self, target: &str, level: Level) -> bool {
        let ours = target.starts_with("ferrite");
        let limit = match self.0.debug.load(Ordering::Relaxed) {
            _ if !ours => Level::WARN,
            false => Level::INFO,
            true => Level::DEBUG,
        };
        level <= limit
    }

    /// Returns the records to log for an event.
    fn within_limit(&self, event: &Event<'_>, told: Record) -> Vec<Record> {
        let mut limit = self.0.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = &mut *limit else {
            return vec![told];
        };
        limit.pass(Place::of(event.metadata()), told, Instant::now())
    }
}

impl<S: Subscriber> Layer<S> for Console {
    /// Disables caching of [`Self::enabled`]: the log level changes while the process runs.
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        self.is_enabled(metadata.target(), *metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let told = Record::of(event);
        for told in self.within_limit(event, told) {
            // First into the ring, whose lines outlive this process: the log archive then contains
            // all that the console shows.
            self.0.ring.push(told.line(None));
            let outputs = self.0.outputs.read();
            outputs.unwrap_or_else(PoisonError::into_inner).write(&told);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the log of the events that the closure logs.
    pub(crate) fn log_of(verbosity: Verbosity, tell: impl FnOnce(&Log)) -> Log {
        let log = Log::default();
        log.set_verbosity(verbosity);
        let subscriber = tracing_subscriber::registry().with(Console(log.clone()));
        tracing::subscriber::with_default(subscriber, || tell(&log));
        log
    }

    /// Returns the text of the events that the closure logs.
    pub(crate) fn captured(verbosity: Verbosity, tell: impl FnOnce()) -> String {
        log_of(verbosity, |_| tell()).ring.text()
    }

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let text = captured(Verbosity::Info, || {
            tracing::info!(target: "ferrite::imaging", device = "/dev/sda", bytes = 5, "image written");
        });
        assert!(
            text.ends_with(" INFO  imaging: image written device=/dev/sda bytes=5\n"),
            "{text}"
        );
    }

    #[test]
    fn a_line_break_in_a_value_cannot_forge_another_line() {
        let text = captured(Verbosity::Info, || {
            tracing::info!(target: "ferrite::api", agent = %"a\nb\u{1b}[2J", "request\r\nanswered");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("request  answered agent=a b\u{fffd}[2J"),
            "{text}"
        );
    }

    #[test]
    fn characters_that_nobody_sees_or_that_reorder_others_are_replaced_in_every_output() {
        // A right-to-left override shows "gpj.exe" for "exe.jpg"; the others hide or break lines.
        let foreign = "a\u{202e}gpj\u{2028}b\u{200b}\u{feff}\u{ad}\u{e0041}\u{85}é漢🎉";
        let shown = "a\u{fffd}gpj\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}é漢🎉";
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let log = log_of(Verbosity::Info, |log| {
            for json in [false, true] {
                let settings = Settings {
                    file: Some(format!("/{json}").into()),
                    json,
                    ..Settings::default()
                };
                log.send_to(&root, &settings);
                tracing::info!(target: "ferrite::api", error = foreign, shown = %foreign, "{foreign}");
            }
        });
        let line = format!(" INFO  api: {shown} error={shown} shown={shown}\n");
        let text = log.ring.text();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(text.ends_with(&line), "{text:?}");
        let file = |name: &str| std::fs::read_to_string(root.path(name)).unwrap();
        assert!(file("false").ends_with(&line));
        let object: serde_json::Value = serde_json::from_str(&file("true")).unwrap();
        assert_eq!(object["message"], shown);
        assert_eq!(object["fields"]["error"], shown);
    }

    #[test]
    fn debug_events_and_the_libraries_chatter_are_told_only_on_demand() {
        let events = || {
            tracing::debug!(target: "ferrite::api", "ours");
            tracing::info!(target: "hyper", "theirs");
        };
        assert_eq!(captured(Verbosity::Info, events), "");
        assert!(captured(Verbosity::Debug, events).ends_with("DEBUG api: ours\n"));
    }

    #[test]
    fn a_panic_is_told_by_its_place() {
        let place = Location::caller();
        let text = captured(Verbosity::Info, || log_panic(Some(place)));
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

    /// Returns the text of all outputs for events that contain a secret.
    fn captured_with(secret: &str, level: Level) -> String {
        let text = format!(
            "the body {{\"agent_token\": \"{secret}\"}} of https://me:{secret}@h/x?sig={secret}"
        );
        let folder = tempfile::tempdir().unwrap();
        let log = log_of(Verbosity::Debug, |log| {
            let mut all = String::new();
            for json in [false, true] {
                let root = Root::at(folder.path());
                let settings = Settings {
                    file: Some(format!("/{json}").into()),
                    json,
                    ..Settings::default()
                };
                log.send_to(&root, &settings);
                macro_rules! tell {
                    ($level:ident) => {
                        tracing::$level!(target: "ferrite::api", token = secret, password = ?secret, url = %text, "{text}")
                    };
                }
                match level {
                    Level::ERROR => tell!(error),
                    Level::WARN => tell!(warn),
                    Level::INFO => tell!(info),
                    Level::DEBUG => tell!(debug),
                    _ => tell!(trace),
                }
                all += &std::fs::read_to_string(root.path(json.to_string())).unwrap();
            }
            log.ring.push(all);
        });
        log.ring.text()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_secret_in_an_event_of_any_level_reaches_no_output(secret in "Canary[A-Za-z0-9]{12,30}") {
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                let told = captured_with(&secret, level);
                prop_assert!(!told.contains("Canary"), "{}", told);
                // Trace events are not logged; the others are in the ring and in each file.
                let lines = if level == Level::TRACE { 0 } else { 4 };
                prop_assert_eq!(told.matches("agent_token").count(), lines * 2, "{}", told);
            }
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_displaces_no_other() {
        let kept = 15 << 10;
        let log = log_of(Verbosity::Info, |_| {
            tracing::info!(target: "ferrite::api", "before");
            let endless = "\u{e9}".repeat(2 << 20);
            tracing::warn!(target: "ferrite::api", links = ?[&endless], status = 5, "left out");
            tracing::warn!(target: "ferrite::api", status = 5, "{endless}");
        });
        let text = log.ring.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with(" INFO  api: before"));
        let field = format!(
            " WARN  api: left out links=[\"{}\u{2026}(4178958 more bytes) status=5",
            "\u{e9}".repeat((kept - 11) / 2)
        );
        let at = lines[1].find(" WARN").unwrap();
        assert_eq!(
            lines[1].len() - at,
            field.len(),
            "{}",
            &lines[1][lines[1].len() - 100..]
        );
        assert_eq!(&lines[1][at..], field);
        assert!(lines[2].ends_with("\u{e9}\u{2026}(4178944 more bytes) status=5"));
    }

    #[test]
    fn a_line_is_bounded_whatever_its_texts_are_written_as() {
        let log = log_of(Verbosity::Info, |log| {
            let folder = tempfile::tempdir().unwrap();
            // Characters that are written as two bytes or more, and many fields that may all be
            // present.
            for char in ["\"", "\\", "\u{301}", "x"] {
                let text = char.repeat(16 << 10);
                tracing::info!(target: "ferrite::imaging", image = text, size = 5, "writing the image");
                tracing::info!(target: "ferrite::imaging", image = %text, a = text, b = text, c = text, d = text, e = text, f = text, g = text, "{text}");
            }
            let settings = Settings {
                file: Some("/json".into()),
                json: true,
                ..Settings::default()
            };
            let root = Root::at(folder.path());
            log.send_to(&root, &settings);
            tracing::info!(target: "ferrite::imaging", image = "\"".repeat(16 << 10), "writing the image");
            let json = std::fs::read_to_string(root.path("json")).unwrap();
            assert!(json.len() <= 16 << 10, "{}", json.len());
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        });
        let text = log.ring.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 9);
        assert!(lines.iter().all(|line| line.len() <= 16 << 10));
        for line in lines.iter().take(8).step_by(2) {
            assert!(line.ends_with(" size=5"), "{line}");
        }
    }

    #[test]
    fn what_shows_itself_forges_no_field_either() {
        let name = "eve@Default untold=0 caller=alice";
        let text = captured(Verbosity::Info, || {
            tracing::info!(target: "ferrite::api", caller = %name, url = %"http://h/?a=b", reason = %"x is disallowed", paths = ?["a"], "told");
        });
        let expected = " INFO  api: told caller=\"eve@Default untold=0 caller=alice\" url=http://h/?a=b reason=x is disallowed paths=[\"a\"]\n";
        assert!(text.ends_with(expected), "{text}");
        // White space that is not ASCII's.
        let name = "eve\u{3000}caller=alice";
        let text = captured(Verbosity::Info, || {
            tracing::info!(target: "ferrite::api", caller = %name, other = name, "told");
        });
        let quoted = "\"eve\u{3000}caller=alice\"";
        let escaped = quoted.replace('\u{3000}', "\\u{3000}");
        let expected = format!(" INFO  api: told caller={escaped} other={escaped}\n");
        assert!(text.ends_with(&expected), "{text}");
    }

    #[test]
    fn a_texts_white_space_forges_no_field_and_parts_no_name_from_its_secret() {
        let text = captured(Verbosity::Info, || {
            tracing::info!(target: "ferrite::api", name = "host\tcaller=conductor", error = "auth_token:\n hush", "told");
        });
        let expected =
            " INFO  api: told name=\"host caller=conductor\" error=\"auth_token:  ******\"\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_field_with_a_secrets_name_is_masked_whatever_it_holds() {
        let text = captured(Verbosity::Info, || {
            tracing::info!(target: "ferrite::api", agent_token = 5, token_required = true, "told");
        });
        assert!(
            text.ends_with(" INFO  api: told agent_token=****** token_required=true\n"),
            "{text}"
        );
    }
}
