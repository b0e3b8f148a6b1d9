//! Boot loader of the written disk.

use super::Machine;
use crate::bootloader::efi;
use crate::error::{AgentError, ErrorClass};
use crate::progress::Cancel;
use crate::steps::context::Commander;

/// Boot loader requested by Ironic (`image.install_bootloader`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootLoader {
    /// UUID of the root file system, or the disk's identifier for whole-disk images.
    pub root_uuid: Option<String>,
    /// UUID of the EFI system partition, if Ironic knows it.
    pub efi_partition: Option<String>,
    /// Boot mode: `uefi` or `bios`.
    pub target_boot_mode: String,
}

impl Machine {
    /// Makes the written disk the first in the firmware's boot order.
    ///
    /// # Errors
    /// There is no EFI system partition, the firmware fails, or a BIOS boot loader is requested.
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
            efi::install(&self.root, &device.path(), partition, cancel)?;
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
}
