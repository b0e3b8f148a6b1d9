use super::super::fixture::{Lab, NODE, image, info_of, parsed, show};
use super::super::spec::Phase;
use super::*;
use crate::formats::safe_name::fixture::FAT;
use crate::node::WithSecrets;
use crate::storage::fixture::TestDisk;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

#[test]
fn a_management_controller_is_left_alone_where_ironic_says_so() {
    let mut lab = Lab::new();
    let known = bmc::Bmc {
        address: bmc::Address::Found([192, 0, 2, 9].into()),
        v6_address: bmc::Address::NotConfigured,
        mac: bmc::Address::Found("52:54:00:01:02:03".into()),
    };
    for (skip, expected) in [
        (false, json!(["192.0.2.9", "::/0", "52:54:00:01:02:03"])),
        (true, json!([null, null, null])),
    ] {
        lab.machine.settings.skip_bmc = skip;
        lab.machine.bmc = Mutex::new(bmc::Detection::finished(known.clone()));
        let inventory = lab.machine.inventory();
        let said = ["bmc_address", "bmc_v6address", "bmc_mac"].map(|name| inventory[name].clone());
        assert_eq!(json!(said), expected, "skip: {skip}");
    }
}

/// Returns the stored node.
fn known(lab: &Lab) -> Option<Value> {
    let document = |node: Option<&Node>| Some(node?.document.as_value().clone());
    lab.machine.with_node(document)
}

fn lendable(node: Value) -> WithSecrets {
    WithSecrets::parse(node.into()).unwrap()
}

/// Source that returns Ironic's nodes in turn, the last of the list first.
#[derive(Debug)]
struct Answers(Mutex<Vec<Option<Value>>>);

impl NodeSource for Answers {
    fn node(&self) -> Option<Node> {
        let node = self.0.lock().unwrap().pop().expect("nobody asks so often");
        node.map(parsed)
    }
}

#[test]
fn a_deployment_that_names_no_disk_asks_for_the_node_again() {
    let mut lab = Lab::new();
    let named = json!({"uuid": NODE, "properties": {"root_device": {"name": "/dev/sdz"}}});
    let answers = Answers(Mutex::new(vec![Some(named), None]));
    lab.machine = lab.machine.with_node_source(Box::new(answers));
    lab.remember_node(json!({"uuid": NODE, "properties": {}}));
    let write = || {
        lab.run(
            Phase::Deploy,
            "write_image",
            json!({"image_info": info_of(image(7))}),
        )
    };
    // Without a node from Ironic, the stored one is used.
    write().unwrap();
    let error = write().unwrap_err();
    assert_eq!(error.class, ErrorClass::DeviceNotFound);
    assert!(error.details.contains("/dev/sdz"), "{}", error.details);
    // A node with root device hints is not refreshed.
    assert_eq!(write().unwrap_err(), error);
}

#[test]
fn a_node_that_is_lent_counts_for_its_command_alone() {
    let lab = Lab::new();
    let ours = json!({"uuid": NODE, "owner": "another"});
    lab.remember_node(ours.clone());
    let erase = || lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
    let keeping =
        json!({"uuid": NODE, "properties": {"skip_block_devices": [{"name": "/dev/sdx"}]}});
    let lent = lab.machine.lend_node(lendable(keeping));
    assert_eq!(erase(), Ok(Value::Null));
    lab.assert_untouched();
    let known = || known(&lab);
    assert_eq!(known().as_ref(), Some(&ours));
    drop(lent);
    assert_eq!(known(), Some(ours));
    assert_eq!(erase(), Ok(Value::Null));
    assert_eq!(lab.disk.bytes(512, 8), [0; 8]);
}

