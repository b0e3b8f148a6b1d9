//! The images that are deployed: a tiny machine of our own making that boots and says so.
//!
//! A GPT with a FAT partition, a data partition and one with an ext4 file system, the image's root. For UEFI the first is
//! an ESP: it holds a unified kernel (kernel, command line and user land in one EFI program) and the `BOOTX64.CSV` by which
//! a deployed system names its loader. There is no `EFI/BOOT/BOOTX64.EFI`, so it boots only if the agent made a firmware
//! entry for it. For BIOS the code in the MBR starts SYSLINUX in the first partition.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::bios;
use super::cpio::Archive;
use super::machine::Firmware;
use super::modules;
use super::parts::Parts;
use super::process::{program, run};

/// The firmware entry the images' CSV asks for.
pub const ENTRY: &str = "Ferrite Lab";

/// A raw image on the host.
#[derive(Clone, Debug)]
pub struct InstanceImage {
    /// The image as a disk holds it.
    pub raw: PathBuf,
    /// Where on the disk the root file system, the third partition, begins.
    pub root_at: u64,
}

/// What a qcow2 file is made like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clusters {
    /// Each one compressed: `qemu-img convert -c`.
    Compressed,
    /// Not compressed.
    Plain,
}

impl InstanceImage {
    /// Builds an image, in `folder`, that calls itself `id` on its console and in `/etc/hostname` of its root. `data_mib` of its bytes do
    /// not compress.
    pub fn build(
        parts: &Parts,
        folder: &Path,
        id: &str,
        data_mib: u64,
        firmware: Firmware,
    ) -> Result<Self> {
        let work = folder.join(format!("{id}.parts"));
        fs::create_dir_all(&work)?;
        let (first, kind) = match firmware {
            Firmware::Bios => (bios::partition(parts, &work, id)?, bios::PARTITION),
            Firmware::Uefi => (
                system_partition(&work, &unified_kernel(parts, &work, id)?)?,
                "type=uefi, name=esp",
            ),
        };
        let raw = folder.join(format!("{id}.raw"));
        let root = root_file_system(&work, id)?;
        let root_at = disk(&raw, (&first, kind), data_mib, &root)
            .with_context(|| format!("could not build {}", raw.display()))?;
        if firmware == Firmware::Bios {
            bios::write_boot_code(parts, &raw)?;
        }
        fs::remove_dir_all(&work)?;
        Ok(Self { raw, root_at })
    }

    /// The same disk as a qcow2 file.
    pub fn qcow2(&self, clusters: Clusters) -> Result<PathBuf> {
        let path = self.raw.with_extension("qcow2");
        let mut convert = program("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", "qcow2"]);
        if clusters == Clusters::Compressed {
            convert.arg("-c");
        }
        run(convert.arg(&self.raw).arg(&path))?;
        Ok(path)
    }

    /// A qcow2 file that asks for another file of whoever opens it.
    pub fn hostile_qcow2(&self) -> Result<PathBuf> {
        let path = self.raw.with_extension("hostile.qcow2");
        let mut create = program("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]);
        run(create.arg(&self.raw).arg(&path))?;
        Ok(path)
    }
}

/// The checksum of a file as Ironic wants it.
pub fn sha512(file: &Path) -> Result<String> {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA512);
    let mut file = File::open(file)?;
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        digest.update(bytes);
    }
    let mut text = String::new();
    for byte in digest.finish().as_ref() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

fn unified_kernel(parts: &Parts, work: &Path, id: &str) -> Result<PathBuf> {
    let initramfs = work.join("initramfs");
    fs::write(&initramfs, user_land(parts)?)?;
    let command_line = work.join("cmdline");
    fs::write(&command_line, format!("{}\0", kernel_arguments(id)))?;
    let kernel = work.join("ferrite-lab.efi");
    let mut objcopy = program("objcopy");
    // Addresses behind the stub's own sections, far enough from each other (systemd-stub(7)).
    for (section, file, address) in [
        (".cmdline", &command_line, 0x30000),
        (".linux", &parts.instance_kernel()?, 0x0200_0000),
        (".initrd", &initramfs, 0x0300_0000),
    ] {
        objcopy
            .arg(format!("--add-section={section}={}", file.display()))
            .arg(format!("--change-section-vma={section}={address:#x}"));
    }
    run(objcopy
        .arg(parts.unpacked("usr/lib/systemd/boot/efi/linuxx64.efi.stub"))
        .arg(&kernel))?;
    Ok(kernel)
}

