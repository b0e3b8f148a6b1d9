//! Looking for secrets where they must not be: known texts, in the forms in which they could have been written, in files,
//! archives and raw images of any size, with bounded buffers.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use flate2::read::MultiGzDecoder;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// The forms of some secrets, ready to be looked for.
#[derive(Debug)]
pub struct Canaries {
    needles: Vec<Needle>,
    /// Whether any piece begins with these two bytes: most of what is searched is dismissed by it.
    beginnings: Vec<bool>,
    /// The needle and the place in it where a piece of eight bytes occurs.
    pieces: HashMap<[u8; PIECE], Vec<(usize, usize)>>,
    /// Every occurrence of the shortest needle holds a whole piece at a multiple of this.
    stride: usize,
    longest: usize,
}

#[derive(Debug)]
struct Needle {
    canary: String,
    form: &'static str,
    bytes: Vec<u8>,
}

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The file, and after `!` the member of the archive that it is.
    pub place: String,
    /// The secret's name.
    pub canary: String,
    /// How it was written: `raw`, `hex`, `percent` or `base64`.
    pub form: &'static str,
    /// From the beginning of the file or member.
    pub offset: u64,
    /// What is in front of it.
    pub before: Vec<u8>,
}

impl Hit {
    /// The rest of its line that is in front of it.
    pub fn line(&self) -> String {
        let line = self.before.rsplit(|byte| *byte == b'\n').next();
        String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
    }
}

/// What a search has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// All that were read, unpacked.
    pub bytes: u64,
    /// Files and members of archives.
    pub files: u64,
    /// In the order in which they were found.
    pub hits: Vec<Hit>,
}

impl Found {
    /// How often a secret was found.
    pub fn count(&self, canary: &str) -> usize {
        self.hits.iter().filter(|hit| hit.canary == canary).count()
    }
}

impl Canaries {
    /// Secrets, each with a name. One that is shorter than 16 bytes could be found by chance.
    pub fn new(secrets: &[(&str, &str)]) -> Result<Self> {
        let mut needles = Vec::new();
        for (canary, secret) in secrets {
            ensure!(secret.len() >= SHORTEST, "{canary} is too short a canary");
            for (form, bytes) in forms(secret.as_bytes()) {
                needles.push(Needle {
                    canary: (*canary).into(),
                    form,
                    bytes,
                });
            }
        }
        let lengths = || needles.iter().map(|needle| needle.bytes.len());
        let stride = lengths().min().unwrap_or(SHORTEST) + 1 - PIECE;
        let longest = lengths().max().unwrap_or_default();
        let mut beginnings = vec![false; 1 << 16];
        let mut pieces: HashMap<[u8; PIECE], Vec<(usize, usize)>> = HashMap::new();
        for (index, needle) in needles.iter().enumerate() {
            for (place, piece) in needle.bytes.windows(PIECE).enumerate().take(stride) {
                let piece: [u8; PIECE] = piece.try_into()?;
                beginnings[beginning(&piece)] = true;
                pieces.entry(piece).or_default().push((index, place));
            }
        }
        Ok(Self {
            needles,
            beginnings,
            pieces,
            stride,
            longest,
        })
    }

