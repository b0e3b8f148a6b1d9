//! Which module drives a device, and which modules it needs: the tables that `depmod` writes (modules.dep(5)).
//!
//! Knows the three text files `modules.dep`, `modules.alias` and `modules.softdep`; not where they lie nor how a module is
//! loaded.

use std::collections::{BTreeMap, HashMap};

/// The tables of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    /// Module name to its file and the names of the modules it needs, in `depmod`'s order.
    modules: HashMap<String, Module>,
    /// Bus (the part of a pattern before the first `:`) to its patterns and their modules.
    aliases: BTreeMap<String, Vec<(String, String)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Module {
    file: String,
    needs: Vec<String>,
    wants: Vec<String>,
}

impl ModuleIndex {
    /// Reads the three files. Lines that are none of their kind are passed over, as `modprobe` does.
    #[must_use]
    pub fn parse(dependencies: &str, aliases: &str, soft_dependencies: &str) -> Self {
        let mut index = Self::default();
        for line in dependencies.lines() {
            if let Some((file, needs)) = line.split_once(':') {
                let module = Module {
                    file: file.into(),
                    needs: needs.split_whitespace().map(name).collect(),
                    wants: Vec::new(),
                };
                index.modules.insert(name(file), module);
            }
        }
        for line in aliases.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) =
                (words.next(), words.next(), words.next())
            {
                index
                    .aliases
                    .entry(bus(pattern).into())
                    .or_default()
                    .push((pattern.into(), name(module)));
            }
        }
        for line in soft_dependencies.lines() {
            index.soft_dependency(line);
        }
        index
    }

    /// The files to load for a module, in order: what it needs first, itself last. Empty when it is not there.
    #[must_use]
    pub fn files(&self, module: &str) -> Vec<&str> {
        let mut files = Vec::new();
        let Some(module) = self.modules.get(&name(module)) else {
            return files;
        };
        let wanted = module
            .wants
            .iter()
            .filter_map(|wanted| self.modules.get(wanted));
        for module in wanted.chain([module]) {
            // `depmod` lists everything needed, directly or not, so that the last listed is loaded first.
            let needed = module
                .needs
                .iter()
                .rev()
                .filter_map(|needed| self.modules.get(needed));
            for one in needed.chain([module]) {
                if !files.contains(&one.file.as_str()) {
                    files.push(&one.file);
                }
            }
        }
        files
    }

    /// The modules that say they drive a device with this `modalias`.
    pub fn drivers<'a>(&'a self, modalias: &'a str) -> impl Iterator<Item = &'a str> {
        self.aliases
            .get(bus(modalias))
            .into_iter()
            .flatten()
            .filter(|(pattern, _)| matches(pattern, modalias))
            .map(|(_, module)| module.as_str())
    }

    /// `softdep NAME pre: A B post: C`: what comes before is loaded first where it is there.
    fn soft_dependency(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some("softdep"), Some(module)) = (words.next(), words.next()) else {
            return;
        };
        let before = words
            .skip_while(|word| *word != "pre:")
            .skip(1)
            .take_while(|word| *word != "post:");
        if let Some(module) = self.modules.get_mut(&name(module)) {
            module.wants.extend(before.map(name));
        }
    }
}

/// `kernel/fs/isofs/isofs.ko` is `isofs`; the kernel writes `_` where a file has `-`.
fn name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.split('.').next().unwrap_or(base).replace('-', "_")
}

fn bus(alias: &str) -> &str {
    alias.split(':').next().unwrap_or(alias)
}

/// Whether a pattern as in fnmatch(3), of `*`, `?` and `[a-c]`, covers the whole text. Time is the product of the lengths
/// at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when the text after the last `*` does not fit: one byte further.
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

/// What one byte of the text may be.
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

/// The first element of a pattern without `*` at its start, and the rest.
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

    const DEPENDENCIES: &str = "\
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/net/net_failover.ko
kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/scsi/sd_mod.ko: kernel/block/t10-pi.ko kernel/lib/crc64-rocksoft.ko kernel/lib/crc64.ko
kernel/block/t10-pi.ko: kernel/lib/crc64-rocksoft.ko kernel/lib/crc64.ko
kernel/lib/crc64-rocksoft.ko: kernel/lib/crc64.ko
kernel/lib/crc64.ko:
kernel/crypto/crc64_generic.ko:
";
    const ALIASES: &str = "\
# Aliases extracted from modules themselves.
alias virtio:d00000001v* virtio_net
alias scsi:t-0x00* sd_mod
alias scsi:t-0x07* sd_mod
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias usb:v0419pAAF6d010[0-2]dc* uas
";
    const SOFT: &str = "# comment\nsoftdep crc64_rocksoft pre: absent crc64_generic post: x\n";

    fn index() -> ModuleIndex {
        ModuleIndex::parse(DEPENDENCIES, ALIASES, SOFT)
    }

    #[test]
    fn what_a_module_needs_comes_before_it() {
        assert_eq!(
            index().files("sd-mod"),
            [
                "kernel/lib/crc64.ko",
                "kernel/lib/crc64-rocksoft.ko",
                "kernel/block/t10-pi.ko",
                "kernel/drivers/scsi/sd_mod.ko"
            ]
        );
    }

    #[test]
    fn a_soft_dependency_comes_first_where_it_is_there() {
        assert_eq!(
            index().files("crc64-rocksoft"),
            [
                "kernel/crypto/crc64_generic.ko",
                "kernel/lib/crc64.ko",
                "kernel/lib/crc64-rocksoft.ko"
            ]
        );
    }

    #[test]
    fn an_unknown_module_has_no_files() {
        assert_eq!(index().files("nouveau"), [""; 0]);
    }

    #[test]
    fn a_device_finds_its_driver() {
        let index = index();
        let drivers = |modalias| index.drivers(modalias).collect::<Vec<_>>();
        assert_eq!(drivers("virtio:d00000001v00001AF4"), ["virtio_net"]);
        assert_eq!(drivers("scsi:t-0x00"), ["sd_mod"]);
        assert_eq!(drivers("scsi:t-0x05"), [""; 0]);
        assert_eq!(
            drivers("usb:v0781p5567d0100dc00dsc00dp00ic08isc06ip50in00"),
            ["usb_storage"]
        );
        assert_eq!(drivers("usb:v0419pAAF6d0101dc00"), ["uas"]);
        assert_eq!(drivers("usb:v0419pAAF6d0103dc00"), [""; 0]);
        assert_eq!(drivers(""), [""; 0]);
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
        fn no_text_makes_it_panic(dependencies: String, aliases: String, soft: String, modalias: String) {
            let index = ModuleIndex::parse(&dependencies, &aliases, &soft);
            let _count = index.drivers(&modalias).count();
            let _files = index.files(&modalias);
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
