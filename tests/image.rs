//! The ramdisk as files: `make image` makes them, this test looks at what came out and makes it again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and building is running a program"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrite::formats::module_index::ModuleIndex;
use ferrite::formats::omitted_drivers::OmittedDrivers;

/// Kernel and initramfs together, with the project's own list of modules. A user's list may bring more.
const MAX_BYTES: u64 = 25_000_000;

fn made(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/image/virtual")
        .join(name);
    assert!(path.exists(), "{}: run `make image`", path.display());
    path
}

/// What the kernel finds in the initramfs: mode and content of each name.
struct Initramfs(BTreeMap<String, (u32, Vec<u8>)>);

impl Initramfs {
    /// The archives one behind the other: zeroes between them mean nothing.
    fn unpack() -> Self {
        let bytes = fs::read(made("initramfs")).unwrap();
        let mut initramfs = Self(BTreeMap::new());
        let mut rest = bytes.as_slice();
        loop {
            let zeroes = rest.iter().take_while(|byte| **byte == 0).count();
            rest = &rest[zeroes..];
            if rest.is_empty() {
                return initramfs;
            }
            if rest.starts_with(b"070701") {
                let length = initramfs.take_archive(rest);
                rest = &rest[length..];
            } else {
                let mut archive = Vec::new();
                let mut frame = zstd::stream::read::Decoder::with_buffer(&mut rest)
                    .unwrap()
                    .single_frame();
                // The kernel's limit is higher; a small machine's memory is not.
                frame.window_log_max(WINDOW_LOG).unwrap();
                frame.read_to_end(&mut archive).unwrap();
                drop(frame);
                initramfs.take_archive(&archive);
            }
        }
    }

