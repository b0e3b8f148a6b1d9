use super::*;
use crate::formats::gpt;
use crate::formats::guid::Guid;
use crate::formats::tree::fixture::{FAT, unpacked};
use crate::progress::Reporter;
use crate::storage::device::fixture::{GIB, Machine as Files};
use crate::storage::fixture::TestDisk;
use crate::storage::{self, partition};
use crate::tls::client::ClientOptions;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::runtime::Runtime;

const NODE: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
const MIB: usize = 1 << 20;

/// A machine of files with one disk: `/dev/sdx`, behind which is a loop device.
struct Lab {
    machine: Machine,
    /// Who runs steps.
    commander: Commander,
    files: Files,
    disk: TestDisk,
    _runtime: Runtime,
}

impl Lab {
    /// A ramdisk.
    fn new() -> Self {
        Self::on("1 1 0:2 / / rw - rootfs rootfs rw\n")
    }

    /// A machine with these mounts.
    fn on(mounts: &str) -> Self {
        let disk = TestDisk::gpt(
            200,
            512,
            &[(Guid::LINUX_DATA, 1, 10), (Guid::LINUX_DATA, 20, 5)],
        );
        let files = Files::new();
        files.file("proc/self/mountinfo", mounts);
        files.plain_disk("sdx", 8 * GIB);
        files.link("sys/class", "/sys/class");
        let node = disk.path().display();
        files.link("dev/sdx", &node.to_string());
        files.link("dev/sdx1", &format!("{node}p1"));
        files.link("dev/sdx2", &format!("{node}p2"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let settings = Settings {
            imaging: imaging::Settings {
                network: imaging::Network {
                    tls: ClientOptions::default(),
                    root: files.root(),
                    runtime: runtime.handle().clone(),
                    timeout: Duration::from_secs(20),
                },
                retries: 0,
                interval: Duration::ZERO,
                max_duration: None,
                basic_auth: None,
                md5: imaging::Md5::Refused,
                rules: imaging::Rules {
                    deep_inspection: true,
                    permitted: vec!["raw".into(), "gpt".into(), "qcow2".into()],
                },
            },
            config_drive: configdrive::Form::AsItIs,
            guard_shared_file_systems: true,
            disk_patience: Patience {
                attempts: 0,
                delay: Duration::ZERO,
            },
            installed_system: InstalledSystem::Protected,
            clock: clock::Wishes::default(),
            inject_files_priority: 0,
            boot_interface: None,
            skip_bmc: false,
        };
        Self {
            machine: Machine::new(files.root(), settings),
            commander: Commander::Ironic,
            files,
            disk,
            _runtime: runtime,
        }
    }

    fn run(&self, phase: Phase, step: &str, arguments: Value) -> Result<Value, AgentError> {
        self.run_until(&Cancel::default(), phase, step, arguments)
    }

    fn run_until(
        &self,
        cancel: &Cancel,
        phase: Phase,
        step: &str,
        arguments: Value,
    ) -> Result<Value, AgentError> {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object")
        };
        let context = StepContext {
            commander: self.commander,
            ports: &json!([]),
            cancel,
            progress: &Reporter::default(),
        };
        self.machine.run_step(phase, step, arguments, context)
    }

    /// Number, first byte and bytes of each partition.
    fn partitions(&self) -> Vec<(u32, u64, u64)> {
        let layout = partition::list(&self.files.root().path("dev/sdx")).unwrap();
        let partitions = layout.partitions.into_iter();
        partitions.map(|p| (p.number, p.start, p.bytes)).collect()
    }

    /// The test's disk before anything is done to it.
    fn assert_untouched(&self) {
        let mib = 1 << 20;
        assert_eq!(
            self.partitions(),
            [(1, mib, 10 * mib), (2, 20 * mib, 5 * mib)]
        );
    }
}

/// The bytes of a disk with one partition, full of a byte.
fn image(byte: u8) -> Vec<u8> {
    let mut bytes = divided(&[(Guid::LINUX_DATA, 1, 4)]);
    bytes[MIB..5 * MIB].fill(byte);
    bytes
}

/// The bytes of a disk of eight mebibytes with these partitions.
fn divided(partitions: &[(Guid, u64, u64)]) -> Vec<u8> {
    let file = tempfile::tempfile().unwrap();
    file.set_len(8 << 20).unwrap();
    gpt::fixture::write(&file, 512, partitions);
    let mut bytes = vec![0; 8 * MIB];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Serves bytes so often, at the URL it gives.
fn served(bytes: Vec<u8>, times: usize) -> String {
    served_and_heard(bytes, times).0
}

/// The same, with what each request shows of who asks.
fn served_and_heard(bytes: Vec<u8>, times: usize) -> (String, Receiver<Option<String>>) {
    let (heard, authorizations) = channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/disk.img", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(times) {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok);
            let head: Vec<_> = head.take_while(|line| !line.is_empty()).collect();
            let shown = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                (name.eq_ignore_ascii_case("authorization")).then(|| value.to_owned())
            });
            // Not every test listens.
            let _ = heard.send(shown);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    (url, authorizations)
}

