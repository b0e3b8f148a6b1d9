//! Parser of the files for the step `inject_files`. All of Ironic's and the operator's entries are
//! checked before any file is changed.
//!
//! A file's content is secret: no error shows it. Messages identify files by their index in the
//! list and their path.

use crate::error::{AgentError, ErrorClass};
use crate::json::{Field, Json};
use crate::secret::Secret;
use crate::storage::confined_fs::Attributes;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::path::PathBuf;

/// A file to write or delete.
#[derive(Debug)]
pub(super) struct Injection {
    /// Name in messages.
    pub(super) name: String,
    /// Path from the root of the file system.
    pub(super) path: PathBuf,
    /// File system of the file.
    pub(super) place: Place,
    pub(super) change: Change,
}

/// File system that a file is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Device by its path.
    Device(String),
    /// First file system of the root device that has this folder at its root.
    HasFolder(PathBuf),
    /// Partition of the root device by its number.
    Number(u32),
}

/// Change of a file.
#[derive(Debug)]
pub(super) enum Change {
    Delete,
    Write(Content, Attributes),
}

/// Content of a file.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Secret<Vec<u8>>),
    /// URL of the content, which may contain credentials.
    Url(Secret<String>),
}

/// Variables for URLs: the node and its ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct UrlVariables<'a> {
    pub(super) node: Option<&'a Json>,
    pub(super) ports: &'a Json,
}

/// Parses the files of the node's properties, then those of the step.
///
/// # Errors
/// `InvalidCommandParamsError` with all problems.
pub(super) fn read(
    properties: Option<&Json>,
    arguments: Option<&Json>,
    names: UrlVariables<'_>,
) -> Result<Vec<Injection>, AgentError> {
    let mut files = list(properties, "the `inject_files` node property")?;
    files.extend(list(arguments, "the `files` argument")?);
    if files.len() > MAX_FILES {
        let found = files.len();
        return Err(invalid(format!(
            "there are {found} files to inject, and at most {MAX_FILES} are injected at once: put them into an archive or a config drive"
        )));
    }
    let mut problems = Vec::new();
    let mut injections = Vec::new();
    for (index, file) in files.into_iter().enumerate() {
        let mut reader = Reader::new(index + 1, file);
        let injection = reader.injection(names);
        problems.append(&mut reader.problems);
        injections.extend(injection);
    }
    if problems.is_empty() {
        Ok(injections)
    } else {
        let problems = problems.join("; ");
        Err(invalid(format!("Validation of files failed: {problems}")))
    }
}

fn list<'a>(value: Option<&'a Json>, what: &str) -> Result<Vec<Field<'a>>, AgentError> {
    let Some(files) = value.map(Json::field).filter(|files| !files.is_null()) else {
        return Ok(Vec::new());
    };
    match files.items() {
        Some(files) => Ok(files.collect()),
        None => Err(invalid(format!("{what} must be a list"))),
    }
}

fn invalid(details: String) -> AgentError {
    AgentError::new(ErrorClass::InvalidCommandParamsError, details)
}

