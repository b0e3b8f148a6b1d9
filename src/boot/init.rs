//! Process 1. It must never end, so nothing here is allowed to fail for good: what goes wrong is told on the console, and the
//! next thing is tried.

use super::modules::Modules;
use super::mounts;
use super::network::Network;
use super::rescue;
use super::supervisor::{Order, Program, keep_running};
use crate::config::KernelArgs;
use crate::error::chain;
use crate::handover::Keeper;
use crate::progress::Cancel;
use crate::root::Root;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// Turns a freshly started kernel into a machine with a running agent, and keeps it running.
///
/// Call this as process 1 of a ramdisk, before any other thread exists, and start logging before.
pub fn run() -> ! {
    let root = Root::machine();
    let network = catch_unwind(AssertUnwindSafe(|| prepare(&root))).unwrap_or_else(|_defect| {
        tracing::error!("Process 1 met a defect of its own; the agent starts as things are");
        None
    });
    let keeper = Keeper::create()
        .inspect_err(
            |error| tracing::error!(%error, "An agent that ends will leave nothing to the next"),
        )
        .ok();
    let (agent, never) = (Program::agent(Vec::new(), Vec::new()), Order::default());
    loop {
        let served = catch_unwind(AssertUnwindSafe(|| {
            if !rescue::is_wished(&root) {
                keep_running(
                    std::slice::from_ref(&agent),
                    keeper.as_ref(),
                    &never,
                    |_| rescue::is_wished(&root),
                );
            }
            let logins = rescue::begin(&root);
            if let Some(network) = &network {
                told("ask for addresses again", network.move_elsewhere());
            }
            tracing::info!("This machine is a rescue system now");
            keep_running(&logins, None, &never, |_| false);
        }));
        if served.is_err() {
            tracing::error!("Process 1 met a defect of its own; it begins again");
        }
        let _never = Cancel::default().wait(AFTER_DEFECT);
    }
}

fn prepare(root: &Root) -> Option<Network> {
    mounts::mount_all(root);
    told("open the console", open_console(root));
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, "Ferrite starts this machine");
    let etc = root.path("etc");
    let hosts = fs::create_dir_all(&etc).and_then(|()| fs::write(etc.join("hosts"), HOSTS));
    told("write /etc/hosts", hosts);

    told("offer a rescue system", rescue::offer(root));
    told("wait for entropy", start_entropy(root));
    let arguments = KernelArgs::of_kernel(root).unwrap_or_default();
    // The two wait for each other's interfaces, so neither waits here.
    let modules = Modules::start(root, ALWAYS);
    let network = Network::start(root, &arguments);
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
    match &network {
        Ok(network) => network.wait_ready(NETWORK_PATIENCE),
        Err(error) => tracing::error!(error = chain(error), "There is no network"),
    }
    network.ok()
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
const NETWORK_PATIENCE: Duration = Duration::from_secs(60);
const AFTER_DEFECT: Duration = Duration::from_secs(10);
