//! The sample of all rules.

use super::{Ended, Place};
use std::fs;

/// The sample with its rules written out.
pub(crate) fn written_out() -> String {
    let sample = include_str!("../../config/policy.yaml.sample");
    let rules = sample.lines().filter_map(|line| line.strip_prefix("#\""));
    rules.map(|rule| format!("\"{rule}\n")).collect()
}

#[test]
fn it_is_the_file_in_the_repository() {
    let place = Place::with(&[]);
    let sample = include_str!("../../config/policy.yaml.sample");
    assert_eq!(place.run("sample"), Ended::done(sample));
}

#[test]
fn it_says_nothing_as_it_is_and_nothing_new_when_it_is_written_out() {
    let place = Place::with(&[]);
    let built_in = place.run("check");
    assert_eq!((built_in.code, built_in.err.as_str()), (Some(0), ""));
    fs::write(place.path().join("sample"), place.run("sample").out).unwrap();
    assert_eq!(place.run("check --file sample"), built_in);
    fs::write(place.path().join("written"), written_out()).unwrap();
    let written = place.run("check --file written");
    assert_eq!(written.out, built_in.out);
    // Of the names that will be gone, and of those that they were for.
    let warnings = written.err.lines();
    assert!(
        warnings
            .clone()
            .all(|line| line.starts_with("ferrite: warning: written:"))
    );
    assert_eq!(warnings.count(), 3, "{}", written.err);
    assert_eq!(
        place.run("list-redundant --file written"),
        Ended::done(&written_out())
    );
}
