//! Python's `text % mapping`, with which a check's match takes values from the target: `%(node.uuid)s`.
//!
//! The text is understood once, when a policy is loaded; what Python would only find wrong when it gets there stays a piece that
//! fails when it is reached, because a name that is missing before it is an answer ("no") and not an error. The law is CPython's
//! `PyUnicode_Format` (3.11, `Objects/unicodeobject.c`).

use super::Attributes;
use super::convert::{Argument, Spec};
use std::borrow::Cow;

/// A text with places for values of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// Nothing to fill in.
    Text(String),
    Pieces(Vec<Piece>),
}

/// Why a template cannot be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// Python raises another exception.
    Failed,
    /// The target has no such name: Python's `KeyError`.
    Missing,
}

/// That a template is filled with values that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Some value makes Python raise an exception.
    pub(super) may_fail: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// What is wrong from here on.
    Broken,
    Convert(Spec),
    /// The next conversion is of this name's value.
    Lookup(String),
    Text(String),
}

impl Template {
    /// Understands a text.
    pub(super) fn parse(text: &str) -> Self {
        if !text.contains('%') {
            return Self::Text(text.to_owned());
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            match conversion(after, &mut pieces) {
                Some(after) => rest = after,
                None => {
                    pieces.push(Piece::Broken);
                    return Self::Pieces(pieces);
                }
            }
        }
        plain.push_str(rest);
        if pieces.is_empty() {
            return Self::Text(plain);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self::Pieces(pieces)
    }

    /// Whether it can never be filled.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Pieces(pieces) if pieces.contains(&Piece::Broken))
    }

    /// Returns what cannot be foreseen of the text where only this part of the target is known; nothing if all it needs is known.
    pub(super) fn unknown(&self, known: &Attributes) -> Option<Unknown> {
        let Self::Pieces(pieces) = self else {
            return None;
        };
        let (mut is_unknown, mut may_fail) = (false, false);
        let mut name = None;
        for piece in pieces {
            match piece {
                Piece::Broken => may_fail = true,
                Piece::Convert(spec) => {
                    // Without a name it is of the whole target.
                    is_unknown |= name.is_none_or(|name| !known.contains_key(name));
                    may_fail |= name.is_none() || !spec.is_plain_text();
                    name = None;
                }
                Piece::Lookup(looked_up) => name = Some(looked_up),
                Piece::Text(_) => {}
            }
        }
        is_unknown |= name.is_some();
        is_unknown.then_some(Unknown { may_fail })
    }

    /// The text with a target's values.
    pub(super) fn fill<'a>(&'a self, target: &'a Attributes) -> Result<Cow<'a, [u8]>, Unfilled> {
        let pieces = match self {
            Self::Text(text) => return Ok(Cow::Borrowed(text.as_bytes())),
            Self::Pieces(pieces) => pieces,
        };
        // Most are one name alone, and its value is a text.
        if let [Piece::Lookup(name), Piece::Convert(spec)] = pieces.as_slice()
            && spec.is_plain_text()
            && let Some(serde_json::Value::String(text)) = target.get(name)
        {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let mut out = Vec::new();
        // Without a name, the whole mapping is the value.
        let mut argument = Some(Argument::Everything(target));
        for piece in pieces {
            match piece {
                Piece::Broken => return Err(Unfilled::Failed),
                Piece::Convert(spec) => spec
                    .write(&mut argument, &mut out)
                    .ok_or(Unfilled::Failed)?,
                Piece::Lookup(name) => {
                    let value = target.get(name).ok_or(Unfilled::Missing)?;
                    argument = Some(Argument::One(value));
                }
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            }
            if out.len() > LONGEST {
                return Err(Unfilled::Failed);
            }
        }
        Ok(Cow::Owned(out))
    }
}

/// What follows a `%`, added to the pieces; the rest of the text after it, or nothing if it cannot be understood.
fn conversion<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> Option<&'a str> {
    let mut rest = text;
    if let Some(after) = text.strip_prefix('(') {
        let mut depth = 1_usize;
        let end = after.find(|letter| {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        let (name, after) = after.split_at_checked(end)?;
        pieces.push(Piece::Lookup(name.to_owned()));
        rest = after.strip_prefix(')')?;
    }
    let (spec, rest) = Spec::parse(rest)?;
    pieces.push(Piece::Convert(spec));
    Some(rest)
}

/// Bytes that a filled text may have; Python has no limit.
const LONGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str) -> Result<String, Unfilled> {
        let target = json!({
            "t": "text", "i": 42, "n": -7, "f": 2.5, "b": true, "z": null, "l": [1, "a"], "d": {"k": "v"}, "a(b)c": "odd", "": "e",
            "big": 1e22, "c": "x",
        });
        let target = target.as_object().unwrap();
        let template = Template::parse(text);
        let filled = template.fill(target)?;
        Ok(String::from_utf8(filled.into_owned()).unwrap())
    }

    #[test]
    fn values_come_as_python_formats_them() {
        for (text, comes) in [
            ("plain", "plain"),
            ("100%%", "100%"),
            ("%(t)s", "text"),
            ("<%(t)s:%(i)s>", "<text:42>"),
            ("%(a(b)c)s %()s", "odd e"),
            ("%(z)s %(b)s %(l)s %(d)s", "None True [1, 'a'] {'k': 'v'}"),
            (
                "%(t)r %(t)10s|%(t)-6s|%(t).2s",
                "'text'       text|text  |te",
            ),
            (
                "%(i)d %(i)5d %(i)-5d| %(i)05d %(i)+d %(i) d",
                "42    42 42   | 00042 +42  42",
            ),
            ("%(n)x %(i)#x %(i)X %(i)o %(i)#o", "-7 0x2a 2A 52 0o52"),
            ("%(n)05d %(n)#06x %(i).5d", "-0007 -0x007 00042"),
            (
                "%(f)d %(b)d %(f)f %(f)e %(f)g %(f)10.2f|%(f)-8.1f|",
                "2 1 2.500000 2.500000e+00 2.5       2.50|2.5     |",
            ),
            ("%(i)e %(i)G %(i)#.3g", "4.200000e+01 42 42.0"),
            ("%(i)c%(c)c", "*x"),
            ("%(big)d", "10000000000000000000000"),
            ("%(t)ls %(i)hd", "text 42"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(comes), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_missing_is_no_error_but_all_else_is() {
        for text in ["%(x)s", "%(x)s %", "%(x)", "%(x)!"] {
            assert_eq!(filled(text), Err(Unfilled::Missing), "{text}");
        }
        for text in [
            "%",
            "%(t",
            "%(t)",
            "%(t)y",
            "%(t)d",
            "%(t)%",
            "%5%",
            "%(z)d",
            "%(f)x",
            "%(t)c",
            "%s %s",
            "%d",
            "%(t)*s",
            "%(t)s%s",
            "%(t)99999999999999999999s",
            "% (x)s",
            "%(i)*d",
            "%(z)f",
        ] {
            assert_eq!(filled(text), Err(Unfilled::Failed), "{text}");
        }
    }

    #[test]
    fn without_a_name_the_whole_target_is_the_value() {
        let target = json!({"a": 1});
        let template = Template::parse("%s");
        let filled = template.fill(target.as_object().unwrap()).unwrap();
        assert_eq!(&*filled, b"{'a': 1}");
    }
}
