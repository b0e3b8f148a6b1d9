//! systemd as the state holder: uses its file descriptor store by the protocol alone (sd_notify(3),
//! sd_listen_fds(3)).

use super::FILES;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socket,
};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// Notification socket of the service manager that started this process.
#[derive(Debug)]
pub struct Manager {
    socket: OwnedFd,
    address: UnixAddr,
}

impl Manager {
    /// Opens a socket to the address in the variable `NOTIFY_SOCKET`. Returns `None` if it is unset
    /// or unusable.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let path = variable("NOTIFY_SOCKET")?;
        Self::at(path.as_bytes())
            .inspect_err(
                |error| tracing::warn!(%error, "the service manager cannot be told anything"),
            )
            .ok()
    }

    fn at(path: &[u8]) -> io::Result<Self> {
        Ok(Self {
            socket: socket(
                AddressFamily::Unix,
                SockType::Datagram,
                SockFlag::SOCK_CLOEXEC,
                None,
            )?,
            address: match path.split_first() {
                Some((b'@', name)) => UnixAddr::new_abstract(name)?,
                _ => UnixAddr::new(path)?,
            },
        })
    }

    /// Notifies the service manager that the agent serves commands.
    pub fn ready(&self) {
        if let Err(error) = self.send("READY=1", &[]) {
            tracing::warn!(%error, "the service manager cannot be told that the agent is ready");
        }
    }

    /// Stores the memory files in the service manager, for the next agent.
    ///
    /// # Errors
    /// A file cannot be sent.
    pub fn store(&self, files: [BorrowedFd<'_>; FILES]) -> io::Result<()> {
        for (name, file) in NAMES.iter().zip(files) {
            self.send(&format!("FDSTORE=1\nFDNAME={name}"), &[file.as_raw_fd()])?;
        }
        Ok(())
    }

    fn send(&self, text: &str, files: &[RawFd]) -> io::Result<()> {
        let with = [ControlMessage::ScmRights(files)];
        let with = if files.is_empty() { &[][..] } else { &with };
        let (text, address) = ([IoSlice::new(text.as_bytes())], Some(&self.address));
        sendmsg(
            self.socket.as_raw_fd(),
            &text,
            with,
            MsgFlags::MSG_NOSIGNAL,
            address,
        )?;
        Ok(())
    }
}

/// Returns the numbers of the memory files that systemd passes to the process `own`, or `None`
/// unless all are present.
#[must_use]
pub fn inherited_fds(
    own: u32,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<[RawFd; FILES]> {
    let text = |name| variable(name)?.into_string().ok();
    let number = |name| text(name)?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(own) {
        return None;
    }
    let names = text("LISTEN_FDNAMES")?;
    let count = usize::try_from(number("LISTEN_FDS")?).ok()?;
    let by_name: HashMap<_, _> = names.split(':').zip(FIRST..).take(count).collect();
    let [vault, ledger, log] = NAMES.map(|name| by_name.get(name).copied());
    Some([vault?, ledger?, log?])
}

/// Names of the memory files in the descriptor store.
const NAMES: [&str; FILES] = ["ferrite-vault", "ferrite-ledger", "ferrite-log"];
/// `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(pairs: &[(&str, &str)]) -> Option<[RawFd; FILES]> {
        inherited_fds(7, |name| {
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn files_are_found_by_their_names_in_any_order() {
        let names = "other:ferrite-log:ferrite-vault:ferrite-ledger";
        let of = |pid, count| {
            let names = ("LISTEN_FDNAMES", names);
            handed(&[("LISTEN_PID", pid), ("LISTEN_FDS", count), names])
        };
        assert_eq!(of("7", "4"), Some([5, 6, 4]));
        assert_eq!(of("7", "3"), None, "the ledger is not there");
        assert_eq!(of("8", "4"), None, "they are somebody else's");
        assert_eq!(of("7", "x"), None);
        assert_eq!(handed(&[]), None);
    }

    #[test]
    fn the_unit_lets_the_store_hold_every_file_and_the_agent_speak() {
        let unit = include_str!("../../config/ferrite.service");
        let value = |name: &str| {
            let line = unit.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix('='))
        };
        let room: usize = value("FileDescriptorStoreMax").unwrap().parse().unwrap();
        assert!(room >= FILES, "{room}");
        assert_eq!(value("Type"), Some("notify"));
        assert_eq!(value("NotifyAccess"), Some("main"));
        assert_eq!(value("Restart"), Some("always"));
    }
}
