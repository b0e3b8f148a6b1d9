//! Selection of the root device, and of the disks that must not be changed.
//!
//! The node configures them by `root_device` (in `instance_info`, else in `properties`) and
//! `properties.skip_block_devices`.

use std::fmt;

use crate::error::{AgentError, ErrorClass};
use crate::json::Field;
use crate::node::hints::{self, Hints};
use crate::storage::device::BlockDevice;

/// Disk selection of a node. The default for an unknown node has no hints and no skip list.
#[derive(Clone, Debug, Default)]
pub struct DiskSelection {
    root_device: Option<(Hints, String)>,
    skip: Vec<Hints>,
}

impl DiskSelection {
    /// Parses the disk selection of a node.
    ///
    /// # Errors
    /// [`Error`] if hints are invalid, or if the skip list names an array (`volume_name`). The
    /// names of arrays are not read yet, so any disk of the machine could belong to it.
    pub fn of_node(node: Field<'_>) -> Result<Self, Error> {
        let wish = |object: &str, name: &str| {
            let wish = node.member(object)?.member(name);
            // A value that is false in Python is skipped, and the next place counts.
            wish.filter(|wish| !wish.is_empty())
        };
        let root_device = ["instance_info", "properties"]
            .iter()
            .find_map(|object| wish(object, "root_device"));
        let skip = wish("properties", "skip_block_devices");
        Ok(Self {
            root_device: root_device.map(root_device_hints).transpose()?,
            skip: skip.map_or_else(|| Ok(Vec::new()), skip_list)?,
        })
    }

    /// Returns whether the node has root device hints.
    #[must_use]
    pub const fn has_hints(&self) -> bool {
        self.root_device.is_some()
    }

    /// Returns the disks that may be changed: all except those in the skip list.
    #[must_use]
    pub fn exclude_skipped(&self, mut devices: Vec<BlockDevice>) -> Vec<BlockDevice> {
        devices.retain(|device| !self.skips(device));
        devices
    }

    /// Selects the root device.
    ///
    /// With hints, it is the first disk that matches; without, the smallest one of at least 4 GiB.
    /// As in IPA, removable disks are included: internal SD modules and disks at eSATA ports are
    /// marked as removable. A machine that IPA deployed must get its next system on the same disk.
    /// Disks in the skip list, read-only disks and virtual media are excluded.
    ///
    /// # Errors
    /// [`Error`] if there is none: `DeviceNotFound` for the conductor, with the reason for each
    /// disk.
    pub fn root_device(&self, devices: Vec<BlockDevice>) -> Result<BlockDevice, Error> {
        let mut suitable = Vec::new();
        let mut unsuitable = Unsuitable(Vec::new());
        for device in devices {
            let hints = self.root_device.as_ref().map(|(hints, _)| hints);
            if hints.is_some_and(|hints| !hints.matches(&device)) {
                continue;
            }
            match self.reason_against(&device) {
                Some(reason) => unsuitable.0.push((device.name, reason)),
                None => suitable.push(device),
            }
        }
        let mut suitable = suitable.into_iter();
        match &self.root_device {
            Some((_, shown)) => suitable.next().ok_or_else(|| Error::NoneMatches {
                hints: shown.clone(),
                unsuitable,
            }),
            None => suitable
                .min_by(|one, other| (one.size, &one.name).cmp(&(other.size, &other.name)))
                .ok_or_else(|| unsuitable.without_hints()),
        }
    }

    /// Returns why a disk cannot be the root device.
    fn reason_against(&self, device: &BlockDevice) -> Option<Reason> {
        if self.skips(device) {
            Some(Reason::Skipped)
        } else if device.is_virtual_media() {
            Some(Reason::VirtualMedia)
        } else if device.read_only {
            Some(Reason::ReadOnly)
        } else if self.root_device.is_none() && device.size < MINIMUM {
            Some(Reason::TooSmall)
        } else {
            None
        }
    }

    /// Returns whether a disk is in the skip list, or lies on a disk that is: its bytes are that
    /// disk's.
    fn skips(&self, device: &BlockDevice) -> bool {
        std::iter::once(device)
            .chain(&device.below)
            .any(|device| self.skip.iter().any(|hints| hints.matches(device)))
    }
}

/// Reason why a disk is not the root device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The disk is read-only.
    #[error("is read-only")]
    ReadOnly,
    /// The disk is in the skip list.
    #[error("is in {SKIP}")]
    Skipped,
    /// The disk has less than 4 GiB, and no hints select it.
    #[error("is smaller than {MINIMUM}B")]
    TooSmall,
    /// The disk is virtual media of a management controller.
    #[error("is virtual media")]
    VirtualMedia,
}

/// Disks that were considered, by name, and why each is not the root device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsuitable(Vec<(String, Reason)>);

