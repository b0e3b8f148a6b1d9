//! Questions made at random: rules that are right, odd and broken, and credentials and targets that often fit them.

use super::attributes::{credentials, target};
use super::dice::Dice;
use super::python;
use serde_json::{Map, Value, json};

/// One question with everything it needs.
pub(crate) fn question(dice: &mut Dice) -> Value {
    let mut rules = Map::new();
    for _ in 0..1 + dice.below(5) {
        rules.insert(name(dice), rule(dice));
    }
    let mut asked = if dice.percent(90) {
        let at = dice.below(rules.len());
        rules.keys().nth(at).unwrap().clone()
    } else {
        name(dice)
    };
    if dice.percent(1) {
        let (deep, name) = deep(dice);
        rules.extend(deep);
        asked = name;
    }
    if dice.below(python::REFUSED_ONE_IN) == 0 {
        rules.insert(name(dice), json!([[refused(dice)]]));
    }
    let default_rule = match dice.below(10) {
        0..5 => Value::Null,
        5..8 => json!("default"),
        8 => json!(name(dice)),
        _ => json!(""),
    };
    json!({
        "rules": rules,
        "default_rule": default_rule,
        "rule": asked,
        "credentials": credentials(dice),
        "target": target(dice),
    })
}

/// A check that is not accepted.
fn refused(dice: &mut Dice) -> String {
    if dice.percent(50) {
        format!("{}:x", dice.pick(python::REFUSED_KINDS))
    } else {
        let kind = dice.pick(&["role", "user_id", "'u1'"]);
        format!("{kind}:{}", dice.pick(python::REFUSED_FORMATS))
    }
}

const NAMES: &[&str] = &["a", "b", "c", "d", "default", "is_admin", "x:y", "Ü", ""];

fn name(dice: &mut Dice) -> String {
    dice.pick(NAMES).to_owned()
}

fn rule(dice: &mut Dice) -> Value {
    match dice.below(100) {
        0..75 => Value::String(text(dice)),
        75..95 => list(dice),
        _ => odd(dice),
    }
}

/// What is neither a text nor a list, but a rule all the same.
fn odd(dice: &mut Dice) -> Value {
    match dice.below(7) {
        0..3 => json!(null),
        3 => json!(0),
        4 => json!(false),
        5 => json!({}),
        _ => json!({"role:admin": 1, "@": 2}),
    }
}

/// The old lists of lists.
fn list(dice: &mut Dice) -> Value {
    let mut outer = Vec::new();
    for _ in 0..dice.below(4) {
        outer.push(match dice.below(20) {
            0..4 => Value::String(check(dice, true)),
            4 => odd(dice),
            5 => json!(""),
            _ => {
                let mut inner = Vec::new();
                for _ in 0..dice.below(4) {
                    inner.push(if dice.percent(3) {
                        dice.pick(&["true", "7", "null", "[\"@\"]"])
                            .parse()
                            .unwrap()
                    } else {
                        Value::String(check(dice, true))
                    });
                }
                Value::Array(inner)
            }
        });
    }
    Value::Array(outer)
}

fn text(dice: &mut Dice) -> String {
    let mut text = match dice.below(100) {
        0..3 => dice
            .pick(&[
                "", " ", "()", "(", ")", "and", "not", "((@)", "or @", "\u{a0}",
            ])
            .to_owned(),
        3..75 => expression(dice, 4),
        _ => {
            let mut words = String::new();
            for _ in 0..1 + dice.below(8) {
                let word = match dice.below(12) {
                    0 | 1 => "and".to_owned(),
                    2 | 3 => "or".to_owned(),
                    4 => "not".to_owned(),
                    5 => dice.pick(&["(", "(("]).to_owned(),
                    6 => dice.pick(&[")", "))"]).to_owned(),
                    _ => check(dice, false),
                };
                // Only a parenthesis touches its neighbour.
                let is_open = words.ends_with('(') || words.is_empty();
                let touches = is_open || word.starts_with(')');
                if !touches || dice.percent(50) {
                    words.push_str(dice.pick(&[" ", " ", "  "]));
                }
                words.push_str(&word);
            }
            words
        }
    };
    if dice.percent(8) {
        for _ in 0..1 + dice.below(3) {
            mutate(dice, &mut text);
        }
    }
    text
}

