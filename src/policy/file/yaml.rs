//! Parser of policy files: YAML, of which JSON is a subset, with a mapping of names to rules.
//!
//! A file is read from the parser's events, without a loader: anchors, tags and types are refused,
//! and each error has its line. Plain scalars have the type that `yaml.safe_load` gives them. A
//! rule that is `yes` would be a boolean there, and is an error here.

use super::content::{Content, Entry};
use super::yaml_scalar::{is_null, type_of};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// Line and text of an error.
pub(in crate::policy) type Wrong = (usize, String);

pub(in crate::policy) fn parse(text: &str, path: &Path) -> Result<Content, Wrong> {
    // YAML 1.1 and 1.2 disagree about these characters.
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let unclear = |letter: &char| {
            letter.is_control() && *letter != '\t'
                || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}')
        };
        if let Some(letter) = line.chars().find(unclear) {
            return Err((
                number + 1,
                format!(
                    "the character {} has no place in a policy",
                    letter.escape_unicode()
                ),
            ));
        }
    }
    let mut content = Content {
        rules: Vec::new(),
        options: options(text),
        warnings: Vec::new(),
    };
    let mut reader = Reader {
        events: Parser::new_from_str(text),
    };
    reader.document(&mut content, path)?;
    Ok(content)
}

/// Returns the options for this program from the comments above the first rule.
fn options(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('\u{feff}');
    let above = text.lines().map(str::trim).take_while(|line| {
        line.is_empty() || line.starts_with('#') || line.starts_with('%') || *line == "---"
    });
    let said = above.filter_map(|line| line.strip_prefix('#')?.trim().strip_prefix("ferrite:"));
    said.map(|option| option.trim().to_owned()).collect()
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    /// Returns the next event that is not empty; anchors, aliases and tags are refused.
    fn next(&mut self) -> Result<(Event<'a>, usize), Wrong> {
        loop {
            let (event, span): (Event<'a>, Span) = match self.events.next_event() {
                None => return Ok((Event::StreamEnd, 0)),
                Some(Ok(event)) => event,
                Some(Err(error)) => {
                    return Err((
                        error.marker().line(),
                        format!(
                            "this is not YAML: {}; a rule that begins with !, @, %, ' or \" is written in quotes",
                            error.info()
                        ),
                    ));
                }
            };
            let line = span.start.line();
            let (anchor, tag) = match &event {
                Event::Alias(_) => (1, &None),
                Event::Scalar(_, _, anchor, tag)
                | Event::SequenceStart(anchor, tag)
                | Event::MappingStart(anchor, tag) => (*anchor, tag),
                Event::Nothing => continue,
                _ => (0, &None),
            };
            if anchor != 0 {
                return Err((
                    line,
                    "anchors and aliases (&, *) are not taken: write the rule out, or refer to it with rule:".to_owned(),
                ));
            }
            if tag.is_some() {
                return Err((
                    line,
                    "tags (!) are not taken: a rule that nobody passes is \"!\", in quotes"
                        .to_owned(),
                ));
            }
            return Ok((event, line));
        }
    }

    fn document(&mut self, content: &mut Content, path: &Path) -> Result<(), Wrong> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (Event::MappingStart(..), _) => break,
                // The document is empty.
                (Event::Scalar(text, style, ..), _) if is_null(&text, style) => return self.end(),
                (_, line) => {
                    return Err((
                        line,
                        "a policy file is a mapping of names to rules, one a line: \"name\": \"rule\"".to_owned(),
                    ));
                }
            }
        }
        // Line and index of the last rule of each name.
        let mut last: HashMap<String, (usize, usize)> = HashMap::new();
        loop {
            let (name, line) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(name, style, ..), line)
                    if style != ScalarStyle::Plain || type_of(&name).is_none() =>
                {
                    (name.into_owned(), line)
                }
                (_, line) => {
                    return Err((line, "the name of a rule is a text".to_owned()));
                }
            };
            let rule = self.rule(&name)?;
            let place = format!("{}:{line}: ", path.display());
            if rule.is_null() {
                content.warnings.push(format!(
                    "{place}the rule {name:?} has no value, and so everybody passes it: write \"!\" for nobody or \"@\" for everybody"
                ));
            }
            let at = (line, content.rules.len());
            if let Some((before, _)) = last.insert(name.clone(), at) {
                content.warnings.push(format!(
                    "{place}the rule {name:?} is here again, and the one of line {before} is not used"
                ));
            }
            content.rules.push(Entry { name, rule, line });
        }
        let mut place = 0..;
        content.rules.retain(|entry| {
            let place = place.next();
            last.get(&entry.name).map(|(_, last)| *last) == place
        });
        self.end()
    }

    /// Refuses content after the mapping.
    fn end(&mut self) -> Result<(), Wrong> {
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, line) => {
                    return Err((
                        line,
                        "a policy file is one document, and here begins another".to_owned(),
                    ));
                }
            }
        }
    }

    /// Reads a rule: a text, null, or the old list of lists of texts.
    fn rule(&mut self, name: &str) -> Result<Value, Wrong> {
        let mut lists: Vec<Vec<Value>> = Vec::new();
        loop {
            let value = match self.next()? {
                (Event::SequenceStart(..), line) => {
                    if lists.len() >= 2 {
                        return Err((line, not_a_rule(name, "a list of lists of lists")));
                    }
                    lists.push(Vec::new());
                    continue;
                }
                (Event::SequenceEnd, _) => Value::Array(lists.pop().unwrap_or_default()),
                (Event::Scalar(text, style, ..), _)
                    if is_null(&text, style) && lists.is_empty() =>
                {
                    Value::Null
                }
                (Event::Scalar(text, style, ..), line) => {
                    match type_of(&text).filter(|_| style == ScalarStyle::Plain) {
                        Some(kind) => return Err((line, not_a_rule(name, kind))),
                        None => Value::String(text.into_owned()),
                    }
                }
                (Event::MappingStart(..), line) => {
                    return Err((line, not_a_rule(name, "a mapping")));
                }
                (_, line) => return Err((line, not_a_rule(name, "nothing"))),
            };
            match lists.last_mut() {
                Some(list) => list.push(value),
                None => return Ok(value),
            }
        }
    }
}

fn not_a_rule(name: &str, what: &str) -> String {
    format!("the rule {name:?} is a text, and this is {what}: write it in quotes")
}
