//! The entry points of fuzzing: any bytes as what strangers send, one target for each kind of stranger.
//!
//! Each room's `fuzz.rs` has its own; this is the list. `make fuzz` runs them under libFuzzer (the package `fuzz`), and the tests below
//! replay the kept corpora of `fuzz/corpus` through the same functions, with some damage, in every run of the tests.

use std::fs;
use std::io;
use std::path::Path;

/// What is fuzzed together, because the same bytes are useful for all of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder of `fuzz/corpus`.
    pub name: &'static str,
    /// The most bytes that are worth trying.
    pub max_len: usize,
    /// Takes any bytes, and panics where something is wrong.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("boot_settings", 2048, |bytes| {
        crate::config::fuzz::boot_settings(bytes);
    }),
    target("config_drive", 4096, |bytes| {
        crate::imaging::configdrive::fuzz::config_drive(bytes);
    }),
    target("dns_messages", 2048, |bytes| {
        crate::conductor::mdns::fuzz::multicast_dns(bytes);
        crate::dns::fuzz::name_servers(bytes);
        crate::network::fuzz::router_options(bytes);
    }),
    target("file_systems", 4096, |bytes| {
        crate::formats::fuzz::file_systems(bytes);
    }),
    target("firmware_tables", 8192, |bytes| {
        crate::formats::fuzz::firmware_tables(bytes);
    }),
    target("http_request", 2048, |bytes| {
        crate::api::fuzz::http_query(bytes);
        crate::api::fuzz::json_envelope(bytes);
    }),
    target("image_server", 4096, |bytes| {
        crate::imaging::fuzz::image_server(bytes);
        crate::imaging::fuzz::image_info(bytes);
    }),
    target("log_text", 600, |bytes| {
        crate::redact::fuzz::log_text(bytes);
    }),
    target("netlink_messages", 8192, |bytes| {
        crate::formats::fuzz::netlink_messages(bytes);
    }),
    target("network_packets", 8192, |bytes| {
        crate::formats::fuzz::network_packets(bytes);
    }),
    target("partition_tables", 8192, |bytes| {
        crate::formats::fuzz::partition_tables(bytes);
    }),
    target("policy_file", 600, |bytes| {
        crate::policy::fuzz::policy_file(bytes);
    }),
    target("policy_rule", 600, |bytes| {
        crate::policy::fuzz::policy_rule(bytes);
    }),
    target("qcow2_image", 8192, |bytes| {
        crate::formats::fuzz::qcow2_image(bytes);
    }),
    target("service_answers", 4096, |bytes| {
        crate::conductor::fuzz::conductor_answer(bytes);
        crate::keystone::fuzz::keystone_answer(bytes);
        crate::node::fuzz::hints(bytes);
    }),
    target("tls_stream", 2048, |bytes| {
        crate::tls::fuzz::tls_stream(bytes);
    }),
];

const fn target(name: &'static str, max_len: usize, run: fn(&[u8])) -> Target {
    Target { name, max_len, run }
}

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// The kept inputs below `fuzz/corpus`, each with its file's name. A file `NAME.hex` has the bytes in hexadecimal digits, and comments
    /// behind `#`; any other has them as they are.
    ///
    /// # Errors
    /// What reading a file says, and a file that holds no such digits.
    pub fn kept(&self, corpus: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(corpus.join(self.name))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let mut bytes = fs::read(&path)?;
            if name.ends_with(".hex") {
                bytes = unhex(&bytes).ok_or_else(|| {
                    let text = format!("{} is not hexadecimal", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, text)
                })?;
            }
            kept.push((name.into_owned(), bytes));
        }
        kept.sort();
        Ok(kept)
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let mut digits = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        for character in line.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            digits.push(u8::try_from(char::from(*character).to_digit(16)?).ok()?);
        }
    }
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
    }

    fn replay(target: &Target) {
        let kept = target.kept(&corpus()).unwrap();
        assert!(!kept.is_empty(), "{} has no kept inputs", target.name);
        for (name, bytes) in &kept {
            assert!(bytes.len() <= target.max_len, "{name}");
            eprintln!("{}: {name}", target.name);
            (target.run)(bytes);
        }
        // The same damage in each run; libFuzzer is for the other.
        let mut damage = Damage(0x9E37_79B9);
        let inputs = kept.iter().cycle().take(DAMAGED);
        for (name, bytes) in inputs {
            let other = damage.below(kept.len());
            let damaged = damage.of(bytes, &kept[other].1);
            eprintln!("{}: {name}, damaged: {damaged:02x?}", target.name);
            (target.run)(&damaged);
        }
    }

    /// A sequence of numbers that is always the same (xorshift).
    struct Damage(u32);

    impl Damage {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            usize::try_from(self.0).unwrap() % end.max(1)
        }

        /// The bytes with some exchanged, cut out, doubled, or replaced by another input's.
        fn of(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
            let mut damaged = bytes.to_vec();
            for _ in 0..=self.below(3) {
                let at = self.below(damaged.len());
                let length = self.below(damaged.len() - at.min(damaged.len())).min(16);
                match self.below(5) {
                    0 => damaged.truncate(at),
                    1 => drop(damaged.drain(at..at + length)),
                    2 => damaged
                        .splice(at..at, other.iter().copied().take(40))
                        .for_each(drop),
                    3 => damaged.extend_from_within(at..at + length),
                    _ => {
                        let value = self.below(256);
                        if let Some(byte) = damaged.get_mut(at) {
                            *byte = [0, 0xFF, u8::try_from(value).unwrap()][value % 3];
                        }
                    }
                }
            }
            damaged
        }
    }

    /// How many damaged inputs a target gets.
    const DAMAGED: usize = 60;

    #[test]
    fn every_target_takes_its_kept_inputs_whole_and_damaged() {
        for target in TARGETS {
            replay(target);
        }
    }

    #[test]
    fn every_folder_of_kept_inputs_is_a_targets() {
        let mut folders: Vec<_> = fs::read_dir(corpus())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        folders.sort();
        let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(folders, targets);
    }

    #[test]
    fn hexadecimal_inputs_may_have_blanks_and_comments() {
        assert_eq!(
            unhex(b"# a comment: ff\n0a 1B2c # rest\n\n3"),
            None,
            "half a byte"
        );
        let read = unhex(b"# a comment: ff\n0a 1B2c # rest\n\n30");
        assert_eq!(read, Some(vec![0x0A, 0x1B, 0x2C, 0x30]));
        assert_eq!(unhex(b"0x"), None);
    }
}
