//! What must not be written is not, and what was written wrongly shows no partition table.

use crate::lab::{Lab, MIB, gpt_image, info, noise, sha256};
use crate::server::{Answer, Server, silent_after};
use std::sync::Arc;
use std::thread;

#[test]
fn a_wrong_checksum_leaves_no_table_and_says_so() {
    // As large as the disk, smaller than it, and of unknown length.
    for (disk, size, endless) in [(8, 8, false), (16, 8, false), (16, 8, true)] {
        let lab = Lab::new(disk * MIB);
        let image = gpt_image(size * MIB);
        let body = Arc::new(image.clone());
        let server = Server::start(move |_| match endless {
            true => Answer::Endless(Arc::clone(&body)),
            false => Answer::Image(Arc::clone(&body)),
        });
        let mut info = info(&server.url("x.img"), Some("raw"), &image);
        info.insert("os_hash_value".into(), "a".repeat(64).into());
        let error = lab.write(&info).unwrap_err();
        assert_eq!(error.class.name(), "ImageChecksumError");
        assert_eq!(
            error.details,
            format!(
                "writing the image was given up, and {} was left without a partition table: Image failed to verify \
                 against checksum. location: {}; image ID: image-1; image checksum (sha256): {}; verification checksum: {}",
                lab.disk.display(),
                server.url("x.img"),
                "a".repeat(64),
                sha256(&image)
            )
        );
        assert_eq!(server.requests().len(), 2, "one more download, and no more");
        lab.assert_no_table(&image);
    }
}

#[test]
fn nothing_of_the_table_is_on_the_disk_before_the_image_is_verified() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(8 * MIB);
    let (keep, server) = silent_after(&image, image.len() - 1);
    let info = info(&server.url("x.img"), Some("raw"), &image);
    let error = thread::scope(|scope| {
        let writing = scope.spawn(|| lab.write(&info).unwrap_err());
        lab.wait_for_bytes(7 * MIB);
        let disk = lab.disk_bytes();
        assert!(
            disk[2 * MIB..3 * MIB] == image[2 * MIB..3 * MIB],
            "the middle is written"
        );
        lab.assert_no_table(&[]);
        lab.cancel.cancel();
        writing.join().unwrap()
    });
    assert_eq!(error.class.name(), "CommandExecutionError");
    assert!(error.details.contains("cancelled"), "{error}");
    lab.assert_no_table(&image);
    drop(keep);
}

#[test]
fn a_server_gone_half_way_leaves_no_table() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(8 * MIB);
    let body = Arc::new(image.clone());
    let server = Server::start(move |_| Answer::CutOff(Arc::clone(&body), 5 * MIB));
    let error = lab
        .write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap_err();
    assert_eq!(error.class.name(), "ImageDownloadError");
    assert!(error.details.contains("broke off"), "{error}");
    assert_eq!(
        server.requests().len(),
        3,
        "the first attempt and two retries"
    );
    lab.assert_no_table(&image[..5 * MIB]);
}

#[test]
fn hostile_images_are_refused_before_a_byte_is_written() {
    let qcow2 = |changes: &[(usize, &[u8])]| {
        let mut image = vec![0; MIB];
        image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        image[23] = 16;
        image[24..32].copy_from_slice(&(4_u64 << 20).to_be_bytes());
        image[39] = 1;
        image[40..48].copy_from_slice(&0x10000_u64.to_be_bytes());
        image[103] = 104;
        for &(at, bytes) in changes {
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        image
    };
    let mark = |at: usize, bytes: &[u8]| {
        let mut image = noise(MIB);
        image[..512].fill(0);
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    };
    let check = "Security: Image failed safety check";
    let cases: Vec<(&str, Vec<u8>, Option<&str>, &str)> = vec![
        (
            "backing file",
            qcow2(&[(15, &[200]), (19, &[9])]),
            Some("qcow2"),
            check,
        ),
        (
            "external data file",
            qcow2(&[(79, &[4])]),
            Some("qcow2"),
            check,
        ),
        (
            "unknown feature",
            qcow2(&[(72, &[0x80])]),
            Some("qcow2"),
            check,
        ),
        (
            "extended tables",
            qcow2(&[(79, &[16])]),
            Some("qcow2"),
            check,
        ),
        ("encryption", qcow2(&[(35, &[2])]), Some("qcow2"), check),
        ("version 7", qcow2(&[(7, &[7])]), Some("qcow2"), check),
        ("a petabyte", qcow2(&[(24, &[0xff])]), Some("qcow2"), check),
        (
            "qcow2 and partition table",
            qcow2(&[(510, &[0x55, 0xaa])]),
            Some("qcow2"),
            "Security: Image matched multiple potential formats",
        ),
        (
            "qcow2 as raw",
            qcow2(&[]),
            Some("raw"),
            "Security: Expected format was raw, but image was actually qcow2",
        ),
        (
            "vmdk as qcow2",
            mark(0, b"KDMV"),
            Some("qcow2"),
            "Security: Detected image format was vmdk, but only raw, gpt, qcow2 are allowed",
        ),
        (
            "vmdk as raw",
            mark(0, b"KDMV"),
            Some("raw"),
            "Security: Expected format was raw, but image was actually vmdk",
        ),
        (
            "iso as nothing",
            mark(0x8001, b"CD001"),
            None,
            "Security: Detected image format was iso, but only raw, gpt, qcow2 are allowed",
        ),
        (
            "raw as qcow2",
            mark(0, b"x"),
            Some("qcow2"),
            "Security: Expected format was qcow2, but image was actually raw",
        ),
        (
            "a table of strange flags",
            mark(446, &{
                let mut table = [7; 66];
                table[64..].copy_from_slice(&[0x55, 0xaa]);
                table
            }),
            None,
            check,
        ),
    ];
    for (name, image, format, text) in cases {
        let lab = Lab::new(8 * MIB);
        let server = Server::of(&image);
        let error = lab
            .write(&info(&server.url("x.img"), format, &image))
            .unwrap_err();
        assert_eq!(error.class.name(), "InvalidImage", "{name}: {error}");
        assert!(error.details.starts_with(text), "{name}: {error}");
        lab.assert_untouched();
    }
}

#[test]
fn an_image_larger_than_the_disk_is_refused_before_a_byte_is_written() {
    let lab = Lab::new(4 * MIB);
    let image = gpt_image(4 * MIB + 512);
    let server = Server::of(&image);
    let error = lab
        .write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap_err();
    assert_eq!(error.class.name(), "InvalidImage");
    assert_eq!(
        error.details,
        format!(
            "the image needs 4194816 bytes but {} has 4194304; choose a larger disk (root device hints) or a smaller image",
            lab.disk.display()
        )
    );
    lab.assert_untouched();
}

#[test]
fn an_image_that_turns_out_too_large_leaves_no_table() {
    let lab = Lab::new(4 * MIB);
    let image = gpt_image(16 * MIB);
    let body = Arc::new(image.clone());
    let server = Server::start(move |_| Answer::Endless(Arc::clone(&body)));
    let error = lab
        .write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap_err();
    assert_eq!(error.class.name(), "InvalidImage");
    lab.assert_no_table(&image[..4 * MIB]);
}

#[test]
fn partition_images_are_refused() {
    let lab = Lab::new(4 * MIB);
    let mut info = info("http://127.0.0.1:1/x", Some("raw"), b"");
    info.insert("image_type".into(), "partition".into());
    let error = lab.write(&info).unwrap_err();
    assert_eq!(error.class.name(), "InvalidImage");
    lab.assert_untouched();
}
