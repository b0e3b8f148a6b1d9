//! One set of sources, and what it comes to here and there.

use clap::Command;
use ferrite::config::{self, CommandLine, KernelArgs, Sources, Value};
use ferrite::root::Root;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// Sources of configuration; `@` in an argument is the case's folder.
#[derive(Debug)]
pub(crate) struct Case {
    folder: tempfile::TempDir,
    kernel: String,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    /// For whoever reads a failure.
    files: Vec<(String, String)>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            kernel: String::new(),
            environment: vec![("HOME".to_owned(), "/root".to_owned())],
            arguments: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Case {
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        let full = self.folder.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, text).unwrap();
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        let folder = self.folder.path().to_str().unwrap();
        self.arguments.push(argument.replace('@', folder));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn kernel(mut self, words: &str) -> Self {
        self.kernel.push_str(words);
        self.kernel.push(' ');
        self
    }

    /// What it comes to here, by `group.option`.
    pub(crate) fn ours(&self) -> Result<BTreeMap<String, Own>, String> {
        let command = CommandLine::arguments(Command::new("agent"));
        let arguments = std::iter::once("agent").chain(self.arguments.iter().map(String::as_str));
        let mut matches = command
            .try_get_matches_from(arguments)
            .map_err(|error| error.to_string())?;
        let sources = Sources {
            kernel: KernelArgs::parse(self.kernel.clone()),
            media: None,
            environment: self.environment.clone(),
            command_line: CommandLine::taken_from(&mut matches),
        };
        let loaded = config::load(&Root::at(self.folder.path()), sources)
            .map_err(|error| error.to_string())?;
        let own = |setting: &config::Setting| {
            let own = Own {
                value: setting.value.clone(),
                has_effect: setting.has_effect,
                is_set: setting.is_set(),
            };
            (format!("{}.{}", setting.group, setting.name), own)
        };
        Ok(loaded.settings.iter().map(own).collect())
    }

    fn asked(&self) -> Json {
        let environment: BTreeMap<_, _> = self.environment.iter().cloned().collect();
        json!({
            "folder": self.folder.path(),
            "kernel": self.kernel,
            "environment": environment,
            "arguments": self.arguments,
        })
    }
}

/// An option here.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) value: Value,
    pub(crate) has_effect: bool,
    pub(crate) is_set: bool,
}

impl Own {
    /// Whether it is the same value as Python's.
    pub(crate) fn is(&self, python: &Json) -> bool {
        match (&self.value, python) {
            (Value::Unset, Json::Null) => true,
            (Value::Unset, Json::String(text)) => text.is_empty(),
            (Value::Unset, Json::Array(words)) => words.is_empty(),
            (Value::Secret, Json::String(text)) => !text.is_empty(),
            (Value::Flag(flag), _) => *python == json!(flag),
            (Value::Number(number), Json::Number(python)) => {
                number.to_string().parse().ok() == python.as_f64()
            }
            (Value::List(words), Json::String(text)) => *words == parts(text),
            (Value::List(words), _) => *python == json!(words),
            (Value::Text(text), Json::Number(number)) => text.parse().ok() == number.as_f64(),
            (Value::Text(text), _) => *python == json!(text),
            _ => false,
        }
    }
}

fn parts(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).collect()
}

/// What a case comes to there.
#[derive(Debug)]
pub(crate) struct Judged(Json);

impl Judged {
    /// Every option's value, or why there is none.
    pub(crate) fn values(&self) -> Result<BTreeMap<String, Json>, String> {
        let Some(values) = self.0["values"].as_object() else {
            return Err(self.0["error"].to_string());
        };
        values
            .iter()
            .map(|(name, read)| match read.get("value") {
                Some(value) => Ok((name.clone(), value.clone())),
                None => Err(format!("{name}: {}", read["error"])),
            })
            .collect()
    }

    /// Whether the case, or one of its options, cannot be used.
    pub(crate) fn refuses(&self) -> bool {
        self.values().is_err()
    }
}

/// Asks oslo.config about all of them.
pub(crate) fn judged(cases: &[&Case]) -> Vec<Judged> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("target/lab/venv/ironic-python-agent-13.0.0/bin/python");
    assert!(python.exists(), "{}: run `make lab`", python.display());
    let mut process = std::process::Command::new(python)
        .arg(here.join("tests/oslo/oslo.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked: Vec<Json> = cases.iter().map(|case| case.asked()).collect();
    let mut stdin = process.stdin.take().unwrap();
    stdin
        .write_all(serde_json::to_string(&asked).unwrap().as_bytes())
        .unwrap();
    drop(stdin);
    let answered = process.wait_with_output().unwrap();
    assert!(answered.status.success());
    let answers: Vec<Json> = serde_json::from_slice(&answered.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers.into_iter().map(Judged).collect()
}
