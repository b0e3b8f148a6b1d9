//! What Python alone is asked: its `%` and its literals.

use super::dice::Dice;
use super::generated::mutate;
use serde_json::{Value, json};

/// A text and a target for `%`.
pub(crate) fn format(dice: &mut Dice) -> Value {
    loop {
        let mut text = String::new();
        for _ in 0..1 + dice.below(3) {
            match dice.below(8) {
                0 => text.push_str(dice.pick(&["a", "é", "%%", " ", "("])),
                1 => text.push_str(dice.pick(&[
                    "%s", "%", "%(x", "%(x)", "%5", "%(i)*d", "%*s", "%(i)*.*f", "%(i).*f", "%(m)s",
                ])),
                _ => text.push_str(&conversion(dice)),
            }
        }
        if dice.percent(5) {
            mutate(dice, &mut text);
        }
        if !has_long_number(&text) {
            return json!({"format": text, "target": target(dice)});
        }
    }
}

fn conversion(dice: &mut Dice) -> String {
    let mut text = "%".to_owned();
    if dice.percent(90) {
        text.push_str(dice.pick(&[
            "(t)", "(i)", "(n)", "(f)", "(g)", "(b)", "(z)", "(l)", "(d)", "(c)", "(u)", "()",
        ]));
    }
    while dice.percent(30) {
        text.push_str(dice.pick(&["-", "+", " ", "#", "0"]));
    }
    if dice.percent(40) {
        text.push_str(dice.pick(&["1", "2", "5", "10", "13", "100", "*", "0"]));
    }
    if dice.percent(40) {
        text.push_str(dice.pick(&[".", ".0", ".1", ".2", ".3", ".7", ".17", ".30", ".*"]));
    }
    if dice.percent(10) {
        text.push_str(dice.pick(&["h", "l", "L", "ll"]));
    }
    text.push_str(dice.pick(&[
        "s", "s", "r", "a", "c", "d", "i", "u", "o", "x", "X", "e", "E", "f", "F", "g", "G", "%",
        "y", "n",
    ]));
    text
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
        "": "empty", "t": text(dice), "u": text(dice), "i": number(dice), "n": number(dice), "f": float(dice),
        "g": dice.pick(&[0.0, 1.0, 2.5, 0.125, 1e16, 1e22, 1e-5, 1e300, 0.1, 123_456_789.125, 5e-324, 999_999.5, 0.0001]),
        "b": dice.percent(50), "z": null, "l": [1, text(dice), null, float(dice)], "d": {"k": text(dice)}, "c": "x",
    })
}

/// A line for Python's `literal_eval`.
pub(crate) fn literal(dice: &mut Dice) -> Value {
    loop {
        let kind = kind(dice);
        if !kind.contains(':') && !is_left_out(&kind) {
            return json!({"kind": kind});
        }
    }
}

/// Something before a colon: a literal, an expression, or nearly one.
pub(crate) fn kind(dice: &mut Dice) -> String {
    let mut kind = match dice.below(10) {
        0..3 => number(dice),
        3..5 => text(dice),
        5 => {
            let mut soup = String::new();
            for _ in 0..1 + dice.below(6) {
                soup.push_str(dice.pick(WORDS));
            }
            soup
        }
        _ => expression(dice, 3),
    };
    if dice.percent(10) {
        mutate(dice, &mut kind);
    }
    kind
}

const WORDS: &[&str] = &[
    "a", "b1", "_", "é", "ª", "not ", "and ", "or", " if ", " else ", "for ", " in ", "is ",
    "await ", "async ", "yield ", "from ", "lambda ", "True", "None", "...", ".", ",", "(", ")",
    "[", "]", "{", "}", "+", "-", "~", "*", "**", "/", "//", "%", "@", "<", ">", "=", "==", "!=",
    "<=", "<<", "|", "&", "^", "1", "0", "1.5", "1j", "0x1", "'a'", "\"b\"", "b'c'", " ", "\n",
    "\t", "#", "\\\n", "set", "()", "match", "\u{c}", "!", "?", "$", "·", "²", "\u{a0}",
];

fn number(dice: &mut Dice) -> String {
    let sign = dice.pick(&["", "", "-", "+", "- ", "--"]);
    let mut text = sign.to_owned();
    for _ in 0..1 + dice.below(7) {
        text.push_str(dice.pick(&[
            "0", "1", "7", "12", "34", "_", ".", "e", "E", "j", "x", "0x", "0b", "0o", "a", "F",
            "+", "-", "99999", "e30", "e-7",
        ]));
    }
    if dice.percent(40) {
        text = match dice.below(8) {
            0 => format!("{sign}0x{:x}", dice.below(usize::MAX)),
            1 => format!(
                "{sign}0XF{:X}{:x}",
                dice.below(usize::MAX),
                dice.below(usize::MAX)
            ),
            2 => format!("0o{:o}", dice.below(usize::MAX)),
            3 => format!("0b{:b}", dice.below(1000)),
            4 => format!("{sign}{}.{}", dice.below(1000), dice.below(1_000_000)),
            5 => format!(
                "{sign}{}e{}",
                dice.below(1000),
                dice.below(700) as i64 - 350
            ),
            6 => format!(
                "{sign}{}{}{}j",
                dice.below(100),
                dice.pick(&["+", "-"]),
                dice.below(100)
            ),
            _ => format!("{}.{}j", dice.below(100), dice.below(100)),
        };
    }
    text
}

