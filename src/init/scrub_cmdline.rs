//! The kernel's command line without its secrets. Ironic puts the agent's token there, where every program could read it.
//!
//! Before there is any other program, the token goes into the vault, and a copy of the line with `******` in its place is
//! mounted over each file that shows it. The kernel also gave the word to process 1 as a variable of its environment: there it is
//! written over.
//!
//! What this does not do: whoever may mount may also look below a mount, or mount `/proc` a second time. The owner of a rescued
//! machine is root and may; but that token is spent by then, because Ironic makes another before it listens to the next ramdisk.

use crate::config::KernelArgs;
use crate::error::chain;
use crate::root::Root;
use crate::secret::{AgentToken, Vault};
use crate::sys::process;
use nix::mount::{MsFlags, mount};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why the command line can be read by everybody.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The kernel does not show it.
    #[error("cannot read the kernel's command line")]
    Read(#[source] io::Error),
    /// To cover it would lose the token.
    #[error("the agent token finds no room in the memory that is kept for it")]
    NoRoom,
    /// The copy, or its mount.
    #[error("cannot mount a copy over {path}")]
    Cover {
        /// Which file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// This process's own environment.
    #[error("cannot write over a variable of process 1")]
    Environment(#[source] io::Error),
}

/// Takes the token into the vault and covers the line. What fails is told: the machine must go on. To be called before this
/// process is closed to others, because then it cannot reach its own environment.
pub(super) fn mask(root: &Root, vault: Option<&Vault>) {
    match try_cover(root, vault) {
        Ok(true) => tracing::info!(
            "The kernel's command line is covered: nobody reads the agent token there"
        ),
        Ok(false) => {}
        Err(error) => tracing::error!(
            error = chain(&error),
            "EVERY PROGRAM ON THIS MACHINE CAN READ THE AGENT TOKEN on the kernel's command line"
        ),
    }
}

/// Says whether there was something to cover.
fn try_cover(root: &Root, vault: Option<&Vault>) -> Result<bool, Error> {
    let line = KernelArgs::of_kernel(root).map_err(Error::Read)?;
    let Some(masked) = line.masked() else {
        return Ok(false);
    };
    keep_token(&line, vault)?;
    drop(line);
    for (path, text) in [
        (COMMAND_LINE, masked.as_str()),
        (DEVICE_TREES_COPY, &masked),
        (DEVICE_TREE, ""),
    ] {
        let shown = root.path(path);
        if shown.exists() {
            mount_over(root, &shown, text).map_err(|source| Error::Cover {
                path: shown,
                source,
            })?;
        }
    }
    process::Arguments::reach()
        .and_then(|words| words.mask(values_of_token))
        .map_err(Error::Environment)?;
    Ok(true)
}

/// A line without a token, or with one that cannot be anybody's, has nothing to keep.
fn keep_token(line: &KernelArgs, vault: Option<&Vault>) -> Result<(), Error> {
    let token = line.value(TOKEN).map(str::to_owned);
    let Some(Ok(token)) = token.map(AgentToken::from_operator) else {
        return Ok(());
    };
    let vault = vault.ok_or(Error::NoRoom)?;
    drop(vault.store_boot_token(token));
    vault.boot_token().map(drop).ok_or(Error::NoRoom)
}

/// The copy has no other name once it is mounted: who wants to write it must write through a mount that takes nothing.
fn mount_over(root: &Root, shown: &Path, text: &str) -> io::Result<()> {
    let copy = root.path(COPY);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(&copy)?
        .write_all(text.as_bytes())?;
    let none: Option<&str> = None;
    let mounted = mount(Some(&copy), shown, none, MsFlags::MS_BIND, none);
    fs::remove_file(copy)?;
    mounted?;
    let sealed = MsFlags::MS_BIND
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC;
    Ok(mount(none, shown, none, sealed, none)?)
}

/// Where the token's values are among words that end with a zero byte.
fn values_of_token(words: &[u8]) -> Vec<Range<usize>> {
    let mut at = 0_usize;
    let mut places = Vec::new();
    for word in words.split(|byte| *byte == 0) {
        let value = word
            .strip_prefix(TOKEN.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="));
        let end = at.saturating_add(word.len());
        if let Some(value) = value {
            places.push(end.saturating_sub(value.len())..end);
        }
        at = end.saturating_add(1);
    }
    places
}

/// As Ironic writes it.
const TOKEN: &str = "ipa-agent-token";
const COMMAND_LINE: &str = "proc/cmdline";
/// Firmware that describes the machine by a device tree shows the line in it once more, and once more in the whole.
const DEVICE_TREES_COPY: &str = "sys/firmware/devicetree/base/chosen/bootargs";
const DEVICE_TREE: &str = "sys/firmware/fdt";
/// Until it is mounted.
const COPY: &str = "run/ferrite-command-line";

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::thread;
    use tempfile::TempDir;

    const LINE: &str = "quiet ipa-agent-token=early x=1 ipa-agent-token=hush\n";
    const MASKED: &str = "quiet ipa-agent-token=****** x=1 ipa-agent-token=******\n";

    fn machine(files: &[(&str, &str)]) -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir(root.path("run")).unwrap();
        for (path, text) in files {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (folder, root)
    }

    /// On a thread with mounts of its own, which end with it.
    fn among_own_mounts(test: impl FnOnce() + Send + 'static) {
        let thread = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none: Option<&str> = None;
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(none, "/", none, private, none).unwrap();
            test();
        });
        thread.join().unwrap();
    }

    #[test]
    fn the_last_token_is_kept_and_nobody_reads_it_where_the_kernel_shows_it() {
        let (_folder, root) = machine(&[
            (COMMAND_LINE, LINE),
            (DEVICE_TREES_COPY, LINE),
            (DEVICE_TREE, LINE),
        ]);
        among_own_mounts(move || {
            let vault = Vault::create().unwrap();
            assert!(try_cover(&root, Some(&vault)).unwrap());
            let kept = vault.boot_token().unwrap();
            assert!(kept.matches(b"hush"));
            let shown = [COMMAND_LINE, DEVICE_TREES_COPY, DEVICE_TREE]
                .map(|path| fs::read_to_string(root.path(path)).unwrap());
            assert_eq!(shown, [MASKED, MASKED, ""]);
            // Root is held up by nothing but the mount.
            let written = fs::write(root.path(COMMAND_LINE), "other");
            assert_eq!(
                written.unwrap_err().kind(),
                io::ErrorKind::ReadOnlyFilesystem
            );
            assert_eq!(fs::read_dir(root.path("run")).unwrap().count(), 0);
        });
    }

    #[test]
    fn a_line_whose_token_cannot_be_kept_stays_in_sight() {
        let long = format!("ipa-agent-token={}", "x".repeat(2000));
        let (_folder, root) = machine(&[(COMMAND_LINE, &long)]);
        among_own_mounts(move || {
            let vault = Vault::create().unwrap();
            for vault in [None, Some(&vault)] {
                assert!(matches!(try_cover(&root, vault), Err(Error::NoRoom)));
                assert_eq!(fs::read_to_string(root.path(COMMAND_LINE)).unwrap(), long);
            }
        });
    }

    #[test]
    fn a_line_without_secrets_is_not_covered() {
        let (_folder, root) = machine(&[(COMMAND_LINE, "quiet x=1\n")]);
        assert!(!try_cover(&root, None).unwrap());
        assert_eq!(
            fs::read_to_string(root.path(COMMAND_LINE)).unwrap(),
            "quiet x=1\n"
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error() {
        let (_folder, root) = machine(&[]);
        assert!(matches!(try_cover(&root, None), Err(Error::Read(_))));
    }

    #[test]
    fn values_are_found_among_the_words_of_a_process() {
        let words = b"ipa-agent-token=ab\0HOME=/\0my-ipa-agent-token=c\0ipa-agent-token=\0ipa-agent-token=d\0";
        let values: Vec<_> = values_of_token(words)
            .into_iter()
            .map(|place| &words[place])
            .collect();
        assert_eq!(values, [b"ab".as_slice(), b"", b"d"]);
        assert_eq!(values_of_token(b""), []);
    }
}
