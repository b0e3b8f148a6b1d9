//! Alias patterns of kernel modules, matched against aliases: the file `modules.alias`
//! (modules.dep(5)).

use std::collections::BTreeMap;

/// Alias patterns and their modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasTable {
    /// Patterns with their modules, by bus. A pattern without a bus (`crypto-crc32c`), or for
    /// several (`acpi*:PNP0C0C:*`), has the empty name as its bus.
    buses: BTreeMap<String, Vec<(String, String)>>,
}

impl AliasTable {
    /// Parses lines `alias PATTERN MODULE`; other lines are ignored, as `modprobe` does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut table = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) =
                (words.next(), words.next(), words.next())
            {
                let patterns = table.buses.entry(bus(pattern).into()).or_default();
                patterns.push((pattern.into(), normalized(module)));
            }
        }
        table
    }

    /// Returns the modules with a pattern that matches this alias, in the table's order.
    pub fn modules<'a>(&'a self, alias: &'a str) -> impl Iterator<Item = &'a str> {
        let buses = [bus(alias), ""];
        let distinct = if bus(alias).is_empty() { 1 } else { 2 };
        buses
            .into_iter()
            .take(distinct)
            .filter_map(|bus| self.buses.get(bus))
            .flatten()
            .filter(move |(pattern, _)| matches(pattern, alias))
            .map(|(_, module)| module.as_str())
    }
}

/// Returns a module's name as the kernel writes it: with `_` where a file may have `-`.
pub(super) fn normalized(module: &str) -> String {
    module.replace('-', "_")
}

/// Returns the part of an alias or a pattern before its first `:`, if it is plain text.
fn bus(alias: &str) -> &str {
    let bus = alias.split_once(':').map_or("", |(bus, _)| bus);
    if bus.contains(['*', '?', '[']) {
        ""
    } else {
        bus
    }
}

/// Returns whether a pattern of `*`, `?` and `[a-c]`, as in fnmatch(3), matches the whole text. The
/// time is at most the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // State to resume from if the text after the last `*` does not match: one byte further.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', rest)) = pattern.split_first() {
            pattern = rest;
            retry = Some((rest, text));
            continue;
        }
        match (one(pattern), text.split_first()) {
            (None, None) => return true,
            (Some((set, rest)), Some((byte, left))) if set.holds(*byte) => {
                (pattern, text) = (rest, left);
            }
            _ => {
                let Some((after_star, from)) = retry else {
                    return false;
                };
                let Some((_, further)) = from.split_first() else {
                    return false;
                };
                (pattern, text) = (after_star, further);
                retry = Some((after_star, further));
            }
        }
    }
}

/// Bytes that match one element of a pattern.
enum Set<'a> {
    Any,
    Byte(u8),
    Ranges(&'a [u8]),
}

impl Set<'_> {
    fn holds(&self, byte: u8) -> bool {
        match *self {
            Self::Any => true,
            Self::Byte(b'-' | b'_') => matches!(byte, b'-' | b'_'),
            Self::Byte(wanted) => wanted == byte,
            Self::Ranges(mut ranges) => loop {
                match ranges {
                    [low, b'-', high, rest @ ..] => {
                        if (low..=high).contains(&&byte) {
                            return true;
                        }
                        ranges = rest;
                    }
                    [wanted, rest @ ..] => {
                        if *wanted == byte {
                            return true;
                        }
                        ranges = rest;
                    }
                    [] => return false,
                }
            },
        }
    }
}

/// Returns the first element of a pattern that does not start with `*`, and the rest.
fn one(pattern: &[u8]) -> Option<(Set<'_>, &[u8])> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some((Set::Any, rest)),
        [b'[', rest @ ..] => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => rest
                .split_at_checked(end)
                .and_then(|(set, after)| Some((Set::Ranges(set), after.get(1..)?))),
            None => Some((Set::Byte(b'['), rest)),
        },
        [byte, rest @ ..] => Some((Set::Byte(*byte), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn modules(table: &AliasTable, alias: &str) -> Vec<String> {
        table.modules(alias).map(str::to_owned).collect()
    }

    #[test]
    fn a_pattern_for_several_buses_fits_each() {
        let table = AliasTable::parse("alias acpi*:PNP0C0C:* button\nalias acpi:IPI0001: a\n");
        assert_eq!(modules(&table, "acpi:PNP0C0C:"), ["button"]);
        assert_eq!(modules(&table, "acpi:LNXPWRBN:PNP0C0C:"), ["button"]);
        assert_eq!(modules(&table, "pnp:PNP0C0C:"), [""; 0]);
        assert_eq!(modules(&table, "acpi:IPI0001:"), ["a"]);
    }

    #[test]
    fn an_alias_without_a_bus_finds_its_modules() {
        let table = AliasTable::parse(
            "alias crypto-crc32c crc32c-intel\nalias crypto-crc32c crc32c-generic\nalias fs-ext4 ext4\n\
             alias block-major-9-* md-mod\nalias net-pf-17 af_packet\nalias nls_iso8859-15 nls_iso8859-15\n",
        );
        assert_eq!(
            modules(&table, "crypto-crc32c"),
            ["crc32c_intel", "crc32c_generic"]
        );
        assert_eq!(modules(&table, "fs-ext4"), ["ext4"]);
        assert_eq!(modules(&table, "block-major-9-127"), ["md_mod"]);
        assert_eq!(modules(&table, "nls_iso8859_15"), ["nls_iso8859_15"]);
        assert_eq!(modules(&table, "crypto-crc32"), [""; 0]);
    }

    #[test]
    fn patterns_cover_the_whole_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbcX", false),
            ("?", "", false),
            ("[a-cx]", "x", true),
            ("[a-cx]", "d", false),
            ("[a", "[a", true),
            ("a-b", "a_b", true),
            ("*a", "aaa", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern:?} on {text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, alias: String) {
            let _count = AliasTable::parse(&text).modules(&alias).count();
        }

        #[test]
        fn a_text_fits_itself_and_a_star(text in "[a-z0-9:]{0,20}") {
            prop_assert!(matches(&text, &text));
            let starred = format!("{text}*");
            prop_assert!(matches(&starred, &text));
        }

        #[test]
        fn no_pattern_makes_it_panic(pattern in r"[\[\]*?a-c-]{0,12}", text in "[a-c]{0,12}") {
            let _fits = matches(&pattern, &text);
        }
    }
}
