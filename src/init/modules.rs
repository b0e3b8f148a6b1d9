//! Drivers for the devices that are there and for those that come later: what udev does elsewhere.
//!
//! One thread finds devices: it walks `/sys/devices` once and then listens to the kernel's announcements, which begin before
//! the walk so that no device falls between. A few workers load modules side by side, because some drivers take many seconds
//! to wake their hardware and the network must not wait for them.

pub(super) mod loader;
mod missing;

use crate::error::chain;
use crate::root::Root;
use crate::supervisor::watcher;
use crate::sys::uevent::Uevents;
use loader::{LoadError, Loader, TableError};
use missing::MissingDrivers;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why no modules can be loaded at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The tables of the running kernel's modules.
    #[error(transparent)]
    Tables(TableError),
    /// The kernel's announcements.
    #[error("cannot listen to the kernel's devices")]
    Listen(#[source] io::Error),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// The loading of modules, for as long as the machine runs; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Modules(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    root: Root,
    loader: Loader,
    missing: MissingDrivers,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// Modules that were ever requested.
    requested: HashMap<String, Request>,
    /// For devices that are there: first come, first served.
    devices: VecDeque<String>,
    /// For no device in particular: when no device waits.
    others: VecDeque<String>,
    /// Modules of `others` that are being loaded.
    others_loading: usize,
    /// Whether the first walk is over, so that `others` holds all that it is to hold.
    walked: bool,
}

/// A module that was requested.
#[derive(Debug, Default)]
struct Request {
    times: u32,
    /// It waits, is loaded, or failed for good; not so a module that was busy.
    closed: bool,
}

