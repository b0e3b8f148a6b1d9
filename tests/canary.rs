//! The search for secrets in files, archives and images (`tests/support/lab/canary.rs`) finds them in every form and place.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use support::lab::canary::{BLOCK, Canaries, Found, Hit};

const SECRET: &str = "k3-Zq_8vXw1LmN0pRtYuIoPaSdFgHjKl4cVbNm5QwEr";

fn canaries() -> Canaries {
    Canaries::new(&[("token", SECRET), ("other", "no-such-text-anywhere-here")]).unwrap()
}

fn found(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    canaries().search("here", bytes, &mut found).unwrap();
    found
}

fn told(found: &Found) -> Vec<(String, &'static str, u64)> {
    let told = |hit: &Hit| (hit.place.clone(), hit.form, hit.offset);
    found.hits.iter().map(told).collect()
}

#[test]
fn every_form_is_found_at_every_place() {
    let encoded = |shift: usize| {
        STANDARD_NO_PAD.encode(["\0\0", SECRET, "more"].concat().split_at(2 - shift).1)
    };
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (form, text) in [
        ("raw", SECRET.to_owned()),
        ("hex", hex.to_uppercase()),
        ("hex", hex),
        ("percent", percent.to_lowercase()),
        ("percent", percent),
        ("base64", encoded(0)),
        ("base64", encoded(1)),
        ("base64", encoded(2)),
    ] {
        for gap in 0..50 {
            let bytes = ["x".repeat(gap), text.clone(), "y".repeat(gap)].concat();
            let hits = found(bytes.as_bytes()).hits;
            let forms: Vec<_> = hits
                .iter()
                .map(|hit| (hit.canary.as_str(), hit.form))
                .collect();
            assert_eq!(forms, [("token", form)], "{bytes}");
        }
    }
}

#[test]
fn what_lies_across_the_seam_of_two_blocks_is_found_once_with_its_line() {
    for gap in BLOCK - 60..BLOCK + 20 {
        let mut bytes = vec![b'.'; gap];
        bytes.extend_from_slice(b"\nan-argument=");
        bytes.extend_from_slice(SECRET.as_bytes());
        bytes.extend_from_slice(&vec![0; BLOCK]);
        let found = found(&bytes);
        let offset = u64::try_from(gap + 13).unwrap();
        assert_eq!(told(&found), [("here".to_owned(), "raw", offset)]);
        assert_eq!(found.hits[0].line(), "an-argument=");
        assert_eq!(found.bytes, u64::try_from(bytes.len()).unwrap());
    }
}

#[test]
fn members_of_compressed_archives_and_their_names_are_searched() {
    let member = |archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len().try_into().unwrap());
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    let mut archive = tar::Builder::new(Vec::new());
    member(&mut archive, "clean", b"nothing");
    member(&mut archive, "planted", format!("a {SECRET}").as_bytes());
    member(&mut archive, SECRET, b"empty");
    member(&mut archive, "inner.gz", &gzip(SECRET.as_bytes()));
    let found = found(&gzip(&archive.into_inner().unwrap()));
    assert_eq!(
        told(&found),
        [
            ("here!planted".to_owned(), "raw", 2),
            (format!("here!{SECRET} (its name)"), "raw", 0),
            ("here!inner.gz".to_owned(), "raw", 0),
        ]
    );
    assert_eq!(found.files, 4);
}

#[test]
fn folders_are_searched_to_their_last_file() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("planted"), SECRET).unwrap();
    fs::write(folder.path().join("clean"), "nothing").unwrap();
    let mut found = Found::default();
    canaries().search_path(folder.path(), &mut found).unwrap();
    let place = below.join("planted").to_string_lossy().into_owned();
    assert_eq!(told(&found), [(place, "raw", 0)]);
    assert_eq!(
        (found.files, found.count("token"), found.count("other")),
        (2, 1, 0)
    );
}

#[test]
fn a_sparse_image_is_searched_where_it_holds_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut file = File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    for at in [3 << 20, (1 << 30) - 43] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(SECRET.as_bytes()).unwrap();
    }
    let mut found = Found::default();
    canaries().search_raw(&path, &mut found).unwrap();
    let offsets: Vec<u64> = found.hits.iter().map(|hit| hit.offset).collect();
    assert_eq!(offsets, [3 << 20, (1 << 30) - 43]);
}

#[test]
fn a_text_that_could_be_found_by_chance_is_no_canary() {
    assert!(Canaries::new(&[("token", "short")]).is_err());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
