//! Process 1: from the kernel's hand-over to a running agent, and the machine's end.
//!
//! ```text
//! init ─► mounts ─► modules (by modalias, for ever) ─┐
//!                 └► network (DHCP, IPv6, for ever) ─┴► supervisor ─► the agent, a child of the same file
//!                                                          or, once it handed the machine over: rescue ─► logins
//! ```
//!
//! [`init`] never ends; [`supervise`] is its last part alone, for machines with an init of their own. [`media`] and [`power`] are what the agent itself uses of this room: the configuration on virtual
//! media, and the end of the machine.

pub mod init;
pub mod media;
pub mod power;
pub mod supervise;

mod modules;
mod mounts;
mod network;
mod rescue;
mod supervisor;