/// One word, sign or letter more, less or another, but never within a side of a check.
fn mutate(dice: &mut Dice, text: &mut String) {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let at = dice.below(words.len());
    match dice.below(8) {
        0 => drop(words.remove(at)),
        1 => words.insert(at, sign(dice).to_owned()),
        2 => words[at] = sign(dice).to_owned(),
        3 => words[at].insert_str(0, dice.pick(&["(", "((", "\t", "\u{3000}"])),
        4 => words[at].push_str(dice.pick(&[")", "))", "\n", "\u{1f}"])),
        5 => words[at] = words[at].trim_matches(['(', ')']).to_owned(),
        6 => words[at] = cased(dice, &words[at].replace(':', "")),
        _ => {
            let other = dice.below(words.len());
            words.swap(at, other);
        }
    }
    *text = words.join(" ");
}

fn sign(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "",
        "and",
        "or",
        "not",
        "NOT",
        "(",
        ")",
        "()",
        "(@)",
        "@",
        "!",
        "@@",
        "!@",
        "x",
        "'x'",
        "\"(",
        "'",
        "\"role:admin\"",
        "andor",
        "not(",
        "\u{200b}",
        "%",
        "[]",
    ])
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    let kind = if depth == 0 { 0 } else { dice.below(100) };
    match kind {
        0..35 => check(dice, false),
        35..50 => format!(
            "{}{}{}",
            cased(dice, "not"),
            space(dice),
            expression(dice, depth - 1)
        ),
        50..65 => {
            let inner = if dice.percent(10) { space(dice) } else { "" };
            format!("({inner}{}{inner})", expression(dice, depth - 1))
        }
        _ => {
            let word = dice.pick(&["and", "or"]);
            let mut joined = expression(dice, depth - 1);
            for _ in 0..1 + dice.below(3) {
                let word = if dice.percent(70) {
                    word
                } else {
                    dice.pick(&["and", "or"])
                };
                joined = format!(
                    "{joined}{}{}{}{}",
                    space(dice),
                    cased(dice, word),
                    space(dice),
                    expression(dice, depth - 1)
                );
            }
            joined
        }
    }
}

fn space(dice: &mut Dice) -> &'static str {
    if dice.percent(90) {
        " "
    } else {
        dice.pick(&[
            "  ", "\t", "\n", "\u{a0}", "\u{2003}", "\u{1c}", "\u{85}", "\r\n",
        ])
    }
}

fn cased(dice: &mut Dice, word: &str) -> String {
    if dice.percent(80) {
        return word.to_owned();
    }
    word.chars()
        .map(|letter| {
            if dice.percent(50) {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        })
        .collect()
}

/// One check; where it is in a list, it may have spaces.
fn check(dice: &mut Dice, in_list: bool) -> String {
    let mut check = match dice.below(100) {
        0..8 => "@".to_owned(),
        8..14 => "!".to_owned(),
        14..30 => format!("rule:{}", dice.pick(NAMES)),
        30..50 => format!("role:{}", role(dice)),
        50..54 => dice
            .pick(&[
                "'quoted'",
                "\"a b\"",
                "admin",
                "%(x)s",
                "role",
                "a:",
                "role:",
                "rule:",
                "Role:admin",
                "RULE:a",
                "None:None",
            ])
            .to_owned(),
        54..60 => format!("{}:{}", python::kind(dice), wanted(dice)),
        60..76 => fitting(dice),
        _ => format!("{}:{}", path(dice), wanted(dice)),
    };
    if in_list && check.contains(':') && dice.percent(3) {
        check.push_str(dice.pick(&[" ", " x", ":", ")", "\t", "'"]));
    }
    if !in_list {
        check.retain(|letter| !letter.is_whitespace());
    }
    check
}

fn role(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "admin",
        "ADMIN",
        "member",
        "reader",
        "Straße",
        "İ",
        "ΑΣ",
        "%(role)s",
        "%(user_id)s",
        "%(none)s",
        "%(level)s",
        "%(missing)s",
        "%(list)s",
        "%(role)s%(none)s",
        "A%(role)s",
        "admin:x",
    ])
}

