//! Wraps the kernel's interfaces; the only module with `unsafe`.
//!
//! A function here takes a `BorrowedFd` or plain values, makes one call and returns an owned value
//! or [`std::io::Error`].
#![allow(
    unsafe_code,
    reason = "ioctl and raw system calls live here and nowhere else"
)]

pub mod address;
pub mod block;
pub mod efivars;
pub mod ethtool;
pub mod inherited_fd;
pub mod input;
pub mod ipmi;
pub mod kernel_log;
pub mod locked_memory;
pub mod loopdev;
pub mod module;
pub mod mount;
pub mod netlink;
pub mod packet;
pub mod process;
pub mod rtc;
pub mod uevent;
pub mod wiping;