fn served_once(bytes: Vec<u8>) -> String {
    served(bytes, 1)
}

/// `image_info` of bytes that are served once.
fn info_of(bytes: Vec<u8>) -> Value {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    json!({"id": "image-1", "urls": [served_once(bytes)], "os_hash_algo": "sha256", "os_hash_value": sum, "disk_format": "raw"})
}

#[test]
fn an_image_is_written_once_with_its_config_drive_and_told_of() {
    let lab = Lab::new();
    assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
    let mut info = info_of(image(7));
    let told = json!({"result": "prepare_image: image (image-1) written to device /dev/sdx root_uuid=0x47d04a15"});
    let result = lab
        .run(Phase::Deploy, "write_image", json!({"image_info": info}))
        .unwrap();
    assert_eq!(result, told);
    assert_eq!(lab.partitions(), [(1, 1 << 20, 4 << 20)]);
    assert_eq!(lab.disk.bytes(1 << 20, 4 * MIB), vec![7; 4 * MIB]);
    let uuids = json!({"root uuid": "0x47d04a15"});
    assert_eq!(
        Value::Object(lab.machine.partition_uuids(Commander::Ironic)),
        uuids
    );

    // Nobody serves it any more: what is on the disk stays, and gets the config drive that came with the image.
    info["configdrive"] = Value::from(BASE64_STANDARD.encode(FAT));
    let result = lab
        .run(Phase::Deploy, "write_image", json!({"image_info": info}))
        .unwrap();
    assert_eq!(result, told);
    let partitions = lab.partitions();
    assert_eq!((partitions.len(), partitions[1].0), (2, 2));
    let drive = unpacked(FAT);
    assert_eq!(lab.disk.bytes(partitions[1].1, drive.len()), drive);
}

#[test]
fn a_config_drive_is_fetched_from_its_url() {
    let lab = Lab::new();
    let mut info = info_of(image(7));
    let text = BASE64_STANDARD.encode(FAT);
    info["configdrive"] = Value::from(served_once(text.into_bytes()));
    lab.run(Phase::Deploy, "write_image", json!({"image_info": info}))
        .unwrap();
    let partitions = lab.partitions();
    assert_eq!((partitions.len(), partitions[1].0), (2, 2));
    let drive = unpacked(FAT);
    assert_eq!(lab.disk.bytes(partitions[1].1, drive.len()), drive);
}

#[test]
fn a_config_drive_that_cannot_be_fetched_leaves_the_disk_alone() {
    let lab = Lab::new();
    lab.machine.remember_node(json!({"uuid": NODE}));
    let url = "http://127.0.0.1:9/drive";
    let mut info = info_of(image(7));
    info["configdrive"] = Value::from(url);
    let error = lab
        .run(Phase::Deploy, "write_image", json!({"image_info": info}))
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::DeploymentError);
    let told = format!("Config drive for node {NODE} could not be downloaded: requesting {url}: ");
    assert!(error.details.starts_with(&told), "{error}");
    lab.assert_untouched();
}

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

