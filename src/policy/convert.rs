//! One conversion of Python's `%`: flags, width, precision, and the letter that says how a value is shown.
//!
//! `unicode_format_arg_parse`, `_format` and `_output` of CPython 3.11 are the law.

use super::Attributes;
use super::python::{Letters, represent, represent_map, text};
use serde_json::Value;

/// What a conversion is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument<'a> {
    Everything(&'a Attributes),
    One(&'a Value),
}

/// A conversion as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    left: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    letter: Letter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Letter {
    Character,
    Decimal,
    /// `e`, `f` and `g`, and whether in capitals.
    Float(char, bool),
    /// `x` and `o`, and whether in capitals.
    Radix(char, bool),
    Ascii,
    Repr,
    #[default]
    Text,
}

impl Spec {
    /// Understands a conversion after its name; what is left of the text after it.
    pub(super) fn parse(text: &str) -> Option<(Self, &str)> {
        let mut spec = Self::default();
        let mut rest = text;
        loop {
            let (letter, after) = split_first(rest)?;
            match letter {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                ' ' => spec.blank = true,
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                _ => break,
            }
            rest = after;
        }
        (spec.width, rest) = size(rest)?;
        if let Some(after) = rest.strip_prefix('.') {
            (spec.precision, rest) = size(after)?;
            // A point alone is a precision of nothing.
            spec.precision = spec.precision.or(Some(0));
        }
        rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
        let (letter, rest) = split_first(rest)?;
        spec.letter = match letter {
            's' => Letter::Text,
            'r' => Letter::Repr,
            'a' => Letter::Ascii,
            'c' => Letter::Character,
            'd' | 'i' | 'u' => Letter::Decimal,
            'o' | 'x' => Letter::Radix(letter, false),
            'X' => Letter::Radix('x', true),
            'e' | 'f' | 'g' => Letter::Float(letter, false),
            'E' | 'F' | 'G' => Letter::Float(letter.to_ascii_lowercase(), true),
            // Also a `%`, which is one only right after the first.
            _ => return None,
        };
        Some((spec, rest))
    }

    /// Whether it shows a text as it is.
    pub(super) fn is_plain_text(&self) -> bool {
        self.letter == Letter::Text && self.width.is_none() && self.precision.is_none()
    }

    /// Takes what it needs of the argument and writes the result; nothing if Python raises an exception.
    pub(super) fn write(
        &self,
        argument: &mut Option<Argument<'_>>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (width, precision, left) = (self.width.unwrap_or(0), self.precision, self.left);
        let is_number = matches!(
            self.letter,
            Letter::Decimal | Letter::Float(..) | Letter::Radix(..)
        );
        let shown = match self.letter {
            Letter::Character => return character(argument.take()?, width, left, out),
            Letter::Text => argument.take()?.text(),
            Letter::Repr => argument.take()?.represented(Letters::All),
            Letter::Ascii => argument.take()?.represented(Letters::Ascii),
            Letter::Decimal => {
                let (is_negative, digits) = decimal(argument.take()?)?;
                signed(is_negative, "", &digits, precision)
            }
            Letter::Radix(radix, capitals) => {
                let number = integer(argument.take()?)?;
                let magnitude = number.unsigned_abs();
                let (prefix, digits) = if radix == 'x' {
                    ("0x", format!("{magnitude:x}"))
                } else {
                    ("0o", format!("{magnitude:o}"))
                };
                let prefix = if self.alternate { prefix } else { "" };
                let shown = signed(number < 0, prefix, &digits, precision);
                if capitals {
                    shown.to_ascii_uppercase()
                } else {
                    shown
                }
            }
            Letter::Float(style, capitals) => {
                let value = argument.take()?.float()?;
                let shown = float(value, style, precision.unwrap_or(6), self.alternate);
                if capitals {
                    shown.to_ascii_uppercase()
                } else {
                    shown
                }
            }
        };
        let shown = match precision {
            Some(most) if !is_number => shown.chars().take(most).collect(),
            _ => shown,
        };
        self.pad(&shown, width, is_number, out);
        Some(())
    }

    /// Sign, prefix and padding (`unicode_format_arg_output`).
    fn pad(&self, shown: &str, mut width: usize, is_number: bool, out: &mut Vec<u8>) {
        let left = self.left;
        let fill = if is_number && self.zero { b'0' } else { b' ' };
        let (sign, body) = match shown.strip_prefix('-') {
            Some(body) if is_number => ("-", body),
            _ if is_number && self.plus => ("+", shown),
            _ if is_number && self.blank => (" ", shown),
            _ => ("", shown),
        };
        let mut length = body.chars().count();
        width = width.max(length);
        if !sign.is_empty() && width > length {
            width -= 1;
        }
        let has_prefix = self.alternate && matches!(self.letter, Letter::Radix(..));
        let (prefix, body) = match body.split_at_checked(2) {
            Some(parts) if has_prefix => parts,
            _ => ("", body),
        };
        width = width.saturating_sub(prefix.len());
        length = length.saturating_sub(prefix.len());
        let missing = width.saturating_sub(length);
        if fill == b' ' && !left {
            out.resize(out.len() + missing, fill);
        }
        out.extend_from_slice(sign.as_bytes());
        out.extend_from_slice(prefix.as_bytes());
        if fill != b' ' && !left {
            out.resize(out.len() + missing, fill);
        }
        out.extend_from_slice(body.as_bytes());
        if left {
            out.resize(out.len() + missing, b' ');
        }
    }
}

