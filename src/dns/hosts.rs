//! hosts(5): looks up the addresses of a name in the file's text.

use super::address::ScopedAddress;
use super::limits::MAX_ADDRESSES;

/// Returns the addresses of a name, in the file's order.
pub(super) fn addresses(text: &str, name: &str) -> Vec<ScopedAddress> {
    let of_line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let address = ScopedAddress::parse(words.next()?)?;
        let is_named = |word: &str| word.trim_end_matches('.').eq_ignore_ascii_case(name);
        words.any(is_named).then_some(address)
    };
    text.lines()
        .filter_map(of_line)
        .take(MAX_ADDRESSES)
        .collect()
}

/// Path relative to the root.
pub(super) const PATH: &str = "etc/hosts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_addresses_of_all_its_lines() {
        let text = "127.0.0.1 localhost\n192.0.2.1\tironic.lab ironic # ours\n#192.0.2.2 ironic\nfe80::1%eth0 Ironic.\nx ironic\n";
        let of = |name| {
            let found = addresses(text, name);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("ironic"), ["192.0.2.1", "fe80::1%eth0"]);
        assert_eq!(of("IRONIC.lab"), ["192.0.2.1"]);
        assert!(of("ours").is_empty() && of("192.0.2.1").is_empty());
    }
}
