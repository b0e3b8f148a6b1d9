//! Spans of the names and rules in the text of a policy file.

use saphyr_parser::{Event, Marker, Parser};
use std::ops::Range;

/// A scalar of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Scalar {
    /// Whether the scalar is the name of a rule, not a rule or a part of one.
    pub(in crate::policy) is_name: bool,
    pub(in crate::policy) value: String,
    /// Range of the scalar in bytes, with or without its quotes.
    pub(in crate::policy) place: Range<usize>,
}

/// Returns the scalars of a valid policy file, in their order.
pub(in crate::policy) fn scalars(text: &str) -> Vec<Scalar> {
    let lines = starts(text);
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut is_name = true;
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else {
            break;
        };
        match event {
            Event::MappingStart(..) => continue,
            Event::SequenceStart(..) => {
                depth += 1;
                continue;
            }
            Event::SequenceEnd => depth = depth.saturating_sub(1),
            Event::Scalar(value, ..) => found.push(Scalar {
                is_name: is_name && depth == 0,
                value: value.into_owned(),
                place: offset(text, &lines, &span.start)..offset(text, &lines, &span.end),
            }),
            _ => continue,
        }
        // A name or a whole rule ended.
        if depth == 0 {
            is_name = !is_name;
        }
    }
    found
}

/// Returns the byte offset of each line, without a byte order mark.
fn starts(text: &str) -> Vec<usize> {
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    let mark = text.strip_prefix('\u{feff}');
    let first = mark.map_or(0, |rest| text.len() - rest.len());
    std::iter::once(first).chain(ends).collect()
}

/// Returns the byte offset of a line and column. The parser's own index counts comments in bytes
/// and everything else in characters.
fn offset(text: &str, lines: &[usize], marker: &Marker) -> usize {
    let line = marker.line().saturating_sub(1);
    let Some(start) = lines.get(line).copied() else {
        return text.len();
    };
    let rest = text.get(start..).unwrap_or_default();
    let letter = rest.char_indices().nth(marker.col());
    letter.map_or(text.len(), |(at, _)| start + at)
}
