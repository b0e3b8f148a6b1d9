//! The machine as commands and steps see it: its node, the root device, and the written image.

pub(super) mod boot_loader;
pub(super) mod lent;
mod refresh;
mod shutdown;

use super::context::Commander;
use crate::error::{AgentError, ErrorClass};
use crate::imaging::configdrive;
use crate::imaging::{self, Expected, ImageInfo};
use crate::inventory::{self, bmc, wire};
use crate::machine::wait::{self, WaitPolicy};
use crate::machine::{InstalledSystem, Permit, PermitDenied, clock};
use crate::node::Node;
use crate::node::root_device::DiskSelection;
use crate::progress::{Cancel, run_with_timeout};
use crate::root::Root;
use crate::storage::chosen::Chosen;
use crate::storage::device::{self, BlockDevice};
use crate::sys::block;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Settings of the machine: plain values from configuration and lookup.
#[derive(Debug)]
pub struct Settings {
    /// Download settings and accepted formats of images.
    pub imaging: imaging::Settings,
    /// Form in which config drives are written.
    pub config_drive: configdrive::Form,
    /// Whether disks with shared file systems are protected.
    pub guard_shared_file_systems: bool,
    /// Wait for the first disk.
    pub disk_wait: WaitPolicy,
    /// Clocks to set, and whether failures are errors.
    pub clock: clock::ClockSettings,
    /// Priorities of steps that the operator configured.
    pub priorities: Priorities,
    /// Whether changes of an installed system are allowed.
    pub installed_system: InstalledSystem,
    /// Interface the machine booted from, as written by the boot loader.
    pub boot_interface: Option<String>,
    /// Whether the management controller is not queried (`agent_skip_bmc_detect` of the lookup).
    pub skip_bmc: bool,
}

/// Priorities by step name.
pub type Priorities = BTreeMap<&'static str, u32>;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    pub(super) root: Root,
    pub(super) settings: Settings,
    state: Mutex<State>,
    /// Cached responses of the management controller, which is slow.
    bmc: Mutex<bmc::Detection>,
    node_source: Option<Box<dyn NodeSource>>,
}

/// Source of the current node.
pub trait NodeSource: Debug + Send + Sync {
    /// Returns the current node; `None` if it is unavailable. May block for long.
    fn node(&self) -> Option<Node>;
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Node as last sent by Ironic.
    node: Option<Arc<Node>>,
    /// Node of a user's command, while the command runs.
    lent: Option<Arc<Node>>,
    /// UUID of the node whose disks were waited for.
    waited_for: Option<String>,
    pub(super) written: Option<Written>,
}

/// Image and disk of the last deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) image: String,
    /// Format in Ironic's `image_info`.
    pub(super) format: Option<String>,
    pub(super) checksum: Expected,
    pub(super) disk: Chosen,
    pub(super) root_uuid: String,
    /// Commander of the deployment.
    pub(super) by: Commander,
    pub(super) whole_for: WholeFor,
}

/// Instances for which the written image is intact, without another instance's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WholeFor {
    /// Unchanged since it was written.
    Anyone,
    /// Changed by the config drive or files of this instance, by its `instance_uuid`.
    Instance(String),
    /// Changed by a user, or for an unknown instance.
    Unknown,
}

impl WholeFor {
    /// Returns the value after data of an instance was written.
    pub(super) fn with_own_of(&self, instance: Option<&str>) -> Self {
        match (self, instance) {
            (Self::Anyone, Some(instance)) => Self::Instance(instance.to_owned()),
            (Self::Instance(known), Some(instance)) if known == instance => self.clone(),
            _ => Self::Unknown,
        }
    }

    /// Returns whether the image is intact for an instance.
    pub(super) fn is_for(&self, instance: Option<&str>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Instance(known) => instance == Some(known),
            Self::Unknown => false,
        }
    }
}

impl Machine {
    /// Returns a machine with the files below `root`.
    #[must_use]
    pub fn new(root: Root, settings: Settings) -> Self {
        Self {
            root,
            settings,
            state: Mutex::default(),
            bmc: Mutex::default(),
            node_source: None,
        }
    }

    /// Stores the node that the lookup found, until a command sends a newer one.
    pub fn remember_node(&self, node: Node) {
        let mut state = self.state();
        state.node = Some(Arc::new(node));
        // Ironic's node is newer than a user's.
        state.lent = None;
    }

    /// Calls a function with the node as last sent by Ironic.
    pub fn with_node<R>(&self, look: impl FnOnce(Option<&Node>) -> R) -> R {
        look(self.state().node.as_deref())
    }

    /// Obtains a permit to write to disks, firmware and the power state.
    ///
    /// # Errors
    /// See [`Permit::obtain`].
    pub fn permit(&self) -> Result<Permit, PermitDenied> {
        Permit::obtain(&self.root, self.settings.installed_system)
    }

