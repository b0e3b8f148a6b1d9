//! What test programs, benches and the demo share: the other end of each conversation, processes that do no harm, and the lab.
//!
//! It knows nothing of the program's library, and starts the program only as a process. It fails as a test does: by panicking where a
//! test would, in the lab by an error that says what to run first.

#![allow(
    clippy::disallowed_methods,
    reason = "it runs programs and waits for them; the rules are the product's"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "a test fails by panicking; a JSON value indexed by a key it lacks is null"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a lab tells what happens in it, and a test that fails what a program said"
)]

pub mod certificates;
pub mod clock;
pub mod conductor;
pub mod ipa;
pub mod lab;
pub mod name_server;
pub mod process;
pub mod responder;
pub mod scan;

use std::path::Path;

/// The folder of the checkout.
#[expect(clippy::unwrap_used, reason = "this package is two folders below it")]
pub(crate) fn checkout() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap()
}
