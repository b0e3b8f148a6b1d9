//! The machine as commands see it: its node, the disk for the operating system, what was written, the steps.

mod deployment;
mod ending;
mod injecting;
pub(super) mod lent;
mod refresh;

use super::context::{Commander, StepContext};
use super::injection;
use super::managers::Phase;
use crate::error::{AgentError, ErrorClass};
use crate::imaging::configdrive;
use crate::imaging::{self, Expected, ImageInfo};
use crate::inventory::{self, bmc, wire};
use crate::machine::wait::{self, Patience};
use crate::machine::{InstalledSystem, Permit, Refusal, clock};
use crate::node::root_device::Wishes;
use crate::progress::{Cancel, run_with_timeout};
use crate::redact;
use crate::root::Root;
use crate::secret::Secret;
use crate::storage::device::{self, BlockDevice};
use crate::storage::erase::metadata::{self, ArrayMembers, ReadOnly, Shared};
use crate::sys::block;
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    pub disk_patience: Patience,
    /// Which clocks are set, and whether they must be.
    pub clock: clock::Wishes,
    /// When the files of the operator are injected; 0 only when asked for.
    pub inject_files_priority: u8,
    /// Whether an installed system may be written to.
    pub installed_system: InstalledSystem,
    /// The interface the machine was booted from, as the boot loader wrote it.
    pub boot_interface: Option<String>,
    /// Whether the management controller is left alone (`agent_skip_bmc_detect` of the lookup).
    pub skip_bmc: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    root: Root,
    settings: Settings,
    state: Mutex<State>,
    /// The management controller is slow: its responses are kept.
    bmc: Mutex<bmc::Detection>,
    node_source: Option<Box<dyn NodeSource>>,
}

/// Where the node can be had anew.
pub trait NodeSource: Debug + Send + Sync {
    /// The node; `None` when it cannot be had. May take long.
    fn node(&self) -> Option<Map<String, Value>>;
}

#[derive(Debug, Default)]
struct State {
    /// The node as Ironic last sent it.
    node: Option<Value>,
    /// The node that a command of somebody else is about, while it runs.
    lent: Option<Value>,
    /// The node whose disks were waited for.
    waited_for: Option<String>,
    written: Option<Written>,
}

/// What the last deployment put where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    image: String,
    /// As Ironic announced it.
    format: Option<String>,
    checksum: Expected,
    device: PathBuf,
    root_uuid: String,
    /// Who had it written.
    by: Commander,
    /// Whether no user changed anything since.
    is_whole: bool,
}

