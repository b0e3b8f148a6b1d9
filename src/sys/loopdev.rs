//! Loop devices: a file as a disk (`linux/loop.h`, `LOOP_CONFIGURE` of Linux 5.8).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// File attached as a block device with partitions; detached when dropped.
#[derive(Debug)]
pub struct LoopDevice {
    device: File,
    path: PathBuf,
}

impl LoopDevice {
    /// Attaches `backing` as a disk whose logical sectors have `sector` bytes.
    ///
    /// # Errors
    /// The loop driver is missing, the caller lacks permission, or the kernel refuses the sector
    /// size.
    pub fn attach(backing: &File, sector: u32) -> io::Result<Self> {
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/loop-control")?;
        let backing = u32::try_from(backing.as_raw_fd()).map_err(io::Error::other)?;
        let mut config = Config::new(backing, sector);
        for _ in 0..ATTEMPTS {
            // SAFETY: the request takes no argument and returns a number.
            let number = unsafe { ioctl::free(control.as_raw_fd()) }?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = OpenOptions::new().read(true).write(true).open(&path)?;
            // SAFETY: the kernel reads one `loop_config` from the pointer, which outlives the call.
            match unsafe { ioctl::configure(device.as_raw_fd(), &raw mut config) } {
                Ok(_) => return Ok(Self { device, path }),
                // Another process took this number first.
                Err(nix::errno::Errno::EBUSY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Returns the path of the device node, such as `/dev/loop0`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // The kernel detaches a device in use when its last user closes it. No error here needs
        // handling.
        // SAFETY: the request takes no argument.
        let _ = unsafe { ioctl::clear(self.device.as_raw_fd()) };
    }
}

/// `struct loop_config` with its `struct loop_info64`, of which only the flags are set.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    names: [u8; 64 + 64 + 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<Config>() == 304);

impl Config {
    fn new(fd: u32, block_size: u32) -> Self {
        Self {
            fd,
            block_size,
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: PARTITIONS,
            names: [0; 160],
            init: [0; 2],
            reserved: [0; 8],
        }
    }
}

mod ioctl {
    use super::Config;
    use nix::{ioctl_none_bad, ioctl_readwrite_bad};

    ioctl_none_bad!(free, 0x4C82);
    ioctl_none_bad!(clear, 0x4C01);
    ioctl_readwrite_bad!(configure, 0x4C0A, Config);
}

/// `LO_FLAGS_PARTSCAN`: read the partition table.
const PARTITIONS: u32 = 8;
const ATTEMPTS: u32 = 64;