impl Unsuitable {
    fn without_hints(self) -> Error {
        match self.0.iter().all(|(_, reason)| *reason == Reason::TooSmall) {
            true => Error::NoneLargeEnough,
            false => Error::NoneSuitable(self),
        }
    }
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, reason)) in self.0.iter().take(MAX_NAMED).enumerate() {
            let before = if index == 0 { ": " } else { ", " };
            write!(f, "{before}{name} {reason}")?;
        }
        match self.0.len().checked_sub(MAX_NAMED) {
            Some(more @ 1..) => write!(f, ", and {more} more"),
            _ => Ok(()),
        }
    }
}

/// Reason for a missing root device. Operators search for IPA's sentences.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The root device hints are invalid.
    #[error(
        "No devices could be found using the root device hints {hints} because they failed to validate"
    )]
    Hints {
        /// Hints as JSON.
        hints: String,
        /// Error of parsing them.
        source: hints::Error,
    },
    /// There are no hints, and no disk is large enough.
    #[error(
        "No suitable device was found for deployment - root device hints were not provided and all found block devices are \
         smaller than {MINIMUM}B."
    )]
    NoneLargeEnough,
    /// No disk matches the hints, or none that matches is suitable.
    #[error("No suitable device was found for deployment using these hints {hints}{unsuitable}")]
    NoneMatches {
        /// Hints as JSON.
        hints: String,
        /// Disks that match but are not suitable.
        unsuitable: Unsuitable,
    },
    /// There are no hints and no suitable disk, but some disk is large enough.
    #[error(
        "No suitable device was found for deployment - root device hints were not provided and no block device is suitable{0}"
    )]
    NoneSuitable(Unsuitable),
    /// The hints are not an object of names and values.
    #[error("{property} of the node has not the form of root device hints: {value}")]
    NotHints {
        /// Path of the property in the node.
        property: &'static str,
        /// Value of the property.
        value: String,
    },
    /// The hints in the skip list are invalid.
    #[error("{SKIP} of the node cannot be understood")]
    Skip(#[source] hints::Error),
    /// The skip list names an array.
    #[error(
        "{SKIP} of the node names the RAID volume {volume}: arrays cannot be kept by name yet, so no disk is touched"
    )]
    SkipVolume {
        /// Name of the array.
        volume: String,
    },
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::DeviceNotFound, &error)
    }
}

fn root_device_hints(value: Field<'_>) -> Result<(Hints, String), Error> {
    let shown = value.to_string();
    match Hints::parse(object("root_device", value)?) {
        Ok(hints) => Ok((hints, shown)),
        Err(source) => Err(Error::Hints {
            hints: shown,
            source,
        }),
    }
}

fn skip_list(value: Field<'_>) -> Result<Vec<Hints>, Error> {
    let Some(list) = value.items() else {
        return Err(Error::NotHints {
            property: SKIP,
            value: value.to_string(),
        });
    };
    let hints = list.map(|entry| {
        let hints = object(SKIP, entry)?;
        if let Some(volume) = entry.member("volume_name") {
            return Err(Error::SkipVolume {
                volume: volume.to_string(),
            });
        }
        Hints::parse(hints).map_err(Error::Skip)
    });
    hints.collect()
}

fn object<'a>(
    property: &'static str,
    value: Field<'a>,
) -> Result<impl Iterator<Item = (&'a str, Field<'a>)>, Error> {
    value.members().ok_or_else(|| Error::NotHints {
        property,
        value: value.to_string(),
    })
}

