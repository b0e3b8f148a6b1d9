//! The search for secrets in the memory of processes finds all of them, and adds none.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the process that is searched is this program again"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use support::scan::{Needle, Scan};

/// Of the needle in the other process, and of one that shares its beginning.
const COPIES: usize = 7;
/// How far from one another they are: now and then one lies across two pages, and across two reads.
const APART: usize = 65_521;

#[test]
fn every_copy_in_another_process_is_found_and_none_is_added() {
    let holder = Holder::start();
    let needles = [needle("held", 1), needle("not held", 2)];
    let scan = Scan::of(&[holder.process()], &needles).unwrap();
    assert_eq!(scan.copies("held"), COPIES, "{scan}");
    assert_eq!(scan.copies("not held"), 0, "{scan}");
    let mut places: Vec<_> = scan
        .places
        .iter()
        .map(|place| place.mapping.start + place.offset)
        .collect();
    places.sort_unstable();
    let steps: Vec<_> = places.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(steps, [APART as u64; COPIES - 1], "{scan}");
    // Who searched has read all of them, and holds none.
    let own = Scan::of(&[std::process::id()], &needles).unwrap();
    assert_eq!(own.copies("held"), 0, "{own}");
    assert!(own.bytes > 100_000, "{own}");
}

#[test]
fn what_cannot_be_read_is_told_by_name_and_with_a_table_of_places() {
    let holder = Holder::start();
    let scan = Scan::of(&[holder.process()], &[needle("held", 1)]).unwrap();
    // The kernel's clock page belongs to every process, and shows itself to none but the process.
    assert!(
        scan.unreadable
            .iter()
            .any(|mapping| mapping.name.starts_with("[vv")),
        "{scan}"
    );
    let table = scan.to_string();
    let row = format!("{COPIES} of held");
    assert!(
        table.contains(&row) && table.contains("unreadable"),
        "{table}"
    );
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    let holder = Holder::start();
    let process = holder.process();
    drop(holder);
    Scan::of(&[process], &[needle("held", 1)]).unwrap_err();
}

/// Forty bytes that are nowhere but where they are put: made one by one, and never together.
fn byte(seed: u64, at: usize) -> u8 {
    let mixed = (at as u64 + seed * 1_000_003).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_be_bytes()[0] ^ mixed.to_be_bytes()[3]
}

fn needle(name: &'static str, seed: u64) -> Needle {
    Needle::new(name, (0..40).map(|at| byte(seed, at)))
}

/// This program again, which holds copies until its input ends.
struct Holder(Child);

impl Holder {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg0("holder")
            .args(["--ignored", "--exact", "--nocapture", "holds_copies"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut lines = said.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("copies are held")));
        Self(child)
    }

    fn process(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "the other process of the tests above"]
fn holds_copies() {
    // Beside whole ones there are some that lack their last byte.
    let mut held = vec![0_u8; APART * COPIES];
    for copy in 0..COPIES {
        for at in 0..40 {
            held[copy * APART + at] = byte(1, at);
        }
        for at in 0..39 {
            held[copy * APART + 1000 + at] = byte(1, at);
        }
    }
    let mut out = std::io::stdout();
    out.write_all(b"\ncopies are held\n").unwrap();
    out.flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    assert_eq!(held[0], byte(1, 0));
}