#[test]
fn of_a_node_that_is_remembered_its_secrets_are_not() {
    let lab = Lab::new();
    let of = |secret: &str| {
        json!({
            "uuid": NODE,
            "owner": "me",
            "driver_info": {"ipmi_address": "192.0.2.9", "ipmi_password": secret},
            "instance_info": {"configdrive": secret, "image_source": "http://h/x"},
            "driver_internal_info": {"agent_secret_token": secret, "agent_url": "http://h"},
            "properties": {"inject_files": [{"path": "/etc/motd", "content": "hello"}]},
        })
    };
    let masked = Some(of("******"));
    let known = || known(&lab);
    lab.machine.set_node(parsed(of("hush")), &Cancel::default());
    assert_eq!(known(), masked);
    lab.remember_node(json!({"uuid": NODE}));
    lab.remember_node(of("hush"));
    assert_eq!(known(), masked);
}

#[test]
fn what_ironic_says_of_the_node_counts_before_a_lent_one() {
    let mut lab = Lab::new();
    let named = json!({"uuid": NODE, "properties": {"root_device": {"name": "/dev/sdz"}}});
    let answers = Answers(Mutex::new(vec![Some(named)]));
    lab.machine = lab.machine.with_node_source(Box::new(answers));
    let _lent = lab.machine.lend_node(lendable(json!({"uuid": NODE})));
    let info = json!({"image_info": info_of(image(7))});
    let error = lab.run(Phase::Deploy, "write_image", info).unwrap_err();
    assert_eq!(error.class, ErrorClass::DeviceNotFound);
    assert!(error.details.contains("/dev/sdz"), "{}", error.details);
}

#[test]
fn a_flush_ends_with_an_error_where_a_disk_does_not_respond() {
    let lab = Lab::on("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    let hung = lab.machine.flush_with(|_timeout| None).unwrap_err();
    assert_eq!(hung.class, ErrorClass::CommandExecutionError);
    assert_eq!(
        hung.details,
        "not everything was written to the disks within 120 seconds: a disk does not respond, see the kernel's log"
    );
    assert_eq!(lab.machine.flush_with(|_timeout| Some(())), Ok(()));
}

#[test]
fn an_image_is_not_on_a_new_disk_that_has_the_name_of_the_old_one() {
    let lab = Lab::new();
    let write = || {
        let info = json!({"image_info": info_of(image(7))});
        lab.run(Phase::Deploy, "write_image", info).unwrap();
    };
    write();
    let root = lab.files.root();
    for node in ["dev/sdx", "dev/sdx1", "dev/sdx2"] {
        std::fs::remove_file(root.path(node)).unwrap();
    }
    let new = TestDisk::new(200, 512, |_| {});
    show(&lab.files, "sdx", &new);
    write();
    assert_eq!(new.bytes(1 << 20, 512), [7; 512]);
}

#[test]
fn an_image_with_the_config_drive_of_another_instance_is_written_again() {
    let lab = Lab::new();
    // Returns the number of partitions, and whether the image was written.
    let write = |instance: Option<&str>, drive: Option<&[u8]>| {
        lab.disk.write(2 << 20, &[9; 512]);
        lab.remember_node(json!({"uuid": NODE, "instance_uuid": instance}));
        let mut info = info_of(image(7));
        info["configdrive"] = drive.map(|drive| BASE64_STANDARD.encode(drive)).into();
        lab.run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .unwrap();
        (
            lab.partitions().len(),
            lab.disk.bytes(2 << 20, 512) == [7; 512],
        )
    };
    let steps = [
        (Some("one"), None, (1, true)),
        // The disk holds no data of any instance.
        (Some("two"), Some(FAT), (2, false)),
        (Some("two"), None, (2, false)),
        (Some("three"), None, (1, true)),
        (Some("three"), Some(FAT), (2, false)),
        // The instance is unknown.
        (None, Some(FAT), (2, true)),
        (None, Some(FAT), (2, true)),
    ];
    for (instance, drive, expected) in steps {
        assert_eq!(write(instance, drive), expected, "{instance:?}");
    }
}
