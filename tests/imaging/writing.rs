//! Good images arrive byte for byte.

use crate::lab::{Lab, MIB, OLD, gpt_image, info, is_full_of, noise, sha256};
use crate::server::{Answer, Server, silent_after};
use ferrite::imaging::Format;
use ferrite::sys::loopdev::LoopDevice;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::thread;

#[test]
fn a_raw_image_is_on_the_disk_byte_for_byte() {
    let lab = Lab::new(24 * MIB);
    let image = gpt_image(12 * MIB + 512);
    let server = Server::of(&image);
    let written = lab
        .write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert_eq!(
        (written.bytes, written.virtual_size, written.format),
        (image.len() as u64, image.len() as u64, Format::Raw)
    );
    assert_eq!(written.checksum.digits, sha256(&image));
    let disk = lab.disk_bytes();
    assert!(disk[..image.len()] == image);
    assert!(is_full_of(&disk[image.len()..23 * MIB], OLD));
    assert!(
        is_full_of(&disk[23 * MIB..], 0),
        "old signatures at the end are wiped"
    );
    assert_eq!(lab.reporter.latest().unwrap().phase, "finishing");
}

#[test]
fn an_image_as_large_as_the_disk_brings_its_own_backup_table() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(8 * MIB);
    let server = Server::of(&image);
    lab.write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert!(lab.disk_bytes() == image);
}

#[test]
fn images_smaller_than_what_is_held_back_are_whole() {
    for size in [1, 511, 512, 4097, MIB - 1, MIB + 1, 2 * MIB, 2 * MIB + 100] {
        let lab = Lab::new(2 * MIB + 512);
        let image = noise(size);
        let server = Server::of(&image);
        lab.write(&info(&server.url("x.img"), Some("raw"), &image))
            .unwrap();
        assert!(lab.disk_bytes()[..size] == image, "{size}");
    }
}

#[test]
fn an_image_of_unknown_length_is_written_too() {
    let lab = Lab::new(16 * MIB);
    let image = gpt_image(9 * MIB + 7);
    let body = Arc::new(image.clone());
    let server = Server::start(move |_| Answer::Endless(Arc::clone(&body)));
    lab.write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert!(lab.disk_bytes()[..image.len()] == image);
}

#[test]
fn a_disk_is_made_blank_only_just_ahead_of_the_data() {
    let lab = Lab::new(64 * MIB);
    let image = noise(60 * MIB);
    // More than this server says now is not known to come: a device that is busy meanwhile would lose it the connection.
    let (rest, server) = silent_after(&image, 4 * MIB);
    let info = info(&server.url("x.img"), Some("raw"), &image);
    thread::scope(|scope| {
        let writing = scope.spawn(|| lab.write(&info).unwrap());
        lab.wait_for_bytes(3 * MIB);
        let disk = lab.disk_bytes();
        assert!(disk[MIB..3 * MIB] == image[MIB..3 * MIB]);
        assert!(is_full_of(&disk[16 * MIB..60 * MIB], OLD));
        rest.send(()).unwrap();
        writing.join().unwrap()
    });
    assert!(lab.disk_bytes()[..image.len()] == image);
}

#[test]
fn a_detected_partition_table_is_written_as_raw() {
    for format in [None, Some("gpt"), Some("unknown")] {
        let lab = Lab::new(16 * MIB);
        let image = gpt_image(8 * MIB);
        let server = Server::of(&image);
        lab.write(&info(&server.url("x.img"), format, &image))
            .unwrap();
        assert!(lab.disk_bytes()[..image.len()] == image, "{format:?}");
    }
}

#[test]
fn disks_with_sectors_of_512_and_4096_bytes_are_written_past_the_page_cache() {
    for sector in [512, 4096] {
        let mut lab = Lab::new(24 * MIB);
        let backing = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&lab.disk)
            .unwrap();
        let disk = LoopDevice::attach(&backing, sector).expect("loop devices need root");
        lab.disk = disk.path().to_owned();
        let image = gpt_image(12 * MIB + 512);
        let server = Server::of(&image);
        lab.write(&info(&server.url("x.img"), Some("raw"), &image))
            .unwrap();
        assert!(lab.disk_bytes()[..image.len()] == image, "{sector}");
        drop(disk);
        let behind = fs::read(lab.folder.path().join("disk")).unwrap();
        assert!(behind[..image.len()] == image, "{sector}");
    }
}

#[test]
fn a_disk_somebody_uses_is_not_touched() {
    let mut lab = Lab::new(8 * MIB);
    let backing = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&lab.disk)
        .unwrap();
    let disk = LoopDevice::attach(&backing, 512).expect("loop devices need root");
    let holder = open_exclusively(disk.path());
    lab.disk = disk.path().to_owned();
    let image = gpt_image(4 * MIB);
    let server = Server::of(&image);
    let error = lab
        .write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap_err();
    assert_eq!(error.class.name(), "DeviceNotFound");
    assert!(error.details.contains("exclusive"), "{error}");
    lab.assert_untouched();
    drop(holder);
}

fn open_exclusively(path: &Path) -> File {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_EXCL)
        .open(path)
        .unwrap()
}
