//! The machine as commands and steps see it: its node, the disk for the operating system, what was written.

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

/// How the machine is to be treated: plain values from configuration and lookup.
#[derive(Debug)]
pub struct Settings {
    /// How images are fetched and which are accepted.
    pub imaging: imaging::Settings,
    /// Whether config drives are written as they come.
    pub config_drive: configdrive::Form,
    /// Whether disks with shared file systems are guarded.
    pub guard_shared_file_systems: bool,
    /// How long to wait for the first disk.
    pub disk_wait: WaitPolicy,
    /// Which clocks are set, and whether they must be.
    pub clock: clock::ClockSettings,
    /// The steps' priorities, where the operator sets them.
    pub priorities: Priorities,
    /// Whether an installed system may be written to.
    pub installed_system: InstalledSystem,
    /// The interface the machine was booted from, as the boot loader wrote it.
    pub boot_interface: Option<String>,
    /// Whether the management controller is left alone (`agent_skip_bmc_detect` of the lookup).
    pub skip_bmc: bool,
}

/// Priorities by the steps' names.
pub type Priorities = BTreeMap<&'static str, u32>;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    pub(super) root: Root,
    pub(super) settings: Settings,
    state: Mutex<State>,
    /// The management controller is slow: its responses are kept.
    bmc: Mutex<bmc::Detection>,
    node_source: Option<Box<dyn NodeSource>>,
}

/// Where the node can be had anew.
pub trait NodeSource: Debug + Send + Sync {
    /// The node; `None` when it cannot be had. May take long.
    fn node(&self) -> Option<Node>;
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The node as Ironic last sent it.
    node: Option<Arc<Node>>,
    /// The node that a command of somebody else is about, while it runs.
    lent: Option<Arc<Node>>,
    /// The node whose disks were waited for.
    waited_for: Option<String>,
    pub(super) written: Option<Written>,
}

/// What the last deployment put where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) image: String,
    /// As Ironic announced it.
    pub(super) format: Option<String>,
    pub(super) checksum: Expected,
    pub(super) disk: Chosen,
    pub(super) root_uuid: String,
    /// Who had it written.
    pub(super) by: Commander,
    pub(super) whole_for: WholeFor,
}

/// For whom what was written is still that image, and nothing of somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WholeFor {
    /// Nothing was changed since.
    Anyone,
    /// It got the config drive or files of this instance, by its `instance_uuid`.
    Instance(String),
    /// A user changed something, or it is not known whose it is.
    Unknown,
}

impl WholeFor {
    /// The same when an instance's own was put beside it.
    pub(super) fn with_own_of(&self, instance: Option<&str>) -> Self {
        match (self, instance) {
            (Self::Anyone, Some(instance)) => Self::Instance(instance.to_owned()),
            (Self::Instance(known), Some(instance)) if known == instance => self.clone(),
            _ => Self::Unknown,
        }
    }

    /// Whether an instance finds the image there.
    pub(super) fn is_for(&self, instance: Option<&str>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Instance(known) => instance == Some(known),
            Self::Unknown => false,
        }
    }
}

impl Machine {
    /// The machine below `root`.
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

    /// Remembers the node that the lookup found: until a command tells more of it.
    pub fn remember_node(&self, node: Node) {
        let mut state = self.state();
        state.node = Some(Arc::new(node));
        // What Ironic says of it now is newer than what somebody else said.
        state.lent = None;
    }

    /// Looks at the node as Ironic last sent it.
    pub fn with_node<R>(&self, look: impl FnOnce(Option<&Node>) -> R) -> R {
        look(self.state().node.as_deref())
    }

    /// Leave to write to disks, firmware and the power state.
    ///
    /// # Errors
    /// See [`Permit::ask`].
    pub fn permit(&self) -> Result<Permit, PermitDenied> {
        Permit::obtain(&self.root, self.settings.installed_system)
    }

    /// Remembers the node that Ironic speaks of. Waits for disks when it is another than before.
    pub fn set_node(&self, node: Node, cancel: &Cancel) {
        let uuid = node.uuid.clone();
        let wishes = {
            let mut state = self.state();
            state.node = Some(Arc::new(node));
            let known = state.waited_for.replace(uuid.clone());
            (known.as_ref() != Some(&uuid)).then(|| disk_selection(&state))
        };
        // A machine without disks can still be asked for its steps, and says why when it is to use one.
        if let Some(Ok(wishes)) = wishes {
            let patience = self.settings.disk_wait;
            let _told = wait::root_device(&self.root, &wishes, patience, cancel);
        }
    }

    /// What the machine is, as Ironic's inventory.
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

    /// Reads and checks `image_info`.
    ///
    /// # Errors
    /// `InvalidCommandParamsError` with IPA's texts.
    pub fn image(&self, info: &Map<String, Value>) -> Result<ImageInfo, AgentError> {
        Ok(ImageInfo::parse(info, self.settings.imaging.md5)?)
    }

    /// Writes what is cached to the disks.
    ///
    /// # Errors
    /// `CommandExecutionError` when a disk does not take it, or does not respond.
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

    /// The disk for the operating system.
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

    /// Something on a disk is about to be changed. Ironic knows what it changes itself; what a user changes is no more the
    /// image that Ironic had written, and is not left there when Ironic wants that image again.
    pub(super) fn changes(&self, commander: Commander) {
        if commander == Commander::User
            && let Some(written) = &mut self.state().written
        {
            written.whole_for = WholeFor::Unknown;
        }
    }

    /// The disk is about to get what is one instance's: its config drive, its files. Another one must not find them there.
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
    /// The node that the command of this moment is about.
    pub(super) fn node(&self) -> Option<&Arc<Node>> {
        self.lent.as_ref().or(self.node.as_ref())
    }

    /// Whose the machine is to be.
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

/// Time for the data of a large image to reach a slow disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
