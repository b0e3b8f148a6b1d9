//! Both sides of a check: formats and literals of Python's that are accepted, and a few of those that are not.

use super::dice::Dice;
use serde_json::{Value, json};

/// A text and a target for `%`.
pub(crate) fn format(dice: &mut Dice) -> Value {
    let mut text = String::new();
    for _ in 0..1 + dice.below(4) {
        match dice.below(4) {
            0 => text.push_str(dice.pick(&["a", "é", " ", "(", ")", "'", "s", "1.5", "\u{1f600}"])),
            _ => text.push_str(dice.pick(&[
                "%(t)s",
                "%(i)s",
                "%(n)s",
                "%(f)s",
                "%(g)s",
                "%(b)s",
                "%(z)s",
                "%(l)s",
                "%(d)s",
                "%(u)s",
                "%(node.owner)s",
                "%(a b%)s",
            ])),
        }
    }
    if dice.below(REFUSED_ONE_IN) == 0 {
        text.push_str(dice.pick(REFUSED_FORMATS));
    }
    json!({"format": text, "target": target(dice), "spoil": dice.percent(30)})
}

fn target(dice: &mut Dice) -> Value {
    let float = |dice: &mut Dice| {
        let digits = (dice.below(2_000_000) as f64) - 1e6;
        let scale = dice.pick(&[1.0, 8.0, 10.0, 1000.0, 1e7, 1e-3, 1e-12, 1e12]);
        json!(if dice.percent(20) {
            0.5 * digits
        } else {
            digits / scale
        })
    };
    let text = |dice: &mut Dice| {
        json!(dice.pick(&[
            "",
            "a",
            "text",
            "it's",
            "\"",
            "'\"",
            "é",
            "\u{ad}",
            "e\u{301}",
            "\u{1f600}",
            "\n\t\r\\",
            "\u{1}\u{7f}\u{85}\u{a0}",
            "\u{feff}x",
            "日本",
            "\u{e000}",
            "%s",
            "\u{200b}",
        ]))
    };
    let number = |dice: &mut Dice| match dice.below(6) {
        0 => json!(0),
        1 => json!(i64::MIN),
        2 => json!(u64::MAX),
        3 => json!(dice.below(1_200_000)),
        _ => json!(dice.below(200) as i64 - 100),
    };
    json!({
        "t": text(dice), "u": text(dice), "i": number(dice), "n": number(dice), "f": float(dice),
        "g": dice.pick(&[0.0, 1.0, 2.5, 0.125, 1e16, 1e22, 1e-5, 1e300, 0.1, 123_456_789.125, 5e-324, 999_999.5, 0.0001]),
        "b": dice.percent(50), "z": null, "l": [1, text(dice), null, float(dice)], "d": {"k": text(dice)},
        "node.owner": text(dice), "a b%": "x",
    })
}

/// A left side for Python's `literal_eval`.
pub(crate) fn literal(dice: &mut Dice) -> Value {
    let kind = if dice.below(REFUSED_ONE_IN) == 0 {
        dice.pick(REFUSED_KINDS).to_owned()
    } else {
        kind(dice)
    };
    json!({"kind": kind, "spoil": dice.percent(30)})
}

/// Something that is accepted before a colon.
pub(crate) fn kind(dice: &mut Dice) -> String {
    match dice.below(20) {
        0 => dice.pick(&["True", "False", "None"]).to_owned(),
        1..5 => integer(dice),
        5..9 => float(dice),
        9..15 => text(dice),
        _ => path(dice),
    }
}

fn integer(dice: &mut Dice) -> String {
    let sign = dice.pick(&["", "", "-"]);
    let number = match dice.below(4) {
        0 => 1 + dice.below(9),
        1 => 1 + dice.below(1000),
        _ => 1 + dice.below(usize::MAX),
    };
    match dice.below(10) {
        0 => "0".to_owned(),
        1 => format!("{sign}{number}{}", dice.below(1_000_000_000_000)),
        _ => format!("{sign}{number}"),
    }
}

fn float(dice: &mut Dice) -> String {
    let sign = dice.pick(&["", "", "-"]);
    let most = dice.pick(&[10, 1000, 1_000_000, usize::MAX]);
    let whole = dice.below(most);
    let letter = dice.pick(&["e", "E", "e+", "e-", "E-"]);
    match dice.below(8) {
        0 => format!("{sign}{whole}."),
        1 => format!("{sign}00{whole}.{}", dice.below(1000)),
        2 => format!("{sign}{whole}{letter}{}", dice.below(280)),
        3 => format!("{sign}{whole}.{letter}{}", dice.below(20)),
        4 => format!(
            "{sign}{whole}.{}{letter}{}",
            dice.below(most),
            dice.below(30)
        ),
        5 => format!("{sign}0.0000{}", dice.below(most)),
        6 => format!("{sign}{whole}.{}00", dice.below(100)),
        _ => format!("{sign}{whole}.{}", dice.below(most)),
    }
}

/// A text in quotes.
fn text(dice: &mut Dice) -> String {
    let (quote, other) = dice.pick(&[("'", "\""), ("\"", "'")]);
    let mut text = quote.to_owned();
    for _ in 0..dice.below(6) {
        text.push_str(dice.pick(&[
            "a",
            "B",
            "1",
            ".",
            other,
            "é",
            "\u{ad}",
            "日",
            "\u{1f600}",
            "e\u{301}",
            "%",
            "%s",
            "(",
            ")",
            "{",
            "#",
            " ",
            "\u{a0}",
            "\u{2028}",
            "\u{feff}",
        ]));
    }
    text + quote
}

fn path(dice: &mut Dice) -> String {
    let mut names = Vec::new();
    for _ in 0..1 + dice.below(4) {
        names.push(dice.pick(&[
            "a", "user_id", "_", "__x__", "b1", "B", "set", "match", "type", "true", "none", "e5",
            "inf", "nan", "r", "b", "f", "print", "isx", "not_", "x_1_",
        ]));
    }
    names.join(".")
}

/// Of so many questions, one has a construction that is not accepted.
pub(crate) const REFUSED_ONE_IN: usize = 250;

/// Before a colon.
pub(crate) const REFUSED_KINDS: &[&str] = &[
    "[]", "[1,2]", "{}", "{1}", "set()", "(1,)", "1,", "b'x'", "1j", "1+2j", "...", "+1", "-0",
    "00", "01", "0x7", "1_000", "--1", ".5", "1e999", "r'x'", "u'x'", "'a''b'", "'''a'''",
    "'\\x41'", "user-id", "größe", "1+2", "f(x)", "a[b]", "-True", "True.x", "class", "a.class",
    "a..b", "a.", "",
];

/// After a colon.
pub(crate) const REFUSED_FORMATS: &[&str] = &[
    "%",
    "%%",
    "%s",
    "%d",
    "%(t)",
    "%(t",
    "%()s",
    "%(i)d",
    "%(t)r",
    "%(t)a",
    "%(i)c",
    "%(i)x",
    "%(f).2f",
    "%(t)5s",
    "%(t)-5s",
    "%(t).2s",
    "%(i)05d",
    "%(t)*s",
    "%(t)ls",
    "% (t)s",
    "%(a(b)c)s",
];
