//! A recording's file: its form, reading and writing.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder's recordings, by name.
pub(crate) fn all<T: DeserializeOwned>(folder: &str) -> Vec<(String, T)> {
    let mut names: Vec<_> = fs::read_dir(path(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let read = |name: String| {
        let text = fs::read(path(folder).join(&name)).unwrap();
        let recording =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, recording)
    };
    names.into_iter().map(read).collect()
}

/// Writes a recording back.
pub(crate) fn write<T: Serialize>(folder: &str, name: &str, recording: &T) {
    let mut text = serde_json::to_string_pretty(recording).unwrap();
    text.push('\n');
    fs::write(path(folder).join(name), text).unwrap();
}

/// A file's document.
pub(crate) fn document(name: &str) -> Value {
    serde_json::from_slice(&fs::read(path(name)).unwrap()).unwrap()
}

fn path(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/wire")
        .join(folder)
}

/// Whether `make record-wire` asks: answers are written instead of compared.
pub(crate) fn is_recording() -> bool {
    std::env::var_os("RECORD_WIRE").is_some()
}

/// What both agents said to one thing, and why they differ where they do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Said<T> {
    /// IPA's; none before it was recorded.
    pub(crate) ipa: Option<T>,
    /// Ferrite's, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ferrite: Option<T>,
    /// Why it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<String>,
}

impl<T: PartialEq> Said<T> {
    /// Takes what both say now.
    pub(crate) fn record(&mut self, ipa: T, ferrite: T) {
        self.ferrite = (ferrite != ipa).then_some(ferrite);
        self.ipa = Some(ipa);
    }

    /// What Ferrite is to say.
    pub(crate) fn expected(&self) -> Option<&T> {
        self.ferrite.as_ref().or(self.ipa.as_ref())
    }

    /// What is wrong with the recording itself.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match (&self.ipa, &self.ferrite, &self.because) {
            (None, _, _) => Some("is not recorded: `make record-wire`"),
            (_, Some(_), None) => Some("differs without a reason"),
            (_, None, Some(_)) => Some("gives a reason for a difference that does not exist"),
            (ipa, Some(_), _) if *ipa == self.ferrite => {
                Some("records a difference that does not exist")
            }
            _ => None,
        }
    }
}

/// One conversation over the agent's API: each has an agent of its own.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversation {
    /// What it is about.
    pub(crate) about: String,
    /// What the agents are told beside the usual.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) exchanges: Vec<Exchange>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Exchange {
    /// The behaviour of IPA that this shows.
    pub(crate) mirrors: String,
    pub(crate) request: Request,
    /// Parts of the body, by JSON pointer, that are not compared, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) masked: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(crate) answers: Said<Answer>,
}

/// What is sent. `{token}` and `{id}`, that of the latest record, are filled in.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// A document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) json: Option<Value>,
    /// A body that is no document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// All that is sent, where it is no request: method and target then say what it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
}

/// What came back, its volatile parts replaced.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Those that say something: in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// A document, or another body's text.
    pub(crate) body: Value,
}