/// Which boot loader Ironic wants (`image.install_bootloader`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootLoader {
    /// UUID of the root file system, or the disk's identifier for whole-disk images.
    pub root_uuid: Option<String>,
    /// UUID of the EFI system partition, where Ironic knows it.
    pub efi_partition: Option<String>,
    /// `uefi` or `bios`.
    pub target_boot_mode: String,
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
    pub fn remember_node(&self, node: Value) {
        let mut state = self.state();
        state.node = Some(without_secrets(node));
        // What Ironic says of it now is newer than what somebody else said.
        state.lent = None;
    }

    /// Looks at the node as Ironic last sent it.
    pub fn with_node<R>(&self, look: impl FnOnce(Option<&Value>) -> R) -> R {
        look(self.state().node.as_ref())
    }

    /// Leave to write to disks, firmware and the power state.
    ///
    /// # Errors
    /// See [`Permit::ask`].
    pub fn permit(&self) -> Result<Permit, Refusal> {
        Permit::ask(&self.root, self.settings.installed_system)
    }

    /// Remembers the node that Ironic speaks of. Waits for disks when it is another than before.
    ///
    /// # Errors
    /// The node has no `uuid`.
    pub fn take_node(&self, node: Map<String, Value>, cancel: &Cancel) -> Result<(), AgentError> {
        let uuid = uuid(&node)?.to_owned();
        let wishes = {
            let mut state = self.state();
            state.node = Some(without_secrets(Value::Object(node)));
            let known = state.waited_for.replace(uuid.clone());
            (known.as_ref() != Some(&uuid)).then(|| wishes(&state))
        };
        // A machine without disks can still be asked for its steps, and says why when it is to use one.
        if let Some(Ok(wishes)) = wishes {
            let patience = self.settings.disk_patience;
            let _told = wait::root_device(&self.root, &wishes, patience, cancel);
        }
        Ok(())
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

    /// The answer to `get_T_steps`.
    #[must_use]
    pub fn offer(&self, phase: Phase) -> Value {
        phase.offer(self.settings.inject_files_priority)
    }

    /// Runs a step of a kind with its arguments.
    ///
    /// # Errors
    /// The step is not offered, or failed.
    pub fn run_step(
        &self,
        phase: Phase,
        name: &str,
        mut arguments: Map<String, Value>,
        context: StepContext<'_>,
    ) -> Result<Value, AgentError> {
        // Only what is offered can be run: a step is no way to any function by its name.
        if !phase.offers(name) {
            return Err(AgentError::new(
                ErrorClass::HardwareManagerMethodNotFound,
                format!("Could not find method: {name}"),
            ));
        }
        match name {
            "erase_devices_metadata" => {
                nothing_else(name, &arguments)?;
                self.erase_metadata(context.cancel)
            }
            "inject_files" => {
                let files = arguments.remove("files");
                let verify = match arguments.remove("verify_ca") {
                    None | Some(Value::Null) => true,
                    Some(Value::Bool(verify)) => verify,
                    Some(_) => return Err(wrong_argument(name, "verify_ca", "true or false")),
                };
                nothing_else(name, &arguments)?;
                let request = injection::Request {
                    files: files.as_ref(),
                    ports: context.ports,
                    verify,
                };
                self.inject_files(request, context.commander, context.cancel)?;
                Ok(Value::Null)
            }
            "write_image" => {
                let image = match arguments.remove("image_info") {
                    Some(Value::Object(info)) => self.image(&info)?,
                    _ => return Err(wrong_argument(name, "image_info", "an object")),
                };
                let config_drive = match arguments.remove("configdrive") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(text)) => Some(Secret::new(text)),
                    Some(_) => return Err(wrong_argument(name, "configdrive", "a string or null")),
                };
                nothing_else(name, &arguments)?;
                let text = self.prepare_image(image, config_drive, context)?;
                Ok(json!({"result": format!("prepare_image: {text}")}))
            }
            _ => Err(AgentError::new(
                ErrorClass::HardwareManagerMethodNotFound,
                format!("Could not find method: {name}"),
            )),
        }
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
    fn install_device(&self) -> Result<BlockDevice, AgentError> {
        Ok(self.wishes()?.root_device(self.disks()?)?)
    }

    fn disks(&self) -> Result<Vec<BlockDevice>, AgentError> {
        Ok(device::list(&self.root)?)
    }

    fn wishes(&self) -> Result<Wishes, AgentError> {
        wishes(&self.state())
    }

    /// Something on a disk is about to be changed. Ironic knows what it changes itself; what a user changes is no more the
    /// image that Ironic had written, and is not left there when Ironic wants that image again.
    fn changes(&self, commander: Commander) {
        if commander == Commander::User
            && let Some(written) = &mut self.state().written
        {
            written.is_whole = false;
        }
    }

    fn erase_metadata(&self, cancel: &Cancel) -> Result<Value, AgentError> {
        self.permit()?;
        let internal = |name: &str| {
            let state = self.state();
            state
                .node()?
                .get("driver_internal_info")?
                .get(name)?
                .as_bool()
        };
        let rules = metadata::Rules {
            // Unlike IPA, which would leave half of a tenant's mirror readable: nothing here assembles arrays, so none is in
            // use, and a node that wants volumes kept is refused as a whole (`Wishes::of_node`).
            array_members: ArrayMembers::Erase,
            shared: if self.settings.guard_shared_file_systems
                && internal("wipe_special_filesystems") != Some(false)
            {
                Shared::Protect
            } else {
                Shared::Erase
            },
            // As IPA: only erasing whole disks (`agent_erase_skip_read_only`) has a choice here.
            read_only: ReadOnly::Skip,
        };
        let all = self.disks()?;
        let disks = self.wishes()?.without_skipped(all.clone());
        for disk in all.iter().filter(|disk| !disks.contains(disk)) {
            tracing::info!(
                disk = disk.name,
                "a disk in skip_block_devices is not erased"
            );
        }
        let paths: Vec<_> = disks
            .into_iter()
            .map(|disk| self.root.path(disk.name))
            .collect();
        // Even when some disk cannot be erased, the one with the image may be.
        self.state().written = None;
        metadata::erase(&self.root, &paths, rules, cancel)?;
        Ok(Value::Null)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The node that the command of this moment is about.
    fn node(&self) -> Option<&Value> {
        self.lent.as_ref().or(self.node.as_ref())
    }
}

/// The node without the secrets that Ironic masks in what it sends (ironic/objects/node.py: `Node.as_dict`), should it send
/// them one day. Its properties stay: the files to inject are there.
fn without_secrets(mut node: Value) -> Value {
    for name in ["driver_info", "instance_info", "driver_internal_info"] {
        if let Some(info) = node.get_mut(name) {
            redact::mask_json(info);
        }
    }
    node
}

/// Which node it is.
fn uuid(node: &Map<String, Value>) -> Result<&str, AgentError> {
    node.get("uuid").and_then(Value::as_str).ok_or_else(|| {
        AgentError::new(
            ErrorClass::InvalidCommandParamsError,
            "the parameter node has no uuid",
        )
    })
}

fn wishes(state: &State) -> Result<Wishes, AgentError> {
    Ok(state
        .node()
        .map(Wishes::of_node)
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

fn wrong_argument(step: &str, name: &str, wanted: &str) -> AgentError {
    AgentError::new(
        ErrorClass::InvalidCommandParamsError,
        format!("{step}: the argument {name} must be {wanted}"),
    )
}

/// A misspelt argument would otherwise be a config drive that is silently not there.
fn nothing_else(step: &str, arguments: &Map<String, Value>) -> Result<(), AgentError> {
    match arguments.keys().next() {
        None => Ok(()),
        Some(name) => Err(AgentError::new(
            ErrorClass::InvalidCommandParamsError,
            format!("{step}: there is no argument {name}"),
        )),
    }
}

/// Time for the data of a large image to reach a slow disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
