//! The ramdisk as files: `make image` makes them, this test looks at what came out and makes it again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and building is running a program"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kernel and initramfs together, with the project's own list of modules. A user's list may bring more.
const MAX_BYTES: u64 = 25_000_000;

fn made(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/image/virtual")
        .join(name);
    assert!(path.exists(), "{}: run `make image`", path.display());
    path
}

/// One part of the ramdisk, built into `out`.
fn build(part: &str, from: &Path, out: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/image/build.sh");
    let status = Command::new(script)
        .arg(part)
        .args([from, out])
        .status()
        .unwrap();
    assert!(status.success(), "{script} {part}: {status}");
}

fn assert_same(one: &Path, other: &Path) {
    // Not `assert_eq`: it would print megabytes.
    assert!(
        fs::read(one).unwrap() == fs::read(other).unwrap(),
        "{} and {} differ",
        one.display(),
        other.display()
    );
}

#[test]
fn the_ramdisk_is_small() {
    let size = |name| fs::metadata(made(name)).unwrap().len();
    let bytes = size("vmlinuz") + size("initramfs");
    assert!(bytes <= MAX_BYTES, "{bytes} bytes, more than {MAX_BYTES}");
}

#[test]
fn a_ramdisk_larger_than_the_project_s_own_is_built() {
    let out = tempfile::tempdir().unwrap();
    for name in ["modules.cpio.zst", "rescue.cpio.zst"] {
        fs::write(out.path().join(name), "").unwrap();
    }
    let kernel = out.path().join("vmlinuz");
    fs::File::create(kernel)
        .unwrap()
        .set_len(MAX_BYTES + 1)
        .unwrap();
    let agent = out.path().join("ferrite");
    fs::write(&agent, "a program").unwrap();
    build("initramfs", &agent, out.path());
    assert!(out.path().join("initramfs").exists());
}

#[test]
fn ironic_takes_the_initramfs_as_it_is() {
    // It unpacks what begins as a zstd file (`ironic.common.images._handle_zstd_compression`), and fails on two archives.
    let initramfs = fs::read(made("initramfs")).unwrap();
    assert!(initramfs.starts_with(b"070701"));
}

#[test]
fn a_second_build_of_the_modules_has_the_same_bytes() {
    let again = tempfile::tempdir().unwrap();
    build("modules", &made("kernel.deb"), again.path());
    for name in ["vmlinuz", "modules.cpio.zst"] {
        assert_same(&made(name), &again.path().join(name));
    }
}

#[test]
fn a_second_build_of_the_rescue_system_has_the_same_bytes() {
    let again = tempfile::tempdir().unwrap();
    build("rescue", &made("rescue"), again.path());
    assert_same(
        &made("rescue.cpio.zst"),
        &again.path().join("rescue.cpio.zst"),
    );
}

#[test]
fn a_second_build_of_the_initramfs_has_the_same_bytes() {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/x86_64-unknown-linux-musl/release/ferrite");
    let again = tempfile::tempdir().unwrap();
    for name in ["vmlinuz", "modules.cpio.zst", "rescue.cpio.zst"] {
        fs::copy(made(name), again.path().join(name)).unwrap();
    }
    build("initramfs", &agent, again.path());
    assert_same(&made("initramfs"), &again.path().join("initramfs"));
}
