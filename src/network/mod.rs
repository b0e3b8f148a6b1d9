//! Every Ethernet interface up and asking for addresses, from the first moment to the last.
//!
//! One thread watches the kernel: it switches on each interface that appears and starts its two workers, one for each
//! version of IP. The interfaces are asked side by side; the one booted from (`BOOTIF`) gets the best metric. SLAAC is the
//! kernel's own.

mod dhcp4;
mod dhcp6;
mod driver;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod kernel_ip;
mod lease4;
mod lease6;
mod process;
mod random;
mod refusals;
mod resolver;
mod router_dns;
mod view;
mod worker4;
mod worker6;

pub use error::Error;
pub(crate) use process::Readiness;
pub use process::serve;

use crate::config::KernelArgs;
use crate::logging;
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::netlink::{Change, Changes, Link, Netlink};
use kernel_ip::Options;
use resolver::{DnsSource, Source};
use router_dns::RouterDns;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
use view::{Interface, Network, View};

impl Network {
    /// Starts to bring up interfaces. Returns at once.
    ///
    /// # Errors
    /// [`Error`] when the kernel does not speak about interfaces.
    fn start(root: &Root, arguments: &KernelArgs) -> Result<Self, Error> {
        // To listen comes first, so that no change falls between.
        let changes = Changes::listen().map_err(Error::Netlink)?;
        let netlink = Netlink::open().map_err(Error::Netlink)?;
        let network = Self::new(root, Options::parse(arguments));
        let watcher = network.clone();
        thread::Builder::new()
            .name("network".into())
            .spawn(move || watcher.watch(&changes, netlink))
            .map_err(Error::Thread)?;
        Ok(network)
    }

    fn watch(&self, changes: &Changes, mut netlink: Netlink) {
        let mut known = BTreeSet::new();
        let mut refused = Refused::default();
        let mut routers = BTreeMap::new();
        loop {
            let mut timeout = POLL_INTERVAL;
            match self.options().look(&mut netlink) {
                Ok(view) => {
                    let links = view.links.clone();
                    let new = self.new_links(&view, &mut known);
                    self.change(|known| known.learn(view));
                    if self.root().lockdown_mark().exists() {
                        let is_answered = is_lockdown_answered(self.root());
                        leave_down(is_answered, &mut netlink, &links, &new);
                        if !is_answered {
                            timeout = ANSWER_TIME;
                        }
                        refused = Refused::default();
                    } else {
                        refused.retain(&links);
                        for link in new {
                            self.bring_up(&mut netlink, &mut refused, &link);
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
        new.sort_by_key(|link| !self.options().is_boot(link));
        new
    }

    fn bring_up(&self, netlink: &mut Netlink, refused: &mut Refused, link: &Link) {
        switch_on(netlink, refused, link);
        let Some(mac) = link.mac.filter(|_| link.ethernet) else {
            return;
        };
        let interface = Interface {
            index: link.index,
            name: link.name.clone(),
            mac,
            metric: self.options().metric(link),
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
        let links = self.snapshot(|view| view.links.clone());
        routers.retain(|index, _| links.contains_key(index));
        for (index, dns) in routers {
            let Some(link) = links.get(index) else {
                continue;
            };
            dns.expire(Instant::now());
            let origin = DnsSource {
                metric: self.options().metric(link),
                source: Source::Router,
            };
            self.learn(origin, dns.dns_config(&link.name));
        }
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
///
/// Not at once: the mark is set before Ironic has its answer, and the agent, or the one after it, switches them off itself.
fn leave_down(is_answered: bool, netlink: &mut Netlink, links: &BTreeMap<u32, Link>, new: &[Link]) {
    for link in links.values().filter(|link| link.up && is_answered) {
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

/// Whether Ironic has had time for its answer. Where the clock was set meanwhile nobody knows, and it had.
fn is_lockdown_answered(root: &Root) -> bool {
    let mark = fs::metadata(root.lockdown_mark()).and_then(|mark| mark.modified());
    mark.ok()
        .and_then(|set| set.elapsed().ok())
        .is_none_or(|since| since > ANSWER_TIME)
}

/// For the answer to the command that locked the machine down.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Should a change ever get lost.
const POLL_INTERVAL: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
