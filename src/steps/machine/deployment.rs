//! Deploying: the image onto the disk, its config drive, its boot loader, and what Ironic asks about it afterwards.

use super::{BootLoader, Machine, Written};
use crate::bootloader::efi;
use crate::error::{AgentError, ErrorClass, chain};
use crate::imaging::configdrive::{self, Drive};
use crate::imaging::{self, ConfiguredAuth, ImageInfo};
use crate::progress::Cancel;
use crate::redact::redact;
use crate::secret::Secret;
use crate::steps::context::{Commander, StepContext};
use crate::storage;
use crate::storage::disk::{Access, Disk};
use crate::storage::partition::{self, Partition};
use serde_json::{Map, Value};
use std::path::Path;
use url::Url;

impl Machine {
    /// Writes an image and its config drive to the disk for the operating system: Ironic's sentence about it.
    ///
    /// # Errors
    /// See [`imaging::write_image`] and [`configdrive::install`]; no disk; no partition table after writing.
    pub fn prepare_image(
        &self,
        mut image: ImageInfo,
        config_drive: Option<Secret<String>>,
        context: StepContext<'_>,
    ) -> Result<String, AgentError> {
        let StepContext {
            commander,
            cancel,
            progress,
            ..
        } = context;
        if commander == Commander::User {
            // Its servers are the user's.
            image.configured_auth = ConfiguredAuth::Withheld;
        }
        self.permit()?;
        self.refresh_node()?;
        let device = self.install_device()?;
        let path = self.root.path(&device.name);
        let config_drive = config_drive.as_ref().or(image.config_drive.as_ref());
        // Looked into before the disk is touched: a drive that is no drive must not cost what is there.
        let drive = config_drive
            .map(|text| {
                Drive::from_text(text.expose(), &self.node_uuid(), &|url| {
                    self.fetch(url, cancel)
                })
            })
            .transpose()?;
        let written = match self.already_written(&image, &path, commander, cancel)? {
            Some(written) => {
                tracing::info!(
                    image = image.id,
                    device = device.name,
                    "the image is on the disk already"
                );
                written
            }
            None => self.write(&image, &path, context)?,
        };
        if let Some(drive) = drive {
            progress.phase("writing config drive", Some(drive.bytes()));
            configdrive::install(
                &self.root,
                &path,
                &drive,
                self.settings.config_drive,
                cancel,
            )?;
        }
        let root_uuid = written.root_uuid.clone();
        self.state().written = Some(written);
        Ok(format!(
            "image ({}) written to device {} root_uuid={root_uuid}",
            // Ironic names an image after its address, with what signs that.
            redact(&image.id),
            device.name
        ))
    }

    /// What Ironic asks after writing: names with spaces are the protocol's. Empty before, and for Ironic where it was a user who
    /// had the last image written.
    #[must_use]
    pub fn partition_uuids(&self, asker: Commander) -> Map<String, Value> {
        let written = self.state().written.clone();
        written
            .filter(|written| asker == Commander::User || written.by == Commander::Ironic)
            .map(|w| ("root uuid".to_owned(), Value::from(w.root_uuid)))
            .into_iter()
            .collect()
    }

    /// Makes the written disk the first that the firmware boots.
    ///
    /// # Errors
    /// No EFI system partition, or the firmware refuses; a BIOS boot loader is wanted.
    pub fn install_bootloader(
        &self,
        wanted: &BootLoader,
        commander: Commander,
        cancel: &Cancel,
    ) -> Result<(), AgentError> {
        self.permit()?;
        self.changes(commander);
        let device = self.install_device()?;
        let firmware_is_uefi = self.root.path("sys/firmware/efi").is_dir();
        if firmware_is_uefi != (wanted.target_boot_mode == "uefi") {
            tracing::warn!(
                wanted = wanted.target_boot_mode,
                uefi = firmware_is_uefi,
                "Ironic's boot mode is not the one this machine was booted in"
            );
        }
        if firmware_is_uefi {
            let partition = wanted.efi_partition.as_deref();
            efi::install(&self.root, &self.root.path(&device.name), partition, cancel)?;
            return Ok(());
        }
        match wanted.root_uuid.as_deref() {
            None | Some("0x00000000") => Ok(()),
            Some(_) => Err(AgentError::new(
                ErrorClass::InvalidImage,
                "Install of legacy BIOS bootloaders disabled by CONF.enable_bios_bootloader_install as part of \
                 CVE-2026-43003 mitigation.",
            )),
        }
    }

