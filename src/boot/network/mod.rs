//! Every Ethernet interface up and asking for addresses, from the first moment to the last.
//!
//! One thread watches the kernel: it switches on each interface that appears and starts its two workers, one for each
//! version of IP. The interfaces are asked side by side; the one booted from (`BOOTIF`) gets the best metric. SLAAC is the
//! kernel's own.

mod dhcp4;
mod dhcp6;
mod names;
mod options;
mod process;
mod worker4;
mod worker6;

pub(super) use process::Readiness;
pub use process::serve;

use crate::config::KernelArgs;
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::netlink::{Address, Change, Changes, Link, Netlink};
use names::{Names, Origin, Said, Source};
use options::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Why there is no network at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever starts it is not process 1.
    #[error("ferrite network is a part of process 1 of a ramdisk: nobody else starts it")]
    NotAChild,
    /// To be told of a move.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    /// The kernel's route socket.
    #[error("cannot speak with the kernel about interfaces")]
    Netlink(#[source] io::Error),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// The network, for as long as the machine runs; clones share it.
#[derive(Clone, Debug)]
struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    root: Root,
    options: Options,
    view: Mutex<View>,
    changed: Condvar,
    names: Mutex<Names>,
}

/// What the kernel said last, and what is asked of the workers.
#[derive(Debug, Default)]
struct View {
    /// How often the machine may have come to another network: each time every worker asks afresh.
    moves: u32,
    links: BTreeMap<u32, Link>,
    /// Interfaces with an address that others can reach, of the version of IP that the API is reached by.
    addressed: BTreeSet<u32>,
}

/// The interface that a worker works for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    index: u32,
    name: String,
    mac: [u8; 6],
    metric: u32,
}

impl Network {
    /// Starts to bring up interfaces. Returns at once.
    ///
    /// # Errors
    /// [`Error`] when the kernel does not speak about interfaces.
    fn start(root: &Root, arguments: &KernelArgs) -> Result<Self, Error> {
        // To listen comes first, so that no change falls between.
        let changes = Changes::listen().map_err(Error::Netlink)?;
        let netlink = Netlink::open().map_err(Error::Netlink)?;
        let network = Self(Arc::new(Shared {
            root: root.clone(),
            options: Options::parse(arguments),
            view: Mutex::default(),
            changed: Condvar::new(),
            names: Mutex::default(),
        }));
        let watcher = network.clone();
        thread::Builder::new()
            .name("network".into())
            .spawn(move || watcher.watch(&changes, netlink))
            .map_err(Error::Thread)?;
        Ok(network)
    }

    /// Waits until the interface booted from has an address, or any other has one and a moment more has passed; at most so
    /// long.
    fn wait_ready(&self, patience: Duration) {
        let start = Instant::now();
        let view = self.wait(patience, |view| !view.addressed.is_empty());
        if view.addressed.is_empty() {
            tracing::warn!(
                seconds = patience.as_secs(),
                "No interface has an address yet"
            );
            return;
        }
        drop(view);
        if self.0.options.boot_mac.is_some() {
            let _view = self.wait(BOOT_GRACE, |view| self.booted_from_is_addressed(view));
        }
        tracing::info!(waited = ?start.elapsed(), "The network is there");
    }

    /// Asks for addresses afresh, now and some more times: Ironic is moving the machine's ports to another network, at a time
    /// of its own, without any change of the link. What is in use stays until there is something else.
    ///
    /// # Errors
    /// There is no thread for it.
    fn move_elsewhere(&self) -> io::Result<()> {
        let network = self.clone();
        let watch = move || {
            for pause in MOVES {
                network.view().moves += 1;
                network.0.changed.notify_all();
                let _never = Cancel::default().wait(pause);
            }
        };
        thread::Builder::new()
            .name("moving".into())
            .spawn(watch)
            .map(|_| ())
    }

    fn booted_from_is_addressed(&self, view: &View) -> bool {
        let booted_from = |link: &&Link| self.0.options.is_boot(link);
        let link = view.links.values().find(booted_from);
        link.is_some_and(|link| view.addressed.contains(&link.index))
    }

    fn watch(&self, changes: &Changes, mut netlink: Netlink) {
        let mut known = BTreeSet::new();
        loop {
            match self.0.options.look(&mut netlink) {
                Ok(view) => {
                    let new = self.new_links(&view, &mut known);
                    self.view().learn(view);
                    self.0.changed.notify_all();
                    for link in new {
                        self.take_up(&mut netlink, &link);
                    }
                }
                Err(error) => tracing::error!(%error, "Cannot list the interfaces"),
            }
            match changes.wait(LOOK_AGAIN) {
                Ok(Some(Change::RouterOptions { link, options })) => {
                    self.learn_from_router(link, &options);
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "The kernel announces no changes"),
            }
        }
    }

