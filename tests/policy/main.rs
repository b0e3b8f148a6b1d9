//! `ferrite policy`, as an operator types it: everything it prints, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs the program"
)]

mod check;
mod guide;
mod names;
mod sample;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How the program ended, and all it said.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn done(out: &str) -> Self {
        Self {
            code: Some(0),
            out: out.to_owned(),
            err: String::new(),
        }
    }

    /// With an exit code of 2.
    fn unusable(err: &str) -> Self {
        Self {
            code: Some(2),
            out: String::new(),
            err: format!("ferrite: error: {err}\n"),
        }
    }
}

/// A folder with files, in which the program is run.
struct Place(TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `ferrite policy` with the words of a line.
    fn run(&self, line: &str) -> Ended {
        self.run_with(line, "")
    }

    fn run_with(&self, line: &str, input: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ferrite"))
            .arg("policy")
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read it has ended already.
        let _ended = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn what_cannot_be_understood_ends_with_two() {
    let place = Place::with(&[]);
    for (line, reason) in [
        ("", "Usage: ferrite policy <COMMAND>"),
        ("sample --format json", "unexpected argument '--format'"),
        ("check --rule x", "--credentials <FILE>"),
        ("check --batch --file x", "cannot be used with"),
        ("list-redundant", "<--file <FILE>|--dir <DIR>>"),
        ("upgrade", "--file <FILE>"),
    ] {
        let ended = place.run(line);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(2), ""),
            "{line}: {ended:?}"
        );
        assert!(ended.err.contains(reason), "{line}: {}", ended.err);
    }
}