    /// Adds the entries of a `newc` archive, and returns how long it is.
    fn take_archive(&mut self, archive: &[u8]) -> usize {
        let mut at: usize = 0;
        loop {
            let header = &archive[at..];
            assert!(header.starts_with(b"070701"));
            let field = |number: usize| {
                let digits = std::str::from_utf8(&header[6 + number * 8..14 + number * 8]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = std::str::from_utf8(&header[110..110 + name_size - 1]).unwrap();
            let content = (at + 110 + name_size).next_multiple_of(4);
            at = (content + size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                return at;
            }
            let content = archive[content..content + size].to_vec();
            self.0.insert(name.to_owned(), (mode, content));
        }
    }

    fn mode(&self, name: &str) -> u32 {
        let entry = self.0.get(name);
        entry.unwrap_or_else(|| panic!("there is no {name}")).0
    }

    fn text(&self, name: &str) -> &str {
        let entry = self.0.get(name);
        let (_, content) = entry.unwrap_or_else(|| panic!("there is no {name}"));
        std::str::from_utf8(content).unwrap()
    }

    /// The folder of the kernel's modules.
    fn modules(&self) -> &str {
        let table = self
            .0
            .keys()
            .find_map(|name| name.strip_suffix("/modules.dep"));
        table.unwrap()
    }

    fn index(&self) -> ModuleIndex {
        let table = |name| self.text(&format!("{}/modules.{name}", self.modules()));
        ModuleIndex::parse(table("dep"), table("alias"), table("softdep"))
    }

    fn omitted(&self) -> OmittedDrivers {
        OmittedDrivers::parse(self.text(&format!("{}/modules.omitted", self.modules())))
    }
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
fn the_root_folder_is_nobody_elses_to_write() {
    let initramfs = Initramfs::unpack();
    assert_eq!(initramfs.mode("."), 0o40755);
    assert_eq!(initramfs.mode("etc"), 0o40755);
}

#[test]
fn what_the_kernel_requests_is_there_with_all_that_it_needs() {
    let initramfs = Initramfs::unpack();
    let index = initramfs.index();
    let soft = initramfs.text(&format!("{}/modules.softdep", initramfs.modules()));
    // Each name that a module of ours has as a soft dependency, and what file systems are mounted by.
    let names = soft.lines().filter(|line| line.contains(" pre: "));
    let names = names.flat_map(|line| line.split(' ').skip(3));
    let names: Vec<_> = names.chain(REQUESTED.iter().copied()).collect();
    assert!(names.contains(&"blake2b-256"), "{soft}");
    for name in names {
        let modules = index.find(name);
        assert!(!modules.is_empty(), "nothing is there for {name}");
        for step in modules.into_iter().flat_map(|module| index.steps(module)) {
            let file = format!("{}/{}", initramfs.modules(), step.file);
            assert_eq!(initramfs.mode(&file), 0o100_644);
        }
    }
}

#[test]
fn devices_of_real_servers_have_a_driver() {
    let index = Initramfs::unpack().index();
    for (modalias, driver) in DEVICES {
        let drivers: Vec<_> = index.drivers(modalias).collect();
        assert!(drivers.contains(&driver), "{modalias}: {drivers:?}");
    }
}

#[test]
fn drivers_that_are_left_out_are_listed_with_their_firmware() {
    let initramfs = Initramfs::unpack();
    let omitted = initramfs.omitted();
    let find = |id| {
        let modalias = format!("pci:{id}sv00000000sd00000000bc02sc00i00");
        let driver = omitted.find(&modalias).map(|driver| {
            let firmware = driver
                .firmware
                .map(|files| files.starts_with(driver.module));
            (driver.module.to_owned(), firmware)
        });
        (
            driver,
            initramfs.index().drivers(&modalias).next().is_some(),
        )
    };
    assert_eq!(
        find("v000014E4d0000168E"),
        (Some(("bnx2x".into(), Some(true))), false)
    );
    // The firmware is another module's, which this one needs.
    assert_eq!(
        find("v00001077d00008070"),
        (Some(("qede".into(), Some(false))), false)
    );
    assert_eq!(
        find("v00001AE0d00000042"),
        (Some(("gve".into(), None)), false)
    );
    // Of a driver that is there nothing is said.
    assert_eq!(find("v00008086d00001572"), (None, true));
}

#[test]
fn the_kernels_helper_is_the_agents_program() {
    let initramfs = Initramfs::unpack();
    assert_eq!(initramfs.mode("sbin/modprobe"), 0o120_777);
    assert_eq!(initramfs.text("sbin/modprobe"), "/init");
    assert_eq!(initramfs.mode("init"), 0o100_755);
}

#[test]
fn files_can_be_copied_out_and_checked_in_a_rescue() {
    let initramfs = Initramfs::unpack();
    for program in ["usr/lib/sftp-server", "sbin/e2fsck", "sbin/fsck.fat"] {
        assert_eq!(initramfs.mode(program), 0o100_755, "{program}");
    }
    assert_eq!(
        initramfs.text("etc/filesystems"),
        "ext4\nxfs\nbtrfs\nvfat\niso9660\n"
    );
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

/// What the kernel asks its helper for when file systems of tenants and of boot media are mounted.
const REQUESTED: [&str; 16] = [
    "fs-btrfs",
    "fs-efivarfs",
    "fs-ext2",
    "fs-ext3",
    "fs-ext4",
    "fs-iso9660",
    "fs-vfat",
    "fs-xfs",
    "nls_ascii",
    "nls_cp437",
    "nls_cp850",
    "nls_cp866",
    "nls_iso8859-1",
    "nls_iso8859-15",
    "nls_koi8-r",
    "nls_utf8",
];
/// Devices and their drivers: disks behind Intel's VMD, Fibre Channel, a BMC's keyboard, the power button.
const DEVICES: [(&str, &str); 6] = [
    (
        "pci:v00008086d000028C0sv00000000sd00000000bc01sc04i00",
        "vmd",
    ),
    (
        "pci:v00001077d00002261sv00001077sd000002A7bc0Csc04i00",
        "qla2xxx",
    ),
    (
        "usb:v046BpFF10d0100dc00dsc00dp00ic03isc01ip01in00",
        "usbhid",
    ),
    ("hid:b0003g0001v0000046Bp0000FF10", "hid_generic"),
    ("acpi:PNP0C0C:", "button"),
    ("input:b0019v0000p0001e0000-e0,1,k74,ramlsfw", "evdev"),
];
/// The window that build.sh compresses with.
const WINDOW_LOG: u32 = 25;
