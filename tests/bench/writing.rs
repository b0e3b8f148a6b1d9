//! How fast images get onto a disk, and that memory does not grow with them.

use crate::images::{Form, Image, MIB};
use crate::report::{Rate, Row, Section, Size};
use crate::server::Server;
use crate::writer::{self, Written};
use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Rates of each form, and memory for small and large images.
pub(crate) fn measure() -> Result<Section> {
    let bench = Bench::new()?;
    let mut rows = vec![bench.disk_alone()?];
    let small = Image::raw(bench.folder(), SMALL)?;
    let plain_small = bench.write(&small.convert(Form::Plain)?, &mut rows)?;
    let deflate_small = bench.write(&small.convert(Form::Deflate)?, &mut rows)?;
    let zstd_small = bench.write(&small.convert(Form::Zstd)?, &mut rows)?;
    let large = Image::raw(bench.folder(), LARGE)?;
    bench.write(&large, &mut rows)?;
    let plain = bench.write(&large.convert(Form::Plain)?, &mut rows)?;
    let deflate = bench.write(&large.convert(Form::Deflate)?, &mut rows)?;
    let zstd = bench.write(&large.convert(Form::Zstd)?, &mut rows)?;
    rows.push(growth(Form::Plain, &plain_small, &plain));
    rows.push(growth(Form::Deflate, &deflate_small, &deflate));
    rows.push(growth(Form::Zstd, &zstd_small, &zstd));
    Ok(Section {
        title: "Writing images",
        method: format!(
            "imaging::write_image in a process of its own (the release's code for this machine's C library, optimised alike \
             but for the link), from a server in the bench over loopback to a sparse file in {FOLDER}, hash and sync \
             included; rate of the disk's bytes; data without holes that shrinks to two fifths; peak memory is VmHWM"
        ),
        rows,
    })
}

struct Bench {
    folder: Folder,
    server: Server,
}

impl Bench {
    fn new() -> Result<Self> {
        let folder = Folder::new(FOLDER)?;
        let server = Server::start(folder.path().to_owned())?;
        Ok(Self { folder, server })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same disk without the agent: the most that can be expected.
    fn disk_alone(&self) -> Result<Row> {
        let target = self.target(LARGE)?;
        let mut file = OpenOptions::new()
            .write(true)
            .custom_flags(nix::libc::O_DIRECT)
            .open(&target)
            .context("opening a file for direct writes")?;
        let room = vec![0x5a_u8; BLOCK + PAGE];
        let start = room.as_ptr().align_offset(PAGE);
        let block = room.get(start..start + BLOCK).unwrap_or_default();
        let begin = Instant::now();
        for _ in 0..ALONE {
            file.write_all(block)?;
        }
        file.sync_all()?;
        Ok(
            Row::new("the disk alone", Rate(ALONE * MIB, begin.elapsed()))
                .note(format_args!("{ALONE} MiB in direct writes of 1 MiB")),
        )
    }

    fn write(&self, image: &Image, rows: &mut Vec<Row>) -> Result<Written> {
        let target = self.target(LARGE)?;
        let written = writer::write(image, &self.server.url(&image.name()), &target)?;
        let Written {
            bytes,
            virtual_size,
            time,
            peak,
            ..
        } = written;
        let what = format!("{}, {} MiB", image.form.name(), virtual_size / MIB);
        let row = Row::new(what, Rate(virtual_size, time))
            .note(format_args!(
                "file {} at {}",
                Size(bytes),
                Rate(bytes, time)
            ))
            .note(format_args!("peak memory {peak}"));
        rows.push(row);
        Ok(written)
    }

    /// A disk that nothing was written to yet.
    fn target(&self, mib: u64) -> Result<PathBuf> {
        let path = self.folder().join("target");
        let file = File::create(&path)?;
        file.set_len(mib * MIB)?;
        Ok(path)
    }
}

/// A folder that was not there before and will not be afterwards.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// It is below the project.
    pub(crate) fn new(folder: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        // What a broken run left.
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next run removes what could not be removed now.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn growth(form: Form, small: &Written, large: &Written) -> Row {
    let hundredths = large.peak.0 * 100 / small.peak.0.max(1);
    let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let what = format!("{}, {LARGE} MiB to {SMALL} MiB", form.name());
    Row::new(what, ratio).note("ratio of peak memory: 1 does not grow")
}

const FOLDER: &str = "target/bench";
const SMALL: u64 = 64;
const LARGE: u64 = 2048;
/// MiB written without the agent.
const ALONE: u64 = 512;
const BLOCK: usize = 1 << 20;
const PAGE: usize = 4096;