    /// Interfaces that were not there before: the one booted from comes first.
    fn new_links(&self, view: &View, known: &mut BTreeSet<u32>) -> Vec<Link> {
        known.retain(|index| view.links.contains_key(index));
        let mut new: Vec<Link> = view
            .links
            .values()
            .filter(|link| link.loopback || link.ethernet)
            .filter(|link| known.insert(link.index))
            .cloned()
            .collect();
        new.sort_by_key(|link| !self.0.options.is_boot(link));
        new
    }

    fn take_up(&self, netlink: &mut Netlink, link: &Link) {
        if let Err(error) = netlink.set_up(link.index) {
            tracing::error!(interface = link.name, %error, "Cannot switch on an interface");
        }
        let Some(mac) = link.mac.filter(|_| link.ethernet) else {
            return;
        };
        let interface = Interface {
            index: link.index,
            name: link.name.clone(),
            mac,
            metric: self.0.options.metric(link),
        };
        let workers: [fn(&Self, &Interface); 2] = [worker4::run, worker6::run];
        for work in workers {
            let (network, interface) = (self.clone(), interface.clone());
            let spawned = thread::Builder::new()
                .name(link.name.clone())
                .spawn(move || work(&network, &interface));
            if let Err(error) = spawned {
                tracing::error!(interface = link.name, %error, "Cannot serve an interface");
            }
        }
    }

    fn learn_from_router(&self, link: u32, options: &[u8]) {
        let Some(servers) = names::router_name_servers(options) else {
            return;
        };
        let Some(link) = self.view().links.get(&link).cloned() else {
            return;
        };
        let origin = Origin {
            metric: self.0.options.metric(&link),
            source: Source::Router,
        };
        let servers = servers.into_iter().map(IpAddr::V6);
        self.learn(origin, Said::new(servers, &link.name, Vec::new()));
    }

    fn learn(&self, origin: Origin, said: Said) {
        self.names().learn(&self.0.root, origin, said);
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at most so long until the view is as wished.
    fn wait(&self, patience: Duration, wished: impl Fn(&View) -> bool) -> MutexGuard<'_, View> {
        let (view, _timeout) = self
            .0
            .changed
            .wait_timeout_while(self.view(), patience, |view| !wished(view))
            .unwrap_or_else(PoisonError::into_inner);
        view
    }
}

impl View {
    /// What the kernel says now; what is asked of the workers stays.
    fn learn(&mut self, now: Self) {
        let moves = self.moves;
        *self = Self { moves, ..now };
    }

    fn has_carrier(&self, index: u32) -> bool {
        self.links.get(&index).is_some_and(|link| link.carrier)
    }

    fn is_gone(&self, index: u32) -> bool {
        !self.links.contains_key(&index)
    }
}

impl Options {
    fn is_boot(&self, link: &Link) -> bool {
        self.boot_mac.is_some() && self.boot_mac == link.mac
    }

    fn look(&self, netlink: &mut Netlink) -> io::Result<View> {
        let links = netlink.links()?;
        let addresses = netlink.addresses()?;
        Ok(View {
            moves: 0,
            links: links.into_iter().map(|link| (link.index, link)).collect(),
            addressed: addresses
                .iter()
                .filter(|address| is_reachable(address) && self.wants(address.address))
                .map(|address| address.link)
                .collect(),
        })
    }

    /// Smaller for the interface booted from, otherwise in the kernel's order.
    fn metric(&self, link: &Link) -> u32 {
        if self.is_boot(link) {
            BOOT_METRIC
        } else {
            OTHER_METRIC.saturating_add(link.index)
        }
    }
}

/// A BMC's USB interface gives link-local addresses: they lead nowhere.
fn is_reachable(address: &Address) -> bool {
    let local = match address.address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
    };
    !local && !address.unusable
}

/// How long another interface's address waits for the interface booted from.
const BOOT_GRACE: Duration = Duration::from_secs(10);
/// What lies between two questions after a move: Ironic's part takes seconds, a switch's may take a minute.
const MOVES: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::ZERO,
];
/// Should a change ever get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const BOOT_METRIC: u32 = 100;
const OTHER_METRIC: u32 = 200;
