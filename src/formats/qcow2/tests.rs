//! Tests with images in every layout that the standard allows, and with bytes that are not images.

use super::*;
use flate2::{Compress, FlushCompress};
use proptest::prelude::*;

/// Guest disk with other initial content, so that a missing zero is detected.
struct Disk(Vec<u8>);

impl Sink for Disk {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkClosed> {
        self.0[size(offset)..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&mut self, offset: u64, length: u64) -> Result<(), SinkClosed> {
        self.0[size(offset)..][..size(length)].fill(0);
        Ok(())
    }
}

/// Sink that discards everything.
struct Nothing;

impl Sink for Nothing {
    fn data(&mut self, _: u64, _: &[u8]) -> Result<(), SinkClosed> {
        Ok(())
    }

    fn zero(&mut self, _: u64, _: u64) -> Result<(), SinkClosed> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Cluster {
    Data(u8),
    Packed(u8),
    Unallocated,
    Zero,
}

#[derive(Clone, Debug)]
struct Image {
    bits: u32,
    clusters: Vec<Cluster>,
    /// Number of bytes by which the disk ends before its last cluster does.
    short: usize,
    zstandard: bool,
    /// Order of the places in the file: 0 is the first-level table, then come the second-level
    /// tables, then the clusters.
    order: Vec<usize>,
}

impl Image {
    fn virtual_size(&self) -> usize {
        (self.clusters.len() << self.bits) - self.short
    }

    fn content(&self, index: usize) -> Vec<u8> {
        let (seed, random) = match self.clusters[index] {
            Cluster::Data(seed) => (seed, true),
            Cluster::Packed(seed) => (seed, false),
            Cluster::Unallocated | Cluster::Zero => return vec![0; 1 << self.bits],
        };
        let mut state = u32::from(seed) + 1;
        (0..1 << self.bits)
            .map(|at: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if random || at.is_multiple_of(7) {
                    state.to_le_bytes()[2]
                } else {
                    seed
                }
            })
            .collect()
    }

    fn guest(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..self.clusters.len())
            .flat_map(|index| self.content(index))
            .collect();
        bytes.truncate(self.virtual_size());
        bytes
    }

    fn pack(&self, bytes: &[u8]) -> Vec<u8> {
        if self.zstandard {
            return zstd::bulk::compress(bytes, 3).unwrap();
        }
        let mut packed = vec![0; bytes.len() * 2 + 64];
        let mut deflate = Compress::new(flate2::Compression::default(), false);
        deflate
            .compress(bytes, &mut packed, FlushCompress::Finish)
            .unwrap();
        packed.truncate(size(deflate.total_out()));
        packed
    }

    fn file(&self) -> Vec<u8> {
        let cluster = 1 << self.bits;
        let per_table = cluster / 8;
        let tables = self.clusters.len().div_ceil(per_table);
        let mut file = vec![0; cluster];
        let mut places = vec![0_usize; 1 + tables + self.clusters.len()];
        let mut entries = vec![0_u64; self.clusters.len()];
        let align = |file: &mut Vec<u8>| file.resize(file.len().next_multiple_of(cluster), 0);
        for &unit in &self.order {
            let Some(index) = unit.checked_sub(1 + tables) else {
                align(&mut file);
                places[unit] = file.len();
                let room = if unit == 0 {
                    (tables * 8).next_multiple_of(cluster)
                } else {
                    cluster
                };
                file.resize(file.len() + room, 0);
                continue;
            };
            match self.clusters[index] {
                Cluster::Unallocated => {}
                Cluster::Zero => entries[index] = 1,
                Cluster::Data(_) => {
                    align(&mut file);
                    entries[index] = file.len() as u64 | 1 << 63;
                    file.extend(self.content(index));
                }
                Cluster::Packed(_) => {
                    let packed = self.pack(&self.content(index));
                    let first = file.len() / 512;
                    let last = (file.len() + packed.len() - 1) / 512;
                    let sectors = (last - first) as u64;
                    let shift = 62 - (self.bits - 8);
                    entries[index] = file.len() as u64 | sectors << shift | 1 << 62;
                    file.extend(packed);
                }
            }
        }
        let mut put = |at: usize, bytes: &[u8]| {
            file[at..at + bytes.len()].copy_from_slice(bytes);
        };
        for (index, entry) in entries.iter().enumerate() {
            let at = places[1 + index / per_table] + index % per_table * 8;
            put(at, &entry.to_be_bytes());
        }
        for table in 0..tables {
            put(
                places[0] + table * 8,
                &(places[1 + table] as u64 | 1 << 63).to_be_bytes(),
            );
        }
        put(0, &MAGIC);
        put(4, &3_u32.to_be_bytes());
        put(20, &self.bits.to_be_bytes());
        put(24, &(self.virtual_size() as u64).to_be_bytes());
        put(36, &u32::try_from(tables).unwrap().to_be_bytes());
        put(40, &(places[0] as u64).to_be_bytes());
        put(100, &112_u32.to_be_bytes());
        if self.zstandard {
            put(72, &8_u64.to_be_bytes());
            put(104, &[1]);
        }
        file
    }
}

