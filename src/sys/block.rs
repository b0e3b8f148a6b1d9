//! Block devices: the ioctls of `linux/fs.h`.

use crate::progress::run_with_timeout;
use nix::libc::{c_int, c_uint};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Returns the device's size in bytes (`BLKGETSIZE64`).
///
/// # Errors
/// The file is not a block device, or is gone.
pub fn size(device: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: usize = 0;
    // SAFETY: the kernel writes one `size_t` to the pointer, which outlives the call.
    unsafe { ioctl::size64(device.as_raw_fd(), &raw mut bytes) }?;
    u64::try_from(bytes).map_err(io::Error::other)
}

/// Returns the bytes of a logical sector, the unit of partition tables (`BLKSSZGET`).
///
/// # Errors
/// The file is not a block device, or is gone.
pub fn logical_sector(device: BorrowedFd<'_>) -> io::Result<u32> {
    let mut bytes: c_int = 0;
    // SAFETY: the kernel writes one `int` to the pointer, which outlives the call.
    unsafe { ioctl::logical_sector(device.as_raw_fd(), &raw mut bytes) }?;
    u32::try_from(bytes).map_err(io::Error::other)
}

/// Returns the bytes of a physical sector; smaller writes cost a read first (`BLKPBSZGET`).
///
/// # Errors
/// The file is not a block device, or is gone.
pub fn physical_sector(device: BorrowedFd<'_>) -> io::Result<u32> {
    let mut bytes: c_uint = 0;
    // SAFETY: the kernel writes one `unsigned int` to the pointer, which outlives the call.
    unsafe { ioctl::physical_sector(device.as_raw_fd(), &raw mut bytes) }?;
    Ok(bytes)
}

/// Returns whether the kernel refuses writes to the device (`BLKROGET`).
///
/// # Errors
/// The file is not a block device, or is gone.
pub fn is_read_only(device: BorrowedFd<'_>) -> io::Result<bool> {
    let mut flag: c_int = 0;
    // SAFETY: the kernel writes one `int` to the pointer, which outlives the call.
    unsafe { ioctl::read_only(device.as_raw_fd(), &raw mut flag) }?;
    Ok(flag != 0)
}

/// Returns the sequence number of this disk with its present medium (`BLKGETDISKSEQ`, Linux 5.15).
///
/// The kernel does not reuse the number until it is rebooted. A partition has the number of its
/// disk.
///
/// # Errors
/// The file is not a block device, or is gone, or the kernel is older.
pub fn sequence(device: BorrowedFd<'_>) -> io::Result<u64> {
    let mut number: u64 = 0;
    // SAFETY: the kernel writes one `u64` to the pointer, which outlives the call.
    unsafe { ioctl::sequence(device.as_raw_fd(), &raw mut number) }?;
    Ok(number)
}

/// Drops the disk's partitions in the kernel and reads its partition table again (`BLKRRPART`).
///
/// # Errors
/// `EBUSY` while a partition is in use; `EINVAL` for a device that cannot have partitions.
pub fn reread_partitions(device: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes no argument.
    unsafe { ioctl::reread_partitions(device.as_raw_fd()) }?;
    Ok(())
}

/// Adds a partition to the kernel's list (`BLKPG`); start and length are in bytes.
///
/// # Errors
/// `EBUSY` if the kernel already has a partition with this number or range; `EINVAL` for a range
/// outside the device.
pub fn add_partition(
    device: BorrowedFd<'_>,
    number: u32,
    start: u64,
    length: u64,
) -> io::Result<()> {
    let mut partition = Partition {
        start: i64::try_from(start).map_err(io::Error::other)?,
        length: i64::try_from(length).map_err(io::Error::other)?,
        number: c_int::try_from(number).map_err(io::Error::other)?,
        names: [0; 128],
    };
    let request = PartitionRequest {
        operation: ADD_PARTITION,
        flags: 0,
        length: 0,
        data: &raw mut partition,
    };
    // SAFETY: the kernel reads the request and the partition that it points to; both outlive the
    // call.
    unsafe { ioctl::partition(device.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// Marks a range as unused (`BLKDISCARD`). What it reads as afterwards depends on the device.
///
/// # Errors
/// `EOPNOTSUPP` if the device does not support discard; `EINVAL` for a range not aligned to logical
/// sectors.
pub fn discard(device: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<()> {
    let range = [start, length];
    // SAFETY: the kernel reads two `u64` from the pointer, which outlives the call.
    unsafe { ioctl::discard(device.as_raw_fd(), range.as_ptr()) }?;
    Ok(())
}

/// Zeroes a range, by the device's own command if it has one (`BLKZEROOUT`).
///
/// # Errors
/// `EINVAL` for a range not aligned to logical sectors; a write error.
pub fn zero_out(device: BorrowedFd<'_>, start: u64, length: u64) -> io::Result<()> {
    let range = [start, length];
    // SAFETY: the kernel reads two `u64` from the pointer, which outlives the call.
    unsafe { ioctl::zero_out(device.as_raw_fd(), range.as_ptr()) }?;
    Ok(())
}

/// Writes back and drops the kernel's cache of the device, so that the next read reaches the device
/// (`BLKFLSBUF`).
///
/// # Errors
/// The file is not a block device, or the caller is not root.
pub fn flush_buffers(device: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes no argument.
    unsafe { ioctl::flush_buffers(device.as_raw_fd(), 0) }?;
    Ok(())
}

/// Writes the cached data of all disks back (`sync(2)`), waiting up to `timeout`.
///
/// Returns `None` on timeout: a disk that does not respond would block the caller forever.
#[expect(
    clippy::disallowed_methods,
    reason = "here it is waited for no longer than its caller says"
)]
#[must_use]
pub fn sync_within(timeout: Duration) -> Option<()> {
    run_with_timeout(timeout, nix::unistd::sync)
}

/// `struct blkpg_partition` of `linux/blkpg.h`.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: c_int,
    names: [u8; 128],
}

/// `struct blkpg_ioctl_arg` of `linux/blkpg.h`.
#[repr(C)]
struct PartitionRequest {
    operation: c_int,
    flags: c_int,
    length: c_int,
    data: *mut Partition,
}

const _: () = assert!(size_of::<Partition>() == 152 && size_of::<PartitionRequest>() == 24);

/// `BLKPG_ADD_PARTITION`.
const ADD_PARTITION: c_int = 1;

/// Request numbers as defined in `linux/fs.h`: most encode no size, whatever their argument.
mod ioctl {
    use super::PartitionRequest;
    use nix::libc::{c_int, c_uint};
    use nix::{
        ioctl_none_bad, ioctl_read, ioctl_read_bad, ioctl_write_int_bad, ioctl_write_ptr_bad,
        request_code_none,
    };

    ioctl_read!(size64, 0x12, 114, usize);
    ioctl_read!(sequence, 0x12, 128, u64);
    ioctl_read_bad!(logical_sector, request_code_none!(0x12, 104), c_int);
    ioctl_read_bad!(physical_sector, request_code_none!(0x12, 123), c_uint);
    ioctl_read_bad!(read_only, request_code_none!(0x12, 94), c_int);
    ioctl_write_ptr_bad!(partition, request_code_none!(0x12, 105), PartitionRequest);
    ioctl_none_bad!(reread_partitions, request_code_none!(0x12, 95));
    ioctl_write_int_bad!(flush_buffers, request_code_none!(0x12, 97));
    ioctl_write_ptr_bad!(discard, request_code_none!(0x12, 119), u64);
    ioctl_write_ptr_bad!(zero_out, request_code_none!(0x12, 127), u64);
}
