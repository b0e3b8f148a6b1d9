//! The ramdisk as a rescue system: what becomes of the machine once the agent has handed it to its owner.
//!
//! The owner logs in as `rescue`, over SSH or at a console, with the password that the agent left. The user is root itself under
//! another name: a ramdisk whose only purpose is to repair the machine has nothing to keep from it, and nothing to ask for more
//! rights with. What speaks SSH and what asks for a password are programs that the image brings (`image/README.md`); without
//! them the agent is told, by a missing folder, that there can be no rescue.

use super::consoles;
use crate::formats::mount_table::Mount;
use crate::progress::run_with_timeout;
use crate::root::Root;
use crate::secret::Secret;
use crate::supervisor::invocation::Invocation;
use crate::supervisor::{Program, Restart};
use nix::mount::{MntFlags, umount2};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tells the agent that logins can be made, where they can.
///
/// # Errors
/// The folder for the password cannot be made.
pub(super) fn enable(root: &Root) -> io::Result<()> {
    let exists = |path: &str| root.path(path).exists();
    if !exists(SHELL) || !(exists(SSH_SERVER) || exists(GETTY)) {
        tracing::debug!("This ramdisk has no logins to offer");
        return Ok(());
    }
    match root.rescue_password().parent() {
        Some(folder) => private_folder(folder),
        None => Ok(()),
    }
}

/// Whether the agent has handed the machine over.
pub(super) fn is_requested(root: &Root) -> bool {
    root.rescue_mark().exists()
}

/// Makes the user, forgets what was Ironic's, and says which programs let the user in.
pub(super) fn begin(root: &Root) -> Vec<Program> {
    match make_user(root) {
        Ok(()) => tracing::info!(user = USER, "Made the user of the rescue system"),
        // Logins that let nobody in are still better than an agent that speaks again.
        Err(error) => tracing::error!(%error, "Cannot make the user of the rescue system"),
    }
    for path in FORMERLY_THE_AGENTS {
        if let Err(error) = remove(root, &root.path(path)) {
            tracing::warn!(path, %error, "Something of the agent's is left behind");
        }
    }
    logins(root)
}

