//! `make docs`: writes the documents that are made from the tables of the program.

#![allow(
    clippy::unwrap_used,
    reason = "whoever makes documents sees what failed"
)]

mod documents;

use std::fs;
use std::path::Path;

fn main() {
    for (path, text) in documents::documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}
