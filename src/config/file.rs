//! Parses oslo.config's INI dialect (`oslo_config/iniparser.py`).
//!
//! - Groups are `[GROUP]` lines; assignments are `key = value` or `key: value`. Case is preserved.
//! - Comments with `#` or `;` take a whole line.
//! - A line that begins with a blank continues the value before it; an empty line ends it.
//! - One pair of quotes around a value is removed.
//!
//! `$name` references are not expanded.

use zeroize::Zeroizing;

/// An assignment. Its value may be a secret: there is no `Debug` outside tests.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(super) struct Entry<'a> {
    pub(super) group: &'a str,
    pub(super) key: &'a str,
    pub(super) value: Zeroizing<String>,
    pub(super) line: usize,
}

/// Line and reason of a syntax error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// Parses all assignments of a text, in order. Of equal keys the last is meant to win.
pub(super) fn parse(text: &str) -> Result<Vec<Entry<'_>>, Malformed> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut group = None;
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let malformed = |reason| Malformed {
            line: index + 1,
            reason,
        };
        let line = line.trim_end();
        if line.is_empty() {
            open = false;
        } else if line.starts_with([' ', '\t']) {
            match entries.last_mut() {
                Some(entry) if open => {
                    entry.value = joined(&entry.value, line.trim_start());
                }
                _ => return Err(malformed("the line continues nothing")),
            }
        } else if let Some(rest) = line.strip_prefix('[') {
            open = false;
            group = Some(group_name(rest).map_err(malformed)?);
        } else if !line.starts_with(['#', ';']) {
            let group = group.ok_or_else(|| malformed("the option stands before any [group]"))?;
            let (key, value) = assignment(line).map_err(malformed)?;
            open = true;
            entries.push(Entry {
                group,
                key,
                value: Zeroizing::new(value.to_owned()),
                line: index + 1,
            });
        } else {
            open = false;
        }
    }
    Ok(entries)
}

fn group_name(rest: &str) -> Result<&str, &'static str> {
    match rest.strip_suffix(']') {
        Some("") => Err("the group has no name"),
        Some(name) => Ok(name),
        None => Err("the group's name is not closed with ]"),
    }
}

fn assignment(line: &str) -> Result<(&str, &str), &'static str> {
    let (key, value) = line
        .split_once(['=', ':'])
        .ok_or("the line is neither a [group], a comment nor key = value")?;
    match key.trim() {
        "" => Err("the option has no name"),
        key => Ok((key, unquoted(value.trim()))),
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// Joins two lines of a value in a buffer of exactly their size. A growing one would leave pieces
/// of a secret behind.
fn joined(first: &str, second: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(first.len() + 1 + second.len()));
    value.push_str(first);
    value.push('\n');
    value.push_str(second);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry<'a>(group: &'a str, key: &'a str, value: &str, line: usize) -> Entry<'a> {
        Entry {
            group,
            key,
            value: Zeroizing::new(value.into()),
            line,
        }
    }

    #[test]
    fn the_dialect_is_oslos() {
        let text = "# a comment\n[DEFAULT]\napi_url = http://a, http://b # no comment\n\
                    agent_token: 'x=y'\n; a comment\nlist = one,\n  two\n\nempty =\n[ssl]\r\nca = \"\r\n";
        assert_eq!(
            parse(text).unwrap(),
            [
                entry("DEFAULT", "api_url", "http://a, http://b # no comment", 3),
                entry("DEFAULT", "agent_token", "x=y", 4),
                entry("DEFAULT", "list", "one,\ntwo", 6),
                entry("DEFAULT", "empty", "", 9),
                entry("ssl", "ca", "\"", 11),
            ]
        );
    }

    #[test]
    fn a_malformed_line_is_named() {
        for (text, line) in [
            ("a = 1", 1),
            ("[x]\n = 1", 2),
            ("[x]\n=1", 2),
            ("[x]\nword", 2),
            ("[x]\na = 1\n\n b", 4),
            ("[x]\na = 1\n# c\n b", 4),
            ("[]", 1),
            ("[x", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn lines_of_the_dialect_in_any_order_never_panic(
            lines in prop::collection::vec("(\\[x\\]|\\[|a = |a: \"b\"| c|#| |=|)", 0..12),
        ) {
            let _ = parse(&lines.join("\n"));
        }

        #[test]
        fn what_was_written_is_read(pairs in prop::collection::vec(("[a-z_]{1,9}", "([!#-&(-~]{1,9})?"), 0..9)) {
            let mut text = String::from("[DEFAULT]\n");
            for (key, value) in &pairs {
                text.push_str(&format!("{key} = {value}\n"));
            }
            let read: Vec<(String, String)> = parse(&text)
                .unwrap()
                .into_iter()
                .map(|entry| (entry.key.to_owned(), entry.value.to_string()))
                .collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
