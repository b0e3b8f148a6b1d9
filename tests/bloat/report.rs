//! Whose the bytes of a program are: by kind of section, by crate, and by room of the crate `ferrite`. From what readelf says.
//!
//! A symbol is counted for the first crate that its name names. What the standard library makes for somebody's type is that crate's:
//! `drop_in_place<ferrite::api::State>` is of the room `api`. What it makes without saying for whom, and the library itself, is its own.
//! What LTO took into its caller is the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) offset: u64,
    /// Bytes of the file; none of what is zero at the start.
    pub(crate) bytes: u64,
    pub(crate) is_loaded: bool,
    pub(crate) is_code: bool,
}

/// A function or a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) address: u64,
    pub(crate) bytes: u64,
    pub(crate) section: usize,
    pub(crate) name: String,
}

/// Reads `readelf --sections --wide`.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let read = |line: &str| {
        let (number, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
        let words: Vec<_> = rest.split_whitespace().collect();
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let [name, kind, _, offset, bytes, _, flags, ..] = words[..] else {
            return None;
        };
        Some(Section {
            // The first row has no name.
            number: number.trim().parse().ok().filter(|number| *number > 0)?,
            name: name.to_owned(),
            offset: hex(offset)?,
            bytes: hex(bytes)? * u64::from(kind != "NOBITS"),
            is_loaded: flags.contains('A'),
            is_code: flags.contains('X'),
        })
    };
    text.lines().filter_map(read).collect()
}

/// Reads `readelf --symbols --wide --demangle`: what has bytes, each place once.
pub(crate) fn symbols(text: &str) -> Vec<Symbol> {
    let mut places = BTreeSet::new();
    let read = |line: &str| {
        let (_number, rest) = line.trim().split_once(": ")?;
        let mut rest = rest.trim_start();
        let mut word = || {
            let (word, after) = rest.split_once(char::is_whitespace)?;
            rest = after.trim_start();
            Some(word)
        };
        let address = u64::from_str_radix(word()?, 16).ok()?;
        let size = word()?;
        // Large ones are in hexadecimal digits.
        let bytes = match size.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()?,
            None => size.parse().ok()?,
        };
        let kind = word()?;
        let (_bind, _visibility) = (word()?, word()?);
        let section = word()?.parse().ok()?;
        let has_bytes = bytes > 0 && matches!(kind, "FUNC" | "OBJECT");
        (has_bytes && places.insert(address)).then(|| Symbol {
            address,
            bytes,
            section,
            name: rest.to_owned(),
        })
    };
    text.lines().filter_map(read).collect()
}

/// Whose a symbol is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) krate: String,
    /// Of `ferrite` alone.
    pub(crate) room: Option<String>,
}

/// Whose a symbol of that name is.
pub(crate) fn owner(name: &str) -> Owner {
    let paths = paths(name);
    let first = paths.first().copied();
    let foreign = paths.iter().find(|(krate, _)| !STANDARD.contains(krate));
    match foreign.copied().or(first) {
        Some(("ferrite", room)) => Owner {
            krate: "ferrite".to_owned(),
            room: Some(room.to_owned()),
        },
        Some((krate, _)) => Owner {
            krate: krate.to_owned(),
            room: None,
        },
        None => {
            let known = C_LIBRARIES.iter().find(|(marks, _)| {
                let mut marks = marks.iter();
                marks.any(|mark| name.trim_start_matches('_').starts_with(mark))
            });
            Owner {
                krate: known.map_or(C, |(_, library)| library).to_owned(),
                room: None,
            }
        }
    }
}

/// The first two names of every path in a symbol's name.
fn paths(name: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c == '_' || c.is_alphanumeric();
    let mut found = Vec::new();
    let mut rest = name;
    while let Some(at) = rest.find(is_part) {
        let text = &rest[at..];
        let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
        let (krate, after) = text.split_at(end);
        // The rest of the path belongs to it; `[0123abcd]` is the crate's hash.
        let path_end = after
            .find(|c: char| !is_part(c) && !":[]".contains(c))
            .unwrap_or(after.len());
        let (path, beyond) = after.split_at(path_end);
        let path = path.split_once(']').map_or(path, |(_, path)| path);
        // What follows a type is a method's name, not a crate's.
        let goes_on = rest[..at].ends_with("::");
        if let Some(second) = path.strip_prefix("::").filter(|_| !goes_on) {
            let second_end = second.find(|c| !is_part(c)).unwrap_or(second.len());
            if second_end > 0 {
                found.push((krate, &second[..second_end]));
            }
        }
        rest = beyond;
    }
    found
}

