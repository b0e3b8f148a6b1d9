//! Both judges: the real oslo.policy in its own Python, and the program.

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Lines in a file of their own, for one process to read.
pub(crate) fn file_of(lines: impl IntoIterator<Item = Value>) -> File {
    let file = tempfile::tempfile().unwrap();
    let mut writer = BufWriter::new(file);
    for line in lines {
        serde_json::to_writer(&mut writer, &line).unwrap();
        writer.write_all(b"\n").unwrap();
    }
    rewound(writer.into_inner().unwrap())
}

fn rewound(mut file: File) -> File {
    use std::io::Seek;
    file.rewind().unwrap();
    file
}

/// Questions that Python makes of what it is asked.
pub(crate) fn made(asked: File) -> File {
    run(python("make"), asked)
}

/// What the real library answers, as it is or hastened.
pub(crate) fn of_oslo(questions: &File, mode: &str) -> Vec<bool> {
    answers(run(python(mode), rewound(questions.try_clone().unwrap())))
}

/// What the real library answers with files over registered rules.
pub(crate) fn answers_of_files(cases: File) -> Vec<bool> {
    answers(run(python("files"), cases))
}

/// What the real generator writes of a table of rules, and what the real library makes of a file.
pub(crate) fn sampled(asked: File) -> Value {
    serde_json::from_reader(run(script("sample.py"), asked)).unwrap()
}

/// What the program answers: this build's, or the one that `FERRITE` names. Nothing where it refuses the rules.
pub(crate) fn of_ferrite(questions: &File) -> Vec<Option<bool>> {
    let program = std::env::var_os("FERRITE");
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_ferrite").into());
    let mut command = Command::new(program);
    command.args(["policy", "check", "--batch"]);
    answers_or_refusals(run(command, rewound(questions.try_clone().unwrap())))
}

/// The questions themselves, for whoever reads a failure.
pub(crate) fn lines(questions: &File) -> Vec<String> {
    let file = rewound(questions.try_clone().unwrap());
    BufReader::new(file).lines().map(Result::unwrap).collect()
}

fn python(mode: &str) -> Command {
    let mut command = script("judge.py");
    command.arg(mode);
    command
}

fn script(name: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("target/lab/venv/oslo.policy-6.0.1/bin/python");
    assert!(python.exists(), "oslo.policy is not here: run `make lab`");
    let mut command = Command::new(python);
    command.arg(here.join("tests/oslo_policy").join(name));
    command
}

fn run(mut command: Command, input: File) -> File {
    let output = tempfile::tempfile().unwrap();
    command.stdin(Stdio::from(input));
    command.stdout(Stdio::from(output.try_clone().unwrap()));
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    rewound(output)
}

fn answers(file: File) -> Vec<bool> {
    let answers = answers_or_refusals(file).into_iter();
    answers.map(Option::unwrap).collect()
}

fn answers_or_refusals(file: File) -> Vec<Option<bool>> {
    let lines = BufReader::new(file).lines().map(Result::unwrap);
    lines
        .map(|line| match line.as_str() {
            r#"{"allowed": true}"# => Some(true),
            r#"{"allowed": false}"# => Some(false),
            other if other.starts_with(r#"{"refused": "cannot accept "#) => None,
            other => panic!("no answer: {other}"),
        })
        .collect()
}
