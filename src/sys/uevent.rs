//! The kernel's own announcements of devices (`NETLINK_KOBJECT_UEVENT`): what udev would listen to.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket, sockopt,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A socket on which the kernel announces devices.
#[derive(Debug)]
pub struct Uevents(OwnedFd);

impl Uevents {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the kernel gives no socket.
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

    /// The same socket, on which [`Self::wait`] is an error of the kind `WouldBlock` where there is no announcement.
    ///
    /// # Errors
    /// The kernel's.
    pub fn without_waiting(self) -> io::Result<Self> {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(self)
    }

    /// Waits for the next announcement: its text, `action@device` and `KEY=value` words separated by zero bytes.
    /// `None` when some were lost and the caller had better look for itself.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn wait(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; MAX_LEN];
        loop {
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
                // Only the kernel has port 0; other processes could send to the group, too.
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

/// Space for the flood of a cold start.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// `UEVENT_BUFFER_SIZE` (linux/kobject.h) is 2 KiB; the header comes on top.
const MAX_LEN: usize = 8 * 1024;
/// Group 1 is the kernel's, group 2 was udev's.
const KERNEL_GROUP: u32 = 1;
