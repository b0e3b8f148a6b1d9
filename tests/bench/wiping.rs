//! What it costs to write an image when all memory is wiped as it is given back.

use crate::contender::{MEASURED, MEASURING, on_core};
use crate::images::{Form, Image};
use crate::report::{Row, Section};
use crate::server::Server;
use crate::writer::{self, Written};
use crate::writing::Folder;
use anyhow::{Context, Result, bail};
use std::fmt::{self, Display};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The same code with the program's allocator, and with the C library's alone.
pub(crate) fn measure() -> Result<Section> {
    let wiping = wiping_program()?;
    let folder = Folder::new("target/bench-wiping")?;
    let server = on_core(MEASURING, || Server::start(folder.path().to_owned()))??;
    let raw = Image::raw(folder.path(), MIB)?;
    let mut rows = Vec::new();
    for form in [Form::Raw, Form::Plain, Form::Deflate] {
        let converted;
        let image = match form {
            Form::Raw => &raw,
            form => {
                converted = raw.convert(form)?;
                &converted
            }
        };
        let bench = Bench {
            image,
            url: server.url(&image.name()),
            target: folder.path().join("target"),
        };
        rows.extend(bench.in_turns(&wiping)?);
    }
    Ok(Section {
        title: "Wiping memory",
        method: format!(
            "writing {MIB} MiB as above, to a sparse file in target/, by two programs of the same code, one with the allocator \
             that wipes what is given back, one without; in turns, {RUNS} runs each after one to warm up, each alone on one \
             core, the image server on another; of each the least, which others on this computer have disturbed least, and how \
             much more it is with wiping"
        ),
        rows,
    })
}

struct Bench<'a> {
    image: &'a Image,
    url: String,
    target: PathBuf,
}

impl Bench<'_> {
    fn in_turns(&self, wiping: &Path) -> Result<[Row; 2]> {
        let plain = std::env::current_exe()?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for number in 0..=RUNS {
            let written = [self.once(wiping)?, self.once(&plain)?];
            let [wiped, left] = written;
            if number > 0 {
                with.push(wiped);
                without.push(left);
            }
        }
        let row = |what: &str, seconds: fn(&Written) -> f64| {
            let least = |runs: &[Written]| runs.iter().map(seconds).fold(f64::INFINITY, f64::min);
            let (with, without) = (least(&with), least(&without));
            let more = Percent((with / without - 1.0) * 100.0);
            Row::new(format!("{}: {what}", self.image.form.name()), more)
                .note(format_args!("{with:.3} s, without {without:.3} s"))
                .limit(more, LIMIT)
        };
        Ok([
            row("duration", |written| written.time.as_secs_f64()),
            row("processor", |written| written.processor.as_secs_f64()),
        ])
    }

    fn once(&self, program: &Path) -> Result<Written> {
        File::create(&self.target)?.set_len(MIB << 20)?;
        on_core(MEASURED, || {
            writer::write_by(program, self.image, &self.url, &self.target)
        })?
    }
}

/// `tests/bench/wiping_child.rs`, which lies beside the folder of this program.
fn wiping_program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.ancestors().nth(2).context("a program in no folder")?;
    let program = folder.join("examples/wiping-child");
    if !program.exists() {
        bail!("{} is missing: run `make bench`", program.display());
    }
    Ok(program)
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Percent(f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:+.1} %", self.0))
    }
}

const MIB: u64 = 512;
const RUNS: usize = 5;
const LIMIT: Percent = Percent(2.0);