impl Modules {
    /// Starts to load drivers, and the modules of `always`.
    ///
    /// # Errors
    /// [`Error`] when there is nothing to load from or no way to learn of devices.
    pub(super) fn start(root: &Root, always: &'static [&'static str]) -> Result<Self, Error> {
        let uevents = Uevents::listen().map_err(Error::Listen)?;
        let loader = Loader::open(root).map_err(Error::Tables)?;
        let modules = Self(Arc::new(Shared {
            missing: MissingDrivers::open(&loader),
            root: root.clone(),
            loader,
            work: Mutex::default(),
            changed: Condvar::new(),
        }));
        let finder = modules.clone();
        let find = move || finder.find_devices(&uevents, always);
        watcher::spawn("devices", find).map_err(Error::Thread)?;
        for _ in 0..WORKERS {
            let worker = modules.clone();
            watcher::spawn("modules", move || worker.watch_uevents()).map_err(Error::Thread)?;
        }
        Ok(modules)
    }

    /// Waits until the modules that are always loaded are there, at most so long. The drivers of the devices found so far
    /// are there, too, or at least asked to wake their hardware.
    pub(super) fn run_with_timeout(&self, patience: Duration) {
        let unsettled =
            |work: &mut Work| !work.walked || !work.others.is_empty() || work.others_loading > 0;
        let (_work, timeout) = self
            .0
            .changed
            .wait_timeout_while(self.work(), patience, unsettled)
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            tracing::warn!("Some modules are not loaded yet");
        }
    }

    fn find_devices(&self, uevents: &Uevents, always: &[&str]) {
        self.walk();
        self.request_others(always);
        self.work().walked = true;
        self.0.changed.notify_all();
        loop {
            match uevents.wait() {
                Ok(Some(announcement)) => {
                    if let Some((device, modalias)) = added(&announcement) {
                        let device = self.0.root.path("sys").join(device);
                        self.request_drivers(&device, modalias);
                        self.request_others(always);
                    }
                }
                Ok(None) => self.walk(),
                Err(error) => {
                    tracing::error!(%error, "The kernel announces no more devices");
                    return;
                }
            }
        }
    }

    /// Requests the drivers of every device in sysfs.
    fn walk(&self) {
        let mut folders = vec![self.0.root.path("sys/devices")];
        while let Some(folder) = folders.pop() {
            if let Ok(modalias) = fs::read_to_string(folder.join("modalias")) {
                self.request_drivers(&folder, modalias.trim_end());
            }
            let Ok(entries) = fs::read_dir(&folder) else {
                continue; // a device that has just gone
            };
            // Links lead to places that the walk reaches by itself.
            let inner = entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(inner.map(|entry| entry.path()));
        }
    }

    fn request_drivers(&self, device: &Path, modalias: &str) {
        let mut drivers = self.0.loader.index().drivers(modalias).peekable();
        if drivers.peek().is_none() {
            self.0.missing.warn(device, modalias);
        }
        for driver in drivers {
            self.request(driver, |work| &mut work.devices);
        }
    }

    fn request_others(&self, names: &[&str]) {
        for name in names {
            self.request(name, |work| &mut work.others);
        }
    }

    /// Queues a module, once; one that was busy is queued again when a later device comes, but not for ever.
    fn request(&self, module: &str, queue: impl FnOnce(&mut Work) -> &mut VecDeque<String>) {
        let mut work = self.work();
        let request = work.requested.entry(module.into()).or_default();
        if request.closed || request.times >= MAX_REQUESTS {
            return;
        }
        request.closed = true;
        request.times += 1;
        queue(&mut work).push_back(module.into());
        drop(work);
        self.0.changed.notify_all();
    }

    fn watch_uevents(&self) {
        loop {
            let mut work = self
                .0
                .changed
                .wait_while(self.work(), |work| {
                    work.devices.is_empty() && work.others.is_empty()
                })
                .unwrap_or_else(PoisonError::into_inner);
            let device = work.devices.pop_front();
            let other = match device {
                Some(_) => None,
                None => work.others.pop_front(),
            };
            work.others_loading += usize::from(other.is_some());
            drop(work);
            if let Some(module) = &device {
                self.load(module);
            } else if let Some(module) = &other {
                self.load(module);
                self.work().others_loading -= 1;
                self.0.changed.notify_all();
            }
        }
    }

    fn load(&self, module: &str) {
        self.note(module, self.0.loader.load(module));
    }

    fn note(&self, module: &str, result: Result<(), LoadError>) {
        match result {
            Ok(()) => tracing::debug!(module, "Loaded a module"),
            Err(error) => {
                // Ordinary: a driver whose alias is wider than its hardware.
                tracing::info!(module, error = chain(&error), "A module does not load");
                let mut work = self.work();
                if let Some(request) = work.requested.get_mut(module) {
                    request.closed = !error.is_transient();
                }
            }
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder below `/sys` and the `modalias` of a device that came.
fn added(announcement: &[u8]) -> Option<(&Path, &str)> {
    let mut words = announcement.split(|byte| *byte == 0);
    let device = words.next()?.strip_prefix(b"add@/")?;
    let modalias = words.find_map(|word| word.strip_prefix(b"MODALIAS="))?;
    let device = std::str::from_utf8(device).ok()?;
    Some((Path::new(device), std::str::from_utf8(modalias).ok()?))
}

/// A slow controller's driver takes one of them for a while.
const WORKERS: usize = 4;
/// How often a module is requested that answers each time that it is busy.
const MAX_REQUESTS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::module_index::ModuleIndex;

    fn modules(root: Root) -> Modules {
        let index = ModuleIndex::parse("", "alias virtio:d1v* virtio_net\n", "");
        Modules(Arc::new(Shared {
            root,
            loader: Loader::with_index(index),
            missing: MissingDrivers::default(),
            work: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    #[test]
    fn an_added_device_has_a_folder_and_a_modalias() {
        let came = b"add@/devices/pci0000:00/virtio0\0ACTION=add\0MODALIAS=virtio:d1v2\0SEQNUM=7\0";
        assert_eq!(
            added(came),
            Some((Path::new("devices/pci0000:00/virtio0"), "virtio:d1v2"))
        );
        assert_eq!(added(&came[1..]), None);
        assert_eq!(added(b"remove@/x\0MODALIAS=virtio:d1v2\0"), None);
        assert_eq!(added(b"add@/x\0ACTION=add\0"), None);
        assert_eq!(added(b""), None);
    }

    #[test]
    fn every_device_in_sysfs_requests_its_driver_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        for device in ["pci0/a/virtio0", "pci0/b/virtio1"] {
            let path = root.path("sys/devices").join(device);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("modalias"), "virtio:d1v2\n").unwrap();
        }
        let modules = modules(root);
        modules.walk();
        assert_eq!(modules.work().devices, ["virtio_net"]);
    }

    /// How often a module is queued for which the kernel always has this answer, however many devices come.
    fn times_queued(answer: nix::Error) -> usize {
        let modules = modules(Root::at("/nowhere"));
        let mut times = 0;
        for _ in 0..20 {
            // Two devices of one kind.
            modules.request("xfs", |work| &mut work.devices);
            modules.request("xfs", |work| &mut work.devices);
            times += std::mem::take(&mut modules.work().devices).len();
            let refused = LoadError::Refused {
                file: "libcrc32c.ko".into(),
                source: answer.into(),
            };
            modules.note("xfs", Err(refused));
        }
        times
    }

    #[test]
    fn a_busy_module_is_requested_by_later_devices_but_not_for_ever() {
        assert_eq!(times_queued(nix::Error::EBUSY), 5);
        assert_eq!(times_queued(nix::Error::EAGAIN), 5);
        assert_eq!(times_queued(nix::Error::ENODEV), 1);
    }
}
