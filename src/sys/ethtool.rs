//! Network interface queries by the `SIOCETHTOOL` request.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// Returns an interface's permanent hardware address, whatever address is set at present
/// (`ETHTOOL_GPERMADDR`).
///
/// Returns `None` if the driver reports no address. `socket` may be a socket of any type.
///
/// # Errors
/// The kernel's error: the interface does not exist, or its driver does not support the request.
pub fn permanent_address(socket: BorrowedFd<'_>, interface: &str) -> io::Result<Option<Vec<u8>>> {
    let mut answer = PermanentAddress {
        command: ETHTOOL_GPERMADDR,
        size: MAX_ADDR_LEN,
        data: [0; 32],
    };
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = CString::new(interface)?;
    // The last byte stays zero: names have at most 15 characters.
    let room = request.ifr_name.len() - 1;
    if name.as_bytes().len() > room {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut answer).cast();
    // SAFETY: SIOCETHTOOL reads `ifr_name`, follows `ifru_data` to `answer`, and writes only there.
    // `answer` lives until the end of this function and has space for the `size` bytes it
    // announces.
    unsafe { ioctl::ethtool(socket.as_raw_fd(), &raw mut request) }?;
    let size = usize::try_from(answer.size).unwrap_or_default();
    let address = answer.data.get(..size).unwrap_or(&answer.data);
    Ok(address
        .iter()
        .any(|byte| *byte != 0)
        .then(|| address.to_vec()))
}

mod ioctl {
    use nix::libc;

    nix::ioctl_readwrite_bad!(ethtool, libc::SIOCETHTOOL, libc::ifreq);
}

/// `struct ethtool_perm_addr` of `linux/ethtool.h` with space for the longest address.
#[repr(C)]
struct PermanentAddress {
    command: u32,
    size: u32,
    data: [u8; 32],
}

const _: () = assert!(size_of::<PermanentAddress>() == 40);
const ETHTOOL_GPERMADDR: u32 = 0x20;
/// `MAX_ADDR_LEN` of `linux/netdevice.h`.
const MAX_ADDR_LEN: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_loop_back_interface_was_made_without_an_address() {
        let socket = UnixDatagram::unbound().unwrap();
        assert_eq!(permanent_address(socket.as_fd(), "lo").unwrap(), None);
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        let socket = UnixDatagram::unbound().unwrap();
        for name in ["absent0", "a name of more than 15 letters", "zero\0"] {
            assert!(permanent_address(socket.as_fd(), name).is_err(), "{name}");
        }
    }
}
