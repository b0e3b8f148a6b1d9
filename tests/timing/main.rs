//! How long the agent takes to compare a token tells nobody how much of a guess is right: measured, as dudect does it
//! (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017).
//!
//! Two classes of wrong tokens are compared in random order, and Welch's t tells whether one takes longer than the other.
//! The same is measured of a comparison that stops at the first difference: a method that does not see that one sees nothing.
//! `make test-timing` runs it, optimised as the program is. The whole refusal of a request is timed by `src/api/timing.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking; a table is what is wanted of it; counts are far below 2^52"
)]

mod samples;
mod table;
mod welch;

use ferrite::secret::AgentToken;
use samples::Class;
use table::{CLASSES, LIMIT, Table};

/// Ironic's length.
const TOKEN: &str = "hjSYAN0bRP3d0Y7Zk1lQ2eO5cWmVxTuIa8fG4sK6tDn";

#[test]
#[ignore = "only optimised code takes its true time: `make test-timing` runs it"]
fn the_time_of_a_comparison_tells_nothing_of_the_token_and_would_be_seen_if_it_did() {
    let token = AgentToken::from_lookup(TOKEN.into()).unwrap();
    let matches = |presented: &Vec<u8>| token.matches(presented);
    let early = |presented: &Vec<u8>| TOKEN.as_bytes() == presented;
    let mut table = Table::new();
    let mut row = |name: &str, classes: [Class; 2], compare: &dyn Fn(&Vec<u8>) -> bool| {
        table.row(name, TOKEN.as_bytes(), classes, &<[u8]>::to_vec, compare)
    };
    let ours: Vec<_> = CLASSES
        .into_iter()
        .map(|classes| row("AgentToken::matches", classes, &matches))
        .collect();
    let seen = row("==", [Class::LastByte, Class::Random], &early);
    let table = table.text();
    println!("{table}");
    assert!(seen > LIMIT, "the method sees no leak at all:\n{table}");
    assert!(ours.iter().all(|t| *t < LIMIT), "{table}");
}