const SKIP: &str = "properties.skip_block_devices";
/// Minimum size of a root device that no hints select.
const MINIMUM: u64 = 4 << 30;
/// Maximum number of disks in a message: a storage network may have hundreds.
const MAX_NAMED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use crate::storage::device::fixture::{GIB, Machine};
    use crate::storage::device::list;
    use serde_json::{Value, json};

    fn wishes(node: &Value) -> Result<DiskSelection, Error> {
        DiskSelection::of_node(Json::from(node.clone()).field())
    }

    fn machine() -> Machine {
        let machine = Machine::new();
        machine.plain_disk("sda", 20 * GIB);
        machine.plain_disk("sdb", 10 * GIB);
        machine.plain_disk("sdc", 10 * GIB);
        machine.plain_disk("sdd", GIB);
        machine
    }

    fn chosen(machine: &Machine, node: &Value) -> Result<String, String> {
        let devices = list(&machine.root()).unwrap();
        let device = wishes(node).and_then(|wishes| wishes.root_device(devices));
        device
            .map(|device| device.name)
            .map_err(|error| AgentError::from(error).details)
    }

    #[test]
    fn without_hints_the_smallest_disk_of_4_gib_is_chosen_and_then_the_first_by_name() {
        assert_eq!(chosen(&machine(), &json!({})).as_deref(), Ok("/dev/sdb"));
    }

    #[test]
    fn hints_of_the_instance_come_before_those_of_the_machine() {
        let node = json!({"instance_info": {"root_device": {"name": "/dev/sdd"}}, "properties": {"root_device": {"size": 20}}});
        assert_eq!(chosen(&machine(), &node).as_deref(), Ok("/dev/sdd"));
        let node = json!({"instance_info": {"root_device": {}}, "properties": {"root_device": {"size": 20}}});
        assert_eq!(chosen(&machine(), &node).as_deref(), Ok("/dev/sda"));
    }

    #[test]
    fn the_first_of_several_matching_disks_is_chosen() {
        let node = json!({"properties": {"root_device": {"size": ">= 10"}}});
        assert_eq!(chosen(&machine(), &node).as_deref(), Ok("/dev/sda"));
    }

    #[test]
    fn skipped_disks_are_neither_chosen_nor_listed() {
        let node =
            json!({"properties": {"skip_block_devices": [{"name": "/dev/sdb"}, {"size": 20}]}});
        assert_eq!(chosen(&machine(), &node).as_deref(), Ok("/dev/sdc"));
        let left = wishes(&node)
            .unwrap()
            .exclude_skipped(list(&machine().root()).unwrap());
        let names: Vec<_> = left.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["/dev/sdc", "/dev/sdd"]);
    }

    /// Returns a machine with a skipped disk and a device on it: a multipath device, an array, or
    /// an array on an encrypted partition.
    fn with_device_on_kept_disk(device: &str) -> Machine {
        let machine = Machine::new();
        machine.sas_disk(
            "sdx",
            1,
            10 * GIB,
            "ST600MM0208",
            "KEEP",
            0x5000_c500_a1b2_c3d7,
        );
        machine.plain_disk(device, 10 * GIB);
        match device {
            "dm-1" => machine.file("sys/block/dm-1/dm/uuid", "mpath-35000c500a1b2c3d7\n"),
            _ => machine.file(&format!("sys/block/{device}/md/level"), "raid1\n"),
        }
        let below = match device {
            "md1" => {
                machine.file("sys/block/sdx/sdx1/partition", "1\n");
                machine.folder("sys/block/dm-0/slaves/sdx1");
                machine.file("sys/block/dm-0/dm/uuid", "CRYPT-LUKS2-abc\n");
                "dm-0"
            }
            _ => "sdx",
        };
        machine.folder(&format!("sys/block/{device}/slaves/{below}"));
        machine.folder(&format!("sys/block/{below}/holders/{device}"));
        machine
    }

    #[test]
    fn what_stands_on_a_disk_to_be_kept_is_kept_too() {
        for device in ["dm-1", "md0", "md1"] {
            let machine = with_device_on_kept_disk(device);
            let node = json!({"properties": {"skip_block_devices": [{"serial": "KEEP"}]}});
            let left = wishes(&node)
                .unwrap()
                .exclude_skipped(list(&machine.root()).unwrap());
            assert_eq!(left, [], "{device}");
            let error = chosen(&machine, &node).unwrap_err();
            let reason = format!("/dev/{device} is in properties.skip_block_devices");
            assert!(error.contains(&reason), "{error}");
        }
    }

    #[test]
    fn a_multipath_device_is_found_by_the_names_of_its_paths() {
        let machine = with_device_on_kept_disk("dm-1");
        machine.plain_disk("sda", 10 * GIB);
        for hints in [
            json!({"serial": "KEEP"}),
            json!({"serial": "35000c500a1b2c3d7"}),
            json!({"wwn": "0x5000c500a1b2c3d7"}),
        ] {
            let node = json!({"properties": {"root_device": hints}});
            assert_eq!(chosen(&machine, &node).as_deref(), Ok("/dev/dm-1"));
        }
    }

    #[test]
    fn what_cannot_or_must_not_hold_a_system_is_never_chosen() {
        let machine = Machine::new();
        machine.plain_disk("sda", 10 * GIB);
        machine.file("sys/block/sda/ro", "1\n");
        machine.usb_disk("sdb", 10 * GIB, "AMI", "Virtual HDisk0", None);
        let node = json!({"properties": {"root_device": {"size": 10}}});
        assert!(chosen(&machine, &node).is_err());
        assert!(chosen(&machine, &json!({})).is_err());
    }

    /// As in IPA: a machine that it deployed must get its next system on the same disk.
    #[test]
    fn a_removable_disk_is_chosen_like_any_other() {
        let machine = Machine::new();
        machine.usb_disk("sda", 10 * GIB, "SanDisk", "Ultra", None);
        let hints = json!({"properties": {"root_device": {"size": ">= 10"}}});
        for node in [json!({}), hints] {
            assert_eq!(chosen(&machine, &node).as_deref(), Ok("/dev/sda"));
            machine.plain_disk("sdb", 20 * GIB);
            assert_eq!(chosen(&machine, &node).as_deref(), Ok("/dev/sda"));
        }
    }

    #[test]
    fn a_refusal_gives_the_true_reason_for_each_disk() {
        let machine = Machine::new();
        machine.plain_disk("sda", 10 * GIB);
        machine.file("sys/block/sda/ro", "1\n");
        machine.usb_disk("sdb", 10 * GIB, "AMI", "Virtual HDisk0", None);
        machine.plain_disk("sdc", 10 * GIB);
        machine.plain_disk("sdd", GIB);
        let skip = json!([{"name": "/dev/sdc"}]);
        let node = json!({"properties": {"skip_block_devices": skip}});
        assert_eq!(
            chosen(&machine, &node).unwrap_err(),
            "No suitable device was found for deployment - root device hints were not provided and no block device is suitable: \
             /dev/sda is read-only, /dev/sdb is virtual media, /dev/sdc is in properties.skip_block_devices, \
             /dev/sdd is smaller than 4294967296B"
        );
        let node = json!({"properties": {"skip_block_devices": skip, "root_device": {"size": 10}}});
        assert_eq!(
            chosen(&machine, &node).unwrap_err(),
            "No suitable device was found for deployment using these hints {\"size\":10}: \
             /dev/sda is read-only, /dev/sdb is virtual media, /dev/sdc is in properties.skip_block_devices"
        );
    }

    #[test]
    fn a_refusal_names_no_more_than_sixteen_disks() {
        let machine = Machine::new();
        for letter in 'a'..='r' {
            machine.plain_disk(&format!("sd{letter}"), 10 * GIB);
            machine.file(&format!("sys/block/sd{letter}/ro"), "1\n");
        }
        let error = chosen(&machine, &json!({})).unwrap_err();
        assert!(
            error.ends_with("/dev/sdp is read-only, and 2 more"),
            "{error}"
        );
    }

    #[test]
    fn all_disks_but_one_are_skipped_by_a_serial_that_it_has_among_others() {
        let machine = Machine::new();
        machine.sata_disk(
            "sda",
            1,
            10 * GIB,
            "Samsung SSD 860",
            "S1",
            0x5002_538e_4001_2345,
        );
        machine.sata_disk(
            "sdb",
            2,
            20 * GIB,
            "Samsung SSD 860",
            "S2",
            0x5002_538e_4001_2346,
        );
        for serial in ["s!= S2", "s!= Samsung_SSD_860_S2"] {
            let node = json!({"properties": {"skip_block_devices": [{"serial": serial}]}});
            let left = wishes(&node)
                .unwrap()
                .exclude_skipped(list(&machine.root()).unwrap());
            let names: Vec<_> = left.iter().map(|device| device.name.as_str()).collect();
            assert_eq!(names, ["/dev/sdb"], "{serial}");
            assert_eq!(chosen(&machine, &node).as_deref(), Ok("/dev/sdb"));
        }
    }

    #[test]
    fn the_refusals_are_the_conductors_sentences() {
        assert_eq!(
            chosen(&Machine::new_with_no_disks(), &json!({})).unwrap_err(),
            "No suitable device was found for deployment - root device hints were not provided and all found block devices are \
             smaller than 4294967296B."
        );
        let node = json!({"properties": {"root_device": {"size": 11}}});
        assert_eq!(
            chosen(&machine(), &node).unwrap_err(),
            "No suitable device was found for deployment using these hints {\"size\":11}"
        );
        let node = json!({"properties": {"root_device": {"size": 0}}});
        assert_eq!(
            chosen(&machine(), &node).unwrap_err(),
            "No devices could be found using the root device hints {\"size\":0} because they failed to validate: \
             root device hint \"size\" should be a positive integer: 0"
        );
        assert_eq!(
            AgentError::from(Error::NoneLargeEnough).class,
            ErrorClass::DeviceNotFound
        );
    }

    #[test]
    fn a_volume_to_be_kept_by_name_keeps_every_disk() {
        let node = json!({"properties": {"skip_block_devices": [{"volume_name": "data"}]}});
        assert_eq!(
            wishes(&node).unwrap_err(),
            Error::SkipVolume {
                volume: "\"data\"".into()
            }
        );
    }

    #[test]
    fn wishes_of_the_wrong_form_are_refused() {
        let node = json!({"properties": {"skip_block_devices": {"size": 20}}});
        assert!(matches!(wishes(&node), Err(Error::NotHints { .. })));
        let node = json!({"properties": {"root_device": "/dev/sda"}});
        assert!(matches!(wishes(&node), Err(Error::NotHints { .. })));
        let node = json!({"properties": {"skip_block_devices": [{"size": "x"}]}});
        assert!(matches!(wishes(&node), Err(Error::Skip(_))));
    }
}
