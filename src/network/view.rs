//! The network as all its threads see it: what the kernel said last, and what is asked of the workers.

use super::kernel_ip::{Options, StaticAddress};
use super::resolver::{DnsConfig, DnsSource, Names};
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::netlink::{Address, Link, Netlink};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The network, for as long as the machine runs; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Network(Arc<Shared>);

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
pub(super) struct View {
    /// How often the machine may have come to another network: each time every worker asks afresh.
    pub(super) moves: u32,
    pub(super) links: BTreeMap<u32, Link>,
    /// Interfaces with an address that others can reach, of the version of IP that the API is reached by.
    pub(super) addressed: BTreeSet<u32>,
    /// The interface that took the static address of no interface in particular.
    pub(super) took_unnamed: Option<u32>,
}

/// The interface that a worker works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) mac: [u8; 6],
    pub(super) metric: u32,
}

impl Network {
    pub(super) fn new(root: &Root, options: Options) -> Self {
        Self(Arc::new(Shared {
            root: root.clone(),
            options,
            view: Mutex::default(),
            changed: Condvar::new(),
            names: Mutex::default(),
        }))
    }

    pub(super) fn root(&self) -> &Root {
        &self.0.root
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Waits until the interface booted from has an address, or any other has one and a moment more has passed; at most so
    /// long.
    pub(super) fn wait_ready(&self, patience: Duration) {
        let start = Instant::now();
        let addressed = |view: &View| (!view.addressed.is_empty()).then_some(());
        if self.wait(patience, addressed).is_none() {
            tracing::warn!(
                seconds = patience.as_secs(),
                "No interface has an address yet"
            );
            return;
        }
        if self.0.options.boot_mac.is_some() {
            let _in_time = self.wait(BOOT_GRACE, |view| {
                self.booted_from_is_addressed(view).then_some(())
            });
        }
        tracing::info!(waited = ?start.elapsed(), "The network is there");
    }

    /// Asks for addresses afresh, now and some more times: Ironic is moving the machine's ports to another network, at a time
    /// of its own, without any change of the link. What is in use stays until there is something else.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn rebind(&self) -> io::Result<()> {
        let network = self.clone();
        let watch = move || {
            for pause in REBIND_DELAYS {
                network.change(|view| view.moves += 1);
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

    /// The static address that is meant for an interface.
    pub(super) fn fixed_for(&self, interface: &Interface) -> Option<StaticAddress> {
        let Options {
            fixed, boot_mac, ..
        } = &self.0.options;
        let of_device = |device: Option<&str>| {
            let mut all = fixed.iter();
            all.find(|fixed| fixed.device.as_deref() == device).cloned()
        };
        if let Some(own) = of_device(Some(&interface.name)) {
            return Some(own);
        }
        let unnamed = of_device(None).filter(|_| match boot_mac {
            Some(mac) => *mac == interface.mac,
            None => self.change(|view| view.take_unnamed(interface.index)),
        });
        if unnamed.is_none() {
            self.log_missing_devices(interface);
        }
        unnamed
    }

    /// Logs interfaces that `ip=` names and that do not exist: their static addresses are not used.
    fn log_missing_devices(&self, interface: &Interface) {
        let wanted = self.0.options.fixed.iter();
        for wanted in wanted.filter_map(|fixed| fixed.device.as_deref()) {
            let is_there = |view: &View| view.links.values().any(|link| link.name == wanted);
            if !self.snapshot(is_there) {
                tracing::warn!(
                    interface = interface.name,
                    wanted,
                    "ip= names an interface that does not exist: requesting an address on this one"
                );
            }
        }
    }

    pub(super) fn learn(&self, origin: DnsSource, said: DnsConfig) {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.learn(&self.0.root, origin, said);
    }

    pub(super) fn learn_host(&self, name: &str) {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.learn_host(name);
    }

    pub(super) fn rebind_generation(&self) -> u32 {
        self.snapshot(|view| view.moves)
    }

    /// Reads the view. Its guard never leaves this function and the two below: as a temporary of an
    /// expression it would be held while the rest of the expression takes the lock again.
    pub(super) fn snapshot<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        let view = self.0.view.lock().unwrap_or_else(PoisonError::into_inner);
        read(&view)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = self.0.view.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut view);
        drop(view);
        self.0.changed.notify_all();
        changed
    }

    /// Waits at most so long until something is found in the view.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        find: impl Fn(&View) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let missing = |view: &mut View| {
            found = find(view);
            found.is_none()
        };
        let view = self.0.view.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.0.changed.wait_timeout_while(view, timeout, missing);
        drop(view);
        found
    }
}

impl View {
    /// What the kernel says now; what is asked of the workers stays.
    pub(super) fn learn(&mut self, now: Self) {
        let (moves, took_unnamed) = (self.moves, self.took_unnamed);
        *self = Self {
            moves,
            took_unnamed,
            ..now
        };
    }

    /// Gives the static address without a device to the first interface that asks; whether it is this
    /// one.
    fn take_unnamed(&mut self, index: u32) -> bool {
        let taken = self.took_unnamed.filter(|taken| !self.is_gone(*taken));
        self.took_unnamed = taken.or(Some(index));
        self.took_unnamed == Some(index)
    }

    pub(super) fn has_carrier(&self, index: u32) -> bool {
        self.links.get(&index).is_some_and(|link| link.carrier)
    }

    pub(super) fn is_gone(&self, index: u32) -> bool {
        !self.links.contains_key(&index)
    }
}

impl Options {
    pub(super) fn is_boot(&self, link: &Link) -> bool {
        self.boot_mac.is_some() && self.boot_mac == link.mac
    }

    pub(super) fn look(&self, netlink: &mut Netlink) -> io::Result<View> {
        let links = netlink.links()?;
        let addresses = netlink.addresses()?;
        Ok(View {
            moves: 0,
            took_unnamed: None,
            links: links.into_iter().map(|link| (link.index, link)).collect(),
            addressed: addresses
                .iter()
                .filter(|address| is_reachable(address) && self.wants(address.address))
                .map(|address| address.link)
                .collect(),
        })
    }

    /// Smaller for the interface booted from, otherwise in the kernel's order.
    pub(super) fn metric(&self, link: &Link) -> u32 {
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
const REBIND_DELAYS: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::ZERO,
];
const BOOT_METRIC: u32 = 100;
const OTHER_METRIC: u32 = 200;