    /// Searches a file, or all that is below a folder.
    pub fn search_path(&self, path: &Path, found: &mut Found) -> Result<()> {
        let told = || format!("could not search {}", path.display());
        if fs::symlink_metadata(path).with_context(told)?.is_dir() {
            let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                self.search_path(&entry.path(), found)?;
            }
            return Ok(());
        }
        let file = File::open(path).with_context(told)?;
        self.search(&path.to_string_lossy(), file, found)
            .with_context(told)
    }

    /// Searches a stream: a compressed one in its clear form, an archive member for member with the members' names.
    pub fn search(&self, place: &str, stream: impl Read, found: &mut Found) -> Result<()> {
        self.unpack(place, Box::new(stream), DEEPEST, found)
    }

    fn unpack(
        &self,
        place: &str,
        stream: Box<dyn Read + '_>,
        depth: u8,
        found: &mut Found,
    ) -> Result<()> {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        stream.by_ref().take(512).read_to_end(&mut head)?;
        let is_tar = head
            .get(257..)
            .is_some_and(|rest| rest.starts_with(b"ustar"));
        let is_gzip = head.starts_with(&[0x1F, 0x8B]);
        let whole = Cursor::new(head).chain(stream);
        if depth > 0 && is_gzip {
            let clear = MultiGzDecoder::new(whole).take(UNPACKED);
            return self.unpack(place, Box::new(clear), depth - 1, found);
        }
        if depth == 0 || !is_tar {
            found.files += 1;
            return self.scan(place, 0, whole, found);
        }
        let mut archive = tar::Archive::new(whole);
        for member in archive.entries()? {
            let member = member?;
            let name = member.path()?.to_string_lossy().into_owned();
            let place = format!("{place}!{name}");
            self.scan(&format!("{place} (its name)"), 0, name.as_bytes(), found)?;
            self.unpack(&place, Box::new(member), depth - 1, found)?;
        }
        Ok(())
    }

    /// Searches a raw image as it is, leaving out its holes.
    pub fn search_raw(&self, path: &Path, found: &mut Found) -> Result<()> {
        let mut file = File::open(path)?;
        let place = path.to_string_lossy();
        let mut at = 0;
        found.files += 1;
        loop {
            let start = match lseek(file.as_fd(), at, Whence::SeekData) {
                Ok(start) => start,
                Err(Errno::ENXIO) => return Ok(()),
                Err(errno) => return Err(errno).context("could not look for data"),
            };
            at = lseek(file.as_fd(), start, Whence::SeekHole)?;
            file.seek(SeekFrom::Start(start.try_into()?))?;
            let length = (at - start).try_into()?;
            let offset = start.try_into()?;
            self.scan(&place, offset, file.by_ref().take(length), found)?;
        }
    }

    /// Searches bytes that begin at `offset` of their place.
    fn scan(
        &self,
        place: &str,
        offset: u64,
        mut bytes: impl Read,
        found: &mut Found,
    ) -> Result<()> {
        let mut buffer: Vec<u8> = Vec::with_capacity(BLOCK + self.longest + BEFORE);
        let mut start = offset;
        loop {
            // What was searched already, and is needed for what lies across the seam.
            let seen = buffer.len();
            let block = u64::try_from(BLOCK)?;
            let read = bytes.by_ref().take(block).read_to_end(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            found.bytes += u64::try_from(read)?;
            for (at, index) in self.occurrences(&buffer) {
                let needle = &self.needles[index];
                if at + needle.bytes.len() > seen {
                    found.hits.push(Hit {
                        place: place.into(),
                        canary: needle.canary.clone(),
                        form: needle.form,
                        offset: start + u64::try_from(at)?,
                        before: buffer[at.saturating_sub(BEFORE)..at].to_vec(),
                    });
                }
            }
            let done = buffer.len().saturating_sub(self.longest + BEFORE);
            buffer.drain(..done);
            start += u64::try_from(done)?;
        }
    }

    /// Where which needles are in a block.
    fn occurrences(&self, block: &[u8]) -> BTreeSet<(usize, usize)> {
        let mut all = BTreeSet::new();
        let mut at = 0;
        while let Some(piece) = block.get(at..at + PIECE) {
            if self.beginnings[beginning(piece)] {
                for (index, place) in self.pieces.get(piece).into_iter().flatten() {
                    let whole = at
                        .checked_sub(*place)
                        .and_then(|start| Some((start, block.get(start..)?)));
                    if let Some((start, rest)) = whole
                        && rest.starts_with(&self.needles[*index].bytes)
                    {
                        all.insert((start, *index));
                    }
                }
            }
            at += self.stride;
        }
        all
    }
}

fn beginning(piece: &[u8]) -> usize {
    usize::from(piece[0]) << 8 | usize::from(piece[1])
}

/// A secret as it could have been written, without the forms that are the same as another.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |write: fn(u8) -> String| -> Vec<u8> {
        secret.iter().copied().map(write).collect::<String>().into()
    };
    let mut forms = vec![
        ("raw", secret.to_vec()),
        ("hex", each(|byte| format!("{byte:02x}"))),
        ("hex", each(|byte| format!("{byte:02X}"))),
        ("percent", each(|byte| format!("%{byte:02x}"))),
        ("percent", each(|byte| format!("%{byte:02X}"))),
    ];
    for shift in 0..3 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(secret);
        // Without the characters at both ends that neighbouring bytes have a part in.
        let own = (shift * 8).div_ceil(6)..shifted.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            forms.push(("base64", text.as_bytes()[own.clone()].to_vec()));
        }
    }
    forms.sort();
    forms.dedup_by(|one, other| one.1 == other.1);
    forms
}

const PIECE: usize = 8;
const SHORTEST: usize = 16;
/// How much is read at once, and how much of what is in front of a hit is kept: more than a kernel's command line.
pub const BLOCK: usize = 1 << 20;
const BEFORE: usize = 4096;
/// Compressed in an archive in a compressed archive, and no deeper.
const DEEPEST: u8 = 5;
/// More than this comes out of no archive of a lab.
const UNPACKED: u64 = 1 << 30;
