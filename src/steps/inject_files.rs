//! The step `inject_files`: writes files to file systems of the deployed system, from the ramdisk.

mod files;

use super::context::StepContext;
use super::machine::Machine;
use super::spec::{ArgSpec, Offer, Phase, StepSpec};
use crate::error::{AgentError, ErrorClass, chain};
use crate::imaging;
use crate::params::ParamReader;
use crate::progress::Cancel;
use crate::secret::Secret;
use crate::storage::chosen::Chosen;
use crate::storage::disk::{Access, Disk};
use crate::storage::mount::{MountGuard, Purpose};
use crate::storage::partition::{self, Kind, Partition};
use crate::storage::{self, confined_fs};
use files::{Change, Content, Injection, Place, UrlVariables};
use serde_json::Value;
use std::error::Error;
use std::path::Path;

/// The operator sets its priority: `inject_files_priority`.
pub(super) static STEPS: &[StepSpec] = &[StepSpec {
    name: "inject_files",
    interface: "deploy",
    offers: &[
        Offer::on_request(Phase::Deploy),
        Offer::on_request(Phase::Service),
    ],
    reboot_requested: false,
    args: &[FILES, VERIFY_CA],
    lists_args: true,
    run: inject_files,
}];

const FILES: ArgSpec = ArgSpec {
    name: "files",
    description: "Files to write or delete, after those of node.properties[inject_files]: a list of objects with path \
                  and content (base64, or a URL), or deleted; and, if wanted, partition, mode, dirmode (of a folder \
                  that is made for the file), owner and group.",
    required: false,
};
const VERIFY_CA: ArgSpec = ArgSpec {
    name: "verify_ca",
    description: "Whether servers of content must show a certificate that the agent trusts; they must if not told.",
    required: false,
};

/// Writes and deletes the files of the node's properties and of the step's arguments.
fn inject_files(
    machine: &Machine,
    mut arguments: ParamReader<'_>,
    context: StepContext<'_>,
) -> Result<Value, AgentError> {
    let wanted = arguments.any(FILES.name);
    let verify = arguments.flag(VERIFY_CA.name)?.unwrap_or(true);
    let node = machine.state().node().cloned();
    let names = UrlVariables {
        node: node.as_ref().map(|node| &node.document),
        ports: context.ports,
    };
    let properties = node.as_ref().and_then(|node| node.inject_files.as_ref());
    let files = files::read(properties, Some(&wanted.into()), names)?;
    if files.is_empty() {
        tracing::info!("there are no files to inject");
        return Ok(Value::Null);
    }
    machine.permit()?;
    let disk = machine.install_device()?;
    machine.changes(context.commander);
    machine.gets_own_of_instance();
    for file in files {
        machine.inject(&file, &disk, verify, context.cancel)?;
        tracing::info!(file = file.name, "Injected a file");
    }
    Ok(Value::Null)
}

