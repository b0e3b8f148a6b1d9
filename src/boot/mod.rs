//! Process 1: from the kernel's hand-over to a running agent, and the machine's end.
//!
//! ```text
//! init ─► mounts ─► secrets of the kernel's put away ─► modules (by modalias, for ever) ─► supervisor
//! supervisor ─┬► network (DHCP, IPv6, for ever), a child of the same file
//!             └► the agent, likewise; or, once it handed the machine over: rescue ─► logins
//! kernel ─► modprobe (the same file by another name), for a module that nothing has loaded
//! beside them: consoles (what all of these print is shown on each), shutdown (the power button, signals)
//! ```
//!
//! Process 1 itself speaks with the kernel alone: drivers are loaded by it, because it reads for them nothing but the image's own
//! tables and the kernel's announcements. What strangers say on the network is read by a child that has no secrets.
//!
//! A thread that panics is started again: with its process, where that is a child's; in place, where it is process 1's (`watcher`).
//!
//! [`init`] never ends; [`supervise`] is its last part alone, for machines with an init of their own. [`network`] is the child,
//! [`modprobe`] the kernel's helper;
//! [`media`] and [`power`] are what the agent itself uses of this room: the configuration on virtual media, and the end of the
//! machine.

pub mod init;
pub mod media;
pub mod modprobe;
pub mod network;
pub mod power;
pub mod supervise;

mod command_line;
mod consoles;
mod ignored_arguments;
mod invocation;
mod kernel_log;
mod modules;
mod mounts;
mod rescue;
mod shutdown;
mod supervisor;
mod watcher;
