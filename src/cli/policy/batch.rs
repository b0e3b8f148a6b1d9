//! `ferrite policy check --batch`: a series of queries, each with its own rules.

use super::super::output::print_error;
use crate::policy::{Attributes, Rules};
use serde_json::Value;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::process::ExitCode;

/// Answers all queries, in order.
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

/// Answers all queries and returns the number of malformed lines.
fn answer_all(questions: &mut impl BufRead, answers: &mut impl Write) -> io::Result<usize> {
    let mut wrong = 0;
    let mut number = 0_usize;
    let mut line = Vec::new();
    while next_line(questions, &mut line)? {
        number += 1;
        let answer = if line.len() > MAX_LEN {
            Err(format!("it is longer than {MAX_LEN} bytes"))
        } else {
            question(&line)
        };
        let answer = answer.unwrap_or_else(|reason| {
            print_error(&format!("line {number} is no question: {reason}"));
            wrong += 1;
            allowed(false)
        });
        writeln!(answers, "{answer}")?;
    }
    answers.flush()?;
    Ok(wrong)
}

/// Reads the next line; returns `false` at the end. An overlong line is truncated just beyond the
/// limit, so that it is detected.
fn next_line(questions: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = MAX_LEN as u64 + 1;
    let read = questions.by_ref().take(most).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == most {
        questions.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

/// Answers one query with an object: `allowed`, or `refused` with the reason if an agent would not
/// load the rules.
fn question(line: &[u8]) -> Result<String, String> {
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
    let (credentials, target) = (map("credentials")?, map("target")?);
    Ok(match Rules::from_json(map("rules")?, default_rule) {
        Ok(rules) => allowed(rules.allows(rule, credentials, target)),
        Err(error) => format!("{{\"refused\": {}}}", Value::from(error.to_string())),
    })
}

fn allowed(is_allowed: bool) -> String {
    format!("{{\"allowed\": {is_allowed}}}")
}

/// Maximum length of a query in bytes.
const MAX_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_an_answer_in_its_place() {
        let ask = |check: &str, role: &str| {
            format!(
                r#"{{"rules":{{"r":"{check}"}},"default_rule":null,"rule":"r","credentials":{{"roles":["{role}"]}},"target":{{}}}}"#
            )
        };
        let good = |role: &str| ask("role:a", role);
        let refused = ask("role:%(level)d", "a");
        let long = "x".repeat(MAX_LEN + 5);
        let questions = [
            &good("a"),
            &long,
            "{}",
            &good("b"),
            "",
            &refused,
            &good("a"),
        ]
        .join("\n");
        let mut answers = Vec::new();
        let wrong = answer_all(&mut questions.as_bytes(), &mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let (yes, no) = (r#"{"allowed": true}"#, r#"{"allowed": false}"#);
        let refused = r#"{"refused": "cannot accept \"%(level)d\" after the colon of a check: of formats with % write %(name)s alone, as in %(node.owner)s"}"#;
        assert_eq!(wrong, 3);
        assert_eq!(
            answers.lines().collect::<Vec<_>>(),
            [yes, no, no, no, no, refused, yes]
        );
    }
}
