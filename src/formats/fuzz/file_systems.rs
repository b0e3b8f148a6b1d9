//! Fuzz target for file systems. The first byte selects a file system made by external tools, which
//! the rest damages. Otherwise the rest becomes the beginning of a file system.
//!
//! Damage is three bytes of position and one of value. The position counts lines of 32 bytes that
//! are not empty. Most of a file system is empty, so an arbitrary position would never hit its
//! structures.

use crate::formats::ext::{self, Ext};
use crate::formats::fat::{self, Fat};
use crate::formats::iso9660::{self, Iso};
use crate::formats::{image_format, links, probe, safe_name};
use crate::progress::Cancel;
use flate2::read::GzDecoder;
use std::io::{Cursor, Read};
use std::sync::LazyLock;

/// Reads the file system in every way that the program does.
pub(crate) fn file_systems(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let image = match MADE.get(usize::from(*kind)) {
        Some(made) => made.damaged(rest),
        None => beginning_with(usize::from(*kind), rest),
    };
    let _ = image_format::inspect(&image, None, &rules(true));
    let mut device = Cursor::new(&image);
    let volume = probe::Volume::probe(&mut device).expect("memory is read");
    let label = probe::label(&mut device).expect("memory is read");
    assert_eq!(
        label,
        volume
            .map(|volume| volume.label().to_owned())
            .filter(|label| !label.is_empty())
    );
    let _ = probe::is_md_member(&mut device, image.len() as u64);
    let _ = probe::is_gfs2(&mut device);
    let _ = probe::ext_block(&image);
    read_iso(&image);
    read_fat(&image);
    read_ext(&image);
}

/// Returns rules that permit all formats the agent can write.
pub(super) fn rules(deep_inspection: bool) -> image_format::Rules {
    image_format::Rules {
        deep_inspection,
        permitted: ["raw", "qcow2", "iso", "gpt", "luks"]
            .map(str::to_owned)
            .to_vec(),
    }
}

fn read_iso(image: &[u8]) {
    let cancel = Cancel::default();
    let Ok(Some(mut iso)) = Iso::open(Cursor::new(image)) else {
        return;
    };
    let Ok((files, links)) = iso.tree(&cancel) else {
        return;
    };
    for file in &files {
        match iso.read(file, MAX_BYTES, &cancel) {
            Ok(bytes) => assert_eq!(bytes.len() as u64, file.bytes),
            Err(error) => assert!(!matches!(error, iso9660::Error::Read(_)), "{error:?}"),
        }
    }
    let paths: Vec<_> = files.iter().map(|file| file.path.as_slice()).collect();
    check_tree(&paths, &links);
}

fn read_fat(image: &[u8]) {
    let cancel = Cancel::default();
    let Ok(Some(mut fat)) = Fat::open(Cursor::new(image)) else {
        return;
    };
    let _ = (fat.sector(), fat.serial(), fat.label());
    let _ = fat.directories(&cancel);
    let Ok(listing) = fat.readable_files(&cancel) else {
        return;
    };
    assert_eq!(fat.files(&cancel).is_ok(), listing.unread.is_empty());
    for file in &listing.files {
        match fat.read(file, MAX_BYTES, &cancel) {
            Ok(bytes) => assert_eq!(bytes.len() as u64, file.bytes),
            Err(error) => assert!(!matches!(error, fat::Error::Read(_)), "{error:?}"),
        }
    }
    let files = listing.files.iter().map(|file| file.path.as_slice());
    let unread = listing.unread.iter().map(|(path, _)| path.as_slice());
    check_tree(&files.chain(unread).collect::<Vec<_>>(), &[]);
}

fn read_ext(image: &[u8]) {
    let cancel = Cancel::default();
    let Ok(Some(mut ext)) = Ext::open(Cursor::new(image)) else {
        return;
    };
    let Ok((files, links)) = ext.tree(&cancel) else {
        return;
    };
    for file in files.iter().take(MAX_FILES) {
        match ext.read(file, MAX_BYTES, &cancel) {
            Ok(bytes) => assert_eq!(bytes.len() as u64, file.bytes),
            Err(error) => assert!(!matches!(error, ext::Error::Read(_)), "{error:?}"),
        }
    }
    let paths: Vec<_> = files.iter().map(|file| file.path.as_slice()).collect();
    check_tree(&paths, &links);
}

/// Asserts that names are plain, paths are bounded, and links lead to files of the tree.
fn check_tree(paths: &[&[String]], links: &[links::Link]) {
    let own = links.iter().map(|link| link.path.as_slice());
    for path in paths.iter().copied().chain(own) {
        assert!(path.len() <= safe_name::MAX_DEPTH, "{path:?}");
        assert!(
            path.iter().all(|name| safe_name::is_plain(name)),
            "{path:?}"
        );
    }
    if let Ok(followed) = links::follow(paths, links, MAX_FILES) {
        assert!(followed.files.iter().all(|(_, file)| *file < paths.len()));
    }
}

/// Returns an image with these bytes at the offset of the first structure of its kind.
fn beginning_with(kind: usize, bytes: &[u8]) -> Vec<u8> {
    let at = BEGINNINGS[kind % BEGINNINGS.len()];
    let mut image = vec![0; at];
    image.extend_from_slice(bytes);
    image
}

/// File system made by external tools.
struct Made {
    image: Vec<u8>,
    /// Offsets of the lines that are not empty.
    lines: Vec<usize>,
}

impl Made {
    fn unpacked(packed: &[u8]) -> Self {
        let mut image = Vec::new();
        let read = GzDecoder::new(packed).read_to_end(&mut image);
        read.expect("the fixture is whole");
        let lines = (0..image.len()).step_by(LINE);
        let lines = lines.filter(|at| image[*at..].iter().take(LINE).any(|byte| *byte != 0));
        Self {
            lines: lines.collect(),
            image,
        }
    }

    fn damaged(&self, damage: &[u8]) -> Vec<u8> {
        let mut image = self.image.clone();
        for change in damage.chunks_exact(4) {
            let line = usize::from(u16::from_be_bytes([change[0], change[1]]));
            let line = self.lines[line % self.lines.len()];
            if let Some(byte) = image.get_mut(line + usize::from(change[2]) % LINE) {
                *byte = change[3];
            }
        }
        image
    }
}

static MADE: LazyLock<[Made; 5]> = LazyLock::new(|| PACKED.map(Made::unpacked));

/// Fixtures in `tests/fixtures/configdrive`.
const PACKED: [&[u8]; 5] = [
    include_bytes!("../../../tests/fixtures/configdrive/rock-ridge.iso.gz"),
    include_bytes!("../../../tests/fixtures/configdrive/joliet.iso.gz"),
    include_bytes!("../../../tests/fixtures/configdrive/fat.img.gz"),
    include_bytes!("../../../tests/fixtures/configdrive/ext2.img.gz"),
    include_bytes!("../../../tests/fixtures/configdrive/ext4.img.gz"),
];
/// Offsets of the first structures of FAT (and of image signatures), ext and ISO 9660.
const BEGINNINGS: [usize; 3] = [0, 1024, 32 << 10];
const LINE: usize = 32;
/// Maximum bytes read of a file: an ext file can be one large hole.
const MAX_BYTES: u64 = 1 << 20;
const MAX_FILES: usize = 100;
