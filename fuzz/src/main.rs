//! One program for all targets of `ferrite::fuzzing`: `FUZZ_TARGET` names the one. It writes the kept inputs to `FUZZ_CORPUS` first, as
//! bytes, where libFuzzer reads them and adds its own.

#![no_main]

use ferrite::fuzzing::Target;
use libfuzzer_sys::{Corpus, fuzz_target};
use std::path::Path;
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target");
    Target::by_name(&name).expect("FUZZ_TARGET is a target of ferrite::fuzzing")
});

fn unpack() {
    let Some(folder) = std::env::var_os("FUZZ_CORPUS") else {
        return;
    };
    let kept = TARGET.kept(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus"));
    for (name, bytes) in kept.expect("the kept inputs are read") {
        std::fs::write(Path::new(&folder).join(name), bytes).expect("a kept input is written");
    }
}

fuzz_target!(init: unpack(), |bytes: &[u8]| -> Corpus {
    if bytes.len() > TARGET.max_len {
        return Corpus::Reject;
    }
    (TARGET.run)(bytes);
    Corpus::Keep
});