/// The whole report.
pub(crate) fn report(sections: &[Section], symbols: &[Symbol]) -> String {
    let loaded = || sections.iter().filter(|section| section.is_loaded);
    let end = |section: &Section| section.offset + section.bytes;
    let whole = loaded().map(end).max().unwrap_or_default();
    let mut kinds = BTreeMap::<_, u64>::new();
    for section in loaded() {
        *kinds.entry(kind(section)).or_default() += section.bytes;
    }
    let (mut crates, mut rooms) = (BTreeMap::<_, Sizes>::new(), BTreeMap::<_, Sizes>::new());
    for symbol in symbols {
        let section = loaded().find(|section| section.number == symbol.section);
        // What is zero at the start takes no bytes of the file.
        let Some(section) = section.filter(|section| section.bytes > 0) else {
            continue;
        };
        let owner = owner(&symbol.name);
        let tables = [
            Some(crates.entry(owner.krate).or_default()),
            owner.room.map(|room| rooms.entry(room).or_default()),
        ];
        for sizes in tables.into_iter().flatten() {
            match section.is_code {
                true => sizes.code += symbol.bytes,
                false => sizes.data += symbol.bytes,
            }
        }
    }
    let mut text = format!("The program as it is shipped: {} KB\n", kilobytes(whole));
    let sizes = |bytes| Sizes {
        code: 0,
        data: bytes,
    };
    let kinds = kinds.into_iter();
    let kinds = kinds.map(|(kind, bytes)| (kind.to_owned(), sizes(bytes)));
    table(&mut text, "what", kinds.collect(), usize::MAX);
    table(&mut text, "crate", crates, MOST_CRATES);
    table(&mut text, "room of ferrite", rooms, usize::MAX);
    text
}

/// Bytes of functions and of constants.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    code: u64,
    data: u64,
}

/// Adds a table, the largest first; the rest in one row.
fn table(text: &mut String, title: &str, rows: BTreeMap<String, Sizes>, most: usize) {
    let bytes = |sizes: &Sizes| sizes.code + sizes.data;
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, sizes)| std::cmp::Reverse(bytes(sizes)));
    let rest = rows.split_off(rows.len().min(most));
    if !rest.is_empty() {
        let sum = rest.iter().fold(Sizes::default(), |sum, (_, sizes)| Sizes {
            code: sum.code + sizes.code,
            data: sum.data + sizes.data,
        });
        rows.push((format!("{} smaller ones", rest.len()), sum));
    }
    let has_code = rows.iter().any(|(_, sizes)| sizes.code > 0);
    text.push_str(if has_code {
        "\n      KB    code    data  "
    } else {
        "\n      KB  "
    });
    _ = writeln!(text, "{title}");
    for (name, sizes) in rows {
        _ = write!(text, "{:>8}", kilobytes(bytes(&sizes)));
        if has_code {
            let (code, data) = (kilobytes(sizes.code), kilobytes(sizes.data));
            _ = write!(text, "{code:>8}{data:>8}");
        }
        _ = writeln!(text, "  {name}");
    }
}

fn kind(section: &Section) -> &'static str {
    match section.name.as_str() {
        _ if section.is_code => "code",
        ".eh_frame" | ".eh_frame_hdr" | ".gcc_except_table" => "unwind tables",
        name if name.starts_with(".rel") => "relocations",
        name if name.starts_with(".rodata") => "constants",
        ".data.rel.ro" => "constants with addresses",
        _ => "other",
    }
}

fn kilobytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1000, bytes % 1000 / 100)
}

const STANDARD: &[&str] = &[
    "alloc",
    "compiler_builtins",
    "core",
    "hashbrown",
    "panic_unwind",
    "rustc_demangle",
    "std",
    "unwind",
];
/// How names of C begin, and whose they are.
const C_LIBRARIES: &[(&[&str], &str)] = &[
    (&["aws_lc", "OPENSSL", "CRYPTO"], "aws-lc (C and assembly)"),
    (
        &["ZSTD", "HUF", "FSE", "HIST", "XXH", "ERR_get"],
        "zstd (C)",
    ),
    (&["unw_", "Unwind", "libunwind"], "libunwind (C)"),
];
const C: &str = "C without a mark: musl, static functions";
const MOST_CRATES: usize = 40;
