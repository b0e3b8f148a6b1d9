//! Device events of the kernel (`NETLINK_KOBJECT_UEVENT`), which udev would process.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket, sockopt,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Socket that receives the kernel's device events.
#[derive(Debug)]
pub struct Uevents(OwnedFd);

impl Uevents {
    /// Subscribes to device events.
    ///
    /// # Errors
    /// The kernel refuses to open the socket.
    pub fn listen() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self(socket))
    }

    /// Sets the socket to non-blocking: [`Self::wait`] then fails with `WouldBlock` if no event is
    /// queued.
    ///
    /// # Errors
    /// The error of `fcntl`.
    pub fn without_waiting(self) -> io::Result<Self> {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(self)
    }

    /// Waits for the next event and returns its text: `action@device` and `KEY=value` strings,
    /// separated by zero bytes.
    ///
    /// Returns `None` if events were lost; the caller must then scan the devices itself.
    ///
    /// # Errors
    /// The socket failed.
    pub fn wait(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; MAX_LEN];
        loop {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                // Only the kernel has port ID 0; other processes can send to the group too.
                Ok((length, Some(sender))) if sender.pid() == 0 => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(nix::Error::ENOBUFS) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Large enough for the burst of events at a cold start.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// `UEVENT_BUFFER_SIZE` (linux/kobject.h) is 2 KiB, to which the header is added.
const MAX_LEN: usize = 8 * 1024;
/// Multicast group 1 is the kernel's; group 2 was udev's.
const KERNEL_GROUP: u32 = 1;
