//! Rows of measurements: what was timed, of which classes, the means and Welch's t.

use super::samples::{self, Class, measure};
use super::welch;
use std::fmt::Write;

/// Above this a difference is no chance (one in 150,000).
pub(crate) const LIMIT: f64 = 4.5;

/// The measurements so far.
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new() -> Self {
        Self(format!(
            "{} samples each, |t| below {LIMIT} is no difference\n\
             {:<36} {:<44} {:>8} {:>8} {:>8}\n",
            samples::NUMBER,
            "timed",
            "classes",
            "mean ns",
            "mean ns",
            "|t|"
        ))
    }

    /// Times something for two classes of wrong tokens, and returns how far apart they are.
    pub(crate) fn row<T>(
        &mut self,
        name: &str,
        token: &[u8],
        classes: [Class; 2],
        prepare: &dyn Fn(&[u8]) -> T,
        accepts: &dyn Fn(&T) -> bool,
    ) -> f64 {
        let samples = measure(token, classes, prepare, accepts);
        let most = welch::most(&samples);
        let between = format!("{} / {}", classes[0].name(), classes[1].name());
        let [one, other] = welch::means(&samples);
        writeln!(
            self.0,
            "{name:<36} {between:<44} {one:>8.2} {other:>8.2} {most:>8.2}"
        )
        .unwrap();
        most
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The classes of wrong tokens that are compared.
pub(crate) const CLASSES: [[Class; 2]; 3] = [
    [Class::LastByte, Class::Random],
    [Class::FirstByte, Class::Random],
    [Class::LastByte, Class::FirstByte],
];