#[test]
fn another_image_of_the_same_name_is_written() {
    let lab = Lab::new();
    let write = |info: &Value| {
        lab.run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .map(|_| lab.disk.bytes(1 << 20, 4 * MIB)[4 * MIB - 1])
            .map_err(|error| error.details)
    };
    assert_eq!(write(&info_of(image(7))), Ok(7));
    assert_eq!(write(&info_of(image(8))), Ok(8));

    // The same bytes announced as another format: not what is on the disk.
    let mut info = info_of(image(8));
    info["disk_format"] = "qcow2".into();
    assert_eq!(
        write(&info),
        Err("Security: Expected format was qcow2, but image was actually gpt".into())
    );
    // After a refusal nothing is known to be on the disk.
    assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
}

#[test]
fn the_content_of_a_checksum_file_tells_whether_the_image_is_on_the_disk() {
    let lab = Lab::new();
    let write = |byte| {
        let mut info = info_of(image(byte));
        let sum = info["os_hash_value"].as_str().unwrap().to_owned();
        // The same place, as long as a server keeps its name and not its content.
        let sums = served(format!("{sum}  disk.img\n").into_bytes(), 2);
        info["os_hash_value"] = sums.into();
        lab.run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .unwrap();
        lab.disk.bytes(1 << 20, 4 * MIB)[0]
    };
    assert_eq!((write(7), write(8)), (7, 8));
}

#[test]
fn what_a_user_has_written_is_not_told_as_ironics_and_written_over() {
    let mut lab = Lab::new();
    let bytes = image(7);
    let info = || json!({"image_info": info_of(bytes.clone())});
    let uuids = Map::from_iter([("root uuid".to_owned(), json!("0x47d04a15"))]);
    lab.commander = Commander::User;
    lab.run(Phase::Deploy, "write_image", info()).unwrap();
    let told = |lab: &Lab| {
        [Commander::Ironic, Commander::User].map(|asker| lab.machine.partition_uuids(asker))
    };
    assert_eq!(told(&lab), [Map::new(), uuids.clone()]);

    // The same image, by its announcement: what the disk holds is the user's word.
    lab.disk.write(1 << 20, &[9; 512]);
    lab.commander = Commander::Ironic;
    lab.run(Phase::Deploy, "write_image", info()).unwrap();
    assert_eq!(lab.disk.bytes(1 << 20, 512), [7; 512]);
    assert_eq!(told(&lab), [uuids.clone(), uuids.clone()]);

    // Nor is it left there for a user.
    lab.disk.write(1 << 20, &[9; 512]);
    lab.commander = Commander::User;
    lab.run(Phase::Deploy, "write_image", info()).unwrap();
    assert_eq!(lab.disk.bytes(1 << 20, 512), [7; 512]);
    assert_eq!(told(&lab), [Map::new(), uuids]);
}

#[test]
fn an_image_that_a_user_changed_is_written_again() {
    let mut lab = Lab::new();
    let bytes = image(7);
    let write = |lab: &Lab| {
        let info = json!({"image_info": info_of(bytes.clone())});
        lab.run(Phase::Deploy, "write_image", info).unwrap();
        lab.disk.bytes(1 << 20, 512)
    };
    let inject = |lab: &Lab| {
        let files = json!([{"path": "/a", "content": "Yg==", "partition": 1}]);
        let error = lab.run(Phase::Deploy, "inject_files", json!({"files": files}));
        error.expect_err("there is no file system");
        // What it could have done.
        lab.disk.write(1 << 20, &[9; 512]);
    };
    let uuids = Map::from_iter([("root uuid".to_owned(), json!("0x47d04a15"))]);
    assert_eq!(write(&lab), [7; 512]);
    inject(&lab);
    assert_eq!(write(&lab), [9; 512], "Ironic's own change stays");
    lab.commander = Commander::User;
    inject(&lab);
    assert_eq!(lab.machine.partition_uuids(Commander::Ironic), uuids);
    lab.commander = Commander::Ironic;
    assert_eq!(write(&lab), [7; 512]);
}

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
    let node = json!({"uuid": NODE, "properties": {"skip_block_devices": [{"name": "/dev/sdx"}]}});
    lab.machine.remember_node(node);
    let result = lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
    assert_eq!(result, Ok(Value::Null));
    lab.assert_untouched();
}

