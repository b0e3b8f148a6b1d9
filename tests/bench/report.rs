//! How numbers look: sections of rows, with units, limits and the method.

use std::fmt::{self, Display};
use std::time::Duration;

/// Numbers that were taken in one way.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How they were taken.
    pub(crate) method: String,
    pub(crate) rows: Vec<Row>,
}

/// One number.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    value: String,
    note: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: impl Display) -> Self {
        Self {
            what: what.into(),
            value: value.to_string(),
            note: String::new(),
        }
    }

    /// What else is to be known of it.
    pub(crate) fn note(mut self, note: impl Display) -> Self {
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(&note.to_string());
        self
    }

    /// The most it may be.
    pub(crate) fn limit<T: PartialOrd + Display>(self, measured: T, limit: T) -> Self {
        if measured <= limit {
            self.note(format_args!("limit {limit}"))
        } else {
            self.note(format_args!("OVER THE LIMIT of {limit}"))
        }
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for Row { what, value, note } in &self.rows {
            writeln!(f, "  {what:<42} {value:>12}  {note}")?;
        }
        write!(f, "  How:")?;
        let mut column = HOW;
        for word in self.method.split(' ') {
            if column + word.len() >= WIDTH {
                write!(f, "\n      ")?;
                column = HOW;
            }
            write!(f, " {word}")?;
            column += word.len() + 1;
        }
        writeln!(f)
    }
}

/// A size in megabytes of a million bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    /// In millions of bytes.
    pub(crate) fn megabytes(self) -> f64 {
        f64::from(u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)) / 1000.0
    }
}

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0.saturating_add(5_000) / 10_000;
        let text = format!("{}.{:02} MB", hundredths / 100, hundredths % 100);
        f.pad(&text)
    }
}

/// A duration in milliseconds, or in seconds from one second on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        f.pad(&if seconds < 1.0 {
            format!("{:.1} ms", seconds * 1000.0)
        } else {
            format!("{seconds:.1} s")
        })
    }
}

/// Bytes in a duration, in megabytes of a million bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) u64, pub(crate) Duration);

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bytes a microsecond.
        let rate = u128::from(self.0) / self.1.as_micros().max(1);
        f.pad(&format!("{rate} MB/s"))
    }
}

/// The same duration measured several times.
#[derive(Debug)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn median(&self) -> Time {
        Time(self.0.get(self.0.len() / 2).copied().unwrap_or_default())
    }

    /// A row of the median, with the extremes beside it.
    pub(crate) fn row(&self, what: &str) -> Row {
        let end = |time: Option<&Duration>| Time(time.copied().unwrap_or_default());
        let (least, most) = (end(self.0.first()), end(self.0.last()));
        Row::new(what, self.median()).note(format_args!("min {least}, max {most}"))
    }
}

/// One thing measured of both agents, in turns.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    pub(crate) what: &'a str,
    pub(crate) better: Better,
    pub(crate) unit: &'static str,
    pub(crate) ferrite: Vec<f64>,
    pub(crate) ipa: Vec<f64>,
}

/// Which of two numbers is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

impl Compared<'_> {
    /// A row of how many times better Ferrite is, with both medians and extremes beside it.
    pub(crate) fn row(mut self) -> Row {
        self.ferrite.sort_by(f64::total_cmp);
        self.ipa.sort_by(f64::total_cmp);
        let (ferrite, ipa) = (median(&self.ferrite), median(&self.ipa));
        let ratio = match self.better {
            Better::Less => ipa / ferrite,
            Better::More => ferrite / ipa,
        };
        let told = |numbers: &[f64]| {
            let ends =
                [numbers.first(), numbers.last()].map(|end| end.copied().unwrap_or_default());
            let [least, most] = ends.map(short);
            format!("{} {} ({least}..{most})", short(median(numbers)), self.unit)
        };
        // What cost nothing has no ratio.
        let times = ratio.is_finite().then(|| format!("{} x", short(ratio)));
        Row::new(self.what, times.unwrap_or_else(|| "-".into()))
            .note(format_args!("Ferrite {}", told(&self.ferrite)))
            .note(format_args!("IPA {}", told(&self.ipa)))
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// A number with about three digits.
fn short(number: f64) -> String {
    let digits = match number {
        number if number < 0.1 => 3,
        number if number < 10.0 => 2,
        number if number < 100.0 => 1,
        _ => 0,
    };
    format!("{number:.digits$}")
}

/// An integer with its thousands apart: `7,800,200`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Columns of a line.
const WIDTH: usize = 110;
/// Columns before the method.
const HOW: usize = 6;
