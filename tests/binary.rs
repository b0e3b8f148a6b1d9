//! The product as a file: `make agent` makes it, this test looks at what came out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use std::fs;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/x86_64-unknown-linux-musl/release/ferrite"
);

/// Megabytes as the issue of sizes means them.
const LARGEST: usize = 8_000_000;

// ELF-64 (System V ABI, "Object Files" and "Program Loading").
const ET_DYN: u64 = 3;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const PT_GNU_STACK: u64 = 0x6474_e551;
const PT_GNU_RELRO: u64 = 0x6474_e552;
const SHT_SYMTAB: u64 = 2;
const DT_NEEDED: u64 = 1;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

struct Elf(Vec<u8>);

impl Elf {
    fn product() -> Self {
        let bytes =
            fs::read(PATH).unwrap_or_else(|error| panic!("{PATH}: {error}: run `make agent`"));
        assert_eq!(
            &bytes[..6],
            b"\x7fELF\x02\x01",
            "a little-endian 64-bit ELF file"
        );
        Self(bytes)
    }

    fn number(&self, at: usize, length: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&self.0[at..at + length]);
        u64::from_le_bytes(bytes)
    }

    /// (type, flags, offset, file size) of each program header.
    fn segments(&self) -> Vec<(u64, u64, usize, usize)> {
        let table = self.number(0x20, 8) as usize;
        (0..self.number(0x38, 2) as usize)
            .map(|index| table + index * 56)
            .map(|at| {
                let field = |offset, length| self.number(at + offset, length);
                (
                    field(0, 4),
                    field(4, 4),
                    field(8, 8) as usize,
                    field(32, 8) as usize,
                )
            })
            .collect()
    }

    /// (tag, value) of each dynamic entry.
    fn dynamic(&self) -> Vec<(u64, u64)> {
        let (_, _, offset, size) = *self
            .segments()
            .iter()
            .find(|segment| segment.0 == PT_DYNAMIC)
            .unwrap();
        (offset..offset + size)
            .step_by(16)
            .map(|at| (self.number(at, 8), self.number(at + 8, 8)))
            .collect()
    }

    fn section_types(&self) -> Vec<u64> {
        let table = self.number(0x28, 8) as usize;
        (0..self.number(0x3c, 2) as usize)
            .map(|index| self.number(table + index * 64 + 4, 4))
            .collect()
    }
}

#[test]
fn the_binary_is_a_static_position_independent_executable() {
    let elf = Elf::product();
    assert_eq!(elf.number(0x10, 2), ET_DYN);
    assert!(
        elf.segments().iter().all(|segment| segment.0 != PT_INTERP),
        "no interpreter"
    );
    let dynamic = elf.dynamic();
    assert!(
        dynamic.iter().all(|entry| entry.0 != DT_NEEDED),
        "no shared libraries"
    );
    let flags = dynamic
        .iter()
        .find(|entry| entry.0 == DT_FLAGS_1)
        .map_or(0, |entry| entry.1);
    assert_ne!(flags & DF_1_PIE, 0, "marked as position independent");
}

#[test]
fn the_binary_has_no_executable_stack_and_read_only_relocations() {
    let segments = Elf::product().segments();
    let stack = segments
        .iter()
        .find(|segment| segment.0 == PT_GNU_STACK)
        .unwrap();
    assert_eq!(stack.1 & 1, 0, "the stack is not executable");
    assert!(segments.iter().any(|segment| segment.0 == PT_GNU_RELRO));
}

#[test]
fn the_binary_is_stripped_and_small() {
    let elf = Elf::product();
    assert!(
        elf.section_types().iter().all(|kind| *kind != SHT_SYMTAB),
        "no symbol table"
    );
    assert!(
        elf.0.len() <= LARGEST,
        "{} bytes, more than {LARGEST}",
        elf.0.len()
    );
}
