//! Reports network and storage controllers whose driver the ramdisk leaves out: whoever reads the console would look for a reason
//! for a long time.

use super::loader::Loader;
use crate::error::chain;
use crate::formats::omitted_drivers::OmittedDrivers;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The drivers that were left out, and the devices that were reported.
#[derive(Debug, Default)]
pub(super) struct MissingDrivers {
    omitted: OmittedDrivers,
    reported: Mutex<HashSet<PathBuf>>,
}

/// A controller without its driver.
#[derive(Debug, PartialEq, Eq)]
struct Missing<'a> {
    kind: &'static str,
    driver: &'a str,
    reason: String,
}

impl MissingDrivers {
    /// Reads the list. A ramdisk without one reports nothing.
    pub(super) fn open(loader: &Loader) -> Self {
        let text = loader.table(TABLE).inspect_err(|error| {
            tracing::info!(
                error = chain(error),
                "controllers without a driver are not reported"
            );
        });
        Self::new(OmittedDrivers::parse(&text.unwrap_or_default()))
    }

    fn new(omitted: OmittedDrivers) -> Self {
        Self {
            omitted,
            reported: Mutex::default(),
        }
    }

    /// Logs a controller, given by its folder in sysfs, whose driver was left out: once.
    pub(super) fn warn(&self, device: &Path, modalias: &str) {
        if let Some(missing) = self.find(device, modalias)
            && self.is_first(device)
        {
            let address = device.file_name().unwrap_or_default().to_string_lossy();
            tracing::warn!(
                device = %address,
                modalias,
                driver = missing.driver,
                reason = missing.reason,
                "this {} controller cannot be used: its driver is not in the ramdisk",
                missing.kind
            );
        }
    }

    fn find<'a>(&'a self, device: &Path, modalias: &'a str) -> Option<Missing<'a>> {
        let kind = controller(modalias)?;
        let driver = self.omitted.find(modalias)?;
        // The kernel itself may have one, too.
        if device.join("driver").exists() {
            return None;
        }
        let reason = match driver.firmware {
            Some(files) => {
                let first = files.split(' ').next().unwrap_or_default();
                format!("it asks for firmware files, and the ramdisk has none ({first}, …)")
            }
            None => "it is not among the ramdisk's drivers (image/modules.list)".into(),
        };
        Some(Missing {
            kind,
            driver: driver.module,
            reason,
        })
    }

    fn is_first(&self, device: &Path) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.len() < MAX_REPORTED && reported.insert(device.into())
    }
}

/// What kind of controller a PCI device is, where disks or networks may be behind it (PCI Code and ID Assignment, base and sub
/// classes): `pci:v…d…sv…sd…bc02sc00i00`.
fn controller(modalias: &str) -> Option<&'static str> {
    let (_, class) = modalias.strip_prefix("pci:")?.rsplit_once("bc")?;
    match class.split_at_checked(2)? {
        ("01", _) => Some("storage"),
        ("02", _) => Some("network"),
        ("0C", sub) if sub.starts_with("sc04") => Some("Fibre Channel"),
        ("0C", sub) if sub.starts_with("sc06") => Some("InfiniBand"),
        _ => None,
    }
}

const TABLE: &str = "modules.omitted";
const MAX_REPORTED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_controller_without_its_driver_is_reported_once_with_the_reason() {
        let missing = MissingDrivers::new(OmittedDrivers::parse(
            "alias pci:v000014E4d0000168Esv*sd*bc*sc*i* bnx2x\n\
             alias pci:v00001000d00000012sv*sd*bc*sc*i* sym53c8xx\n\
             firmware bnx2x bnx2x/a.fw bnx2x/b.fw\n",
        ));
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("0000:3b:00.0");
        fs::create_dir(&device).unwrap();
        let network = "pci:v000014E4d0000168Esv00000000sd00000000bc02sc00i00";
        let storage = "pci:v00001000d00000012sv00000000sd00001000bc01sc00i00";
        let expected = |kind, driver, reason: &str| {
            Some(Missing {
                kind,
                driver,
                reason: reason.into(),
            })
        };
        assert_eq!(
            missing.find(&device, network),
            expected(
                "network",
                "bnx2x",
                "it asks for firmware files, and the ramdisk has none (bnx2x/a.fw, …)"
            )
        );
        assert_eq!(
            missing.find(&device, storage),
            expected(
                "storage",
                "sym53c8xx",
                "it is not among the ramdisk's drivers (image/modules.list)"
            )
        );
        assert_eq!(
            missing.find(&device, &network.replace("bc02", "bc03")),
            None
        );
        assert!(missing.is_first(&device) && !missing.is_first(&device));
        fs::create_dir(device.join("driver")).unwrap();
        assert_eq!(missing.find(&device, network), None);
    }

    #[test]
    fn controllers_are_known_by_their_class() {
        for (class, kind) in [
            ("01sc08i02", Some("storage")),
            ("02sc00i00", Some("network")),
            ("0Csc04i00", Some("Fibre Channel")),
            ("0Csc03i30", None),
            ("03sc00i00", None),
        ] {
            let modalias = format!("pci:v00008086d0000ABCDsv0000BC02sd00000000bc{class}");
            assert_eq!(controller(&modalias), kind, "{class}");
        }
        assert_eq!(controller("usb:v1bc02"), None);
        assert_eq!(controller("pci:"), None);
        assert_eq!(controller("pci:bcé"), None);
    }
}
