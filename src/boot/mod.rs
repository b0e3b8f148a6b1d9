//! Process 1: from the kernel's hand-over to a running agent, and the machine's end.
//!
//! ```text
//! init ─► mounts ─► modules (by modalias, for ever) ─┐
//!                 └► network (DHCP, IPv6, for ever) ─┴► supervisor ─► the agent, a child of the same file
//! ```
//!
//! [`init`] never ends. [`media`] and [`power`] are what the agent itself uses of this room: the configuration on virtual
//! media, and the end of the machine.

pub mod init;
pub mod media;
pub mod power;

mod modules;
mod mounts;
mod network;
mod supervisor;

/// The value of a kernel argument; the last one counts, as everywhere with Ironic.
fn argument<'a>(arguments: &'a str, name: &str) -> Option<&'a str> {
    arguments
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_argument_of_a_name_counts() {
        let line = "quiet BOOTIF=a ip=x=y BOOTIF=b\n";
        assert_eq!(argument(line, "BOOTIF"), Some("b"));
        assert_eq!(argument(line, "ip"), Some("x=y"));
        assert_eq!(argument(line, "quiet"), None);
    }
}