    /// What was written to the disk, if it is this image: the same bytes, read in the same way. A name is not enough, for it is
    /// the end of an address, and what lies there changes. What a user had written or changed is written over.
    fn already_written(
        &self,
        image: &ImageInfo,
        device: &Path,
        commander: Commander,
        cancel: &Cancel,
    ) -> Result<Option<Written>, AgentError> {
        let written = self.state().written.clone().filter(|written| {
            (commander, written.by) == (Commander::Ironic, Commander::Ironic)
                && written.is_whole
                && written.image == image.id
                && written.device == device
                && written.format == image.disk_format
        });
        let Some(written) = written else {
            return Ok(None);
        };
        let expected = imaging::expected_checksum(image, &self.settings.imaging, cancel)?;
        Ok((written.checksum == expected).then_some(written))
    }

    fn write(
        &self,
        image: &ImageInfo,
        device: &Path,
        context: StepContext<'_>,
    ) -> Result<Written, AgentError> {
        let StepContext {
            cancel, progress, ..
        } = context;
        // Whatever happens now, what was there before is no more.
        self.state().written = None;
        let written =
            imaging::write_image(image, device, &self.settings.imaging, cancel, progress)?;
        let partitions = settle_table(device, cancel).map_err(no_table)?;
        if partitions.is_empty() {
            return Err(AgentError::new(
                ErrorClass::DeploymentError,
                format!(
                    "No partitions found on the device {} after writing the image.",
                    device.display()
                ),
            ));
        }
        Ok(Written {
            image: image.id.clone(),
            format: image.disk_format.clone(),
            checksum: written.checksum,
            device: device.to_owned(),
            root_uuid: partition::disk_identifier(device)?,
            by: context.commander,
            is_whole: true,
        })
    }

    fn fetch(
        &self,
        url: &Url,
        cancel: &Cancel,
    ) -> Result<Secret<Vec<u8>>, configdrive::FetchError> {
        let limit = usize::try_from(configdrive::MOST_ENCODED_BYTES)?;
        let network = &self.settings.imaging.network;
        Ok(Secret::new(imaging::fetch::small(
            url.as_str(),
            limit,
            network,
            cancel,
        )?))
    }

    fn node_uuid(&self) -> String {
        let state = self.state();
        let uuid = state.node().and_then(|node| node.get("uuid")?.as_str());
        uuid.unwrap_or_default().to_owned()
    }
}

/// Fits the image's partition table to its disk and tells the kernel: the partitions.
fn settle_table(device: &Path, cancel: &Cancel) -> Result<Vec<Partition>, storage::Error> {
    let fixed = partition::fix_gpt(device)?;
    tracing::debug!(device = %device.display(), ?fixed, "the GUID partition table was looked at");
    let disk = Disk::open(device, Access::Write)?;
    partition::rescan(&disk, cancel)?;
    Ok(partition::layout(&disk)?.partitions)
}

/// Operators search for IPA's sentence; a table of the wrong sector size looks like none.
fn no_table(error: storage::Error) -> AgentError {
    match error {
        storage::Error::NoTable(_) | storage::Error::Gpt(..) => AgentError::new(
            ErrorClass::DeploymentError,
            format!(
                "Unable to find a valid partition table on the disk after writing the image: {}; the image may be \
                 damaged, or made for another sector size",
                chain(&error)
            ),
        ),
        error => error.into(),
    }
}
