//! BMC access through the IPMI device: the ioctls of `linux/ipmi.h`.

use nix::libc::{c_int, c_long, c_short, c_uchar, c_uint, c_ushort};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Sends one request to this machine's own BMC and returns the response, which begins with the
/// completion code.
///
/// Only one request may be open at a time. Late responses to earlier requests are discarded.
///
/// # Errors
/// The kernel's error; a timeout if the BMC does not respond within `patience`.
pub fn ask(
    device: BorrowedFd<'_>,
    number: u16,
    network_function: u8,
    command: u8,
    data: &[u8],
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let mut data = data.to_vec();
    let mut address = OWN_CONTROLLER;
    let mut request = Request {
        address: &raw mut address,
        address_length: length(size_of::<Address>())?,
        number: c_long::from(number),
        message: Message {
            network_function,
            command,
            length: c_ushort::try_from(data.len()).map_err(io::Error::other)?,
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: the kernel reads `request`, `address` and `data`, which live until the end of this
    // function, for the lengths they announce.
    unsafe { ioctl::send_command(device.as_raw_fd(), &raw mut request) }?;
    let begin = Instant::now();
    for _ in 0..STALE_ANSWERS {
        let left = patience.saturating_sub(begin.elapsed());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(device, PollFlags::POLLIN)];
        if poll(&mut ready, wait)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (to, answer) = receive(device)?;
        if to == c_long::from(number) {
            return Ok(answer);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Receives the next response and the number of its request.
fn receive(device: BorrowedFd<'_>) -> io::Result<(c_long, Vec<u8>)> {
    let mut data = vec![0; MAX_MESSAGE];
    let mut address = OWN_CONTROLLER;
    let mut answer = Answer {
        kind: 0,
        address: &raw mut address,
        address_length: length(size_of::<Address>())?,
        number: 0,
        message: Message {
            network_function: 0,
            command: 0,
            length: c_ushort::try_from(data.len()).map_err(io::Error::other)?,
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: the kernel writes `answer`, at most `address_length` bytes of `address` and at most
    // `length` bytes of `data`. All of them live until the end of this function.
    unsafe { ioctl::receive_message(device.as_raw_fd(), &raw mut answer) }?;
    data.truncate(usize::from(answer.message.length));
    Ok((answer.number, data))
}

fn length(bytes: usize) -> io::Result<c_uint> {
    c_uint::try_from(bytes).map_err(io::Error::other)
}

/// `struct ipmi_system_interface_addr`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    kind: c_int,
    channel: c_short,
    lun: c_uchar,
}

/// `struct ipmi_msg`.
#[repr(C)]
struct Message {
    network_function: c_uchar,
    command: c_uchar,
    length: c_ushort,
    data: *mut c_uchar,
}

/// `struct ipmi_req`.
#[repr(C)]
struct Request {
    address: *mut Address,
    address_length: c_uint,
    number: c_long,
    message: Message,
}

/// `struct ipmi_recv`.
#[repr(C)]
struct Answer {
    kind: c_int,
    address: *mut Address,
    address_length: c_uint,
    number: c_long,
    message: Message,
}

mod ioctl {
    use super::{Answer, Request};

    nix::ioctl_read!(send_command, b'i', 13, Request);
    nix::ioctl_readwrite!(receive_message, b'i', 11, Answer);
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    size_of::<Address>() == 8
        && size_of::<Message>() == 16
        && size_of::<Request>() == 40
        && size_of::<Answer>() == 48
);

/// `IPMI_SYSTEM_INTERFACE_ADDR_TYPE` and `IPMI_BMC_CHANNEL`.
const OWN_CONTROLLER: Address = Address {
    kind: 0x0c,
    channel: 0x0f,
    lun: 0,
};
/// `IPMI_MAX_MSG_LENGTH`.
const MAX_MESSAGE: usize = 272;
/// Maximum number of late responses to earlier requests before the wanted one.
const STALE_ANSWERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_controller_is_an_error() {
        let file = File::open("/dev/null").unwrap();
        let error = ask(file.as_fd(), 1, 0x0c, 2, &[1, 3, 0, 0], Duration::ZERO).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENOTTY));
    }
}
