//! Python's words, as far as an expression without a colon has them: names, numbers, texts and signs.
//!
//! CPython 3.11's `Parser/tokenizer.c` and `string_parser.c` are the law. Whatever is wrong, it is a `SyntaxError`.

use super::literal::{Literal, MOST_DIGITS};

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word<'a> {
    /// A name or a keyword.
    Name(&'a str),
    /// The end of a line that is not within brackets.
    NewLine,
    Number(Literal),
    Sign(&'static str),
    Text(Literal),
}

/// Cuts an expression into its words; nothing if it has something else.
pub(super) fn cut(text: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut depth = 0_usize;
    let mut is_line_start = true;
    loop {
        let blank = rest;
        rest = rest.trim_start_matches([' ', '\t', '\u{c}']);
        // After a form feed the line begins anew.
        let indent = blank.strip_suffix(rest)?;
        let is_indented = indent
            .rsplit('\u{c}')
            .next()
            .is_some_and(|last| !last.is_empty());
        let mut is_blank = false;
        if let Some(comment) = rest.strip_prefix('#') {
            is_blank = true;
            rest = comment.trim_start_matches(|letter| letter != '\n');
        }
        let Some(letter) = rest.chars().next() else {
            // A last line of nothing but spaces is one that begins too far in.
            let is_wrong = is_line_start && is_indented && !is_blank;
            return (!is_wrong).then_some(words);
        };
        if letter == '\n' {
            rest = rest.strip_prefix('\n')?;
            if depth == 0 && !is_line_start {
                words.push(Word::NewLine);
                is_line_start = true;
            }
            continue;
        }
        if let Some(after) = rest.strip_prefix('\\') {
            rest = after.strip_prefix('\n').filter(|rest| !rest.is_empty())?;
            continue;
        }
        if is_line_start && is_indented {
            return None;
        }
        is_line_start = false;
        let word;
        (word, rest) = next(letter, rest)?;
        match word {
            Word::Sign("(" | "[" | "{") => depth += 1,
            Word::Sign(")" | "]" | "}") => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth > DEEPEST {
            return None;
        }
        words.push(word);
    }
}

fn next(letter: char, text: &str) -> Option<(Word<'_>, &str)> {
    let after_point = || text.strip_prefix('.')?.chars().next();
    if letter.is_ascii_digit()
        || letter == '.' && after_point().is_some_and(|next| next.is_ascii_digit())
    {
        let (number, rest) = number(text)?;
        return Some((Word::Number(number), rest));
    }
    if letter == '_' || letter.is_ascii_alphabetic() || !letter.is_ascii() {
        let rest = text.trim_start_matches(is_of_name);
        let name = text.strip_suffix(rest)?;
        if rest.starts_with(['\'', '"']) && is_prefix(name) {
            return quoted(name, rest);
        }
        let mut letters = name.chars();
        let first = letters.next()?;
        let is_name = (first == '_' || unicode_ident::is_xid_start(first))
            && letters.all(unicode_ident::is_xid_continue);
        return is_name.then_some((Word::Name(name), rest));
    }
    if letter == '\'' || letter == '"' {
        return quoted("", text);
    }
    SIGNS.iter().find_map(|sign| {
        let rest = text.strip_prefix(sign)?;
        Some((Word::Sign(sign), rest))
    })
}

fn is_of_name(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric() || !letter.is_ascii()
}

fn is_prefix(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["r", "u", "b", "br", "rb", "f", "fr", "rf"].contains(&name.as_str())
}

/// A text or bytes, from its quotes on.
fn quoted<'a>(prefix: &str, text: &'a str) -> Option<(Word<'a>, &'a str)> {
    let quote = text.get(..1)?;
    let triple = text
        .get(..3)
        .filter(|start| start.chars().all(|letter| quote.contains(letter)));
    let quotes = triple.unwrap_or(quote);
    let content = text.strip_prefix(quotes)?;
    let mut end = 0;
    loop {
        let rest = content.get(end..)?;
        if rest.starts_with(quotes) {
            break;
        }
        let mut letters = rest.chars();
        let letter = letters.next()?;
        if letter == '\\' {
            letters.next()?;
        } else if letter == '\n' && triple.is_none() {
            return None;
        }
        end = content.len() - letters.as_str().len();
    }
    let (content, rest) = content.split_at_checked(end)?;
    let rest = rest.strip_prefix(quotes)?;
    let has = |kind: char| prefix.to_ascii_lowercase().contains(kind);
    let (is_raw, is_bytes) = (has('r'), has('b'));
    if has('f') || is_bytes && !content.is_ascii() {
        return None;
    }
    let codes = if is_raw {
        content.chars().map(u32::from).collect()
    } else {
        unescaped(content, is_bytes)?
    };
    let value = if is_bytes {
        // Octal escapes beyond a byte lose what is above it.
        let bytes = codes.iter().map(|code| code.to_le_bytes()[0]);
        Literal::Bytes(bytes.collect())
    } else {
        Literal::Text(codes)
    };
    Some((Word::Text(value), rest))
}

/// The code points that a text with escapes means.
fn unescaped(text: &str, is_bytes: bool) -> Option<Vec<u32>> {
    let mut codes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        codes.extend(before.chars().map(u32::from));
        let mut letters = after.chars();
        let letter = letters.next()?;
        rest = letters.as_str();
        let simple = match letter {
            '\n' => continue,
            '\\' | '\'' | '"' => letter,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let digits = after.chars().take(3);
                let length = digits.take_while(|digit| digit.is_digit(8)).count();
                codes.push(u32::from_str_radix(after.get(..length)?, 8).ok()?);
                rest = after.get(length..)?;
                continue;
            }
            'x' | 'u' | 'U' if letter == 'x' || !is_bytes => {
                let length = match letter {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = rest.get(..length)?;
                if !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                let code = u32::from_str_radix(digits, 16).ok()?;
                codes.push(Some(code).filter(|code| *code <= u32::from(char::MAX))?);
                rest = rest.get(length..)?;
                continue;
            }
            // The names of Unicode are not here.
            'N' if !is_bytes => return None,
            other => {
                codes.push(u32::from('\\'));
                other
            }
        };
        codes.push(u32::from(simple));
    }
    codes.extend(rest.chars().map(u32::from));
    Some(codes)
}

