//! Every Ethernet interface up and asking for addresses, from the first moment to the last.
//!
//! One thread watches the kernel: it switches on each interface that appears and starts its two workers, one for each
//! version of IP. The interfaces are asked side by side; the one booted from (`BOOTIF`) gets the best metric. SLAAC is the
//! kernel's own.

mod dhcp4;
mod dhcp6;
mod lease4;
mod lease6;
mod names;
mod options;
mod process;
mod router_dns;
mod worker4;
mod worker6;

pub(super) use process::Readiness;
pub use process::serve;

use crate::config::KernelArgs;
use crate::logging;
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::netlink::{Address, Change, Changes, Link, Netlink};
use names::{Names, Origin, Said, Source};
use options::{Fixed, Options};
use router_dns::RouterDns;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
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
    /// The interface that took the static address of no interface in particular.
    took_unnamed: Option<u32>,
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
    fn move_elsewhere(&self) -> io::Result<()> {
        let network = self.clone();
        let watch = move || {
            for pause in MOVES {
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

    fn watch(&self, changes: &Changes, mut netlink: Netlink) {
        let mut known = BTreeSet::new();
        let mut refused = Refused::default();
        let mut routers = BTreeMap::new();
        loop {
            let mut timeout = LOOK_AGAIN;
            match self.0.options.look(&mut netlink) {
                Ok(view) => {
                    let links = view.links.clone();
                    let new = self.new_links(&view, &mut known);
                    self.change(|known| known.learn(view));
                    if self.0.root.lockdown_mark().exists() {
                        leave_down(&mut netlink, &links, &new);
                        refused = Refused::default();
                    } else {
                        refused.retain(&links);
                        for link in new {
                            self.take_up(&mut netlink, &mut refused, &link);
                        }
                        for link in refused.due(&links, Instant::now()) {
                            switch_on(&mut netlink, &mut refused, link);
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "Cannot list the interfaces");
                    timeout = AFTER_FAILURE;
                }
            }
            match changes.wait(refused.next(Instant::now()).min(timeout)) {
                Ok(Some(Change::RouterOptions { link, options })) => {
                    let dns: &mut RouterDns = routers.entry(link).or_default();
                    dns.learn(&options, Instant::now());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "The kernel announces no changes");
                    let _never = Cancel::default().wait(AFTER_FAILURE);
                }
            }
            self.learn_from_routers(&mut routers);
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

    fn take_up(&self, netlink: &mut Netlink, refused: &mut Refused, link: &Link) {
        switch_on(netlink, refused, link);
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
                tracing::error!(interface = link.name, %error, "cannot serve an interface: ending this process");
                // As at a panic: it is restarted, and the next one may have better luck.
                logging::flush();
                std::process::abort();
            }
        }
    }

    /// Takes over what routers said, and forgets what they did not say again in time.
    fn learn_from_routers(&self, routers: &mut BTreeMap<u32, RouterDns>) {
        let links = self.look(|view| view.links.clone());
        routers.retain(|index, _| links.contains_key(index));
        for (index, dns) in routers {
            let Some(link) = links.get(index) else {
                continue;
            };
            dns.expire(Instant::now());
            let origin = Origin {
                metric: self.0.options.metric(link),
                source: Source::Router,
            };
            self.learn(origin, dns.said(&link.name));
        }
    }

    /// The static address that is meant for an interface.
    fn fixed_for(&self, interface: &Interface) -> Option<Fixed> {
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
            if !self.look(is_there) {
                tracing::warn!(
                    interface = interface.name,
                    wanted,
                    "ip= names an interface that does not exist: requesting an address on this one"
                );
            }
        }
    }

    fn learn(&self, origin: Origin, said: Said) {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.learn(&self.0.root, origin, said);
    }

    fn learn_host(&self, name: &str) {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.learn_host(name);
    }

    fn moves(&self) -> u32 {
        self.look(|view| view.moves)
    }

    /// Reads the view. Its guard never leaves this function and the two below: as a temporary of an
    /// expression it would be held while the rest of the expression takes the lock again.
    fn look<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        let view = self.0.view.lock().unwrap_or_else(PoisonError::into_inner);
        read(&view)
    }

    fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = self.0.view.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut view);
        drop(view);
        self.0.changed.notify_all();
        changed
    }

    /// Waits at most so long until something is found in the view.
    fn wait<T>(&self, timeout: Duration, find: impl Fn(&View) -> Option<T>) -> Option<T> {
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

/// Interfaces that the kernel or a driver did not switch on: tried again, less and less often.
#[derive(Debug, Default)]
struct Refused(BTreeMap<u32, Retry>);

#[derive(Debug)]
struct Retry {
    tries: u32,
    due: Instant,
}

impl Refused {
    /// Notes whether an interface was switched on; whether it was the first time that it was not.
    fn note(&mut self, index: u32, on: bool, now: Instant) -> bool {
        if on {
            self.0.remove(&index);
            return false;
        }
        let retry = self.0.entry(index).or_insert(Retry { tries: 0, due: now });
        retry.due = now + Duration::from_secs(1 << retry.tries.min(6));
        retry.tries += 1;
        retry.tries == 1
    }

    /// Forgets interfaces that are gone.
    fn retain(&mut self, links: &BTreeMap<u32, Link>) {
        self.0.retain(|index, _| links.contains_key(index));
    }

    fn due<'a>(&self, links: &'a BTreeMap<u32, Link>, now: Instant) -> Vec<&'a Link> {
        let due = self.0.iter().filter(|(_, retry)| retry.due <= now);
        due.filter_map(|(index, _)| links.get(index)).collect()
    }

    /// How long until one is due.
    fn next(&self, now: Instant) -> Duration {
        let dues = self.0.values().map(|retry| retry.due);
        dues.min()
            .map_or(Duration::MAX, |due| due.saturating_duration_since(now))
    }
}

