//! A machine in namespaces of its own whose interfaces `ferrite network` configures, and the
//! network that its cables lead to.
//!
//! The test's thread is in the network's namespace: what it starts and opens is at the other end of
//! the cables.

use crate::TIMEOUT;
use ferrite::sys::netlink::{Changes, Netlink};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;

pub(crate) struct Machine {
    /// Its network namespace.
    namespace: OwnedFd,
    /// Its `cmdline`, `etc` and `run`.
    folder: TempDir,
    process: Option<Process>,
}

struct Process {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

/// Becomes process 1 of the machine's process namespace, as which it starts the program. File 3 is
/// what process 1 waits for until the network is ready.
const INIT: &str = r#"
set -e
for path in proc/cmdline etc run; do mount --bind "$0/${path##*/}" "/$path"; done
"$@" 3>/dev/null &
wait $!
"#;

impl Machine {
    /// A machine with these kernel arguments, and no interface yet but the loopback one.
    pub(crate) fn new(kernel_arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etc", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("cmdline"), kernel_arguments).unwrap();
        unshare(CloneFlags::CLONE_NEWNET).expect("the test needs root");
        let namespace = File::open("/proc/thread-self/ns/net").unwrap().into();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip(&["link", "set", "lo", "up"]);
        Self {
            namespace,
            folder,
            process: None,
        }
    }

    fn namespace_path(&self) -> String {
        let (pid, number) = (std::process::id(), self.namespace.as_raw_fd());
        format!("/proc/{pid}/fd/{number}")
    }

    /// Gives the machine an interface with this MAC; the other end of the cable is `NAME-end`, and
    /// up.
    pub(crate) fn plug(&self, name: &str, mac: &str) -> String {
        let end = format!("{name}-end");
        let mut command = vec!["link", "add", "name", &end, "type", "veth"];
        let namespace = self.namespace_path();
        command.extend(["peer", "name", name, "address", mac, "netns", &namespace]);
        ip(&command);
        ip(&["link", "set", &end, "up"]);
        end
    }

    /// Runs iproute2 in the machine.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        let net = format!("--net={}", self.namespace_path());
        run(Command::new("nsenter")
            .args([&net, "--", "ip"])
            .args(arguments));
    }

    /// Starts `ferrite network` as process 1 would.
    pub(crate) fn start(&mut self) {
        self.process = None;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "nsenter"])
            .arg(format!("--net={}", self.namespace_path()))
            .args(["--", "unshare", "--mount", "--uts", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc", "--", "/bin/sh", "-c", INIT])
            .arg(self.folder.path())
            .args([env!("CARGO_BIN_EXE_ferrite"), "network", "--handed-over=3"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().unwrap();
        let writer = Arc::clone(&log);
        thread::spawn(move || writer.follow(stderr));
        self.process = Some(Process { child, log });
    }

    /// Waits until the program logged this.
    pub(crate) fn wait_log(&self, text: &str) {
        let log = &self.process.as_ref().expect("it was started").log;
        let missing = |(log, ended): &mut (String, bool)| !log.contains(text) && !*ended;
        let guard = log.text.lock().unwrap();
        let (log, _) = log
            .changed
            .wait_timeout_while(guard, TIMEOUT, missing)
            .unwrap();
        let logged = log.0.clone();
        drop(log);
        assert!(logged.contains(text), "not logged: {text}");
    }

    /// All it logged so far.
    pub(crate) fn log(&self) -> String {
        let process = self.process.as_ref().expect("it was started");
        process.log.text.lock().unwrap().0.clone()
    }

    /// Waits until the machine's interfaces, addresses or routes are as `look` wants them.
    pub(crate) fn until<T: Send>(
        &self,
        what: &str,
        look: impl Fn(&mut Netlink) -> Option<T> + Send + Sync,
    ) -> T {
        let found = self.inside(|| {
            let changes = Changes::listen().unwrap();
            let mut netlink = Netlink::open().unwrap();
            let end = Instant::now() + TIMEOUT;
            while Instant::now() < end {
                if let Some(found) = look(&mut netlink) {
                    return Some(found);
                }
                // Routes are not among the changes.
                changes.wait(TIMEOUT / 100).unwrap();
            }
            None
        });
        found.unwrap_or_else(|| panic!("waited in vain for {what}"))
    }

    /// Does something in the machine's network namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// Waits until an interface has this address, checked for duplicates.
    pub(crate) fn wait_address(&self, interface: &str, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        self.until(&format!("{address} on {interface}"), |netlink| {
            let index = index(netlink, interface)?;
            let addresses = netlink.addresses().unwrap();
            let mut found = addresses.iter().filter(|found| found.link == index);
            found.find(|found| found.address == address && !found.unusable)?;
            Some(())
        });
    }

    /// Waits until there is a way to `destination`, and says from which address.
    pub(crate) fn wait_route(&self, destination: &str) -> String {
        let destination: IpAddr = destination.parse().unwrap();
        let source = self.until(&format!("a route to {destination}"), |netlink| {
            netlink.route_source(destination).ok()
        });
        source.to_string()
    }

    /// Waits until the resolver's file is this.
    pub(crate) fn wait_resolver(&self, expected: &str) {
        let path = self.folder.path().join("etc/resolv.conf");
        let read = || fs::read_to_string(&path).unwrap_or_default();
        let end = Instant::now() + TIMEOUT;
        // What is written there is written after an address is configured or a router was heard,
        // not at it.
        while read() != expected && Instant::now() < end {
            self.inside(|| Changes::listen().unwrap().wait(TIMEOUT / 1000).unwrap());
        }
        assert_eq!(read(), expected);
    }

    /// Where the machine's `run` is.
    pub(crate) fn run_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("run")
    }
}

impl Log {
    fn follow(&self, stderr: impl Read) {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(Ok(line)) = lines.next() {
            let mut text = self.text.lock().unwrap();
            text.0.push_str(&line);
            text.0.push('\n');
            drop(text);
            self.changed.notify_all();
        }
        self.text.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.log.text.lock().unwrap().0);
        }
    }
}

/// The index of an interface.
pub(crate) fn index(netlink: &mut Netlink, name: &str) -> Option<u32> {
    let links = netlink.links().unwrap();
    links
        .iter()
        .find(|link| link.name == name)
        .map(|link| link.index)
}

/// Runs iproute2 where the test is.
pub(crate) fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