#[test]
fn an_image_without_partitions_is_a_failure_with_its_reason() {
    for (bytes, reason) in [
        (
            divided(&[]),
            "No partitions found on the device {} after writing the image.",
        ),
        (
            vec![0; 2 * MIB],
            "Unable to find a valid partition table on the disk after writing the image: {} has no partition table; \
             the image may be damaged, or made for another sector size",
        ),
    ] {
        let lab = Lab::new();
        let arguments = json!({"image_info": info_of(bytes)});
        let error = lab
            .run(Phase::Deploy, "write_image", arguments)
            .unwrap_err();
        let device = lab.files.root().path("dev/sdx").display().to_string();
        let reason = format!("Deploy step failed: {}", reason.replace("{}", &device));
        assert_eq!(error.to_string(), reason);
        assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
    }
}

#[test]
fn a_config_drive_that_is_none_costs_no_byte_of_the_disk() {
    let lab = Lab::new();
    let arguments = json!({"image_info": info_of(image(7)), "configdrive": "%"});
    lab.run(Phase::Deploy, "write_image", arguments)
        .unwrap_err();
    lab.assert_untouched();
}

#[test]
fn an_installed_system_is_not_written_to() {
    let lab = Lab::on("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    for (phase, step, arguments) in [
        (Phase::Clean, "erase_devices_metadata", json!({})),
        (Phase::Deploy, "erase_devices_metadata", json!({})),
        (
            Phase::Deploy,
            "write_image",
            json!({"image_info": info_of(image(7))}),
        ),
        (
            Phase::Service,
            "write_image",
            json!({"image_info": info_of(image(7))}),
        ),
    ] {
        let error = lab.run(phase, step, arguments).unwrap_err();
        assert!(error.details.starts_with("refused: "), "{error}");
    }
    lab.assert_untouched();
}

#[test]
fn only_offered_steps_are_run_and_only_with_their_arguments() {
    let lab = Lab::new();
    let error = |phase, step, arguments| lab.run(phase, step, arguments).unwrap_err().to_string();
    assert_eq!(
        error(Phase::Clean, "write_image", json!({})),
        "No HardwareManager found to handle method: Could not find method: write_image"
    );
    assert_eq!(
        error(
            Phase::Clean,
            "erase_devices_metadata",
            json!({"disk": "/dev/sdy"})
        ),
        "Invalid command parameters: erase_devices_metadata: there is no argument disk"
    );
    let info = info_of(image(7));
    assert_eq!(
        error(
            Phase::Deploy,
            "write_image",
            json!({"image_info": info, "configdrve": "x"})
        ),
        "Invalid command parameters: write_image: there is no argument configdrve"
    );
    lab.assert_untouched();
}

/// Ironic's answers to whoever asks for the node again.
#[derive(Debug)]
struct Answers(Mutex<Vec<Option<Value>>>);

impl NodeSource for Answers {
    fn node(&self) -> Option<Map<String, Value>> {
        let node = self.0.lock().unwrap().pop().expect("nobody asks so often");
        node.map(|node| node.as_object().unwrap().clone())
    }
}

#[test]
fn a_deployment_that_names_no_disk_asks_for_the_node_again() {
    let mut lab = Lab::new();
    let named = json!({"uuid": NODE, "properties": {"root_device": {"name": "/dev/sdz"}}});
    let answers = Answers(Mutex::new(vec![Some(named), None]));
    lab.machine = lab.machine.with_node_source(Box::new(answers));
    lab.machine
        .remember_node(json!({"uuid": NODE, "properties": {}}));
    let write = || {
        lab.run(
            Phase::Deploy,
            "write_image",
            json!({"image_info": info_of(image(7))}),
        )
    };
    // Ironic does not tell: what is known counts.
    write().unwrap();
    let error = write().unwrap_err();
    assert_eq!(error.class, ErrorClass::DeviceNotFound);
    assert!(error.details.contains("/dev/sdz"), "{}", error.details);
    // A node that names its disk is not asked for.
    assert_eq!(write().unwrap_err(), error);
}