fn switch_on(netlink: &mut Netlink, refused: &mut Refused, link: &Link) {
    let result = netlink.set_up(link.index);
    let first = refused.note(link.index, result.is_ok(), Instant::now());
    match result {
        Ok(()) => tracing::debug!(interface = link.name, "switched on an interface"),
        Err(error) if first => {
            tracing::error!(interface = link.name, %error, "cannot switch on an interface: trying again");
        }
        Err(error) => {
            tracing::debug!(interface = link.name, %error, "cannot switch on an interface yet");
        }
    }
}

/// Keeps interfaces down once Ironic locked the machine down: what is up is switched off again.
fn leave_down(netlink: &mut Netlink, links: &BTreeMap<u32, Link>, new: &[Link]) {
    for link in links.values().filter(|link| link.up) {
        if let Err(error) = netlink.set_down(link.index) {
            tracing::error!(interface = link.name, %error, "cannot switch off an interface");
        }
    }
    for link in new {
        tracing::warn!(
            interface = link.name,
            "left an interface down: the machine is locked down"
        );
    }
}

/// Texts that were logged: each once, and at most [`MAX_LOGGED`], because any host on the link can cause one.
#[derive(Debug, Default)]
struct Logged(Vec<String>);

impl Logged {
    /// Whether a text is to be logged now.
    fn is_new(&mut self, text: &str) -> bool {
        let new = self.0.len() < MAX_LOGGED && !self.0.iter().any(|logged| logged == text);
        if new {
            self.0.push(text.to_owned());
        }
        new
    }
}

/// Reasons that were logged since the last lease.
#[derive(Debug, Default)]
struct Refusals(Logged);

impl Refusals {
    fn log(&mut self, interface: &Interface, reason: &impl fmt::Display) {
        let interface = &interface.name;
        if self.0.is_new(&reason.to_string()) {
            tracing::warn!(interface, %reason, "got no address from a DHCP server");
        } else {
            tracing::debug!(interface, %reason, "got no address from a DHCP server");
        }
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

impl View {
    /// What the kernel says now; what is asked of the workers stays.
    fn learn(&mut self, now: Self) {
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
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const MAX_LOGGED: usize = 8;
const BOOT_METRIC: u32 = 100;
const OTHER_METRIC: u32 = 200;
