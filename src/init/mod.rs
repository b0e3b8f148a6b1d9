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
//! Process 1 must never end, so nothing here is allowed to fail for good: what goes wrong is told on the console, and the next
//! thing is tried. It speaks with the kernel alone: drivers are loaded by it, because it reads for them nothing but the image's
//! own tables and the kernel's announcements. What strangers say on the network is read by a child that has no secrets.
//!
//! A thread that panics is started again: with its process, where that is a child's; in place, where it is process 1's
//! (`supervisor::watcher`).

pub mod modprobe;

mod consoles;
mod ignored_arguments;
mod modules;
mod mounts;
mod rescue;
mod scrub_cmdline;
mod scrub_kmsg;
mod shutdown;

use crate::config::KernelArgs;
use crate::error::chain;
use crate::handover::{Handover, LogTail, StateHolder};
use crate::logging::Log;
use crate::network::Readiness;
use crate::progress::Cancel;
use crate::root::Root;
use crate::supervisor::invocation::Invocation;
use crate::supervisor::{Child, Inherited, Program, StopSignal, supervise};
use crate::sys::process;
use consoles::Consoles;
use modules::Modules;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Turns a freshly started kernel into a machine with a running agent, and keeps it running.
///
/// Call this as process 1 of a ramdisk, before any other thread exists, and start logging before.
pub fn run(log: &Log) -> ! {
    let root = Root::machine();
    let order = Arc::new(StopSignal::default());
    let begun = catch_panic(|| begin(&root, log, &order)).unwrap_or_default();
    let mut network = Child::new(Program::network(), begun.network);
    let _defended = catch_panic(|| prepare(&root, &mut network, &order));
    let mut agent = Child::new(Program::agent(Invocation::default()), begun.agent);
    loop {
        let _defended = catch_panic(|| keep(&root, &mut agent, &mut network, &order));
        // The thread that gave the order ends the machine. Where the kernel refuses, the machine goes on.
        order.wait_withdrawn();
        let _never = Cancel::default().wait(PANIC_DELAY);
    }
}

/// Keeps the agent running until it has handed the machine over, and the logins from then on; the network always. Returns when the
/// order to end was given and nothing runs any more.
fn keep(root: &Root, agent: &mut Child, network: &mut Child, order: &StopSignal) {
    if !rescue::is_requested(root) {
        // The network may end while the agent still writes what the rescue needs.
        let enough = |ended: &Program, _| ended.is_agent() && rescue::is_requested(root);
        supervise(&mut [agent, network], order, enough);
    }
    if order.is_sent() {
        return;
    }
    // What it left is gone before anybody logs in.
    agent.leave_nothing();
    let mut logins: Vec<_> = rescue::begin(root)
        .into_iter()
        .map(|login| Child::new(login, Inherited::default()))
        .collect();
    network.signal(Signal::SIGHUP);
    tracing::info!("This machine is a rescue system now");
    let mut children: Vec<_> = logins.iter_mut().chain([network]).collect();
    supervise(&mut children, order, |_, _| false);
}

/// Does a part of what process 1 does; a defect in it is no reason to end.
fn catch_panic<T>(part: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(part))
        .inspect_err(|_defect| {
            tracing::error!("Process 1 met a defect of its own; it goes on as things are");
        })
        .ok()
}

/// What process 1's children inherit.
#[derive(Default)]
struct Begun {
    agent: Inherited,
    network: Inherited,
}

/// What must be done before there is any other process or thread: secrets are put where nobody else reads them.
fn begin(root: &Root, log: &Log, order: &Arc<StopSignal>) -> Begun {
    // Before there is any other thread but the log's, which takes no signal.
    let blocked = shutdown::block_signals();
    mounts::mount_all(root);
    let consoles = consoles::take_over(root);
    log_error("keep signals for process 1", blocked);
    let consoles = consoles.unwrap_or_else(|error| {
        log_error("open the consoles", Err(error));
        Consoles::default()
    });
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, "Ferrite starts this machine");
    let handover = Handover::create()
        .inspect_err(
            |error| tracing::error!(%error, "An agent that ends will leave nothing to the next"),
        )
        .ok();
    scrub_cmdline::mask(root, handover.as_ref().map(|left| &left.vault));
    scrub_kmsg::scrub(root);
    log_error("close process 1 to others", process::harden());
    let create_log = |name| {
        let without = |error: &io::Error| {
            tracing::error!(%error, "The log archive will hold only a part of the log");
        };
        let log = LogTail::create(name).inspect_err(without).ok()?;
        // The agent collects what the others log, and cannot change it.
        let for_agent = log.read_only().inspect_err(without).ok();
        Some((log, for_agent))
    };
    let (own_log, own_for_agent) = create_log(c"ferrite-init-log").unzip();
    let (network_log, network_for_agent) = create_log(c"ferrite-network-log").unzip();
    if let Some(own_log) = own_log {
        log.ring.resume(Vec::new(), Box::new(own_log));
    }
    let other_logs = [own_for_agent, network_for_agent];
    let other_logs = other_logs.into_iter().flatten().flatten().collect();
    log_error(
        "listen to the power button",
        shutdown::listen(root, order, &consoles),
    );
    let keeper = handover.and_then(|left| StateHolder::of(&left).ok());
    Begun {
        agent: Inherited::agent(keeper, other_logs),
        network: Inherited::logging_to(network_log),
    }
}

