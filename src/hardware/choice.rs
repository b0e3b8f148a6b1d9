//! Which disk gets the operating system, and which disks are not to be touched.
//!
//! The node says it by `root_device` (in `instance_info`, else in `properties`) and `properties.skip_block_devices`.

use serde_json::{Map, Value};

use crate::error::{AgentError, ErrorClass};
use crate::hardware::hints::{self, Hints};
use crate::storage::device::BlockDevice;

/// A node's wishes about its disks. Those of an unknown node are the default: none.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    root_device: Option<(Hints, String)>,
    skip: Vec<Hints>,
}

impl Wishes {
    /// Reads the wishes of a node as Ironic sends it.
    ///
    /// # Errors
    /// When hints cannot be understood, or disks are to be kept by the name of an array on them: arrays' names are not read yet, so
    /// nothing on that machine can be said to be free.
    pub fn of_node(node: &Value) -> Result<Self, Error> {
        let root_device = ["/instance_info/root_device", "/properties/root_device"]
            .iter()
            .find_map(|place| node.pointer(place).filter(|hints| !is_empty(hints)));
        let skip = node
            .pointer("/properties/skip_block_devices")
            .filter(|list| !is_empty(list));
        Ok(Self {
            root_device: root_device.map(root_device_hints).transpose()?,
            skip: skip.map_or_else(|| Ok(Vec::new()), skip_list)?,
        })
    }

    /// Whether the node says which disk is for the operating system.
    #[must_use]
    pub const fn name_a_disk(&self) -> bool {
        self.root_device.is_some()
    }

    /// The disks that may be changed: all but those the node wants left alone.
    #[must_use]
    pub fn without_skipped(&self, mut devices: Vec<BlockDevice>) -> Vec<BlockDevice> {
        devices.retain(|device| !self.skip.iter().any(|hints| hints.matches(device)));
        devices
    }

    /// The disk for the operating system.
    ///
    /// With hints the first that matches, fixed disks before removable ones; without, the smallest fixed disk of at least
    /// 4 GiB. Never a disk to be left alone, a write-protected one or virtual media.
    ///
    /// # Errors
    /// When there is none: the conductor's `DeviceNotFound`.
    pub fn root_device(&self, devices: Vec<BlockDevice>) -> Result<BlockDevice, Error> {
        let mut devices = self.without_skipped(devices);
        devices.retain(|device| !device.read_only && !device.is_virtual_media());
        let Some((hints, shown)) = &self.root_device else {
            return devices
                .into_iter()
                .filter(|device| device.size >= MINIMUM && !device.removable)
                .min_by(|one, other| (one.size, &one.name).cmp(&(other.size, &other.name)))
                .ok_or(Error::NoneLargeEnough);
        };
        devices
            .into_iter()
            .filter(|device| hints.matches(device))
            .min_by_key(|device| device.removable)
            .ok_or_else(|| Error::NoneMatches {
                hints: shown.clone(),
            })
    }
}

/// Why there is no disk for the operating system. The sentences are those of IPA, which operators search for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Root device hints are not understood.
    #[error(
        "No devices could be found using the root device hints {hints} because they failed to validate"
    )]
    Hints {
        /// The hints, as JSON.
        hints: String,
        /// What is wrong with them.
        source: hints::Error,
    },
    /// No hints and no disk large enough.
    #[error(
        "No suitable device was found for deployment - root device hints were not provided and all found block devices are \
         smaller than {MINIMUM}B."
    )]
    NoneLargeEnough,
    /// No disk matches the hints.
    #[error("No suitable device was found for deployment using these hints {hints}")]
    NoneMatches {
        /// The hints, as JSON.
        hints: String,
    },
    /// Hints are not an object of names and values.
    #[error("{property} of the node has not the form of root device hints: {value}")]
    NotHints {
        /// Where the node has it.
        property: &'static str,
        /// What it says.
        value: String,
    },
    /// The hints of disks to be left alone are not understood.
    #[error("{SKIP} of the node cannot be understood")]
    Skip(#[source] hints::Error),
    /// Disks are to be kept by the name of an array.
    #[error(
        "{SKIP} of the node names the RAID volume {volume}: arrays cannot be kept by name yet, so no disk is touched"
    )]
    SkipVolume {
        /// The array's name.
        volume: String,
    },
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::DeviceNotFound, &error)
    }
}

fn root_device_hints(value: &Value) -> Result<(Hints, String), Error> {
    let shown = value.to_string();
    match Hints::parse(object("root_device", value)?) {
        Ok(hints) => Ok((hints, shown)),
        Err(source) => Err(Error::Hints {
            hints: shown,
            source,
        }),
    }
}

fn skip_list(value: &Value) -> Result<Vec<Hints>, Error> {
    let Value::Array(list) = value else {
        return Err(Error::NotHints {
            property: SKIP,
            value: value.to_string(),
        });
    };
    let hints = list.iter().map(|entry| {
        let hints = object(SKIP, entry)?;
        if let Some(volume) = hints.get("volume_name") {
            return Err(Error::SkipVolume {
                volume: volume.to_string(),
            });
        }
        Hints::parse(hints).map_err(Error::Skip)
    });
    hints.collect()
}

fn object<'a>(property: &'static str, value: &'a Value) -> Result<&'a Map<String, Value>, Error> {
    value.as_object().ok_or_else(|| Error::NotHints {
        property,
        value: value.to_string(),
    })
}

/// What Python takes for false: then the next place counts.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

const SKIP: &str = "properties.skip_block_devices";
/// Nothing smaller is taken for a place of an operating system without being asked for.
const MINIMUM: u64 = 4 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::device::fixture::{GIB, Machine};
    use crate::storage::device::list;
    use serde_json::json;

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
        let device = Wishes::of_node(node).and_then(|wishes| wishes.root_device(devices));
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
        let left = Wishes::of_node(&node)
            .unwrap()
            .without_skipped(list(&machine().root()).unwrap());
        let names: Vec<_> = left.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["/dev/sdc", "/dev/sdd"]);
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

    #[test]
    fn a_removable_disk_is_chosen_only_by_hints_and_after_fixed_ones() {
        let machine = Machine::new();
        machine.usb_disk("sda", 10 * GIB, "SanDisk", "Ultra", None);
        assert!(chosen(&machine, &json!({})).is_err());
        let node = json!({"properties": {"root_device": {"size": 10}}});
        assert_eq!(chosen(&machine, &node).as_deref(), Ok("/dev/sda"));
        machine.plain_disk("sdb", 10 * GIB);
        assert_eq!(chosen(&machine, &node).as_deref(), Ok("/dev/sdb"));
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
            Wishes::of_node(&node).unwrap_err(),
            Error::SkipVolume {
                volume: "\"data\"".into()
            }
        );
    }

    #[test]
    fn wishes_of_the_wrong_form_are_refused() {
        let node = json!({"properties": {"skip_block_devices": {"size": 20}}});
        assert!(matches!(
            Wishes::of_node(&node),
            Err(Error::NotHints { .. })
        ));
        let node = json!({"properties": {"root_device": "/dev/sda"}});
        assert!(matches!(
            Wishes::of_node(&node),
            Err(Error::NotHints { .. })
        ));
        let node = json!({"properties": {"skip_block_devices": [{"size": "x"}]}});
        assert!(matches!(Wishes::of_node(&node), Err(Error::Skip(_))));
    }
}
