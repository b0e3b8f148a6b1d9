//! EFI variables of the global vendor, through the kernel's efivarfs.
//!
//! A file there is four bytes of attributes and the value; one `write` is one `SetVariable`. The
//! kernel marks most files immutable to prevent accidents, so the flag is cleared before a change.

use nix::errno::Errno;
use nix::libc::c_long;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Mount point of efivarfs.
#[derive(Clone, Debug)]
pub struct EfiVars(PathBuf);

impl EfiVars {
    /// Uses the efivarfs mounted at `folder`, such as `/sys/firmware/efi/efivars`.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self(folder.into())
    }

    /// Returns the names of the global variables, sorted.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(error) => {
                    tracing::warn!(%error, folder = %self.0.display(), "EFI variables cannot all be listed");
                    continue;
                }
            };
            let name = name.to_string_lossy();
            if let Some(name) = name.strip_suffix(GLOBAL) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns a variable's value, or `None` if the variable does not exist.
    ///
    /// An empty file is no variable either. The kernel creates the file before it requests the
    /// variable from the firmware (`fs/efivarfs/file.c`, "uncommitted variables").
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than its attributes.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let value = bytes.get(ATTRIBUTES.len()..);
        value
            .map(|value| Some(value.to_vec()))
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Sets a non-volatile variable that boot loaders and operating systems can read.
    ///
    /// If the firmware refuses a new variable, its file is removed. An existing variable retains
    /// its value.
    ///
    /// # Errors
    /// The firmware refuses, or its storage is full (`ENOSPC`).
    pub fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let is_new = matches!(self.read(name), Ok(None));
        make_mutable(&path)?;
        let written = write_at_once(&path, &[ATTRIBUTES.as_slice(), value].concat());
        if is_new
            && written.is_err()
            && let Err(error) = self.remove(name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(variable = name, %error, "what is left of an EFI variable that was not taken cannot be removed");
        }
        written
    }

    /// Deletes a variable.
    ///
    /// # Errors
    /// The firmware refuses, or the variable does not exist.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        make_mutable(&path)?;
        fs::remove_file(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}{GLOBAL}"))
    }
}

/// Replaces the file's content by one `write`.
fn write_at_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Not truncated first: an empty file is a variable that does not exist, and kernels since 6.14
    // hide it when it is closed.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    // Not `write_all`: a second `write` would set another value.
    if file.write(bytes)? != bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    // On efivarfs the file has the new length already.
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if file.metadata()?.len() > length {
        file.set_len(length)?;
    }
    Ok(())
}

/// Clears a file's immutable flag; does nothing if the file does not exist.
fn make_mutable(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut flags: c_long = 0;
    // SAFETY: the kernel writes an `int`, which fits into the `long` that the request is defined
    // with.
    match unsafe { ioctl::flags(file.as_raw_fd(), &raw mut flags) } {
        Ok(_) => {}
        // A file system without flags (`ENOTTY`, `EOPNOTSUPP`) has no immutable files.
        Err(Errno::ENOTTY | Errno::EOPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    if flags & IMMUTABLE == 0 {
        return Ok(());
    }
    flags &= !IMMUTABLE;
    // SAFETY: the kernel reads an `int` from the pointer, which outlives the call.
    unsafe { ioctl::set_flags(file.as_raw_fd(), &raw const flags) }?;
    Ok(())
}

mod ioctl {
    use nix::libc::c_long;
    use nix::{ioctl_read, ioctl_write_ptr};

    ioctl_read!(flags, b'f', 1, c_long);
    ioctl_write_ptr!(set_flags, b'f', 2, c_long);
}

/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: &str = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, with boot-service and runtime access.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// `FS_IMMUTABLE_FL`.
const IMMUTABLE: c_long = 0x10;
/// Far more than a load option needs.
const MAX_BYTES: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_its_attributes_and_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let variables = EfiVars::at(folder.path());
        assert_eq!(variables.read("BootOrder").unwrap(), None);
        variables.write("BootOrder", &[1, 0, 2, 0]).unwrap();
        variables.write("BootOrder", &[3, 0]).unwrap();
        assert_eq!(variables.read("BootOrder").unwrap(), Some(vec![3, 0]));
        let file = folder.path().join(format!("BootOrder{GLOBAL}"));
        assert_eq!(fs::read(file).unwrap(), [7, 0, 0, 0, 3, 0]);
        fs::write(
            folder
                .path()
                .join("dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
            "",
        )
        .unwrap();
        assert_eq!(variables.names().unwrap(), ["BootOrder"]);
        variables.remove("BootOrder").unwrap();
        assert_eq!(variables.names().unwrap(), [""; 0]);
    }

    #[test]
    fn an_empty_file_is_a_variable_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let variables = EfiVars::at(folder.path());
        fs::write(variables.path("Boot0001"), "").unwrap();
        fs::write(variables.path("Boot0002"), [7, 0, 0]).unwrap();
        assert_eq!(variables.read("Boot0001").unwrap(), None);
        let cut = variables.read("Boot0002").unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        variables.write("Boot0001", &[1]).unwrap();
        assert_eq!(variables.read("Boot0001").unwrap(), Some(vec![1]));
    }

    #[test]
    fn a_value_that_is_not_taken_leaves_the_old_one_and_nothing_new() {
        use nix::mount::{MsFlags, mount, umount};
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
            .expect("a mount namespace (needs root)");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (kind, one_block) = (Some("tmpfs"), Some("nr_blocks=1"));
        mount(none, folder.path(), kind, MsFlags::empty(), one_block).unwrap();
        fs::write(folder.path().join("filler"), "x").unwrap();
        let variables = EfiVars::at(folder.path());
        // A sparse file occupies no block until data is written to it.
        let hole = File::create(variables.path("BootOrder"));
        hole.unwrap().set_len(6).unwrap();
        for name in ["BootOrder", "Boot0001"] {
            let full = variables.write(name, &[2, 0, 1, 0]).unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{name}");
        }
        assert_eq!(variables.names().unwrap(), ["BootOrder"]);
        assert_eq!(variables.read("BootOrder").unwrap(), Some(vec![0, 0]));
        umount(folder.path()).unwrap();
    }

    #[test]
    fn an_immutable_variable_can_be_changed() {
        // On the checkout's file system, because a tmpfs may not support flags.
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let variables = EfiVars::at(folder.path());
        variables.write("Boot0001", &[1]).unwrap();
        let file = File::open(variables.path("Boot0001")).unwrap();
        let flags = IMMUTABLE;
        // SAFETY: the kernel reads an `int` from the pointer, which outlives the call.
        unsafe { ioctl::set_flags(file.as_raw_fd(), &raw const flags) }.unwrap();
        variables.write("Boot0001", &[2]).unwrap();
        assert_eq!(variables.read("Boot0001").unwrap(), Some(vec![2]));
    }
}
