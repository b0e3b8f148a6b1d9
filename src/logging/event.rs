//! Log event, converted once to the forms of the outputs: a line of text or of JSON.

use crate::clock;
use crate::redact::{MASK, is_secret, one_line, redact};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// A log event. All its texts are redacted and single-line: line breaks in foreign text cannot
/// forge another event.
pub(super) struct Record {
    pub(super) time: Option<Timestamp>,
    pub(super) level: Level,
    /// Module that logged it, without the crate's prefix.
    pub(super) room: String,
    pub(super) sentence: String,
    pub(super) fields: Vec<Pair>,
}

/// Field of an event.
pub(super) struct Pair {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether the value needs quotes in a line to mark its end.
    pub(super) quoted: bool,
}

impl Record {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let target = metadata.target();
        let mut told = Self {
            time: now(),
            level: *metadata.level(),
            room: target
                .strip_prefix("ferrite::")
                .unwrap_or(target)
                .to_owned(),
            sentence: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut told);
        told
    }

    /// Returns `time level where: sentence key=value …`, with a line break.
    pub(super) fn line(&self, date_format: Option<&str>) -> String {
        let time = self.date(date_format);
        let mut line = format!("{time} {:5} {}: {}", self.level, self.room, self.text());
        if line.len() > MAX_LINE_LEN {
            line.truncate(line.floor_char_boundary(MAX_LINE_LEN - "\u{2026}".len()));
            line.push('\u{2026}');
        }
        line + "\n"
    }

    /// Returns the sentence and the fields.
    pub(super) fn text(&self) -> String {
        let mut text = self.sentence.clone();
        for Pair {
            name,
            value,
            quoted,
        } in &self.fields
        {
            text.push(' ');
            text.push_str(name);
            text.push('=');
            if *quoted {
                // Writing to a string cannot fail.
                let _infallible = write!(text, "{value:?}");
            } else {
                text.push_str(value);
            }
        }
        text
    }

    /// Returns a JSON object with a line break. Its keys are those of oslo.log where both have the
    /// same.
    pub(super) fn json(&self, date_format: Option<&str>) -> String {
        let fields: Map<String, Value> = self
            .fields
            .iter()
            .map(|pair| (pair.name.to_owned(), Value::from(pair.value.as_str())))
            .collect();
        let event = serde_json::json!({
            "asctime": self.date(date_format),
            "levelname": self.level.as_str(),
            "name": self.room,
            "message": self.sentence,
            "fields": fields,
        });
        format!("{event}\n")
    }

    /// Formats the time: `2026-11-23T04:20:11.250Z`, unless a format is configured.
    fn date(&self, format: Option<&str>) -> String {
        let Some(time) = self.time else {
            return "-".to_owned();
        };
        match format {
            None => format!("{time:.3}"),
            Some(format) => strftime(format, time).unwrap_or_else(|| format!("{time:.3}")),
        }
    }
}

/// Formats a time by a strftime format; `None` if that is invalid.
pub(super) fn strftime(format: &str, time: Timestamp) -> Option<String> {
    strtime::format(format, &time.to_zoned(TimeZone::UTC)).ok()
}

fn now() -> Option<Timestamp> {
    let millis = i64::try_from(clock::since_epoch().as_millis()).ok()?;
    Timestamp::from_millisecond(millis).ok()
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value, true);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, &format!("{value:?}"), false);
    }
}

impl Record {
    /// Adds a field. All values pass through here: they are redacted as received, and again as the
    /// single line they become.
    fn take(&mut self, field: &Field, value: &str, is_text: bool) {
        let name = field.name();
        let value = if is_secret(name) {
            MASK.to_owned()
        } else {
            redact(value)
        };
        let mut value = redact(&one_line(&value));
        self.cut(&mut value);
        // Values with their own format may contain foreign text, too.
        let quoted = match is_text {
            true => value.contains(|letter: char| letter == '"' || letter.is_whitespace()),
            false => value
                .split_once(char::is_whitespace)
                .is_some_and(|(_, rest)| rest.contains('=')),
        };
        if name == "message" {
            self.sentence = value;
            return;
        }
        self.fields.push(Pair {
            name,
            value,
            quoted,
        });
    }

    /// Truncates a text to the space that is left: the log is a ring, and one line must not
    /// displace all others.
    fn cut(&self, text: &mut String) {
        let values = self.fields.iter().map(|pair| width(&pair.value));
        let taken = values.fold(width(&self.sentence), usize::saturating_add);
        let left = MAX_TEXTS_LEN.saturating_sub(taken).max(SHORT);
        let mut written = 0;
        let end = text.char_indices().find(|(_, char)| {
            written += width_of(*char);
            written > left
        });
        let Some((end, _)) = end else {
            return;
        };
        let more = text.len() - end;
        text.truncate(end);
        // Writing to a string cannot fail.
        let _infallible = write!(text, "\u{2026}({more} more bytes)");
    }
}

/// Returns the maximum number of bytes of a text in any form of an event. In quotes, some
/// characters take several.
fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn width_of(char: char) -> usize {
    let escaped = match char {
        '\'' => 1,
        char => char.escape_debug().len(),
    };
    escaped.max(char.len_utf8())
}

/// Maximum length of a line in bytes, without its line break.
const MAX_LINE_LEN: usize = 16 << 10;
/// Maximum length in bytes of an event's texts, as written. Beyond it they are truncated, the last
/// fields first. The rest of the line is for the time, the names, and [`SHORT`] fields.
const MAX_TEXTS_LEN: usize = MAX_LINE_LEN - (1 << 10);
/// Minimum length in bytes to which a field may be truncated.
const SHORT: usize = 64;
