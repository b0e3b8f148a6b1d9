//! The right side of a check: a text in which `%(name)s` stands for a value of the target, as in
//! Python's `text % target`.
//!
//! The parser refuses every other format, so filling a template raises none of Python's exceptions.
//! If the target lacks a name, the check is false.

use super::python::text;
use crate::policy::attributes::Attributes;
use std::borrow::Cow;

/// The right side of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// Text without variables.
    Text(String),
    Pieces(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// `%(name)s`
    Name(String),
    Text(String),
}

/// Error of filling a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// The target lacks the name: Python's `KeyError`.
    Missing,
    /// The text is longer than [`MAX_LEN`].
    TooLong,
}

impl Template {
    /// Parses a right side; `None` if it has a `%` that does not begin `%(name)s`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, after) = after.strip_prefix('(')?.split_once(")s")?;
            // Python counts parentheses within a name.
            if name.is_empty() || name.contains(['(', ')']) {
                return None;
            }
            pieces.push(Piece::Name(name.to_owned()));
            rest = after;
        }
        if pieces.is_empty() {
            return Some(Self::Text(text.to_owned()));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Some(Self::Pieces(pieces))
    }

    /// Returns whether this part of a target has a value for every name.
    pub(super) fn is_known(&self, known: &Attributes) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Pieces(pieces) => pieces.iter().all(|piece| match piece {
                Piece::Name(name) => known.contains_key(name),
                Piece::Text(_) => true,
            }),
        }
    }

    /// Fills in the values of a target.
    pub(super) fn fill<'a>(&'a self, target: &'a Attributes) -> Result<Cow<'a, str>, Unfilled> {
        let pieces = match self {
            Self::Text(text) => return Ok(Cow::Borrowed(text)),
            Self::Pieces(pieces) => pieces,
        };
        let value = |name: &String| target.get(name).map(text).ok_or(Unfilled::Missing);
        if let [Piece::Name(name)] = pieces.as_slice() {
            return value(name);
        }
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Name(name) => filled.push_str(&value(name)?),
                Piece::Text(text) => filled.push_str(text),
            }
            if filled.len() > MAX_LEN {
                return Err(Unfilled::TooLong);
            }
        }
        Ok(Cow::Owned(filled))
    }
}

/// Maximum length of a filled text with several pieces, in bytes; Python has no limit.
const MAX_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str) -> Result<String, Unfilled> {
        let target = json!({
            "t": "text", "i": 42, "f": 2.50, "b": true, "z": null, "l": [1, "a"], "d": {"k": "v"}, "node.owner": "p", "a b%": "odd",
            "long": "x".repeat(MAX_LEN),
        });
        let template = Template::parse(text).unwrap();
        let filled = template.fill(target.as_object().unwrap())?;
        Ok(filled.into_owned())
    }

    #[test]
    fn names_are_filled_with_what_str_shows_of_their_values() {
        for (text, expected) in [
            ("", ""),
            ("plain (1)", "plain (1)"),
            ("%(t)s", "text"),
            ("<%(t)s:%(i)s>", "<text:42>"),
            ("%(t)s%(node.owner)s", "textp"),
            ("%(f)s %(b)s %(z)s", "2.5 True None"),
            ("%(l)s %(d)s", "[1, 'a'] {'k': 'v'}"),
            ("%(a b%)s", "odd"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_missing_name_and_a_long_text_are_no_text() {
        assert_eq!(filled("%(x)s"), Err(Unfilled::Missing));
        assert_eq!(filled("%(t)s%(x)s"), Err(Unfilled::Missing));
        assert_eq!(filled("%(t)s%(long)s%(x)s"), Err(Unfilled::TooLong));
    }

    #[test]
    fn every_other_format_is_refused() {
        for text in [
            "%",
            "%%",
            "100%%",
            "%s",
            "%d",
            "%(t)",
            "%(t",
            "%()s",
            "%(t)d",
            "%(t)r",
            "%(t)a",
            "%(t)c",
            "%(i)x",
            "%(f)f",
            "%(t)5s",
            "%(t)-5s",
            "%(t).2s",
            "%(i)05d",
            "%(t)*s",
            "%(t)ls",
            "%(t)S",
            "% (t)s",
            "%(a(b)c)s",
            "%(a)b)s",
            "%(t)s%s",
            "%(t)s%",
        ] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
