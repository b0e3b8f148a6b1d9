//! Steps that erase disks.

use super::context::StepContext;
use super::machine::Machine;
use super::spec::{Offer, Phase, StepSpec};
use crate::error::AgentError;
use crate::params::ParamReader;
use crate::storage::chosen::Chosen;
use crate::storage::device::BlockDevice;
use crate::storage::erase::metadata::{self, ArrayMembers, ReadOnly, Shared};
use serde_json::Value;

pub(super) static STEPS: &[StepSpec] = &[
    // Priorities as in IPA.
    StepSpec {
        name: "erase_devices_metadata",
        interface: "deploy",
        offers: &[
            Offer {
                phase: Phase::Clean,
                default_priority: 99,
                abortable: Some(true),
            },
            Offer::on_request(Phase::Deploy),
        ],
        reboot_requested: false,
        args: &[],
        lists_args: true,
        run: erase_devices_metadata,
    },
];

fn erase_devices_metadata(
    machine: &Machine,
    _: ParamReader<'_>,
    context: StepContext<'_>,
) -> Result<Value, AgentError> {
    machine.permit()?;
    let wipes_shared = {
        let state = machine.state();
        state.node().and_then(|node| node.wipe_special_filesystems)
    };
    let rules = metadata::Rules {
        // IPA would leave half of a tenant's mirror readable. Nothing here assembles arrays, so
        // none is in use. A node with a volume in its skip list is refused as a whole
        // (`DiskSelection::of_node`).
        array_members: ArrayMembers::Erase,
        shared: if machine.settings.guard_shared_file_systems && wipes_shared != Some(false) {
            Shared::Protect
        } else {
            Shared::Erase
        },
        // As in IPA: only erasing whole disks (`agent_erase_skip_read_only`) has an option for
        // this.
        read_only: ReadOnly::Skip,
    };
    let all = machine.disks()?;
    let disks = machine.disk_selection()?.exclude_skipped(all.clone());
    for disk in all.iter().filter(|disk| !disks.contains(disk)) {
        tracing::info!(
            disk = disk.name,
            "a disk in skip_block_devices is not erased"
        );
    }
    let (lent, disks): (Vec<_>, Vec<_>) =
        disks.into_iter().partition(BlockDevice::is_virtual_media);
    for disk in lent {
        tracing::info!(
            disk = disk.name,
            "a disk that is virtual media of the management controller is not erased"
        );
    }
    let disks: Vec<_> = disks
        .iter()
        .map(|disk| Chosen::new(&machine.root, disk))
        .collect();
    // Even if some disk cannot be erased, the one with the image may be.
    machine.state().written = None;
    metadata::erase(&machine.root, &disks, rules, context.cancel)?;
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::super::context::Commander;
    use super::super::fixture::{Lab, NODE, image, info_of};
    use super::*;
    use crate::formats::guid::Guid;
    use crate::storage::device::fixture::GIB;
    use crate::storage::fixture::TestDisk;
    use crate::storage::{self, partition};
    use serde_json::{Map, json};
    use std::os::unix::fs::FileExt;

    #[test]
    fn an_erased_disk_has_no_image_to_tell_of() {
        let lab = Lab::new();
        lab.run(
            Phase::Service,
            "write_image",
            json!({"image_info": info_of(image(7))}),
        )
        .unwrap();
        let result = lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
        assert_eq!(result, Ok(Value::Null));
        let left = partition::list(&lab.files.root().path("dev/sdx")).unwrap_err();
        assert!(matches!(left, storage::Error::NoTable(_)), "{left}");
        assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
    }

    #[test]
    fn an_erasure_that_fails_on_one_disk_still_forgets_the_image_on_another() {
        let lab = Lab::new();
        lab.run(
            Phase::Service,
            "write_image",
            json!({"image_info": info_of(image(7))}),
        )
        .unwrap();
        lab.files.plain_disk("sdy", GIB);
        let error = lab
            .run(Phase::Clean, "erase_devices_metadata", json!({}))
            .unwrap_err();
        assert!(
            error.details.contains("dev/sdy cannot be opened"),
            "{error}"
        );
        assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
    }

    #[test]
    fn half_of_a_tenants_mirror_is_erased() {
        let lab = Lab::new();
        let superblock = [0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0];
        let place = (1 << 20) + 4096;
        lab.disk.file.write_all_at(&superblock, place).unwrap();
        let result = lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
        assert_eq!(result, Ok(Value::Null));
        assert_eq!(lab.disk.bytes(place, 8), [0; 8]);
    }

    #[test]
    fn disks_that_the_node_keeps_are_not_erased() {
        let lab = Lab::new();
        let node =
            json!({"uuid": NODE, "properties": {"skip_block_devices": [{"name": "/dev/sdx"}]}});
        lab.remember_node(node);
        let result = lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
        assert_eq!(result, Ok(Value::Null));
        lab.assert_untouched();
    }

    #[test]
    fn a_disk_that_a_management_controller_lends_is_not_erased() {
        let lab = Lab::new();
        let virtual_media = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 10)]);
        lab.files
            .usb_disk("sdv", GIB, "AMI", "Virtual HDisk0", None);
        let node = virtual_media.path().display().to_string();
        lab.files.link("dev/sdv", &node);
        let result = lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
        assert_eq!(result, Ok(Value::Null));
        let kept = partition::list(virtual_media.path()).unwrap();
        assert_eq!(kept.partitions.len(), 1);
        assert!(partition::list(lab.disk.path()).is_err());
    }
}
