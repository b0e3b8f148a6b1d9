//! `make bloat`: whose the bytes of a program with symbols are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "whoever measures sees what failed, readelf is a program, and the report is what is asked for"
)]

mod report;

use std::process::Command;

fn main() {
    let program = std::env::args().nth(1);
    let program = program.expect("the path of a program with symbols");
    let readelf = |what: &[&str]| {
        let output = Command::new("readelf").args(what).arg(&program).output();
        let output = output.expect("readelf of binutils");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaint}");
        String::from_utf8(output.stdout).unwrap()
    };
    let sections = report::sections(&readelf(&["--sections", "--wide"]));
    let symbols = report::symbols(&readelf(&["--symbols", "--wide", "--demangle"]));
    assert!(!symbols.is_empty(), "{program} has no symbols");
    print!("{}", report::report(&sections, &symbols));
}
