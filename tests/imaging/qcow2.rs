//! Images that QEMU's own tools made, against what they say is in them.

use crate::lab::{Lab, MIB, OLD, gpt_image, info, is_full_of, noise};
use crate::server::{Server, silent_after};
use ferrite::imaging::Format;
use std::fs;
use std::path::Path;
use std::thread;

const SIZE: usize = 20 * MIB + 512;

/// Runs `qemu-img` or `qemu-io`.
#[expect(clippy::disallowed_methods, reason = "only QEMU makes QEMU's images")]
fn qemu(folder: &Path, program: &str, arguments: &[&str]) {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} (Debian's qemu-utils): {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The disk in the image is the one we expect, and `passes` downloads were enough.
fn assert_written(lab: &Lab, guest: &[u8], passes: usize) {
    let file = fs::read(lab.folder.path().join("x.qcow2")).unwrap();
    let server = Server::of(&file);
    let written = lab
        .write(&info(&server.url("x.qcow2"), Some("qcow2"), &file))
        .unwrap();
    assert_eq!(
        (written.bytes, written.virtual_size, written.format),
        (file.len() as u64, guest.len() as u64, Format::Qcow2)
    );
    assert!(
        lab.disk_bytes()[..guest.len()] == *guest,
        "the disk differs from the image"
    );
    assert_eq!(server.requests().len(), passes);
}

#[test]
fn every_form_that_convert_makes_is_written_in_one_pass() {
    let forms: [&[&str]; 9] = [
        &[],
        &["-c"],
        &["-W"],
        &["-c", "-W", "-m", "16"],
        &["-c", "-o", "compression_type=zstd"],
        &["-o", "compat=0.10"],
        &["-o", "cluster_size=512"],
        &["-c", "-o", "cluster_size=2M"],
        &["-o", "preallocation=metadata"],
    ];
    for form in forms {
        let lab = Lab::new(SIZE + 4 * MIB);
        let guest = gpt_image(SIZE);
        fs::write(lab.folder.path().join("x.raw"), &guest).unwrap();
        let arguments = [
            &["convert", "-f", "raw", "-O", "qcow2"],
            form,
            &["x.raw", "x.qcow2"],
        ]
        .concat();
        qemu(lab.folder.path(), "qemu-img", &arguments);
        assert_written(&lab, &guest, 1);
    }
}

#[test]
fn an_image_with_a_history_is_the_same_disk() {
    let size = 40 * MIB;
    let lab = Lab::new(size + 4 * MIB);
    let folder = lab.folder.path();
    let create = ["create", "-f", "qcow2", "x.qcow2", &size.to_string()];
    qemu(folder, "qemu-img", &create);
    let [late, middle, early] = ["write -P 3 39M 1M", "write -P 2 5M 24M", "write -P 1 0 64k"];
    qemu(
        folder,
        "qemu-io",
        &["-c", late, "-c", middle, "-c", early, "x.qcow2"],
    );
    qemu(folder, "qemu-img", &["snapshot", "-c", "before", "x.qcow2"]);
    let [over, zero] = ["write -P 4 6M 1M", "write -z 7M 1M"];
    qemu(folder, "qemu-io", &["-c", over, "-c", zero, "x.qcow2"]);
    let mut guest = vec![0; size];
    guest[..64 << 10].fill(1);
    guest[5 * MIB..29 * MIB].fill(2);
    guest[6 * MIB..7 * MIB].fill(4);
    guest[7 * MIB..8 * MIB].fill(0);
    guest[39 * MIB..].fill(3);
    // The snapshot made QEMU copy the table behind the data it maps, and there is more of that than is kept.
    assert_written(&lab, &guest, 2);
}

#[test]
fn compressed_images_of_more_than_one_table_need_one_pass() {
    // 512 MiB is what one table of 64 KiB clusters maps; 8 MiB what one of 8 KiB clusters does.
    let lab = Lab::new(SIZE + 4 * MIB);
    let guest = gpt_image(SIZE);
    fs::write(lab.folder.path().join("x.raw"), &guest).unwrap();
    let arguments = [
        "convert",
        "-c",
        "-O",
        "qcow2",
        "-f",
        "raw",
        "-o",
        "cluster_size=8k",
        "x.raw",
        "x.qcow2",
    ];
    qemu(lab.folder.path(), "qemu-img", &arguments);
    assert_written(&lab, &guest, 1);
}

#[test]
fn a_corrupt_image_leaves_no_table() {
    let lab = Lab::new(SIZE + 4 * MIB);
    let guest = gpt_image(SIZE);
    fs::write(lab.folder.path().join("x.raw"), &guest).unwrap();
    qemu(
        lab.folder.path(),
        "qemu-img",
        &["convert", "-O", "qcow2", "-f", "raw", "x.raw", "x.qcow2"],
    );
    let mut file = fs::read(lab.folder.path().join("x.qcow2")).unwrap();
    file.truncate(10 * MIB);
    let server = Server::of(&file);
    let error = lab
        .write(&info(&server.url("x"), Some("qcow2"), &file))
        .unwrap_err();
    assert_eq!(error.class.name(), "InvalidImage");
    assert!(
        error.details.contains("was left without a partition table"),
        "{error}"
    );
    lab.assert_no_table(&[]);
}

#[test]
fn empty_areas_are_zeroed_when_the_server_has_nothing_more_to_send() {
    let lab = Lab::new(52 * MIB);
    // Eight mebibytes of data around forty of nothing: on a slow disk those take longer than a server waits.
    let mut guest = noise(48 * MIB);
    guest[4 * MIB..44 * MIB].fill(0);
    fs::write(lab.folder.path().join("x.raw"), &guest).unwrap();
    let convert = ["convert", "-f", "raw", "-O", "qcow2", "x.raw", "x.qcow2"];
    qemu(lab.folder.path(), "qemu-img", &convert);
    let file = fs::read(lab.folder.path().join("x.qcow2")).unwrap();
    let (rest, server) = silent_after(&file, file.len() - 1);
    let info = info(&server.url("x.qcow2"), Some("qcow2"), &file);
    thread::scope(|scope| {
        let writing = scope.spawn(|| lab.write(&info).unwrap());
        lab.wait_for_bytes(5 * MIB);
        let disk = lab.disk_bytes();
        // But for what was made blank just ahead of the data.
        assert!(is_full_of(&disk[16 * MIB..44 * MIB], OLD));
        assert!(disk[2 * MIB..4 * MIB] == guest[2 * MIB..4 * MIB]);
        rest.send(()).unwrap();
        writing.join().unwrap()
    });
    let disk = lab.disk_bytes();
    assert!(disk[..guest.len()] == guest);
    assert!(is_full_of(&disk[guest.len()..51 * MIB], OLD));
    assert_eq!(server.requests().len(), 1);
}