impl Machine {
    fn inject(
        &self,
        file: &Injection,
        disk: &Chosen,
        verify: bool,
        cancel: &Cancel,
    ) -> Result<(), AgentError> {
        // The device stays open from here on. So it gets the file even if its name refers to
        // another device after the download.
        let device = self.device_of(&file.place, disk, cancel)?;
        let failed = |error: &(dyn Error + 'static)| {
            AgentError::new(
                ErrorClass::CommandExecutionError,
                format!("Failed to process {}: {}", file.name, chain(error)),
            )
        };
        // No file system is mounted for writing before the content is complete.
        let content = match &file.change {
            Change::Delete => None,
            Change::Write(content, attributes) => {
                let bytes = self.content(content, verify, cancel);
                Some((bytes.map_err(|error| failed(&error))?, *attributes))
            }
        };
        go_on(device.path(), cancel)?;
        let mounted = MountGuard::mount(&self.root, &device, Purpose::Write);
        let mounted = mounted.map_err(|error| failed(&error))?;
        match content {
            None => confined_fs::delete(mounted.top(), &file.path),
            Some((bytes, attributes)) => {
                confined_fs::write(mounted.top(), &file.path, bytes.expose(), attributes)
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
    ) -> Result<Secret<Vec<u8>>, imaging::download::Error> {
        let url = match content {
            Content::Bytes(bytes) => return Ok(Secret::new(bytes.expose().to_vec())),
            Content::Url(url) => url,
        };
        let settings = &self.settings.imaging;
        let mut network = settings.network.clone();
        network.tls.insecure |= !verify;
        let patience = (settings.retries, settings.interval);
        imaging::download::fetch_bytes_with_retry(
            url.expose(),
            MAX_CONTENT,
            &network,
            patience,
            cancel,
        )
        .map(Secret::new)
    }

    fn device_of(&self, place: &Place, disk: &Chosen, cancel: &Cancel) -> Result<Disk, AgentError> {
        match place {
            Place::Device(path) => Ok(Disk::open(&self.root.path(path), Access::Read)?),
            Place::Number(number) => {
                let layout = partition::layout(&disk.open(Access::Read)?)?;
                let mut partitions = layout.partitions.into_iter();
                let partition = partitions
                    .find(|partition| partition.number == *number)
                    .ok_or_else(|| storage::Error::NoPartition(disk.path(), *number))?;
                Ok(self.open_partition(disk, &partition)?)
            }
            Place::HasFolder(folder) => self.partition_with(folder, disk, cancel),
        }
    }

    /// Opens a partition of the chosen disk after checking that it matches the table.
    fn open_partition(&self, disk: &Chosen, partition: &Partition) -> Result<Disk, storage::Error> {
        partition::check_node(&self.root, &disk.path(), partition)?;
        disk.open_partition(&partition.node, Access::Read)
    }

    fn partition_with(
        &self,
        folder: &Path,
        disk: &Chosen,
        cancel: &Cancel,
    ) -> Result<Disk, AgentError> {
        let partitions = partition::layout(&disk.open(Access::Read)?)?.partitions;
        let mut unread = Vec::new();
        for partition in &partitions {
            go_on(&partition.node, cancel)?;
            let mounted = if is_lvm(partition) {
                Err("it belongs to a volume group of LVM".into())
            } else {
                // Even a read-only mount writes if it replays a log, so the partition is verified
                // first.
                self.open_partition(disk, partition)
                    .map_err(|error| chain(&error))
                    .and_then(|device| {
                        let mounted = MountGuard::mount(&self.root, &device, Purpose::Read);
                        Ok((mounted.map_err(|error| chain(&error))?, device))
                    })
            };
            match mounted {
                Ok((mounted, device)) if confined_fs::is_folder(mounted.top(), folder) => {
                    return Ok(device);
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

/// Checks for cancellation before a mount, which replays the log of the file system and may take
/// long.
fn go_on(device: &Path, cancel: &Cancel) -> Result<(), storage::Error> {
    match cancel.is_cancelled() {
        true => Err(storage::Error::Cancelled(device.into())),
        false => Ok(()),
    }
}

/// Returns whether a partition belongs to a volume group, so that it has no file system of its own.
fn is_lvm(partition: &Partition) -> bool {
    match partition.kind {
        Kind::Gpt(kind) => kind == crate::formats::guid::Guid::LINUX_LVM,
        Kind::Mbr(kind) => kind == LVM_OF_MBR,
    }
}

const LVM_OF_MBR: u8 = 0x8E;
/// Maximum length of a content, in bytes: it is in memory until the file system accepts it.
const MAX_CONTENT: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::super::fixture::{Lab, NODE, all_bytes, served_after, served_once};
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::json;

    /// Makes the mounts of this thread private.
    fn keep_mounts_to_oneself() {
        use nix::mount::{MsFlags, mount};
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
            .expect("a mount namespace (needs root)");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    }

    /// Creates an ext4 file system with these folders on a partition of the lab's disk.
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

    /// Mounts a partition and calls a function with its mount point.
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

    /// Asserts that nothing of the disk is mounted.
    fn assert_unused(lab: &Lab) {
        Disk::open(lab.disk.path(), Access::Write).unwrap();
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
        lab.remember_node(json!({"uuid": NODE, "properties": {"inject_files": [
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
                // The URL is no longer served.
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
            // The target of the tenant's own link, resolved within the tenant's system.
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
        assert_unused(&lab);
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
        // For the kernel, the second partition's node lies at the first partition's place.
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
    fn no_file_goes_into_half_of_a_mirror() {
        keep_mounts_to_oneself();
        let lab = Lab::new();
        tenants_system(&lab, "sdx2", &["etc"]);
        let superblock = [0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0];
        lab.disk.write((25 << 20) - 8192, &superblock);
        let node = lab.files.root().path("dev/sdx2").display().to_string();
        let reason = format!("{node} is not mounted: {node} belongs to an array");
        for (place, told) in [
            (
                json!(2),
                format!("Failed to process file 1 (/etc/x): {reason}"),
            ),
            (
                json!("/dev/sdx2"),
                format!("Failed to process file 1 (/etc/x): {reason}"),
            ),
            (json!(null), format!("; not 2: {reason}")),
        ] {
            let file = json!({"path": "/etc/x", "partition": place, "content": "aHVzaA=="});
            let error = lab.run(Phase::Deploy, "inject_files", json!({"files": [file]}));
            let details = error.unwrap_err().details;
            assert!(details.ends_with(&told), "{details}");
        }
        assert!(look_into(&lab, "sdx2", |top| !top.join("etc/x").exists()));
    }

    #[test]
    fn no_file_goes_into_a_disk_that_gets_the_name_of_the_chosen_one_meanwhile() {
        keep_mounts_to_oneself();
        let lab = Lab::new();
        tenants_system(&lab, "sdx2", &["etc"]);
        let kept = lab.kept_disk();
        tenants_system(&lab, "sdy2", &["etc"]);
        let before = all_bytes(&kept);
        let url = served_after(b"first".to_vec(), lab.exchange_of_names());
        let files = json!({"files": [
            {"path": "/etc/first", "partition": 2, "content": url},
            {"path": "/etc/second", "partition": 2, "content": BASE64_STANDARD.encode("second")},
        ]});
        let error = lab.run(Phase::Deploy, "inject_files", files).unwrap_err();
        assert_eq!(error.details, lab.node_of_another("sdx"));
        assert!(all_bytes(&kept) == before);
        // The partition that was open when the names were exchanged.
        look_into(&lab, "sdy2", |top| {
            assert_eq!(std::fs::read(top.join("etc/first")).unwrap(), b"first");
            assert!(!top.join("etc/second").exists());
        });
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
        assert_unused(&lab);
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
}
