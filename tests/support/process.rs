//! The program as a process of nobody's, ended with the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::future::Future;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// How long anything may take: the tests of a loaded machine are patient, but end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who owns nothing.
const NOBODY: u32 = 65534;

/// Makes the ramdisk and becomes the program, which stands on standard input. What is not bound into it is not there. A file
/// `cmdline` in its /etc has the kernel's arguments.
const RAMDISK: &str = r#"
set -e
exec 9<&0 </dev/null
mount -t tmpfs ramdisk /mnt
cd /mnt
mkdir proc sys etc dev run tmp old
# What the program is linked with is in the ramdisk's own memory, as all of a ramdisk is.
for library in $(ldd /proc/self/fd/9 | grep -o '/[^ ]*'); do install -D "$library" ".$library"; done
for folder in proc sys; do mount --rbind "/$folder" "$folder"; done
mount --bind "$0" etc
[ ! -e etc/cmdline ] || mount --bind etc/cmdline proc/cmdline
touch dev/null
mount --bind /dev/null dev/null
pivot_root . old
# With libraries that the ramdisk does not have.
/lib64/ld-linux-x86-64.so.2 --library-path /old/usr/lib/x86_64-linux-gnu:/old/lib/x86_64-linux-gnu /old/usr/bin/umount -l old
exec -a ferrite /proc/self/fd/9 "$@"
"#;

/// Becomes the program, which stands on standard input, with its own process number said to it.
const STORED: &str = r#"
exec 9<&0 </dev/null
export LISTEN_PID=$$
exec -a ferrite /proc/self/fd/9 "$@"
"#;

/// Waits for something that must come.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// A port for a program of this test: by chance, below those that the kernel gives to connections (`ip_local_port_range`), and kept
/// from everybody else who asks in this way, or for any of its addresses, until the test's process ends.
pub fn free_port() -> u16 {
    let by_chance = || 10_000 + u16::try_from(Uuid::new_v4().as_u128() % 20_000).unwrap();
    std::iter::repeat_with(by_chance)
        .take(100)
        .find(|port| reserve(*port).is_ok())
        .unwrap()
}