/// Parser of one file's record, which collects all problems.
struct Reader<'a> {
    name: String,
    record: Field<'a>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(number: usize, record: Field<'a>) -> Self {
        let path = record.member("path").and_then(Field::text);
        Self {
            name: match path {
                Some(path) => format!("file {number} ({path})"),
                None => format!("file {number}"),
            },
            record,
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, what: &str) {
        self.problems.push(format!("{what} in {}", self.name));
    }

    fn field(&self, name: &str) -> Option<Field<'a>> {
        self.record.member(name).filter(|value| !value.is_null())
    }

    /// Parses the record; `None` only with a problem.
    fn injection(&mut self, names: UrlVariables<'_>) -> Option<Injection> {
        let Some(members) = self.record.members() else {
            self.problem("expected an object");
            return None;
        };
        let unknown: Vec<_> = members
            .map(|(name, _)| name)
            .filter(|name| !FIELDS.contains(name))
            .collect();
        if !unknown.is_empty() {
            self.problem(&format!("unexpected fields {}", unknown.join(", ")));
        }
        let place = self.place();
        let path = self.path(place.is_some());
        let change = self.change(names);
        let (path, first) = path?;
        Some(Injection {
            name: self.name.clone(),
            place: place.unwrap_or(Place::HasFolder(first)),
            path,
            change: change?,
        })
    }

    /// Returns the path, and its first folder.
    fn path(&mut self, has_place: bool) -> Option<(PathBuf, PathBuf)> {
        let path = self.field("path").and_then(Field::text);
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            self.problem("expected a path");
            return None;
        };
        if path.ends_with('/') {
            self.problem("directories are not supported");
            return None;
        }
        let parts: Vec<_> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        if parts.contains(&"..") || path.contains('\0') {
            self.problem("the path must lead down from the root directory");
            return None;
        }
        let whole: PathBuf = parts.iter().collect();
        match parts.as_slice() {
            [first, _, ..] => Some((whole, PathBuf::from(first))),
            [_] if has_place => Some((whole, PathBuf::new())),
            _ => {
                self.problem("a path in the root directory requires \"partition\"");
                None
            }
        }
    }

    fn place(&mut self) -> Option<Place> {
        let partition = self.field("partition")?;
        let text = match partition.text() {
            Some("") => return None,
            Some(text) => text.trim().to_owned(),
            None => partition.number().unwrap_or_default(),
        };
        let is_device = text.starts_with("/dev/") && !text.contains("..");
        match text.parse() {
            Ok(number) if number > 0 => Some(Place::Number(number)),
            _ if is_device => Some(Place::Device(text)),
            _ => {
                self.problem("partition must be a number from 1 on or the path of a device");
                None
            }
        }
    }

    fn change(&mut self, names: UrlVariables<'_>) -> Option<Change> {
        let attributes = Attributes {
            mode: self.number("mode", MAX_MODE).filter(|mode| *mode != 0),
            folder_mode: self.number("dirmode", MAX_MODE).filter(|mode| *mode != 0),
            owner: self.number("owner", MAX_ID),
            group: self.number("group", MAX_ID),
        };
        let deleted = self.field("deleted").is_some_and(|deleted| {
            deleted.flag().unwrap_or_else(|| {
                self.problem("deleted must be true or false");
                false
            })
        });
        let content = self.field("content");
        match (content, content.and_then(Field::text), deleted) {
            (None, _, true) | (_, Some(""), true) => Some(Change::Delete),
            (Some(_), _, true) => {
                self.problem("content cannot be used with deleted");
                None
            }
            (_, Some(text), false) => {
                let content = self.content(text, names)?;
                Some(Change::Write(content, attributes))
            }
            (_, None, false) => {
                self.problem("expected content as a string, or deleted");
                None
            }
        }
    }

    fn content(&mut self, text: &str, names: UrlVariables<'_>) -> Option<Content> {
        if text.contains("://") {
            return match filled(text, names) {
                Ok(url) => Some(Content::Url(Secret::new(url))),
                Err(why) => {
                    self.problem(why.as_str());
                    None
                }
            };
        }
        // Base64 may be split into lines.
        let text: String = text.split_ascii_whitespace().collect();
        let text = Secret::new(text);
        if let Ok(bytes) = BASE64_STANDARD.decode(text.expose()) {
            Some(Content::Bytes(Secret::new(bytes)))
        } else {
            self.problem("content is neither a URL nor base64");
            None
        }
    }

    /// Parses an integer; -1 is none, as for chown(2).
    fn number(&mut self, field: &str, most: u64) -> Option<u32> {
        let value = self.field(field)?;
        let number = value.unsigned().filter(|number| *number <= most);
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Some(number),
            None if value.signed() == Some(-1) && most == MAX_ID => None,
            None => {
                self.problem(&format!("{field} must be a number"));
                None
            }
        }
    }
}

/// Error of filling in the variables of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfilled {
    NoSuchName,
    TooLong,
}

impl Unfilled {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchName => "the URL names what neither the node nor its ports have",
            Self::TooLong => "with all names filled in the URL has more than 8192 characters",
        }
    }
}

/// Replaces `{node[…]}` and `{ports[…]}` in a text, as Python's `str.format` does. Only keys and
/// indices are supported: Python's attributes and formats would expose the program's internals.
fn filled(template: &str, names: UrlVariables<'_>) -> Result<String, Unfilled> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            text.push_str(from.get(..1).unwrap_or_default());
            rest = after;
            continue;
        }
        let inner = from.strip_prefix('{').ok_or(Unfilled::NoSuchName)?;
        let (name, after) = inner.split_once('}').ok_or(Unfilled::NoSuchName)?;
        text.push_str(&looked_up(name, names)?);
        // A short template can repeat a long value many times.
        if text.len() > MAX_URL {
            return Err(Unfilled::TooLong);
        }
        rest = after;
    }
    text.push_str(rest);
    match text.len() {
        0..=MAX_URL => Ok(text),
        _ => Err(Unfilled::TooLong),
    }
}

