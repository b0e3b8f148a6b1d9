//! What `make bloat` makes of readelf's words.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod report;

use report::{Section, Symbol, owner, report, sections, symbols};

/// GNU readelf 2.40.
const SECTIONS: &str = "\
There are 9 section headers, starting at offset 0x5000:

Section Headers:
  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al
  [ 0]                   NULL            0000000000000000 000000 000000 00      0   0  0
  [ 1] .rela.dyn         RELA            0000000000000238 000238 0003e8 18   A  2   0  8
  [ 2] .eh_frame         PROGBITS        0000000000000620 000620 0007d0 00   A  0   0  8
  [ 3] .text             PROGBITS        0000000000001000 001000 002000 00  AX  0   0 16
  [ 4] .rodata           PROGBITS        0000000000003000 003000 0003e8 00  AM  0   0 16
  [ 5] .bss              NOBITS          0000000000004000 0033e8 001000 00  WA  0   0 16
  [ 6] .symtab           SYMTAB          0000000000000000 0033e8 001000 18      7   9  8
";
const SYMBOLS: &str = "\
Symbol table '.symtab' contains 9 entries:
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND 
     1: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS ferrite.c6f1
     2: 0000000000001000  1500 FUNC    LOCAL  DEFAULT    3 <ferrite::api::server::Server as core::fmt::Debug>::fmt
     3: 0000000000001600  0x1000 FUNC    GLOBAL HIDDEN     3 aws_lc_0_42_0_sha256_block_data_order
     4: 0000000000001600  4096 FUNC    GLOBAL HIDDEN     3 another_name_of_it
     5: 0000000000003000   500 OBJECT  LOCAL  DEFAULT    4 ferrite::config::options::TABLE
     6: 0000000000004000   900 OBJECT  LOCAL  DEFAULT    5 ferrite::logging::RING
     7: 0000000000002600   700 FUNC    LOCAL  DEFAULT    3 core::ptr::drop_in_place<ferrite::api::State>
";

#[test]
fn symbols_have_places_sizes_and_whole_names() {
    let found = symbols(SYMBOLS);
    assert_eq!(found.len(), 5, "{found:?}");
    let first = Symbol {
        address: 0x1000,
        bytes: 1500,
        section: 3,
        name: "<ferrite::api::server::Server as core::fmt::Debug>::fmt".to_owned(),
    };
    assert_eq!(found[0], first);
    assert_eq!(found[1].bytes, 4096);
    assert_eq!(symbols("nothing: of\nthis"), []);
}

#[test]
fn sections_have_their_bytes_of_the_file() {
    let found = sections(SECTIONS);
    let text = Section {
        number: 3,
        name: ".text".to_owned(),
        offset: 0x1000,
        bytes: 0x2000,
        is_loaded: true,
        is_code: true,
    };
    assert_eq!(found[2], text);
    let rest: Vec<_> = found[3..]
        .iter()
        .map(|section| (section.name.as_str(), section.bytes, section.is_loaded))
        .collect();
    let expected = [
        (".rodata", 1000, true),
        (".bss", 0, true),
        (".symtab", 4096, false),
    ];
    assert_eq!(rest, expected);
}

#[test]
fn a_symbol_is_the_crates_that_it_is_of_or_was_made_for() {
    for (name, krate, room) in [
        ("ferrite::api::server::serve", "ferrite", Some("api")),
        ("ferrite::main", "ferrite", Some("main")),
        (
            "<ferrite::node::Hints as core::clone::Clone>::clone",
            "ferrite",
            Some("node"),
        ),
        (
            "core::ptr::drop_in_place<ferrite::tls::Identity>",
            "ferrite",
            Some("tls"),
        ),
        (
            "<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop",
            "alloc",
            None,
        ),
        (
            "<&mut serde_json::de::Deserializer<R> as serde::Deserializer>::x",
            "serde_json",
            None,
        ),
        (
            "core::ptr::drop_in_place<alloc::vec::Vec<rustls::msgs::Payload>>",
            "rustls",
            None,
        ),
        (
            "<hyper[0a1b]::proto::Conn<I> as core[0c]::future::Future>::poll",
            "hyper",
            None,
        ),
        (
            "ferrite[86e14]::storage::disk::{closure#0}",
            "ferrite",
            Some("storage"),
        ),
        (
            "_<impl core::fmt::Display for ferrite::dns::Error>::fmt",
            "ferrite",
            Some("dns"),
        ),
        (
            "core::fmt::num::<impl core::fmt::Display for u64>::fmt",
            "core",
            None,
        ),
        ("aws_lc_0_42_0_EVP_sha256", "aws-lc (C and assembly)", None),
        ("_aws_lc_x", "aws-lc (C and assembly)", None),
        (
            "<[u8] as alloc::slice::hack::ConvertVec>::to_vec_in::<A>",
            "alloc",
            None,
        ),
        ("ZSTD_decompressBlock", "zstd (C)", None),
        ("memcpy", "C without a mark: musl, static functions", None),
    ] {
        let found = owner(name);
        assert_eq!(
            (found.krate.as_str(), found.room.as_deref()),
            (krate, room),
            "{name}"
        );
    }
}

#[test]
fn the_report_counts_each_byte_of_the_file_once() {
    let text = report(&sections(SECTIONS), &symbols(SYMBOLS));
    let expected = "\
The program as it is shipped: 13.2 KB

      KB  what
     8.1  code
     2.0  unwind tables
     1.0  constants
     1.0  relocations
     0.0  other

      KB    code    data  crate
     4.0     4.0     0.0  aws-lc (C and assembly)
     2.7     2.2     0.5  ferrite

      KB    code    data  room of ferrite
     2.2     2.2     0.0  api
     0.5     0.0     0.5  config
";
    assert_eq!(text, expected, "{text}");
}
