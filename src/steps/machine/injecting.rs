//! The step `inject_files`: files into file systems of the deployed system, before it ever runs.

use super::Machine;
use crate::error::{AgentError, ErrorClass, chain};
use crate::imaging;
use crate::progress::Cancel;
use crate::secret::Secret;
use crate::steps::context::Commander;
use crate::steps::injection::{self, Change, Content, Injection, Names, Place, Request};
use crate::storage::mounted::{Mounted, Purpose};
use crate::storage::partition::{self, Kind, Partition};
use crate::storage::{self, foreign};
use std::error::Error;
use std::path::{Path, PathBuf};

impl Machine {
    /// Writes and deletes the files of the node's properties and of the request.
    pub(super) fn inject_files(
        &self,
        request: Request<'_>,
        commander: Commander,
        cancel: &Cancel,
    ) -> Result<(), AgentError> {
        let node = self.state().node().cloned().unwrap_or_default();
        let properties = node
            .get("properties")
            .and_then(|properties| properties.get("inject_files"));
        let names = Names {
            node: &node,
            ports: request.ports,
        };
        let files = injection::read(properties, request.files, names)?;
        if files.is_empty() {
            tracing::info!("there are no files to inject");
            return Ok(());
        }
        self.permit()?;
        let disk = self.root.path(&self.install_device()?.name);
        self.changes(commander);
        for file in files {
            self.inject(&file, &disk, request.verify, cancel)?;
            tracing::info!(file = file.name, "Injected a file");
        }
        Ok(())
    }

    fn inject(
        &self,
        file: &Injection,
        disk: &Path,
        verify: bool,
        cancel: &Cancel,
    ) -> Result<(), AgentError> {
        let device = self.device_of(&file.place, disk, cancel)?;
        let failed = |error: &(dyn Error + 'static)| {
            AgentError::new(
                ErrorClass::CommandExecutionError,
                format!("Failed to process {}: {}", file.name, chain(error)),
            )
        };
        // Nothing is opened for writing before the content is there.
        let content = match &file.change {
            Change::Delete => None,
            Change::Write(content, attributes) => {
                let bytes = self.content(content, verify, cancel);
                Some((bytes.map_err(|error| failed(&error))?, *attributes))
            }
        };
        go_on(&device, cancel)?;
        let mounted = Mounted::mount(&self.root, &device, Purpose::Write);
        let mounted = mounted.map_err(|error| failed(&error))?;
        match content {
            None => foreign::delete(mounted.top(), &file.path),
            Some((bytes, attributes)) => {
                foreign::write(mounted.top(), &file.path, bytes.expose(), attributes)
            }
        }
        .map_err(|error| failed(&error))?;
        mounted.unmount().map_err(|error| failed(&error))
    }

    fn content(
        &self,
        content: &Content,
        verify: bool,
        cancel: &Cancel,
    ) -> Result<Secret<Vec<u8>>, imaging::fetch::Error> {
        let url = match content {
            Content::Bytes(bytes) => return Ok(Secret::new(bytes.expose().to_vec())),
            Content::Url(url) => url,
        };
        let settings = &self.settings.imaging;
        let mut network = settings.network.clone();
        network.tls.insecure |= !verify;
        let patience = (settings.retries, settings.interval);
        imaging::fetch::small_again(url.expose(), MOST_CONTENT, &network, patience, cancel)
            .map(Secret::new)
    }

    fn device_of(
        &self,
        place: &Place,
        disk: &Path,
        cancel: &Cancel,
    ) -> Result<PathBuf, AgentError> {
        match place {
            Place::Device(path) => Ok(self.root.path(path)),
            Place::Number(number) => {
                let mut partitions = partition::list(disk)?.partitions.into_iter();
                let partition = partitions
                    .find(|partition| partition.number == *number)
                    .ok_or_else(|| storage::Error::NoPartition(disk.into(), *number))?;
                partition::check_node(&self.root, disk, &partition)?;
                Ok(partition.node)
            }
            Place::HasFolder(folder) => self.partition_with(folder, disk, cancel),
        }
    }

    fn partition_with(
        &self,
        folder: &Path,
        disk: &Path,
        cancel: &Cancel,
    ) -> Result<PathBuf, AgentError> {
        let partitions = partition::list(disk)?.partitions;
        let mut unread = Vec::new();
        for partition in &partitions {
            go_on(&partition.node, cancel)?;
            let mounted = if is_lvm(partition) {
                Err("it belongs to a volume group of LVM".into())
            } else {
                // Replaying a log writes.
                partition::check_node(&self.root, disk, partition)
                    .map_err(|error| chain(&error))
                    .and_then(|()| {
                        Mounted::mount(&self.root, &partition.node, Purpose::Look)
                            .map_err(|error| chain(&error))
                    })
            };
            match mounted {
                Ok(mounted) if foreign::is_folder(mounted.top(), folder) => {
                    return Ok(partition.node.clone());
                }
                Ok(_) => {}
                Err(reason) => {
                    tracing::info!(partition = %partition.node.display(), reason, "a partition is not looked into");
                    unread.push(format!("; not {}: {reason}", partition.number));
                }
            }
        }
        let scanned: Vec<_> = partitions
            .iter()
            .map(|partition| partition.number.to_string())
            .collect();
        Err(AgentError::new(
            ErrorClass::DeviceNotFound,
            format!(
                "No partition found with path {}, scanned: {}{}",
                folder.display(),
                scanned.join(", "),
                unread.concat()
            ),
        ))
    }
}

/// A mount replays the log of the file system, which takes as long as it takes.
fn go_on(device: &Path, cancel: &Cancel) -> Result<(), storage::Error> {
    match cancel.is_cancelled() {
        true => Err(storage::Error::Cancelled(device.into())),
        false => Ok(()),
    }
}

/// What lies in a volume group is no file system.
fn is_lvm(partition: &Partition) -> bool {
    match partition.kind {
        Kind::Gpt(kind) => kind == crate::formats::guid::Guid::LINUX_LVM,
        Kind::Mbr(kind) => kind == LVM_OF_MBR,
    }
}

const LVM_OF_MBR: u8 = 0x8E;
/// It is held in memory until the file system takes it.
const MOST_CONTENT: usize = 256 << 20;