impl Argument<'_> {
    fn text(self) -> String {
        match self {
            Self::Everything(_) => self.represented(Letters::All),
            Self::One(value) => text(value).into_owned(),
        }
    }

    fn represented(self, letters: Letters) -> String {
        let mut out = String::new();
        match self {
            Self::Everything(map) => represent_map(map, letters, &mut out),
            Self::One(value) => represent(value, letters, &mut out),
        }
        out
    }

    fn float(self) -> Option<f64> {
        match self {
            Self::One(Value::Bool(is_true)) => Some(f64::from(u8::from(*is_true))),
            Self::One(Value::Number(number)) => number.as_f64(),
            _ => None,
        }
    }
}

/// `int` as Python sees one: truth values are, floats are not.
fn integer(argument: Argument<'_>) -> Option<i128> {
    match argument {
        Argument::One(Value::Bool(is_true)) => Some(i128::from(*is_true)),
        Argument::One(Value::Number(number)) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from)),
        _ => None,
    }
}

/// Sign and digits of what `%d` shows: floats lose their fraction.
fn decimal(argument: Argument<'_>) -> Option<(bool, String)> {
    if let Some(number) = integer(argument) {
        return Some((number < 0, number.unsigned_abs().to_string()));
    }
    let whole = argument.float()?.trunc();
    Some((whole < 0.0, format!("{:.0}", whole.abs())))
}

/// Digits filled with zeros to the precision, which counts neither sign nor prefix.
fn signed(is_negative: bool, prefix: &str, digits: &str, precision: Option<usize>) -> String {
    let sign = if is_negative { "-" } else { "" };
    let zeros = precision.unwrap_or(0).saturating_sub(digits.len());
    format!("{sign}{prefix}{}{digits}", "0".repeat(zeros))
}

/// `%c`: a text of one letter, or a letter's number, which may be half a surrogate pair.
fn character(argument: Argument<'_>, width: usize, left: bool, out: &mut Vec<u8>) -> Option<()> {
    let code = match argument {
        Argument::One(Value::String(text)) => {
            let mut letters = text.chars();
            let letter = letters.next()?;
            if letters.next().is_some() {
                return None;
            }
            u32::from(letter)
        }
        argument => u32::try_from(integer(argument)?).ok()?,
    };
    let missing = width.saturating_sub(1);
    if !left {
        out.resize(out.len() + missing, b' ');
    }
    push(code, out)?;
    if left {
        out.resize(out.len() + missing, b' ');
    }
    Some(())
}

/// A code point in the manner of UTF-8, surrogates too.
pub(super) fn push(code: u32, out: &mut Vec<u8>) -> Option<()> {
    if let Some(letter) = char::from_u32(code) {
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        return Some(());
    }
    let code = u16::try_from(code).ok()?;
    let [high, low] = code.to_be_bytes();
    out.extend_from_slice(&[
        0xe0 | high >> 4,
        0x80 | (high & 0x0f) << 2 | low >> 6,
        0x80 | low & 0x3f,
    ]);
    Some(())
}

/// `PyOS_double_to_string` for the three styles.
fn float(value: f64, style: char, precision: usize, alternate: bool) -> String {
    match style {
        'f' => pointed(format!("{value:.precision$}"), alternate),
        'e' => {
            let (digits, exponent) = scientific(value, precision);
            format!("{}{}", pointed(digits, alternate), power(exponent))
        }
        _ => {
            let precision = precision.max(1);
            let (digits, exponent) = scientific(value, precision - 1);
            let most = i32::try_from(precision).unwrap_or(i32::MAX);
            if exponent < -4 || exponent >= most {
                return format!("{}{}", trimmed(digits, alternate), power(exponent));
            }
            let decimals = usize::try_from(most - 1 - exponent).unwrap_or(0);
            trimmed(format!("{value:.decimals$}"), alternate)
        }
    }
}

fn scientific(value: f64, precision: usize) -> (String, i32) {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

fn power(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.unsigned_abs())
}

/// The alternate form always has a point.
fn pointed(mut digits: String, alternate: bool) -> String {
    if alternate && !digits.contains('.') {
        digits.push('.');
    }
    digits
}

/// `g` shows no zeros at the end, but in the alternate form.
fn trimmed(digits: String, alternate: bool) -> String {
    if alternate {
        return pointed(digits, true);
    }
    if digits.contains('.') {
        return digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned();
    }
    digits
}

/// A width or precision, if one is written, and the rest of the text; nothing if it is too big. Python writes gigabytes of spaces
/// if asked; here none goes beyond what a rule could be equal to. A `*` takes an argument, and so there is none left to show:
/// that always fails.
fn size(text: &str) -> Option<(Option<usize>, &str)> {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let digits = text.strip_suffix(rest)?;
    if digits.is_empty() {
        return Some((None, rest));
    }
    let size: usize = digits.parse().ok().filter(|size| *size <= WIDEST)?;
    Some((Some(size), rest))
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    Some((letters.next()?, letters.as_str()))
}

/// Rust's own limit of a precision, too.
const WIDEST: usize = 65_535;
