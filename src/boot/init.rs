//! Process 1. It must never end, so nothing here is allowed to fail for good: what goes wrong is told on the console, and the
//! next thing is tried.

use super::modules::Modules;
use super::network::Readiness;
use super::supervisor::{Child, Inherited, Order, Program, keep_running};
use super::{command_line, kernel_log, mounts, rescue};
use crate::error::chain;
use crate::handover::{Handover, Keeper, LogTail};
use crate::logging::Log;
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::process;
use nix::sys::signal::Signal;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// Turns a freshly started kernel into a machine with a running agent, and keeps it running.
///
/// Call this as process 1 of a ramdisk, before any other thread exists, and start logging before.
pub fn run(log: &Log) -> ! {
    let root = Root::machine();
    let never = Order::default();
    let begun = defended(|| begin(&root, log)).unwrap_or_default();
    let mut network = Child::new(Program::network(), begun.network);
    let _defended = defended(|| prepare(&root, &mut network, &never));
    let mut agent = Child::new(Program::agent(Vec::new(), Vec::new()), begun.agent);
    loop {
        let _defended = defended(|| {
            if !rescue::is_wished(&root) {
                // The network may end while the agent still writes what the rescue needs.
                let enough = |ended: &Program, _| ended.is_agent() && rescue::is_wished(&root);
                keep_running(&mut [&mut agent, &mut network], &never, enough);
            }
            // Nobody comes after that agent: what it left is gone before anybody logs in.
            agent.inherits(Inherited::default());
            let mut logins: Vec<_> = rescue::begin(&root)
                .into_iter()
                .map(|login| Child::new(login, Inherited::default()))
                .collect();
            network.tell(Signal::SIGHUP);
            tracing::info!("This machine is a rescue system now");
            let mut children: Vec<_> = logins.iter_mut().chain([&mut network]).collect();
            keep_running(&mut children, &never, |_, _| false);
        });
        let _never = Cancel::default().wait(AFTER_DEFECT);
    }
}

/// Does a part of what process 1 does; a defect in it is no reason to end.
fn defended<T>(part: impl FnOnce() -> T) -> Option<T> {
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
fn begin(root: &Root, log: &Log) -> Begun {
    mounts::mount_all(root);
    told("open the console", open_console(root));
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, "Ferrite starts this machine");
    let handover = Handover::create()
        .inspect_err(
            |error| tracing::error!(%error, "An agent that ends will leave nothing to the next"),
        )
        .ok();
    command_line::cover(root, handover.as_ref().map(|left| &left.vault));
    kernel_log::purge(root);
    told("close process 1 to others", process::harden());
    let create_log = || {
        let without = |error: &io::Error| {
            tracing::error!(%error, "The log archive will hold only a part of the log");
        };
        let log = LogTail::create().inspect_err(without).ok()?;
        // The agent collects what the others log, and cannot change it.
        let for_agent = log.read_only().inspect_err(without).ok();
        Some((log, for_agent))
    };
    let (own_log, own_for_agent) = create_log().unzip();
    let (network_log, network_for_agent) = create_log().unzip();
    if let Some(own_log) = own_log {
        log.ring.resume(Vec::new(), Box::new(own_log));
    }
    let other_logs = [own_for_agent, network_for_agent];
    let other_logs = other_logs.into_iter().flatten().flatten().collect();
    let keeper = handover.and_then(|left| Keeper::of(&left).ok());
    Begun {
        agent: Inherited::agent(keeper, other_logs),
        network: Inherited::logging_to(network_log),
    }
}

fn prepare(root: &Root, network: &mut Child, never: &Order) {
    let etc = root.path("etc");
    let hosts = fs::create_dir_all(&etc).and_then(|()| fs::write(etc.join("hosts"), HOSTS));
    told("write /etc/hosts", hosts);

    told("offer a rescue system", rescue::offer(root));
    told("wait for entropy", start_entropy(root));
    // The two wait for each other's interfaces, so neither waits here.
    let modules = Modules::start(root, ALWAYS);
    let ready = Readiness::of_first_start(network);
    network.start_if_due(never);
    match &modules {
        Ok(modules) => {
            modules.settle(DRIVERS_PATIENCE);
            modules.also(TENANTS);
        }
        Err(error) => tracing::error!(error = chain(error), "No drivers are loaded"),
    }
    let firmware_root = root.clone();
    told(
        "mount the firmware's variables",
        beside("firmware", move || {
            mounts::mount_firmware_variables(&firmware_root);
        }),
    );
    told(
        "wait for the network",
        ready.and_then(|ready| ready.wait(NETWORK_PATIENCE)),
    );
}

/// The kernel's console for our standard streams: the one it opened for us lies below the /dev that is mounted now, and on
/// a machine without it they are closed.
fn open_console(root: &Root) -> io::Result<()> {
    let open = |path| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(root.path(path))
    };
    // A console that is named to the kernel and does not exist cannot be opened.
    let console = open("dev/console").or_else(|_| open("dev/null"))?;
    nix::unistd::dup2_stdin(&console)?;
    nix::unistd::dup2_stdout(&console)?;
    nix::unistd::dup2_stderr(&console)?;
    Ok(())
}

/// Asks for one random byte, long before anybody needs any: only then does a kernel on hardware without a random number
/// generator begin to collect, which takes it seconds, and DHCP and TLS would have to wait for it.
fn start_entropy(root: &Root) -> io::Result<()> {
    let path = root.path("dev/random");
    let wait = move || match File::open(path).and_then(|mut file| file.read_exact(&mut [0])) {
        Ok(()) => tracing::debug!("Random numbers are ready"),
        Err(error) => tracing::error!(%error, "There are no random numbers"),
    };
    beside("entropy", wait)
}

/// Does something on a thread of its own: nothing waits for it.
fn beside(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(|_| ())
}

fn told(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(what, %error, "A part of the start failed");
    }
}

/// Modules that no device asks for, or not in time: file systems of virtual media with their code pages, loop devices for
/// images, the firmware's variables, the management controller's device.
const ALWAYS: &[&str] = &[
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    "nls_utf8",
    "efivarfs",
    "loop",
    "sd_mod",
    "sr_mod",
    "sg",
    "ipmi_si",
    "ipmi_devintf",
    "usb_storage",
    "uas",
];
/// File systems of installed systems, for files that are put there and for who rescues them: nothing at the start waits for these,
/// and some of them measure for a second how fast they can compute.
const TENANTS: &[&str] = &["ext4", "xfs", "btrfs"];
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
/// Until the modules of `ALWAYS` are there; slow controllers go on loading beside the agent.
const DRIVERS_PATIENCE: Duration = Duration::from_secs(30);
/// After this the agent starts without an address: it says itself, to whoever reads the console, what it lacks.
const NETWORK_PATIENCE: Duration = Duration::from_secs(70);
const AFTER_DEFECT: Duration = Duration::from_secs(10);
