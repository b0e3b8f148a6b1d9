//! Where a secret lies in the memory of a process: every mapping is read, byte for byte.
//!
//! What is searched for is kept in two halves that show it only when they are laid over one another, and what was read is
//! wiped: a scan adds no copy of its own. The kernel's memory (pages of files, buffers of sockets) is not looked at.

#![allow(
    clippy::indexing_slicing,
    reason = "a scan that looks past its buffer is to fail loudly"
)]

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use zeroize::Zeroizing;

/// What is searched for.
#[derive(Debug)]
pub struct Needle {
    name: &'static str,
    mask: Vec<u8>,
    masked: Vec<u8>,
}

impl Needle {
    /// Bytes, and what they are called in tables.
    pub fn new(name: &'static str, bytes: impl IntoIterator<Item = u8>) -> Self {
        let (mut mask, mut masked) = (Vec::new(), Vec::new());
        // Any mask will do that is not zero.
        for (byte, key) in bytes.into_iter().zip((1..=u8::MAX).cycle()) {
            mask.push(key);
            masked.push(byte ^ key);
        }
        assert!(!mask.is_empty(), "a needle of no bytes is everywhere");
        Self { name, mask, masked }
    }

    fn len(&self) -> usize {
        self.mask.len()
    }

    /// Whether it begins at this place.
    fn begins(&self, bytes: &[u8]) -> bool {
        let halves = self.mask.iter().zip(&self.masked);
        bytes.len() >= self.len()
            && halves
                .zip(bytes)
                .all(|((mask, masked), byte)| mask ^ masked == *byte)
    }

    /// The places where it begins, of those before `end`.
    fn places<'a>(&'a self, bytes: &'a [u8], end: usize) -> impl Iterator<Item = usize> + 'a {
        let first = self.mask[0] ^ self.masked[0];
        let begins = bytes[..end].iter().enumerate();
        begins
            .filter(move |(_, byte)| **byte == first)
            .map(|(at, _)| at)
            .filter(|at| self.begins(&bytes[*at..]))
    }
}

/// A part of a process's memory, as `/proc/PID/maps` tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapping {
    /// The process's number.
    pub process: u32,
    /// Its first address.
    pub start: u64,
    /// The address that follows it.
    pub end: u64,
    /// `rw-p`.
    pub permissions: String,
    /// `[heap]`, a file, or nothing.
    pub name: String,
}

impl Mapping {
    fn name(&self) -> &str {
        match self.name.as_str() {
            "" => "(anonymous)",
            name => name,
        }
    }
}

/// A copy of a needle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the needle is called.
    pub needle: &'static str,
    /// Where it lies.
    pub mapping: Mapping,
    /// From the mapping's beginning.
    pub offset: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// What was searched for, by name.
    pub needles: Vec<&'static str>,
    /// Every copy.
    pub places: Vec<Place>,
    /// Mappings with bytes that nobody can read but, perhaps, the process itself.
    pub unreadable: Vec<Mapping>,
    /// So many were read.
    pub bytes: u64,
}

impl Scan {
    /// Searches the memory of processes. Needles of one name are counted together.
    ///
    /// # Errors
    /// A process is gone, or is none of ours.
    pub fn of(processes: &[u32], needles: &[Needle]) -> io::Result<Self> {
        let mut names: Vec<_> = needles.iter().map(|needle| needle.name).collect();
        names.dedup();
        let mut scan = Self {
            needles: names,
            ..Self::default()
        };
        for process in processes {
            scan.process(*process, needles)?;
        }
        Ok(scan)
    }

    /// How many copies there are of a needle.
    pub fn copies(&self, needle: &str) -> usize {
        let of = |place: &&Place| place.needle == needle;
        self.places.iter().filter(of).count()
    }