/// Binds every address to this port if nobody has one, and then lets those in who bind with `SO_REUSEADDR`, as servers do: the kernel
/// looks at the option of both sockets (`inet_csk_bind_conflict`), and at those that are bound and listen.
fn reserve(port: u16) -> std::io::Result<()> {
    let (socket, everywhere) = match Socket::new(Domain::IPV6, Type::STREAM, None) {
        Ok(socket) => {
            socket.set_only_v6(false)?;
            (socket, IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        }
        // A machine without IPv6.
        Err(_) => {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            (socket, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
    };
    socket.bind(&SocketAddr::new(everywhere, port).into())?;
    socket.set_reuse_address(true)?;
    std::mem::forget(socket);
    Ok(())
}

/// A running program; killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    out: Stream,
    err: Stream,
}

/// What came out of the program so far; the other end is closed when the stream is.
type Stream = watch::Receiver<String>;

/// How a program ended, and all it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// All of its standard output.
    pub out: String,
    /// All of its standard error: the log.
    pub err: String,
}

impl Program {
    /// Starts the program with these arguments and nothing but these variables in its environment.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let program = executable();
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command
            .arg0("ferrite")
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        Self::spawn(command)
    }

    /// Starts the program in what it takes for a ramdisk whose /etc is this folder, as a root that is nobody outside: of a user
    /// namespace, without a device, without power over the machine.
    pub fn start_in_ramdisk(etc: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let program = executable();
        let mut command = Command::new("/usr/bin/unshare");
        command
            .args(["--user", "--map-root-user", "--mount"])
            .args(["/bin/bash", "-c", RAMDISK])
            .arg(etc)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(program);
        Self::spawn(command)
    }

    /// Starts the program as systemd does when it hands over what is in its store: these files by these names.
    pub fn start_with_store(
        names: &str,
        files: &[OwnedFd],
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut script = String::new();
        for (number, file) in (3..).zip(files) {
            // Out of the way of the numbers that they are to have, and open in the program; closed when the test's process ends.
            let copy = fcntl(file, FcntlArg::F_DUPFD(100)).unwrap();
            script += &format!("exec {number}<&{copy} {copy}<&-\n");
        }
        script += STORED;
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", &script, "ferrite"])
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .env("LISTEN_FDS", files.len().to_string())
            .env("LISTEN_FDNAMES", names)
            .stdin(executable());
        Self::spawn(command)
    }

    /// Starts the program by another name, with these redirections of its standard streams and without any variable.
    pub fn start_named(name: &str, redirections: &str, arguments: &[&str]) -> Self {
        let script = format!("exec 9<&0; exec -a \"$0\" /proc/self/fd/9 \"$@\" {redirections}");
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", &script, name])
            .args(arguments)
            .env_clear()
            .stdin(executable());
        Self::spawn(command)
    }

    /// Starts the program with a pipe as standard error that takes some kilobytes, and no more before it is read.
    pub fn start_unread(arguments: &[&str]) -> (Self, PipeReader) {
        let (unread, stderr) = std::io::pipe().unwrap();
        let program = executable();
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command
            .arg0("ferrite")
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null());
        (Self::spawn_with(command, stderr.into()), unread)
    }

    fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::piped())
    }

    fn spawn_with(mut command: Command, stderr: Stdio) -> Self {
        command
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(stderr);
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.spawn().unwrap();
        let out = watched(child.stdout.take().unwrap());
        let err = match child.stderr.take() {
            Some(stderr) => watched(stderr),
            None => watched(std::io::empty()),
        };
        Self { child, out, err }
    }

    /// What stands on standard error so far: the log.
    pub fn told(&self) -> String {
        self.err.borrow().clone()
    }

    /// Waits until the log holds a text.
    pub async fn until_told(&mut self, text: &str) {
        let found = within(text, self.err.wait_for(|told| told.contains(text))).await;
        assert!(found.is_ok(), "the program ended before it told: {text}");
    }

    /// Waits for something that must come while it runs.
    pub async fn until<F: Future>(&mut self, what: &str, future: F) -> F::Output {
        tokio::select! {
            biased;
            output = within(what, future) => output,
            _ = self.out.wait_for(|_| false) => panic!("the program ended before {what}"),
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the log holds a text so often.
    pub async fn until_told_often(&mut self, text: &str, times: usize) {
        let often = |told: &String| told.matches(text).count() >= times;
        let found = within(text, self.err.wait_for(often)).await;
        assert!(
            found.is_ok(),
            "the program ended before it told again: {text}"
        );
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn end(mut self) -> Ended {
        // Both streams close when the process is gone, and not before.
        for stream in [&mut self.out, &mut self.err] {
            within("the program's end", stream.wait_for(|_| false))
                .await
                .unwrap_err();
        }
        Ended {
            status: self.child.wait().unwrap(),
            out: self.out.borrow().clone(),
            err: self.told(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the program's log\n{}---", self.err.borrow().as_str());
        }
    }
}

/// Starts the program and waits for its end.
pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    Program::start(arguments, environment).end().await
}

/// The program, opened by whoever runs the tests: nobody may not be let into the folder it lies in.
///
/// Cargo builds it for each test program, and puts it beside the folder of these; `CARGO_BIN_EXE_ferrite` is told to their own
/// sources alone.
fn executable() -> File {
    let test = std::env::current_exe().unwrap();
    File::open(test.ancestors().nth(2).unwrap().join("ferrite")).unwrap()
}

fn watched(stream: impl Read + Send + 'static) -> Stream {
    let (sender, receiver) = watch::channel(String::new());
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            sender.send_modify(|told| told.push_str(&String::from_utf8_lossy(&line)));
            line.clear();
        }
    });
    receiver
}