fn cluster() -> impl Strategy<Value = Cluster> {
    prop_oneof![
        any::<u8>().prop_map(Cluster::Data),
        any::<u8>().prop_map(Cluster::Packed),
        Just(Cluster::Unallocated),
        Just(Cluster::Zero),
    ]
}

fn image() -> impl Strategy<Value = Image> {
    (
        9..12_u32,
        proptest::collection::vec(cluster(), 1..100),
        0..512_usize,
        any::<bool>(),
    )
        .prop_flat_map(|(bits, clusters, short, zstandard)| {
            let tables = clusters.len().div_ceil((1 << bits) / 8);
            let units: Vec<usize> = (0..1 + tables + clusters.len()).collect();
            let order = prop_oneof![Just(units.clone()), Just(units).prop_shuffle()];
            order.prop_map(move |order| Image {
                bits,
                clusters: clusters.clone(),
                short,
                zstandard,
                order,
            })
        })
}

/// Decodes a file in pieces of `piece` bytes, with at most `kept` unclaimed bytes in memory.
/// Returns the disk and the number of passes.
fn decode(file: &[u8], piece: usize, kept: usize) -> Result<(Vec<u8>, usize), Error> {
    let header = Header::parse(file)?;
    let mut disk = Disk(vec![0xee; size(header.virtual_size)]);
    let mut decoder = Decoder::new(&header)?;
    decoder.past.limit = kept;
    for pass in 1..=3 {
        for piece in file.chunks(piece) {
            decoder.push(piece, &mut disk)?;
        }
        if decoder.end(&mut disk)? == Pass::Complete {
            return Ok((disk.0, pass));
        }
    }
    panic!("three passes are always enough");
}

