//! A kernel's initial file system: a gzip-compressed cpio archive in the "newc" format
//! (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The archive while it grows. Parent folders come before what is in them.
#[derive(Debug)]
pub struct Archive {
    out: GzEncoder<Vec<u8>>,
    entries: u32,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            out: GzEncoder::new(Vec::new(), Compression::default()),
            entries: 0,
        }
    }
}

impl Archive {
    /// Adds a folder.
    pub fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, 0o040_755, &[])
    }

    /// Adds a program.
    pub fn executable(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, 0o100_755, content)
    }

    /// The archive's bytes.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.out.finish()?)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let name_length = name.len() + 1;
        let size = content.len();
        // magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        write!(
            self.out,
            "070701{:08X}{mode:08X}{:08X}{:08X}{:08X}{:08X}{size:08X}{:08X}{:08X}{:08X}{:08X}{name_length:08X}{:08X}",
            self.entries, 0, 0, 1, 0, 0, 0, 0, 0, 0
        )?;
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(HEADER + name_length)?;
        self.out.write_all(content)?;
        self.pad(size)
    }

    fn pad(&mut self, length: usize) -> Result<()> {
        let missing = length.next_multiple_of(4) - length;
        Ok(self.out.write_all(&vec![0; missing])?)
    }
}

const HEADER: usize = 110;