/// Removes a folder, and nothing of what is mounted in it: an agent that was killed may have left a tenant's file system there. Where
/// such a one stays, so does the folder.
fn remove(root: &Root, folder: &Path) -> io::Result<()> {
    for point in mounts_in(root, folder)?.into_iter().rev() {
        let shown = point.display().to_string();
        // The last one who has a file system writes it back, for ever where its disk does not respond.
        let detach = move || umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        match run_with_timeout(DETACH_TIMEOUT, detach) {
            Some(Ok(())) => {
                tracing::info!(
                    point = shown,
                    "detached a file system that the agent left mounted"
                );
            }
            Some(Err(error)) => {
                tracing::warn!(point = shown, %error, "a file system that the agent left stays mounted");
            }
            None => {
                tracing::warn!(point = shown, after = ?DETACH_TIMEOUT, "a file system that the agent left was not written back in time");
            }
        }
    }
    if !mounts_in(root, folder)?.is_empty() {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The places of a folder where something is mounted, itself among them, in the order of the mounts.
fn mounts_in(root: &Root, folder: &Path) -> io::Result<Vec<PathBuf>> {
    // As the kernel writes it.
    let folder = match fs::canonicalize(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mounts = Mount::parse_all(&fs::read(root.path("proc/self/mountinfo"))?);
    let points = mounts.into_iter().map(|mount| mount.point);
    Ok(points.filter(|point| point.starts_with(&folder)).collect())
}

fn make_user(root: &Root) -> io::Result<()> {
    let path = root.rescue_password();
    let hash = Secret::new(fs::read_to_string(&path)?);
    private_folder(&root.path(HOME))?;
    private_folder(&root.path(HOST_KEYS))?;
    with_lines(root, "etc/passwd", 0o644, &[ROOT_ACCOUNT, RESCUE_ACCOUNT])?;
    with_lines(root, "etc/group", 0o644, &["root:x:0:"])?;
    with_lines(root, "etc/shells", 0o644, &["/bin/sh"])?;
    // A day since 1970, whose only use is not to be zero: that would ask for a new password.
    let shadow = Secret::new(format!(
        "root:*:1::::::\n{USER}:{}:1::::::\n",
        hash.expose()
    ));
    write(root, "etc/shadow", 0o600, shadow.expose().as_bytes())?;
    fs::remove_file(path)
}

/// A file with these lines before those of other names that it has already.
fn with_lines(root: &Root, path: &str, mode: u32, lines: &[&str]) -> io::Result<()> {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let before = fs::read_to_string(root.path(path)).unwrap_or_default();
    let others = before
        .lines()
        .filter(|other| !lines.iter().any(|line| name(line) == name(other)));
    let mut text = String::new();
    for line in lines.iter().copied().chain(others) {
        text.push_str(line);
        text.push('\n');
    }
    write(root, path, mode, text.as_bytes())
}

fn write(root: &Root, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let path = root.path(path);
    // An older file keeps its mode.
    let _not_there = fs::remove_file(&path);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(bytes)
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The SSH server, and a login on each console of the kernel.
fn logins(root: &Root) -> Vec<Program> {
    let program = |path: &str, arguments: &[&str], restart| Program {
        path: root.path(path),
        arguments: arguments.iter().copied().map(str::to_owned).collect(),
        home: "/root",
        invocation: Invocation::default(),
        restart,
    };
    let mut programs = Vec::new();
    if root.path(SSH_SERVER).exists() {
        // In the foreground, telling standard error, making host keys when they are first needed.
        let arguments = ["-F", "-E", "-R", "-p", "22"];
        programs.push(program(SSH_SERVER, &arguments, Restart::Service));
    }
    if root.path(GETTY).exists() {
        for console in consoles::active(root) {
            let arguments = ["-L", "0", &console, "vt100"];
            programs.push(program(GETTY, &arguments, Restart::Login));
        }
    }
    programs
}

const DETACH_TIMEOUT: Duration = Duration::from_secs(10);
const USER: &str = "rescue";
const ROOT_ACCOUNT: &str = "root:x:0:0:root:/root:/bin/sh";
const RESCUE_ACCOUNT: &str = "rescue:x:0:0:rescue:/root:/bin/sh";
const HOME: &str = "root";
const HOST_KEYS: &str = "etc/dropbear";
const SHELL: &str = "bin/sh";
const SSH_SERVER: &str = "usr/sbin/dropbear";
const GETTY: &str = "sbin/getty";
/// The agent's certificate and key, and what virtual media configured it with.
const FORMERLY_THE_AGENTS: [&str; 3] = [
    "run/ferrite",
    "etc/ironic-python-agent",
    "etc/ironic-python-agent.d",
];

#[cfg(test)]
mod tests {
    use super::*;
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    struct Ramdisk(TempDir);

    impl Ramdisk {
        fn with(files: &[&str]) -> Self {
            let ramdisk = Self(tempfile::tempdir().unwrap());
            // A test's thread may have mounts of its own.
            fs::create_dir(ramdisk.0.path().join("proc")).unwrap();
            symlink("/proc/thread-self", ramdisk.0.path().join("proc/self")).unwrap();
            for file in files {
                ramdisk.file(file, "");
            }
            ramdisk
        }

        fn root(&self) -> Root {
            Root::at(self.0.path())
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.0.path().join(path)).unwrap()
        }

        fn mode(&self, path: &str) -> u32 {
            let metadata = fs::metadata(self.0.path().join(path)).unwrap();
            metadata.permissions().mode() & 0o7777
        }

        fn offers(&self) -> bool {
            enable(&self.root()).unwrap();
            self.0.path().join("etc/ipa-rescue-config").is_dir()
        }
    }

    #[test]
    fn a_rescue_is_offered_where_somebody_could_log_in() {
        assert!(!Ramdisk::with(&[]).offers());
        assert!(!Ramdisk::with(&["bin/sh"]).offers());
        assert!(!Ramdisk::with(&["usr/sbin/dropbear", "sbin/getty"]).offers());
        assert!(Ramdisk::with(&["bin/sh", "usr/sbin/dropbear"]).offers());
        let console_only = Ramdisk::with(&["bin/sh", "sbin/getty"]);
        assert!(console_only.offers());
        assert_eq!(console_only.mode("etc/ipa-rescue-config"), 0o700);
    }

    #[test]
    fn the_user_gets_the_password_and_nothing_is_left_of_the_agent() {
        let ramdisk = Ramdisk::with(&["bin/sh", "usr/sbin/dropbear", "sbin/getty"]);
        ramdisk.file(
            "etc/passwd",
            "rescue:x:7:7::/:/bin/false\ntss:x:100:100::/:/bin/false\n",
        );
        ramdisk.file("etc/shadow", "old:*:1::::::\n");
        ramdisk.file("etc/ipa-rescue-config/ipa-rescue-password", "$6$salt$hush");
        ramdisk.file("run/ferrite/agent.pem", "a key");
        ramdisk.file("sys/class/tty/console/active", "tty0 ttyS0 hvc7\n");
        ramdisk.file("dev/tty1", "");
        ramdisk.file("dev/ttyS0", "");
        assert!(!is_requested(&ramdisk.root()));
        ramdisk.file("etc/.rescued", "");
        assert!(is_requested(&ramdisk.root()));

        let programs = begin(&ramdisk.root());
        let program = |path: &str, arguments: &[&str], restart| Program {
            path: ramdisk.0.path().join(path),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            home: "/root",
            invocation: Invocation::default(),
            restart,
        };
        assert_eq!(
            programs,
            [
                program(
                    "usr/sbin/dropbear",
                    &["-F", "-E", "-R", "-p", "22"],
                    Restart::Service
                ),
                program("sbin/getty", &["-L", "0", "tty1", "vt100"], Restart::Login),
                program("sbin/getty", &["-L", "0", "ttyS0", "vt100"], Restart::Login),
            ]
        );
        assert_eq!(
            ramdisk.text("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nrescue:x:0:0:rescue:/root:/bin/sh\ntss:x:100:100::/:/bin/false\n"
        );
        assert_eq!(
            ramdisk.text("etc/shadow"),
            "root:*:1::::::\nrescue:$6$salt$hush:1::::::\n"
        );
        assert_eq!(ramdisk.text("etc/group"), "root:x:0:\n");
        assert_eq!(ramdisk.text("etc/shells"), "/bin/sh\n");
        assert_eq!(
            ["etc/shadow", "etc/passwd", "root", "etc/dropbear"].map(|path| ramdisk.mode(path)),
            [0o600, 0o644, 0o700, 0o700]
        );
        let gone = |path: &str| !ramdisk.0.path().join(path).exists();
        assert!(gone("run/ferrite") && gone("etc/ipa-rescue-config/ipa-rescue-password"));
    }

    #[test]
    fn what_a_killed_agent_left_mounted_loses_no_file_in_a_rescue() {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, private, none).unwrap();
        let ramdisk = Ramdisk::with(&["run/ferrite/agent.pem"]);
        // A tenant's file system, one within it, and one that is mounted over the agent's whole folder.
        let file_systems = [
            "run/ferrite/mounted/3ad2",
            "run/ferrite/mounted/3ad2/boot",
            "run/ferrite",
        ];
        let tops = file_systems.map(|path| {
            let path = ramdisk.0.path().join(path);
            fs::create_dir_all(&path).unwrap();
            mount(Some("tenant"), &path, Some("tmpfs"), MsFlags::empty(), none).unwrap();
            fs::write(path.join("data"), "precious").unwrap();
            File::open(path).unwrap()
        });
        begin(&ramdisk.root());
        assert!(!ramdisk.0.path().join("run/ferrite").exists());
        for top in tops {
            let file = format!("/proc/self/fd/{}/data", top.as_raw_fd());
            assert_eq!(fs::read_to_string(file).unwrap(), "precious");
        }
    }

    #[test]
    fn a_folder_in_which_something_stays_mounted_or_nobody_says_what_is_stays() {
        for mounts in [Some("30 25 0:2 / FOLDER/x rw - ext4 /dev/sda1 rw\n"), None] {
            let ramdisk = Ramdisk::with(&[]);
            let folder = ramdisk.0.path().join("run/ferrite/mounted");
            fs::remove_file(ramdisk.0.path().join("proc/self")).unwrap();
            if let Some(mounts) = mounts {
                let mounts = mounts.replace("FOLDER", folder.to_str().unwrap());
                ramdisk.file("proc/self/mountinfo", &mounts);
            }
            ramdisk.file("run/ferrite/mounted/x/data", "precious");
            begin(&ramdisk.root());
            assert_eq!(ramdisk.text("run/ferrite/mounted/x/data"), "precious");
        }
    }

    #[test]
    fn logins_are_started_even_where_the_password_is_missing() {
        let ramdisk = Ramdisk::with(&["usr/sbin/dropbear"]);
        assert_eq!(begin(&ramdisk.root()).len(), 1);
    }
}