#[test]
fn a_node_that_is_lent_counts_for_its_command_alone() {
    let lab = Lab::new();
    let ours = json!({"uuid": NODE, "owner": "another"});
    lab.machine.remember_node(ours.clone());
    let erase = || lab.run(Phase::Clean, "erase_devices_metadata", json!({}));
    let keeping =
        json!({"uuid": NODE, "properties": {"skip_block_devices": [{"name": "/dev/sdx"}]}});
    let lent = lab.machine.lend_node(keeping.as_object().unwrap().clone());
    assert_eq!(erase(), Ok(Value::Null));
    lab.assert_untouched();
    let known = || lab.machine.with_node(|node| node.cloned());
    assert_eq!(known().as_ref(), Some(&ours));
    drop(lent);
    assert_eq!(known(), Some(ours));
    assert_eq!(erase(), Ok(Value::Null));
    assert_eq!(lab.disk.bytes(512, 8), [0; 8]);
}

#[test]
fn servers_that_a_user_names_are_not_shown_the_configured_password() {
    let mut lab = Lab::new();
    lab.machine.settings.imaging.basic_auth = Some(imaging::BasicAuth {
        user: Some("site".into()),
        password: Some(Secret::new("hush".into())),
    });
    lab.machine.remember_node(json!({"uuid": NODE}));
    let shown_for = |lab: &Lab, byte| {
        let (url, heard) = served_and_heard(image(byte), 1);
        let mut info = info_of(image(byte));
        info["urls"] = json!([url]);
        let arguments = json!({ "image_info": info });
        lab.run(Phase::Deploy, "write_image", arguments).unwrap();
        heard.recv().unwrap()
    };
    let basic = format!("Basic {}", BASE64_STANDARD.encode("site:hush"));
    assert_eq!(shown_for(&lab, 7), Some(basic));
    lab.commander = Commander::User;
    assert_eq!(shown_for(&lab, 8), None);
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
    let known = || lab.machine.with_node(|node| node.cloned());
    let node = of("hush").as_object().unwrap().clone();
    lab.machine
        .take_node(node.clone(), &Cancel::default())
        .unwrap();
    assert_eq!(known(), masked);
    lab.machine.remember_node(Value::Object(Map::new()));
    lab.machine.give_node(node).unwrap();
    assert_eq!(known(), masked);
}

#[test]
fn what_ironic_says_of_the_node_counts_before_a_lent_one() {
    let mut lab = Lab::new();
    let named = json!({"uuid": NODE, "properties": {"root_device": {"name": "/dev/sdz"}}});
    let answers = Answers(Mutex::new(vec![Some(named)]));
    lab.machine = lab.machine.with_node_source(Box::new(answers));
    let nothing = json!({"uuid": NODE}).as_object().unwrap().clone();
    let _lent = lab.machine.lend_node(nothing).unwrap();
    let info = json!({"image_info": info_of(image(7))});
    let error = lab.run(Phase::Deploy, "write_image", info).unwrap_err();
    assert_eq!(error.class, ErrorClass::DeviceNotFound);
    assert!(error.details.contains("/dev/sdz"), "{}", error.details);
}

/// Mounts of this thread are its own from here on.
fn keep_mounts_to_oneself() {
    use nix::mount::{MsFlags, mount};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
        .expect("a mount namespace (needs root)");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
}

/// Makes an ext4 file system on a partition of the lab's disk and these folders in it.
#[expect(
    clippy::disallowed_methods,
    reason = "the file system is a tenant's, made as tenants make it"
)]
fn tenants_system(lab: &Lab, partition: &str, folders: &[&str]) {
    let node = lab.files.root().path("dev").join(partition);
    let made = std::process::Command::new("/usr/sbin/mkfs.ext4")
        .args(["-q", "-F"])
        .arg(&node)
        .status()
        .unwrap();
    assert!(made.success());
    for folder in folders {
        look_into(lab, partition, |top| {
            std::fs::create_dir(top.join(folder)).unwrap();
        });
    }
}