fn text(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..1 + usize::from(dice.percent(15)) {
        let quote = dice.pick(&["'", "\"", "'", "\"", "'''", "\"\"\""]);
        text.push_str(dice.pick(&["", "", "", "r", "b", "u", "Rb", "bR", "U", "ur", "R"]));
        text.push_str(quote);
        for _ in 0..dice.below(6) {
            text.push_str(dice.pick(&[
                "a",
                "B",
                "é",
                "\u{ad}",
                "日",
                "\u{1f600}",
                "'",
                "\"",
                "\\'",
                "\\\"",
                "\\\\",
                "\\n",
                "\\t",
                "\\x41",
                "\\xe9",
                "\\x4",
                "\\u00e9",
                "\\ud800",
                "\\U0001f600",
                "\\U00110000",
                "\\101",
                "\\0",
                "\\400",
                "\\777",
                "\\8",
                "\\q",
                "\\a",
                "\\v",
                "\\\n",
                "\n",
                "\t",
                "%",
                "%s",
                " ",
                "\u{85}",
                "\u{2028}",
                "\\",
            ]));
        }
        text.push_str(quote);
        if dice.percent(50) {
            text.push_str(dice.pick(&["", "", " "]));
        }
    }
    text
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 || dice.percent(25) {
        return match dice.below(8) {
            0..3 => dice
                .pick(&["a", "b", "_x", "größe", "set", "match", "ａ"])
                .to_owned(),
            3 => dice.pick(&["True", "False", "None", "..."]).to_owned(),
            4 => text(dice),
            5 => dice.pick(&["()", "[]", "{}", "set()"]).to_owned(),
            _ => dice
                .pick(&["1", "0", "2.5", "1j", "0x10", "1_000", "1e5"])
                .to_owned(),
        };
    }
    let space = dice.pick(&["", "", " "]);
    let mut inner = || expression(dice, depth - 1);
    let (one, two, three) = (inner(), inner(), inner());
    let bare = dice.pick(&[
        "a", "a.b", "a[0]", "(a)", "(a,b)", "[a]", "*a", "a,b", "a,", "1", "f()", "(a,*b)", "a+b",
    ]);
    match dice.below(30) {
        0..3 => format!("({space}{one}{space})"),
        3 => format!("({one},)"),
        4 => format!("({one},{space}{two})"),
        5..7 => format!("[{one},{two}{}]", dice.pick(&["", ","])),
        7 => format!("[{one}{space}]"),
        8 => format!("{{{one}}}"),
        9 => format!("{one},{space}{two}"),
        10..12 => format!(
            "{}{one}",
            dice.pick(&["-", "+", "~", "not ", "await ", "*", "**", "yield "])
        ),
        12..15 => format!(
            "{one}{space}{}{space}{two}",
            dice.pick(&[
                "+", "-", "*", "**", "//", "%", "@", "<<", "|", "&", "^", "=", "!"
            ])
        ),
        15 => format!(
            "{one} {} {two}",
            dice.pick(&[
                "==",
                "<",
                "!=",
                "is",
                "is not",
                "in",
                "not in",
                "and",
                "or",
                "<>",
                "not",
                "is not not",
                "and not",
                "or not",
                "== not"
            ])
        ),
        16 => format!("{one} if {two} else {three}"),
        17 => format!("{one}.{}", dice.pick(&["a", "b", "class", "1", "é"])),
        18 => format!("{one}[{two}]"),
        19 => format!("{one}[{bare},{two}]"),
        20 => format!(
            "{one}({two}{})",
            dice.pick(&["", ",", ",*a", ",**a", ",b=1", ",a for a in b"])
        ),
        21 => format!(
            "{one}({}{two})",
            dice.pick(&["*a,", "**a,", "b=1,", "b=", "*", "**", ""])
        ),
        22 => format!("({one} for {bare} in {two})"),
        23 => format!("[{one} for {bare} in {two} if {three}]"),
        24 => format!("{{{one} async for {bare} in {two}}}"),
        25 => format!("{one}({two} for {bare} in {three})"),
        26 => format!("(yield{space}{two})"),
        27 => format!("(*{one},{two})"),
        28 => format!("[*{one},*{two}]"),
        _ => format!("{{**{one}}}"),
    }
}

/// What ours does not do as Python does, and says so: texts with `f` or `\N`, sets of several, and numbers that are a page long.
pub(crate) fn is_left_out(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let formatted = ["f'", "f\"", "f\\\"", "fr'", "fr\"", "fr\\\""];
    formatted.iter().any(|prefix| lower.contains(prefix))
        || text.contains("\\N")
        || text.contains('\0')
        || (text.contains('{') && text.contains(','))
        || (text.contains('%') && has_long_number(text))
}

fn has_long_number(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|letter| {
        run = if letter.is_ascii_digit() { run + 1 } else { 0 };
        run > 4
    })
}