fn path(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "user_id",
        "project_id",
        "domain_id",
        "system_scope",
        "system",
        "is_admin",
        "level",
        "ratio",
        "none",
        "roles",
        "token",
        "token.project.id",
        "token.project",
        "token.list",
        "token.list.id",
        "token.list.deep.id",
        "token.missing.id",
        "user_id.x",
        "none.x",
        "groups",
        "groups.name",
        "groups.tags",
        "groups.tags.x",
        "matrix",
        "matrix.x",
        "token.project.domain.name",
        "empty",
        "0",
        "Role",
        "rules",
        "nothing",
        "missing.x",
    ])
}

fn wanted(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "%(user_id)s",
        "%(project_id)s",
        "%(user_id)s",
        "%(project_id)s",
        "%(target.role)s",
        "%(level)s",
        "%(ratio)s",
        "%(flag)s",
        "%(none)s",
        "%(list)s",
        "%(nested)s",
        "%(missing)s",
        "%(user_id)s%(project_id)s",
        "u%(level)s",
        "%(empty)s1",
        "u1",
        "p1",
        "all",
        "True",
        "False",
        "None",
        "1",
        "7",
        "1.5",
        "['p1', 'u1']",
        "{'id': 'p1'}",
        "['p1']",
        "[]",
        "{}",
        "d1",
        "(x)y",
        "a:b",
        "",
    ])
}

/// A literal that its match is equal to, or nearly.
fn fitting(dice: &mut Dice) -> String {
    dice.pick(&[
        "True:True",
        "True:%(flag)s",
        "False:%(flag)s",
        "'True':%(flag)s",
        "true:%(flag)s",
        "true:True",
        "None:%(none)s",
        "None:%(missing)s",
        "'None':%(none)s",
        "None:",
        "'':",
        "\"\":%(empty)s",
        "'u1':%(user_id)s",
        "\"u1\":%(user_id)s",
        "'p1':%(project_id)s",
        "'u1p1':%(user_id)s%(project_id)s",
        "'a b':a b",
        "\"it's\":it's",
        "'é':é",
        "'%s':x",
        "'x':'x'",
        "7:%(level)s",
        "'7':%(level)s",
        "7.0:%(level)s",
        "'1.5':%(ratio)s",
        "1.5:%(ratio)s",
        "1.50:%(ratio)s",
        "15e-1:%(ratio)s",
        "0:0",
        "-1:-1",
        "1:+1",
        "1e3:1000.0",
        "1e16:1e+16",
        "-0.0:-0.0",
        "0.00001:1e-05",
        "1.:1.0",
        "'[]':[]",
    ])
    .to_owned()
}

/// Rules within rules, less or more than Python's stack takes, and the one to ask: where Python fails at one of them, it may
/// fail at all.
fn deep(dice: &mut Dice) -> (Map<String, Value>, String) {
    let count = if dice.percent(80) {
        dice.below(120)
    } else {
        1_100 + dice.below(400)
    };
    let mut rules = Map::new();
    let (name, text) = match dice.below(4) {
        0 => ("a", format!("{}@", "not ".repeat(count))),
        1 => {
            let (open, close) = ("(".repeat(count), ")".repeat(count));
            ("b", format!("{open}role:admin{close}"))
        }
        2 => {
            let (open, close) = ("(not ".repeat(count), ")".repeat(count));
            ("c", format!("{open}@{close}"))
        }
        _ => {
            for number in 0..count {
                let text = format!("@ and rule:r{}", number + 1);
                rules.insert(format!("r{number}"), json!(text));
            }
            rules.insert(format!("r{count}"), json!("role:admin or @"));
            ("d", "rule:r0".to_owned())
        }
    };
    rules.insert(name.to_owned(), json!(text));
    (rules, name.to_owned())
}