/// What somebody finds who mounts the partition.
fn look_into<T>(lab: &Lab, partition: &str, look: impl FnOnce(&Path) -> T) -> T {
    use nix::mount::{MsFlags, mount, umount};
    let place = tempfile::tempdir().unwrap();
    let node = lab.files.root().path("dev").join(partition);
    let none: Option<&str> = None;
    mount(
        Some(&node),
        place.path(),
        Some("ext4"),
        MsFlags::empty(),
        none,
    )
    .unwrap();
    let seen = look(place.path());
    umount(place.path()).unwrap();
    seen
}

#[test]
fn files_are_put_into_the_file_system_that_has_their_folder() {
    use std::os::unix::fs::{MetadataExt, symlink};
    keep_mounts_to_oneself();
    let lab = Lab::new();
    tenants_system(&lab, "sdx1", &["boot"]);
    tenants_system(&lab, "sdx2", &["etc"]);
    look_into(&lab, "sdx2", |top| {
        symlink("/run/resolv.conf", top.join("etc/resolv.conf")).unwrap();
        std::fs::create_dir(top.join("run")).unwrap();
        std::fs::write(top.join("etc/machine-id"), "another's").unwrap();
    });
    lab.machine
        .remember_node(json!({"uuid": NODE, "properties": {"inject_files": [
            {"path": "/etc/motd", "content": BASE64_STANDARD.encode("from the node")},
            {"path": "/etc/machine-id", "deleted": true},
        ]}}));
    let files = json!([
        {"path": "/etc/app/app.conf", "content": BASE64_STANDARD.encode("hush"), "mode": 0o640, "dirmode": 0o750,
         "owner": 7, "group": 8},
        {"path": "/etc/resolv.conf", "content": BASE64_STANDARD.encode("nameserver 192.0.2.1\n")},
        {"path": "/first", "partition": 1, "content": served_once(b"from a server".to_vec())},
    ]);
    for phase in [Phase::Deploy, Phase::Service] {
        let mut files = files.clone();
        if phase == Phase::Service {
            // Nobody serves it any more.
            files[2]["content"] = json!("");
        }
        let result = lab.run(phase, "inject_files", json!({"files": files}));
        assert_eq!(result, Ok(Value::Null));
        if phase == Phase::Deploy {
            let first = look_into(&lab, "sdx1", |top| {
                std::fs::read(top.join("first")).unwrap()
            });
            assert_eq!(first, b"from a server");
        }
    }
    look_into(&lab, "sdx2", |top| {
        let text = |path: &str| std::fs::read_to_string(top.join(path)).unwrap();
        assert_eq!(text("etc/motd"), "from the node");
        assert_eq!(text("etc/app/app.conf"), "hush");
        // Where the tenant's own link leads within the tenant's own system.
        assert_eq!(text("run/resolv.conf"), "nameserver 192.0.2.1\n");
        assert!(!top.join("etc/machine-id").exists());
        let file = std::fs::metadata(top.join("etc/app/app.conf")).unwrap();
        assert_eq!(
            (file.mode() & 0o7777, file.uid(), file.gid()),
            (0o640, 7, 8)
        );
        let folder = std::fs::metadata(top.join("etc/app")).unwrap();
        assert_eq!(folder.mode() & 0o7777, 0o750);
    });
    let left = lab.files.root().path("run/ferrite/mounted");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
}

