//! Drivers that the ramdisk omits: the file `modules.omitted`, which `image/build.sh` writes from
//! the kernel's package.
//!
//! ```text
//! alias pci:v000014E4d0000168Esv*sd*bc*sc*i* bnx2x
//! firmware bnx2x bnx2x/bnx2x-e2-7.13.21.0.fw
//! ```

use super::module_alias::{AliasTable, normalized};
use std::collections::HashMap;

/// Omitted drivers by the devices they support.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OmittedDrivers {
    aliases: AliasTable,
    firmware: HashMap<String, String>,
}

/// Driver that the ramdisk omits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OmittedDriver<'a> {
    /// Name of the module.
    pub module: &'a str,
    /// Firmware files that the module requests, separated by blanks.
    pub firmware: Option<&'a str>,
}

impl OmittedDrivers {
    /// Parses the file. Other lines are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let firmware = text.lines().filter_map(|line| {
            let (module, files) = line.strip_prefix("firmware ")?.split_once(' ')?;
            Some((normalized(module), files.trim().to_owned()))
        });
        Self {
            aliases: AliasTable::parse(text),
            firmware: firmware.collect(),
        }
    }

    /// Returns the driver for a device with this `modalias`.
    #[must_use]
    pub fn find<'a>(&'a self, modalias: &'a str) -> Option<OmittedDriver<'a>> {
        let module = self.aliases.modules(modalias).next()?;
        let firmware = self.firmware.get(module).map(String::as_str);
        Some(OmittedDriver { module, firmware })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_finds_the_driver_that_was_left_out_and_its_firmware() {
        let omitted = OmittedDrivers::parse(
            "# comment\n\
             alias pci:v000014E4d0000168Esv*sd*bc*sc*i* bnx2x\n\
             alias pci:v00001077d00008070sv*sd*bc02sc00i* qede\n\
             alias pci:v00001AE0d00000042sv*sd*bc*sc*i* gve\n\
             firmware bnx2x bnx2x/a.fw bnx2x/b.fw\n\
             firmware qede qed/c.bin\n\
             firmware\n",
        );
        let find = |device: &str, class| {
            omitted
                .find(&format!("pci:{device}sv1sd1bc{class}i00"))
                .map(|driver| (driver.module.to_owned(), driver.firmware.map(str::to_owned)))
        };
        let driver = |module: &str, firmware: Option<&str>| {
            Some((module.to_owned(), firmware.map(str::to_owned)))
        };
        assert_eq!(
            find("v000014E4d0000168E", "02sc00"),
            driver("bnx2x", Some("bnx2x/a.fw bnx2x/b.fw"))
        );
        assert_eq!(
            find("v00001077d00008070", "02sc00"),
            driver("qede", Some("qed/c.bin"))
        );
        assert_eq!(find("v00001AE0d00000042", "02sc00"), driver("gve", None));
        assert_eq!(find("v00001AE0d00000043", "02sc00"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, modalias: String) {
            let _driver = OmittedDrivers::parse(&text).find(&modalias);
        }
    }
}
