//! Masks secrets with a known form: password hashes (crypt(5)), private keys in PEM (RFC 7468) and
//! signed tokens (RFC 7519).

use super::bounds::{byte, part};
use super::mask::MASK;

/// Returns the text with hashes, private keys and signed tokens masked.
pub(super) fn mask(text: &str) -> String {
    mask_tokens(&mask_hashes(&mask_keys(text)))
}

/// Masks from `-----BEGIN … PRIVATE KEY…-----` to its end; if that is cut off, to the end of the
/// text.
fn mask_keys(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        masked.push_str(before);
        let label = part(after, 0, after.floor_char_boundary(MAX_LABEL_LEN));
        let label = label.split_once(DASHES).map_or("", |(label, _)| label);
        if !label.contains(PRIVATE) {
            masked.push_str(BEGIN);
            rest = after;
            continue;
        }
        masked.push_str(MASK);
        let end = after.split_once(END).map_or("", |(_, end)| end);
        rest = end.split_once(DASHES).map_or("", |(_, rest)| rest);
    }
    masked.push_str(rest);
    masked
}

/// Returns whether a private key begins in this line and does not end in it.
pub(super) fn leaves_key_open(line: &str) -> bool {
    let Some((_, after)) = line.rsplit_once(BEGIN) else {
        return false;
    };
    let label = after.split_once(DASHES).map_or("", |(label, _)| label);
    label.contains(PRIVATE) && !after.contains(END)
}

/// Returns whether a line after the beginning of a key can be part of it. That is base64 (RFC 7468
/// section 2), a header (RFC 1421 section 4.6) or an empty line. A log's line prefix may precede
/// it.
pub(super) fn is_of_key(line: &str) -> bool {
    let Some(last) = line.split_whitespace().last() else {
        return true;
    };
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let is_whole = line.trim() == last;
    ends_key(line)
        || HEADERS.iter().any(|header| line.contains(header))
        || (last.bytes().all(is_base64) && (is_whole || last.len() >= BASE64_LINE))
}

/// Returns whether a key's end is in this line.
pub(super) fn ends_key(line: &str) -> bool {
    line.contains(END)
}

const HEADERS: &[&str] = &["Proc-Type:", "DEK-Info:"];
/// Length of a key's full lines (RFC 7468 section 2). Only the last line is shorter, and in most
/// texts it is the only one.
const BASE64_LINE: usize = 64;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const PRIVATE: &str = "PRIVATE KEY";
const MAX_LABEL_LEN: usize = 64;

/// Masks `$6$salt$hash` and similar hashes.
fn mask_hashes(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let length = hash_length(bytes.get(at..).unwrap_or_default());
        if length == 0 {
            at += 1;
            continue;
        }
        if length >= MIN_HASH_LEN {
            masked.push_str(part(text, copied, at));
            masked.push_str(MASK);
            copied = at + length;
        }
        at += length;
    }
    masked.push_str(part(text, copied, text.len()));
    masked
}

/// Masks `header.claims.signature` in base64url, where the first two are JSON.
fn mask_tokens(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once(JSON_OBJECT) {
        let (before, token) = rest.split_at(before.len());
        masked.push_str(before);
        let length = token_length(token);
        let read = match length {
            Some(length) => length,
            None => run(token),
        };
        let (read, after) = token.split_at(read);
        masked.push_str(if length.is_some() { MASK } else { read });
        rest = after;
    }
    masked.push_str(rest);
    masked
}

fn token_length(text: &str) -> Option<usize> {
    let header = run(text);
    let claims = text.get(header..)?.strip_prefix('.')?;
    let length = run(claims);
    let signature = claims.get(length..)?.strip_prefix('.')?;
    let last = run(signature);
    let is_one = claims.starts_with(JSON_OBJECT) && last > 0;
    is_one.then_some(header + 1 + length + 1 + last)
}

/// Returns the length of the base64url prefix (RFC 4648 section 5).
fn run(text: &str) -> usize {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.bytes().take_while(|byte| is_one(byte)).count()
}

/// `{"` in base64.
const JSON_OBJECT: &str = "eyJ";

/// Returns the length in bytes of a password hash that begins here; 0 if there is none.
fn hash_length(bytes: &[u8]) -> usize {
    if byte(bytes, 0) != b'$' {
        return 0;
    }
    let method = bytes.get(1..).unwrap_or_default();
    let Some(method) = METHODS.iter().find(|known| method.starts_with(known)) else {
        return 0;
    };
    let prefix = 1 + method.len();
    let body = bytes.iter().skip(prefix).take_while(|byte| is_hash(**byte));
    prefix + body.count()
}

fn is_hash(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"./$=,+-".contains(&byte)
}

const METHODS: &[&[u8]] = &[
    b"1$", b"2a$", b"2b$", b"2x$", b"2y$", b"5$", b"6$", b"7$", b"y$", b"gy$", b"sha1$", b"argon2",
];
/// Minimum length of a hash: longer than `$1$2` in a script.
const MIN_HASH_LEN: usize = 24;