    /// Stores the node of Ironic's command. Waits for disks if the node is another than before.
    pub fn set_node(&self, node: Node, cancel: &Cancel) {
        let uuid = node.uuid.clone();
        let wishes = {
            let mut state = self.state();
            state.node = Some(Arc::new(node));
            let known = state.waited_for.replace(uuid.clone());
            (known.as_ref() != Some(&uuid)).then(|| disk_selection(&state))
        };
        // A machine without disks can still list its steps. The error is returned when a step uses
        // a disk.
        if let Some(Ok(wishes)) = wishes {
            let patience = self.settings.disk_wait;
            let _told = wait::root_device(&self.root, &wishes, patience, cancel);
        }
    }

    /// Returns the inventory as Ironic reads it.
    #[must_use]
    pub fn inventory(&self) -> Value {
        let bmc = match self.settings.skip_bmc {
            true => None,
            false => {
                let mut detection = self.bmc.lock().unwrap_or_else(PoisonError::into_inner);
                detection.bmc(&self.root)
            }
        };
        let boot_interface = self.settings.boot_interface.as_deref();
        wire::inventory(&inventory::collect(&self.root, boot_interface, bmc))
    }

    /// Parses and checks `image_info`.
    ///
    /// # Errors
    /// `InvalidCommandParamsError` with IPA's texts.
    pub fn image(&self, info: &Map<String, Value>) -> Result<ImageInfo, AgentError> {
        Ok(ImageInfo::parse(info, self.settings.imaging.md5)?)
    }

    /// Flushes cached writes to the disks.
    ///
    /// # Errors
    /// `CommandExecutionError` if a disk fails or does not respond.
    pub fn flush(&self) -> Result<(), AgentError> {
        self.flush_with(block::sync_within)
    }

    fn flush_with(&self, sync: impl FnOnce(Duration) -> Option<()>) -> Result<(), AgentError> {
        let root = self.root.clone();
        sync(FLUSH_TIMEOUT)
            .and_then(|()| run_with_timeout(FLUSH_TIMEOUT, move || flush_disks(&root)))
            .ok_or_else(|| {
                AgentError::new(
                    ErrorClass::CommandExecutionError,
                    format!(
                        "not everything was written to the disks within {} seconds: a disk does not respond, see the kernel's log",
                        FLUSH_TIMEOUT.as_secs()
                    ),
                )
            })?
    }

    /// Returns the root device.
    pub(super) fn install_device(&self) -> Result<Chosen, AgentError> {
        let device = self.disk_selection()?.root_device(self.disks()?)?;
        Ok(Chosen::new(&self.root, &device))
    }

    pub(super) fn disks(&self) -> Result<Vec<BlockDevice>, AgentError> {
        Ok(device::list(&self.root)?)
    }

    pub(super) fn disk_selection(&self) -> Result<DiskSelection, AgentError> {
        disk_selection(&self.state())
    }

    /// Records that a disk is about to be changed. Ironic knows its own changes. After a user's
    /// change, the disk no longer holds Ironic's image, and the image is written again when Ironic
    /// requests it.
    pub(super) fn changes(&self, commander: Commander) {
        if commander == Commander::User
            && let Some(written) = &mut self.state().written
        {
            written.whole_for = WholeFor::Unknown;
        }
    }

    /// Records that the disk is about to get data of one instance: its config drive or files.
    /// Another instance must not find them there.
    pub(super) fn gets_own_of_instance(&self) {
        let mut state = self.state();
        let instance = state.instance().map(str::to_owned);
        if let Some(written) = &mut state.written {
            written.whole_for = written.whole_for.with_own_of(instance.as_deref());
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the node of the running command.
    pub(super) fn node(&self) -> Option<&Arc<Node>> {
        self.lent.as_ref().or(self.node.as_ref())
    }

    /// Returns the instance for which the machine is deployed.
    pub(super) fn instance(&self) -> Option<&str> {
        self.node()?.instance_uuid.as_deref()
    }
}

fn disk_selection(state: &State) -> Result<DiskSelection, AgentError> {
    Ok(state
        .node()
        .map(|node| node.disks.clone())
        .transpose()?
        .unwrap_or_default())
}

fn flush_disks(root: &Root) -> Result<(), AgentError> {
    for disk in device::list(root)? {
        if let Err(error) = flush_buffers(&root.path(&disk.name)) {
            tracing::warn!(disk = disk.name, %error, "flushing a disk's buffers failed");
        }
    }
    Ok(())
}

fn flush_buffers(disk: &Path) -> io::Result<()> {
    block::flush_buffers(File::open(disk)?.as_fd())
}

/// Allows the data of a large image to reach a slow disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
