//! Drivers for the devices that are there and for those that come later: what udev does elsewhere.
//!
//! One thread finds devices: it walks `/sys/devices` once and then listens to the kernel's announcements, which begin before
//! the walk so that no device falls between. A few workers load modules side by side, because some drivers take many seconds
//! to wake their hardware and the network must not wait for them.

use super::watcher;
use crate::formats::module_index::ModuleIndex;
use crate::root::Root;
use crate::sys::module;
use crate::sys::uevent::Uevents;
use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why no modules can be loaded at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The tables of the running kernel's modules.
    #[error("cannot read {path}")]
    Index {
        /// Which file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
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
    folder: PathBuf,
    index: ModuleIndex,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// Modules that were ever asked for: each is tried once.
    asked: HashSet<String>,
    /// For devices that are there: first come, first served.
    devices: VecDeque<String>,
    /// For nobody in particular: when no device waits.
    others: VecDeque<String>,
    /// Modules of `others` that are not loaded yet; unknown before the first walk is over.
    others_left: Option<usize>,
}

impl Modules {
    /// Starts to load drivers, and the modules of `always`.
    ///
    /// # Errors
    /// [`Error`] when there is nothing to load from or no way to learn of devices.
    pub(super) fn start(root: &Root, always: &'static [&'static str]) -> Result<Self, Error> {
        let uevents = Uevents::listen().map_err(Error::Listen)?;
        let folder = modules_folder(root)?;
        let modules = Self(Arc::new(Shared {
            index: index(&folder)?,
            root: root.clone(),
            folder,
            work: Mutex::default(),
            changed: Condvar::new(),
        }));
        let finder = modules.clone();
        let find = move || finder.find_devices(&uevents, always);
        watcher::spawn("devices", find).map_err(Error::Thread)?;
        for _ in 0..WORKERS {
            let worker = modules.clone();
            watcher::spawn("modules", move || worker.load_for_ever()).map_err(Error::Thread)?;
        }
        Ok(modules)
    }

    /// Waits until the modules that are always loaded are there, at most so long. The drivers of the devices found so far
    /// are there, too, or at least asked to wake their hardware.
    pub(super) fn settle(&self, patience: Duration) {
        let unsettled = |work: &mut Work| work.others_left != Some(0);
        let (_work, timeout) = self
            .0
            .changed
            .wait_timeout_while(self.work(), patience, unsettled)
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            tracing::warn!("Some modules are not loaded yet");
        }
    }

    /// Loads more modules when no device waits for its own.
    pub(super) fn also(&self, names: &[&str]) {
        let mut work = self.work();
        for name in names {
            if work.asked.insert((*name).into()) {
                work.others.push_back((*name).into());
            }
        }
        drop(work);
        self.0.changed.notify_all();
    }

    fn find_devices(&self, uevents: &Uevents, always: &[&str]) {
        self.walk();
        let mut work = self.work();
        for name in always {
            if work.asked.insert((*name).into()) {
                work.others.push_back((*name).into());
            }
        }
        work.others_left = Some(work.others.len());
        drop(work);
        self.0.changed.notify_all();
        loop {
            match uevents.wait() {
                Ok(Some(announcement)) => {
                    if let Some(modalias) = modalias(&announcement) {
                        self.ask_drivers(modalias);
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

    /// Asks for the drivers of every device in sysfs.
    fn walk(&self) {
        let mut folders = vec![self.0.root.path("sys/devices")];
        while let Some(folder) = folders.pop() {
            if let Ok(modalias) = fs::read_to_string(folder.join("modalias")) {
                self.ask_drivers(modalias.trim_end());
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

    fn ask_drivers(&self, modalias: &str) {
        for driver in self.0.index.drivers(modalias) {
            let mut work = self.work();
            if work.asked.insert(driver.into()) {
                work.devices.push_back(driver.into());
                self.0.changed.notify_all();
            }
        }
    }

    fn load_for_ever(&self) {
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
            drop(work);
            if let Some(module) = device {
                self.load(&module);
            } else if let Some(module) = other {
                self.load(&module);
                let mut work = self.work();
                work.others_left = work.others_left.map(|left| left.saturating_sub(1));
                self.0.changed.notify_all();
            }
        }
    }

    fn load(&self, module: &str) {
        let files = self.0.index.files(module);
        if files.is_empty() {
            tracing::warn!(module, "There is no such module");
        }
        for file in files {
            let load = || module::load(File::open(self.0.folder.join(file))?.as_fd());
            if let Err(error) = load() {
                // Ordinary: a driver whose alias is wider than its hardware.
                tracing::info!(module, file, %error, "A module does not load");
                return;
            }
        }
        tracing::debug!(module, "Loaded a module");
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn modules_folder(root: &Root) -> Result<PathBuf, Error> {
    let path = root.path("proc/sys/kernel/osrelease");
    match fs::read_to_string(&path) {
        Ok(release) => Ok(root.path("lib/modules").join(release.trim())),
        Err(source) => Err(Error::Index { path, source }),
    }
}

fn index(folder: &Path) -> Result<ModuleIndex, Error> {
    let read = |name| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|source| Error::Index { path, source })
    };
    Ok(ModuleIndex::parse(
        &read("modules.dep")?,
        &read("modules.alias")?,
        &read("modules.softdep")?,
    ))
}

/// The `modalias` of a device that came.
fn modalias(announcement: &[u8]) -> Option<&str> {
    let mut words = announcement.split(|byte| *byte == 0);
    if !words.next()?.starts_with(b"add@") {
        return None;
    }
    let modalias = words.find_map(|word| word.strip_prefix(b"MODALIAS="))?;
    std::str::from_utf8(modalias).ok()
}

/// A slow controller's driver takes one of them for a while.
const WORKERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_came_tells_its_modalias() {
        let came = b"add@/devices/pci0000:00/virtio0\0ACTION=add\0MODALIAS=virtio:d1v2\0SEQNUM=7\0";
        assert_eq!(modalias(came), Some("virtio:d1v2"));
        assert_eq!(modalias(&came[1..]), None);
        assert_eq!(modalias(b"remove@/x\0MODALIAS=virtio:d1v2\0"), None);
        assert_eq!(modalias(b"add@/x\0ACTION=add\0"), None);
        assert_eq!(modalias(b""), None);
    }

    #[test]
    fn every_device_in_sysfs_asks_for_its_driver_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        for device in ["pci0/a/virtio0", "pci0/b/virtio1"] {
            let path = root.path("sys/devices").join(device);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("modalias"), "virtio:d1v2\n").unwrap();
        }
        let modules = Modules(Arc::new(Shared {
            root,
            folder: PathBuf::new(),
            index: ModuleIndex::parse("", "alias virtio:d1v* virtio_net\n", ""),
            work: Mutex::default(),
            changed: Condvar::new(),
        }));
        modules.walk();
        assert_eq!(modules.work().devices, ["virtio_net"]);
    }
}