proptest! {
    #[test]
    fn every_layout_gives_the_guests_bytes(image in image(), piece in 1..5000_usize, kept in 0..20_000_usize) {
        let (disk, _) = decode(&image.file(), piece, kept).unwrap();
        prop_assert!(disk == image.guest());
    }

    #[test]
    fn a_changed_byte_never_makes_it_panic(image in image(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut file = image.file();
        let at = at.index(file.len());
        file[at] = value;
        let small = Header::parse(&file).is_ok_and(|header| header.virtual_size < 1 << 24);
        if small {
            let _ = decode(&file, 4096, 1000);
        }
    }

    #[test]
    fn a_file_cut_off_is_an_error_or_the_guest(image in image(), at in any::<prop::sample::Index>()) {
        let file = image.file();
        let cut = &file[..at.index(file.len())];
        if let Ok((disk, _)) = decode(cut, 4096, 1000) {
            prop_assert_eq!(disk.len(), image.virtual_size());
        }
    }
}

#[test]
fn tables_before_their_data_need_one_pass() {
    let image = Image {
        bits: 9,
        clusters: (0..200_u8).map(Cluster::Data).collect(),
        short: 0,
        zstandard: false,
        order: (0..1 + 4 + 200).collect(),
    };
    let (disk, passes) = decode(&image.file(), 1000, 0).unwrap();
    assert_eq!(passes, 1);
    assert!(disk == image.guest());
}

#[test]
fn tables_behind_their_data_need_three_passes() {
    // Half of the data, the second-level tables, the other half, the first-level table.
    let image = Image {
        bits: 9,
        clusters: (0..200_u8).map(Cluster::Data).collect(),
        short: 0,
        zstandard: false,
        order: (5..105).chain(1..5).chain(105..205).chain([0]).collect(),
    };
    let (disk, passes) = decode(&image.file(), 1000, 0).unwrap();
    assert_eq!(passes, 3);
    assert!(disk == image.guest());
}

#[test]
fn a_place_that_was_filled_late_needs_no_second_pass() {
    // A compressed cluster, plain ones of another table, then the table of the compressed one: QEMU
    // fills holes like this.
    let mut clusters: Vec<_> = (0..100_u8).map(Cluster::Data).collect();
    clusters[0] = Cluster::Packed(1);
    let image = Image {
        bits: 9,
        clusters,
        short: 0,
        zstandard: false,
        order: [0, 2]
            .into_iter()
            .chain(3..4)
            .chain(67..103)
            .chain([1])
            .chain(4..67)
            .collect(),
    };
    let (disk, passes) = decode(&image.file(), 1000, 600).unwrap();
    assert_eq!(passes, 1);
    assert!(disk == image.guest());
    assert_eq!(decode(&image.file(), 1000, 0).unwrap().1, 2);
}

#[test]
fn a_table_full_of_one_place_is_bounded() {
    // Every first-level entry names the same table, and every entry of that table the same cluster.
    // A file of 192 KiB stands for 4 TiB.
    let mut file = vec![0; 3 << 16];
    file[..4].copy_from_slice(&MAGIC);
    file[4..8].copy_from_slice(&2_u32.to_be_bytes());
    file[20..24].copy_from_slice(&16_u32.to_be_bytes());
    file[24..32].copy_from_slice(&(8192_u64 << 29).to_be_bytes());
    file[36..40].copy_from_slice(&8192_u32.to_be_bytes());
    file[40..48].copy_from_slice(&0x10000_u64.to_be_bytes());
    for entry in file[0x10000..].chunks_mut(8) {
        entry.copy_from_slice(&0x20000_u64.to_be_bytes());
    }
    let mut decoder = Decoder::new(&Header::parse(&file).unwrap()).unwrap();
    assert!(matches!(
        decoder.push(&file, &mut Nothing),
        Err(Error::TooScattered)
    ));
}

#[test]
fn memory_does_not_grow_with_the_uses_of_a_place() {
    const TABLES: usize = 20_000;
    let packed = Image {
        bits: 9,
        clusters: vec![Cluster::Packed(1)],
        short: 0,
        zstandard: false,
        order: Vec::new(),
    };
    let packed = packed.pack(&packed.content(0));
    let (first_level, cluster) = (512, 512 + (TABLES * 8).next_multiple_of(512));
    let (second_level, end) = (cluster + 512, cluster + 1024);
    let mut file = vec![0; end];
    file[..4].copy_from_slice(&MAGIC);
    file[4..8].copy_from_slice(&2_u32.to_be_bytes());
    file[20..24].copy_from_slice(&9_u32.to_be_bytes());
    file[24..32].copy_from_slice(&(TABLES as u64 * 64 * 512).to_be_bytes());
    file[36..40].copy_from_slice(&u32::try_from(TABLES).unwrap().to_be_bytes());
    file[40..48].copy_from_slice(&(first_level as u64).to_be_bytes());
    for entry in file[first_level..first_level + TABLES * 8].chunks_mut(8) {
        entry.copy_from_slice(&(second_level as u64).to_be_bytes());
    }
    file[cluster..cluster + packed.len()].copy_from_slice(&packed);
    // One complete cluster, and one that continues behind the bytes read. So the window holds the
    // table and its claimed ranges.
    for (at, host) in [(0, cluster), (8, second_level + 1)] {
        let entry = host as u64 | 1 << 61 | 1 << 62;
        file[second_level + at..][..8].copy_from_slice(&entry.to_be_bytes());
    }
    let mut decoder = Decoder::new(&Header::parse(&file).unwrap()).unwrap();
    decoder.push(&file, &mut Nothing).unwrap();
    let held = decoder.past.held();
    assert!(
        held <= end + (64 << 10),
        "{held} bytes of a file of {end} bytes"
    );
}

#[test]
fn places_that_lie_apart_are_bounded_and_what_is_wanted_of_the_rest_is_lost_at_most() {
    const PLACES: u64 = 200_000;
    let mut past = Lookback::new();
    let bytes: Vec<u8> = (0..PLACES * 3).map(|at| at.to_le_bytes()[0]).collect();
    past.push(&bytes);
    // Every second place from the end, so that each has a neighbour on one side alone, then all
    // places.
    for place in (0..PLACES).rev().step_by(2).chain(0..PLACES) {
        past.claim(place * 3 + 1, 1);
        past.claim(place * 3 + 1, 1);
    }
    let held = past.held();
    assert!(held <= bytes.len() + (4 << 20), "{held} bytes");
    past.forget(u64::MAX);
    let mut kept = 0;
    for at in 0..PLACES * 3 {
        match past.bytes(at, 1) {
            Some(byte) => {
                assert_eq!(byte, [at.to_le_bytes()[0]]);
                assert_ne!(at % 3, 1, "it was claimed");
                kept += 1;
            }
            None => assert_eq!(past.lost(at, 1), 1),
        }
    }
    assert!(kept > 100_000, "{kept}");
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let image = Image {
        bits: 9,
        clusters: (0..20_000_u32)
            .map(|n| Cluster::Data(n.to_le_bytes()[0]))
            .collect(),
        short: 0,
        zstandard: false,
        order: (0..1 + 20_000_usize.div_ceil(64) + 20_000).collect(),
    };
    let file = image.file();
    let mut disk = Disk(vec![0; image.virtual_size()]);
    let mut decoder = Decoder::new(&Header::parse(&file).unwrap()).unwrap();
    let mut most = 0;
    for piece in file.chunks(64 << 10) {
        decoder.push(piece, &mut disk).unwrap();
        most = most.max(decoder.past.held());
    }
    assert_eq!(decoder.end(&mut disk).unwrap(), Pass::Complete);
    assert!(
        most <= 256 << 10,
        "{most} bytes of a file of {}",
        file.len()
    );
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap()
}