fn looked_up(name: &str, names: UrlVariables<'_>) -> Result<String, Unfilled> {
    let (first, keys) = name.split_once('[').ok_or(Unfilled::NoSuchName)?;
    let value = match first {
        "node" => names.node,
        "ports" => Some(names.ports),
        _ => None,
    };
    let mut value = value.ok_or(Unfilled::NoSuchName)?.field();
    for key in keys
        .strip_suffix(']')
        .ok_or(Unfilled::NoSuchName)?
        .split("][")
    {
        let next = match value.items() {
            Some(mut items) => key.parse().ok().and_then(|index| items.nth(index)),
            None => value.member(key),
        };
        value = next.ok_or(Unfilled::NoSuchName)?;
    }
    let text = value.text().map(str::to_owned);
    text.or_else(|| value.number()).ok_or(Unfilled::NoSuchName)
}

/// Maximum number of files: all are in memory before the first is written.
const MAX_FILES: usize = 1000;
/// Maximum length of a URL; no server accepts longer ones.
const MAX_URL: usize = 8192;
const FIELDS: [&str; 8] = [
    "path",
    "partition",
    "content",
    "deleted",
    "mode",
    "dirmode",
    "owner",
    "group",
];
const MAX_MODE: u64 = 0o7777;
/// Maximum user or group ID: the next number means "unchanged" to the kernel.
const MAX_ID: u64 = 0xFFFF_FFFE;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read_list(files: Value) -> Result<Vec<Injection>, AgentError> {
        let node = Json::from(
            json!({"uuid": "1be2", "driver_info": {"secret": "******"}, "extra": {"n": 7}}),
        );
        let ports = json!([{"address": "52:54:00:12:34:56"}]).into();
        let names = UrlVariables {
            node: Some(&node),
            ports: &ports,
        };
        read(None, Some(&files.into()), names)
    }

    fn one(file: Value) -> Injection {
        let mut files = read_list(json!([file])).unwrap();
        assert_eq!(files.len(), 1);
        files.remove(0)
    }

    fn url(content: &str) -> Result<String, AgentError> {
        let file = json!({"path": "/a/b", "content": content});
        let mut files = read_list(json!([file]))?;
        match files.remove(0).change {
            Change::Write(Content::Url(url), _) => Ok(url.expose().to_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_read_with_all_its_fields() {
        let file = one(json!({
            "path": "/etc//ssh/./key", "partition": null, "content": "aGVs\nbG8=", "mode": 0o600, "dirmode": 0o700,
            "owner": 0, "group": -1, "deleted": false,
        }));
        assert_eq!(file.path, PathBuf::from("etc/ssh/key"));
        assert_eq!(file.place, Place::HasFolder("etc".into()));
        let Change::Write(Content::Bytes(bytes), attributes) = file.change else {
            panic!("{file:?}");
        };
        assert_eq!(bytes.expose(), b"hello");
        let expected = Attributes {
            mode: Some(0o600),
            folder_mode: Some(0o700),
            owner: Some(0),
            group: None,
        };
        assert_eq!(attributes, expected);
    }

    #[test]
    fn a_partition_is_a_number_or_a_device() {
        for (partition, place) in [
            (json!(2), Place::Number(2)),
            (json!("2"), Place::Number(2)),
            (json!("/dev/sdb1"), Place::Device("/dev/sdb1".into())),
        ] {
            let file = one(json!({"path": "x", "partition": partition, "deleted": true}));
            assert_eq!((file.path, file.place), (PathBuf::from("x"), place));
            assert!(matches!(file.change, Change::Delete));
        }
    }

    #[test]
    fn neither_names_nor_files_are_more_than_their_limits() {
        let node = Json::from(json!({"a": "A".repeat(5000)}));
        let names = UrlVariables {
            node: Some(&node),
            ports: &Json::NULL,
        };
        let read = |files: Value| {
            let files = read(None, Some(&files.into()), names)?;
            Ok(files.len())
        };
        let file = |content: &str| json!([{"path": "/etc/x", "content": content}]);
        assert_eq!(read(file("http://h/{node[a]}")), Ok(1));
        let told = "Validation of files failed: with all names filled in the URL has more than 8192 characters in file 1 (/etc/x)";
        for content in [
            "http://h/{node[a]}{node[a]}",
            &format!("http://h/{}", "{node[a]}".repeat(100_000)),
            &format!("http://h/{}", "a".repeat(8192)),
        ] {
            assert_eq!(read(file(content)), Err(invalid(told.to_owned())));
        }
        let files = |count| Value::Array(vec![json!({"path": "/etc/x", "deleted": true}); count]);
        assert_eq!(read(files(1000)), Ok(1000));
        let told = "there are 1001 files to inject, and at most 1000 are injected at once: put them into an archive or a config drive";
        assert_eq!(read(files(1001)), Err(invalid(told.to_owned())));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_no_content_with_it() {
        let files = json!([
            {"path": "/etc/a", "content": "hush!"},
            {"path": "/etc/b", "content": "aHVzaA==", "deleted": true, "colour": "hush"},
            {"content": "aHVzaA=="},
            {"path": "/motd", "content": "aHVzaA=="},
            {"path": "/etc/", "content": "aHVzaA=="},
            {"path": "/etc/../../x", "content": "aHVzaA=="},
            {"path": "/etc/c", "mode": "0600", "owner": true, "partition": "/etc/passwd"},
            {"path": "/etc/d", "deleted": "yes", "content": "aHVzaA==", "mode": 0o10000, "group": 4_294_967_295_u64},
            {"path": "/etc/e", "content": "http://hush/{node.uuid}"},
            "hush",
        ]);
        let error = read_list(files).unwrap_err();
        assert_eq!(error.class, ErrorClass::InvalidCommandParamsError);
        let told = error.details.strip_prefix("Validation of files failed: ");
        let told: Vec<_> = told.unwrap().split("; ").collect();
        assert_eq!(
            told,
            [
                "content is neither a URL nor base64 in file 1 (/etc/a)",
                "unexpected fields colour in file 2 (/etc/b)",
                "content cannot be used with deleted in file 2 (/etc/b)",
                "expected a path in file 3",
                "a path in the root directory requires \"partition\" in file 4 (/motd)",
                "directories are not supported in file 5 (/etc/)",
                "the path must lead down from the root directory in file 6 (/etc/../../x)",
                "partition must be a number from 1 on or the path of a device in file 7 (/etc/c)",
                "mode must be a number in file 7 (/etc/c)",
                "owner must be a number in file 7 (/etc/c)",
                "expected content as a string, or deleted in file 7 (/etc/c)",
                "mode must be a number in file 8 (/etc/d)",
                "group must be a number in file 8 (/etc/d)",
                "deleted must be true or false in file 8 (/etc/d)",
                "the URL names what neither the node nor its ports have in file 9 (/etc/e)",
                "expected an object in file 10",
            ]
        );
    }

    #[test]
    fn properties_come_before_arguments_and_both_may_be_missing() {
        let names = UrlVariables {
            node: None,
            ports: &Json::NULL,
        };
        let file = |path: &str| Json::from(json!([{"path": path, "deleted": true}]));
        let (first, second) = (file("/a/b"), file("/c/d"));
        let paths: Vec<_> = read(Some(&first), Some(&second), names)
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(paths, [PathBuf::from("a/b"), PathBuf::from("c/d")]);
        assert!(read(None, Some(&Json::NULL), names).unwrap().is_empty());
        let error = read(Some(&json!({}).into()), None, names).unwrap_err();
        assert_eq!(
            error.details,
            "the `inject_files` node property must be a list"
        );
    }

    #[test]
    fn urls_name_the_node_and_its_ports_by_keys_alone() {
        assert_eq!(
            url("http://s/{node[uuid]}/{ports[0][address]}?n={node[extra][n]}&b={{}}").unwrap(),
            "http://s/1be2/52:54:00:12:34:56?n=7&b={}"
        );
        for wrong in [
            "http://s/{node}",
            "http://s/{node.uuid}",
            "http://s/{node[uuid].__class__}",
            "http://s/{node[uuid]!r}",
            "http://s/{node[uuid]:>9}",
            "http://s/{node[nothing]}",
            "http://s/{ports[1][address]}",
            "http://s/{self[uuid]}",
            "http://s/{node[uuid]",
            "http://s/}",
            "http://s/{}",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_template_makes_it_panic(template in "[{}\\[\\]a-z0ß]{0,20}") {
            let _ = url(&format!("x://{template}"));
        }
    }
}