fn prepare(root: &Root, network: &mut Child, order: &StopSignal) {
    let etc = root.path("etc");
    let hosts = fs::create_dir_all(&etc).and_then(|()| fs::write(etc.join("hosts"), HOSTS));
    log_error("write /etc/hosts", hosts);

    ignored_arguments::log(&KernelArgs::of_kernel(root).unwrap_or_default());
    log_error("offer a rescue system", rescue::enable(root));
    log_error("wait for entropy", start_entropy(root));
    // The two wait for each other's interfaces, so neither waits here.
    let modules = Modules::start(root, ALWAYS);
    let ready = Readiness::of_first_start(network);
    network.start_if_due(order);
    match &modules {
        Ok(modules) => modules.run_with_timeout(DRIVERS_TIMEOUT),
        Err(error) => tracing::error!(error = chain(error), "No drivers are loaded"),
    }
    mounts::mount_firmware_variables(root);
    log_error(
        "wait for the network",
        ready.and_then(|ready| ready.wait(NETWORK_TIMEOUT)),
    );
}

/// Asks for one random byte, long before anybody needs any: only then does a kernel on hardware without a random number
/// generator begin to collect, which takes it seconds, and DHCP and TLS would have to wait for it.
fn start_entropy(root: &Root) -> io::Result<()> {
    let path = root.path("dev/random");
    let wait = move || match File::open(path).and_then(|mut file| file.read_exact(&mut [0])) {
        Ok(()) => tracing::debug!("Random numbers are ready"),
        Err(error) => tracing::error!(%error, "There are no random numbers"),
    };
    spawn_detached("entropy", wait)
}

/// Does something on a thread of its own: nothing waits for it.
fn spawn_detached(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(|_| ())
}

fn log_error(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(what, %error, "A part of the start failed");
    }
}

/// Modules that no device asks for, or not in time: file systems of virtual media with their code pages, loop devices for
/// images, the management controller's device. Others are loaded when the kernel asks for them
/// (`modprobe`): the file systems of installed systems measure for a second how fast they can compute.
const ALWAYS: &[&str] = &[
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    "nls_utf8",
    "loop",
    "sd_mod",
    "sr_mod",
    "sg",
    "ipmi_si",
    "ipmi_devintf",
    "usb_storage",
    "uas",
];
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
/// Until the modules of `ALWAYS` are there; slow controllers go on loading beside the agent.
const DRIVERS_TIMEOUT: Duration = Duration::from_secs(30);
/// After this the agent starts without an address: it says itself, to whoever reads the console, what it lacks.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(70);
const PANIC_DELAY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{AgentToken, Vault};
    use crate::supervisor::Restart;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn shell(lines: &str) -> Program {
        Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), lines.into()],
            home: "/",
            invocation: Invocation::default(),
            restart: Restart::Service,
        }
    }

    #[test]
    fn what_an_agent_left_that_died_over_its_mark_is_wiped_before_anybody_logs_in() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let file = |path: &str| {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let fifo = |name: &str| {
            let path = file(name);
            mkfifo(&path, Mode::S_IRWXU).unwrap();
            path
        };
        let (ready, logged_in) = (fifo("ready"), fifo("logged-in"));
        // It outlives the hang-up that tells it of the rescue; the agent waits for that.
        let network = format!("trap '' HUP; echo >{}; exec sleep 1000", ready.display());
        let mark = file("etc/.rescued");
        let agent = format!("read line <{}; echo >{}", ready.display(), mark.display());
        let agent = Program {
            arguments: vec!["agent".into()],
            path: script(&file("agent"), &agent),
            ..shell("")
        };
        let login = format!("echo in >{}", logged_in.display());
        script(&file("usr/sbin/dropbear"), &login);

        let left = Handover::create().unwrap();
        let token = AgentToken::from_operator("hush".into()).unwrap();
        assert!(left.vault.store_token(token).matches(b"hush"));
        let vault = Vault::of(left.vault.descriptor().try_clone_to_owned().unwrap()).unwrap();
        let keeper = StateHolder::of(&left).unwrap();
        let mut agent = Child::new(agent, Inherited::agent(Some(keeper), Vec::new()));
        let mut network = Child::new(shell(&network), Inherited::default());
        let order = Arc::new(StopSignal::default());
        let end = Arc::clone(&order);
        let owner = thread::spawn(move || {
            let login = fs::read_to_string(logged_in).unwrap();
            let has_token = vault.token().is_some();
            end.send(Signal::SIGTERM);
            (login, has_token)
        });
        keep(&root, &mut agent, &mut network, &order);
        assert_eq!(owner.join().unwrap(), ("in\n".to_owned(), false));
        assert!(left.vault.token().is_none());
    }

    fn script(path: &Path, lines: &str) -> std::path::PathBuf {
        fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        path.into()
    }
}