#[test]
fn a_file_that_cannot_be_injected_is_named_without_its_content() {
    keep_mounts_to_oneself();
    let lab = Lab::new();
    tenants_system(&lab, "sdx2", &["etc"]);
    let secret = BASE64_STANDARD.encode("hush");
    let failure = |file: Value| {
        let error = lab.run(Phase::Deploy, "inject_files", json!({"files": [file]}));
        let error = error.unwrap_err();
        assert!(!error.details.contains(&secret), "{error}");
        (error.class, error.details)
    };
    let (class, details) = failure(json!({"path": "/var/x", "content": secret}));
    assert_eq!(class, ErrorClass::DeviceNotFound);
    let unread = lab.files.root().path("dev/sdx1");
    let reason = format!(
        "No partition found with path var, scanned: 1, 2; not 1: {} holds no file system that can be mounted (tried ext4",
        unread.display()
    );
    assert!(
        details.starts_with(&reason) && !details.contains("not 2:"),
        "{details}"
    );
    let (class, details) = failure(json!({"path": "/etc", "partition": 2, "content": secret}));
    assert_eq!(class, ErrorClass::CommandExecutionError);
    assert!(
        details.starts_with("Failed to process file 1 (/etc): cannot open etc: "),
        "{details}"
    );
    let (class, details) = failure(json!({"path": "/x", "partition": 1, "content": secret}));
    assert_eq!(class, ErrorClass::CommandExecutionError);
    let told = "Failed to process file 1 (/x): ";
    let why = "holds no file system that can be mounted (tried ext4";
    assert!(
        details.starts_with(told) && details.contains(why),
        "{details}"
    );
    let (class, _) = failure(json!({"path": "/etc/x", "content": secret, "deleted": true}));
    assert_eq!(class, ErrorClass::InvalidCommandParamsError);
}

#[test]
fn no_file_goes_into_a_partition_that_is_elsewhere_for_the_kernel() {
    keep_mounts_to_oneself();
    let lab = Lab::new();
    tenants_system(&lab, "sdx2", &["etc"]);
    // The second partition of the table is nowhere, and the first one's node is the second's place.
    let kernel = lab.files.root().path("sys/class");
    std::fs::remove_file(kernel).unwrap();
    let node = crate::storage::disk::kernel_name(&lab.files.root().path("dev/sdx2"));
    lab.files.files(
        &format!("sys/class/block/{node}"),
        [("partition", "2"), ("start", "2048"), ("size", "20480")],
    );
    let reason = format!(
        "{} is not written to: in the partition table it has 5242880 bytes from byte 20971520, and the kernel has 10485760 \
         from 1048576",
        lab.files.root().path("dev/sdx2").display()
    );
    for (place, told) in [
        (json!(2), reason.clone()),
        (json!(null), format!("not 2: {reason}")),
        (
            json!(3),
            format!(
                "{} has no partition 3",
                lab.files.root().path("dev/sdx").display()
            ),
        ),
    ] {
        let file = json!({"path": "/etc/x", "partition": place, "content": "aHVzaA=="});
        let error = lab.run(Phase::Deploy, "inject_files", json!({"files": [file]}));
        let details = error.unwrap_err().details;
        assert!(details.contains(&told), "{details}");
    }
    assert!(look_into(&lab, "sdx2", |top| !top.join("etc/x").exists()));
}

#[test]
fn a_cancelled_injection_mounts_nothing() {
    keep_mounts_to_oneself();
    let lab = Lab::new();
    tenants_system(&lab, "sdx2", &["etc"]);
    let cancel = Cancel::default();
    cancel.cancel();
    for (place, device) in [(json!(null), "sdx1"), (json!(2), "sdx2")] {
        let file = json!({"path": "/etc/x", "partition": place, "content": "aHVzaA=="});
        let files = json!({"files": [file]});
        let error = lab.run_until(&cancel, Phase::Deploy, "inject_files", files);
        let error = error.unwrap_err();
        let device = lab.files.root().path("dev").join(device);
        let told = format!("the work on {} was cancelled", device.display());
        assert!(error.details.starts_with(&told), "{error}");
    }
    let mounted = lab.files.root().path("run/ferrite/mounted");
    assert!(!mounted.exists());
}

#[test]
fn without_files_nothing_is_touched_and_nothing_asked_for() {
    let lab = Lab::on("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    for files in [
        json!({}),
        json!({"files": []}),
        json!({"files": null, "verify_ca": false}),
    ] {
        assert_eq!(
            lab.run(Phase::Deploy, "inject_files", files),
            Ok(Value::Null)
        );
    }
    let files = json!({"files": [{"path": "/etc/x", "deleted": true}]});
    let error = lab.run(Phase::Deploy, "inject_files", files).unwrap_err();
    assert!(error.details.starts_with("refused: "), "{error}");
    lab.assert_untouched();
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
