//! Why there is no network at all.

use std::io;

/// Why there is no network at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever starts it is not process 1.
    #[error("ferrite network is a part of process 1 of a ramdisk: nobody else starts it")]
    NotAChild,
    /// To be told of a move.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    /// The kernel's route socket.
    #[error("cannot speak with the kernel about interfaces")]
    Netlink(#[source] io::Error),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}