pub(super) fn kernel_arguments(id: &str) -> String {
    format!("console=ttyS0 quiet panic=0 ferrite.instance={id}")
}

pub(super) fn user_land(parts: &Parts) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "modules"] {
        archive.folder(folder)?;
    }
    archive.executable("bin/busybox", &fs::read(parts.unpacked("bin/busybox"))?)?;
    archive.executable("init", include_bytes!("instance.sh"))?;
    let modules = modules::load_order(&parts.instance_modules()?, &MODULES)?;
    for (index, path) in modules.iter().enumerate() {
        archive.executable(&format!("modules/{index:03}.ko"), &fs::read(path)?)?;
    }
    archive.finish()
}

fn system_partition(work: &Path, kernel: &Path) -> Result<PathBuf> {
    let esp = work.join("esp");
    File::create(&esp)?.set_len(ESP_MIB * MIB)?;
    run(program("mkfs.vfat")
        .args(["-F", "32", "-n", "ESP", "-i", "FE221713"])
        .arg(&esp))?;
    let csv = work.join("BOOTX64.CSV");
    let line = format!("ferrite-lab.efi,{ENTRY},,The deployed system's own boot entry\n");
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(line.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(&csv, utf16)?;
    run(program("mmd")
        .arg("-i")
        .arg(&esp)
        .args(["::EFI", "::EFI/ferrite"]))?;
    run(program("mcopy")
        .arg("-i")
        .arg(&esp)
        .arg(kernel)
        .arg(&csv)
        .arg("::EFI/ferrite"))?;
    Ok(esp)
}

fn root_file_system(work: &Path, id: &str) -> Result<PathBuf> {
    let tree = work.join("root");
    fs::create_dir_all(tree.join("etc"))?;
    fs::write(tree.join("etc/hostname"), format!("{id}\n"))?;
    let root = work.join("root.ext4");
    File::create(&root)?.set_len(ROOT_MIB * MIB)?;
    run(program("mkfs.ext4")
        .args(["-q", "-O", "metadata_csum", "-L", "root", "-d"])
        .arg(&tree)
        .arg(&root))?;
    Ok(root)
}

/// Returns where the root's partition begins.
fn disk(raw: &Path, (first, kind): (&Path, &str), data_mib: u64, root: &Path) -> Result<u64> {
    let mut file = File::create(raw)?;
    let data = data_mib.max(1);
    let root_at = (1 + ESP_MIB + data) * MIB;
    file.set_len(root_at + (ROOT_MIB + 1) * MIB)?;
    let layout = format!(
        "label: gpt\nlabel-id: 5F2A6E7C-9C1B-4D52-8D0B-6C1B7E6A0001\nfirst-lba: 2048\n\
         size={ESP_MIB}MiB, {kind}\nsize={data}MiB, type=linux, name=data\n\
         size={ROOT_MIB}MiB, type=linux, name=root\n",
    );
    sfdisk(raw, &layout)?;
    file = OpenOptions::new().write(true).open(raw)?;
    for (at, content) in [(MIB, first), (root_at, root)] {
        file.seek(SeekFrom::Start(at))?;
        std::io::copy(&mut File::open(content)?, &mut file)?;
    }
    file.seek(SeekFrom::Start((1 + ESP_MIB) * MIB))?;
    fill(&mut file, data_mib)?;
    Ok(root_at)
}

pub(super) fn sfdisk(raw: &Path, layout: &str) -> Result<()> {
    let mut child = program("sfdisk")
        .arg("--quiet")
        .arg(raw)
        .stdin(Stdio::piped())
        .spawn()
        .context("could not run sfdisk")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(layout.as_bytes())?;
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("sfdisk failed ({status})");
    }
    Ok(())
}

/// Bytes that no compression shrinks and that are the same every time (xorshift).
fn fill(file: &mut File, mib: u64) -> Result<()> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut block = Vec::with_capacity(1 << 20);
    for _ in 0..mib {
        block.clear();
        while block.len() < 1 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    Ok(())
}

pub(super) const MIB: u64 = 1 << 20;
pub(super) const ESP_MIB: u64 = 48;
const ROOT_MIB: u64 = 8;
/// The disk, its partitions' file systems, and the firmware's variables.
const MODULES: [&str; 8] = [
    "virtio_pci",
    "virtio_scsi",
    "sd_mod",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "efivarfs",
];