fn number(text: &str) -> Option<(Literal, &str)> {
    for (radix, prefixes) in [(16, ["0x", "0X"]), (8, ["0o", "0O"]), (2, ["0b", "0B"])] {
        let Some(after) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
            continue;
        };
        let is_digit = |letter: char| letter.is_digit(radix);
        // One underscore may follow the prefix.
        let (digits, rest) = digits(after.strip_prefix('_').unwrap_or(after), is_digit)?;
        let ends = !rest.starts_with(|letter: char| letter.is_ascii_digit()) && is_end(rest);
        return ends.then(|| (Literal::Int(false, decimal(&digits, radix)), rest));
    }
    let is_digit = |letter: char| letter.is_ascii_digit();
    let (whole, mut rest) = if text.starts_with('.') {
        (String::new(), text)
    } else {
        digits(text, is_digit)?
    };
    let mut shown = whole.clone();
    let mut is_float = false;
    if let Some(after) = rest.strip_prefix('.') {
        is_float = true;
        shown.push('.');
        rest = after;
        if rest.starts_with(is_digit) {
            let (fraction, after) = digits(rest, is_digit)?;
            shown.push_str(&fraction);
            rest = after;
        }
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let unsigned = after.strip_prefix(['-', '+']).unwrap_or(after);
        if unsigned.starts_with(is_digit) {
            let (power, end) = digits(unsigned, is_digit)?;
            is_float = true;
            shown.push('e');
            shown.push_str(after.strip_suffix(unsigned)?);
            shown.push_str(&power);
            rest = end;
        } else if unsigned.len() != after.len() {
            return None;
        }
    }
    if let Some(after) = rest.strip_prefix(['j', 'J']) {
        let imaginary = Literal::Complex(0.0, shown.parse().ok()?);
        return is_end(after).then_some((imaginary, after));
    }
    if !is_end(rest) {
        return None;
    }
    if is_float {
        return Some((Literal::Float(shown.parse().ok()?), rest));
    }
    let significant = whole.trim_start_matches('0');
    // Zeros at the start are for zero alone, and long numbers for nobody.
    if significant.len() != whole.len() && !significant.is_empty()
        || significant.len() > MOST_DIGITS
    {
        return None;
    }
    let significant = if significant.is_empty() {
        "0"
    } else {
        significant
    };
    Some((Literal::Int(false, significant.to_owned()), rest))
}

/// Digits with single underscores between them, which are left out.
fn digits(text: &str, is_digit: impl Fn(char) -> bool + Copy) -> Option<(String, &str)> {
    let mut digits = String::new();
    let mut rest = text;
    loop {
        let after = rest.trim_start_matches(is_digit);
        let group = rest.strip_suffix(after)?;
        if group.is_empty() {
            return None;
        }
        digits.push_str(group);
        match after.strip_prefix('_') {
            Some(more) => rest = more,
            None => return Some((digits, after)),
        }
    }
}

/// After a number only those names may follow at once that an expression may go on with.
fn is_end(rest: &str) -> bool {
    let goes_on = ["and", "else", "for", "if", "in", "is", "or", "not"];
    !rest.starts_with(is_of_name) || goes_on.iter().any(|name| rest.starts_with(name))
}

/// Digits of another radix in decimal ones; of too many some, for nobody is shown them.
fn decimal(digits: &str, radix: u32) -> String {
    // Groups of nine decimal digits, the last first.
    let mut groups: Vec<u64> = vec![0];
    for digit in digits.chars().filter_map(|digit| digit.to_digit(radix)) {
        let mut carry = u64::from(digit);
        for group in &mut groups {
            let value = *group * u64::from(radix) + carry;
            *group = value % GROUP;
            carry = value / GROUP;
        }
        if carry > 0 {
            groups.push(carry);
        }
        if groups.len() > MOST_DIGITS / 9 + 2 {
            break;
        }
    }
    let mut shown: String = groups
        .iter()
        .rev()
        .map(|group| format!("{group:09}"))
        .collect();
    let zeros = shown.len() - shown.trim_start_matches('0').len();
    shown.drain(..zeros.min(shown.len() - 1));
    shown
}

const GROUP: u64 = 1_000_000_000;
/// Brackets within brackets (`MAXLEVEL`).
const DEEPEST: usize = 200;
/// The longer ones first.
const SIGNS: &[&str] = &[
    "...", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "(", ")", "[", "]", "{", "}", ",", ".",
    "+", "-", "*", "/", "%", "@", "&", "|", "^", "~", "<", ">", "=",
];
