//! `ferrite policy check --batch`: question after question, each with rules of its own.

use super::super::output::print_error;
use crate::policy::{Attributes, Rules};
use serde_json::Value;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::process::ExitCode;

/// Answers question after question, in their order.
pub(super) fn run() -> ExitCode {
    let mut answers = BufWriter::new(io::stdout().lock());
    let mut questions = io::stdin().lock();
    match answer_all(&mut questions, &mut answers) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&format!("no more questions can be answered: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// How many lines were no questions.
fn answer_all(questions: &mut impl BufRead, answers: &mut impl Write) -> io::Result<usize> {
    let mut wrong = 0;
    let mut number = 0_usize;
    let mut line = Vec::new();
    while next_line(questions, &mut line)? {
        number += 1;
        let allowed = if line.len() > LONGEST {
            Err(format!("it is longer than {LONGEST} bytes"))
        } else {
            question(&line)
        };
        let allowed = allowed.unwrap_or_else(|reason| {
            print_error(&format!("line {number} is no question: {reason}"));
            wrong += 1;
            false
        });
        writeln!(answers, "{{\"allowed\": {allowed}}}")?;
    }
    answers.flush()?;
    Ok(wrong)
}

/// The next line, of one that is too long no more than is needed to see that; false at the end.
fn next_line(questions: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = LONGEST as u64 + 1;
    let read = questions.by_ref().take(most).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == most {
        questions.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

fn question(line: &[u8]) -> Result<bool, String> {
    let question: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let part = |name: &str| {
        question
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))
    };
    let map = |name: &str| -> Result<&Attributes, String> {
        part(name)?
            .as_object()
            .ok_or_else(|| format!("{name} is no object"))
    };
    let default_rule = match part("default_rule")? {
        Value::Null => None,
        Value::String(name) => Some(name.as_str()),
        _ => return Err("default_rule is neither a text nor null".to_owned()),
    };
    let rule = part("rule")?.as_str().ok_or("rule is no text")?;
    let rules = Rules::from_json(map("rules")?, default_rule);
    Ok(rules.allows(rule, map("credentials")?, map("target")?))
}

/// Bytes of a question.
const LONGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_an_answer_in_its_place() {
        let good = |role: &str| {
            format!(
                r#"{{"rules":{{"r":"role:a"}},"default_rule":null,"rule":"r","credentials":{{"roles":["{role}"]}},"target":{{}}}}"#
            )
        };
        let long = "x".repeat(LONGEST + 5);
        let questions = [&good("a"), &long, "{}", &good("b"), "", &good("a")].join("\n");
        let mut answers = Vec::new();
        let wrong = answer_all(&mut questions.as_bytes(), &mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let allowed: Vec<bool> = answers
            .lines()
            .map(|line| line == r#"{"allowed": true}"#)
            .collect();
        assert_eq!(wrong, 3);
        assert_eq!(allowed, [true, false, false, false, false, true]);
    }
}