    fn process(&mut self, process: u32, needles: &[Needle]) -> io::Result<()> {
        let memory = File::open(format!("/proc/{process}/mem"))?;
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
        let longest = needles.iter().map(Needle::len).max().unwrap_or(1);
        let mut window = Window {
            bytes: Zeroizing::new(vec![0; longest + CHUNK]),
            kept: 0,
            next: 0,
        };
        for mapping in maps.lines().filter_map(|line| mapping(process, line)) {
            let mut unreadable = false;
            let mut at = mapping.start;
            if at != window.next {
                window.forget();
            }
            while at < mapping.end {
                let most = CHUNK.min(usize::try_from(mapping.end - at).unwrap_or(CHUNK));
                let read = match window.read(&memory, at, most) {
                    // A hole in a mapping that can be read elsewhere.
                    Ok(0) | Err(_) if most > PAGE => window.read(&memory, at, PAGE),
                    read => read,
                };
                let Some(read) = read.ok().filter(|read| *read > 0) else {
                    unreadable = true;
                    window.forget();
                    at = (at / PAGE_BYTES + 1) * PAGE_BYTES;
                    continue;
                };
                self.window(&window, read, &mapping, needles);
                window.keep(read, longest - 1);
                at += read as u64;
                self.bytes += read as u64;
                window.next = at;
            }
            if unreadable {
                self.unreadable.push(mapping);
            }
        }
        Ok(())
    }

    /// Counts what ends in the latest bytes of the window: what ends before was counted with those.
    fn window(&mut self, window: &Window, read: usize, mapping: &Mapping, needles: &[Needle]) {
        let filled = &window.bytes[..window.kept + read];
        for needle in needles {
            let already = (window.kept + 1).saturating_sub(needle.len());
            let end = (filled.len() + 1).saturating_sub(needle.len());
            for at in needle.places(filled, end).filter(|at| *at >= already) {
                let address = window.next_after(at);
                self.places.push(Place {
                    needle: needle.name,
                    // One that begins in the mapping before has no offset here.
                    offset: address.saturating_sub(mapping.start),
                    mapping: mapping.clone(),
                });
            }
        }
    }
}

/// Copies by needle; the same by process and mapping; then what cannot be read.
impl Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for place in &self.places {
            let of = rows.entry((place.needle, &place.mapping)).or_default();
            of.push(place.offset);
        }
        let mut counts = Vec::new();
        for needle in &self.needles {
            counts.push(format!("{needle} {}", self.copies(needle)));
        }
        let (counts, read) = (counts.join(", "), self.bytes / 1024);
        writeln!(f, "{counts} (in {read} KiB)")?;
        for ((needle, mapping), offsets) in rows {
            let mut shown = String::new();
            for offset in offsets.iter().take(SHOWN) {
                write!(shown, " {offset:#x}")?;
            }
            let copies = offsets.len();
            writeln!(f, "  {copies:>4} of {needle:<24} {mapping} at{shown}")?;
        }
        let mut unreadable: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for mapping in &self.unreadable {
            let names = unreadable.entry(mapping.process).or_default();
            names.push(mapping.name());
        }
        for (process, names) in unreadable {
            let names = names.join(", ");
            writeln!(f, "  unreadable of process {process}: {names}")?;
        }
        Ok(())
    }
}

impl Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        let kilobytes = (self.end - self.start) / 1024;
        write!(
            f,
            "process {}: {} {name} of {kilobytes} KiB",
            self.process, self.permissions
        )
    }
}

/// The bytes that are looked at: some of the last ones again, so that nothing is missed between two reads.
struct Window {
    bytes: Zeroizing<Vec<u8>>,
    kept: usize,
    /// The address that follows those kept, while a read has not moved it.
    next: u64,
}

impl Window {
    fn read(&mut self, memory: &File, at: u64, most: usize) -> io::Result<usize> {
        self.next = at;
        memory.read_at(&mut self.bytes[self.kept..self.kept + most], at)
    }

    fn keep(&mut self, read: usize, most: usize) {
        let filled = self.kept + read;
        let kept = most.min(filled);
        self.bytes.copy_within(filled - kept..filled, 0);
        self.kept = kept;
    }

    fn forget(&mut self) {
        self.kept = 0;
    }

    /// The address of a byte in the window.
    fn next_after(&self, at: usize) -> u64 {
        (self.next + at as u64).saturating_sub(self.kept as u64)
    }
}

/// `55e0-55e8 rw-p 00000000 00:00 0    [heap]`.
fn mapping(process: u32, line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let permissions = fields.next()?.to_owned();
    Some(Mapping {
        process,
        start: address(start)?,
        end: address(end)?,
        permissions,
        name: fields.skip(3).collect::<Vec<_>>().join(" "),
    })
}

const CHUNK: usize = 256 << 10;
const PAGE: usize = 4096;
const PAGE_BYTES: u64 = 4096;
/// Addresses of one mapping in a table.
const SHOWN: usize = 4;
