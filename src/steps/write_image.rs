//! The step `write_image`: writes the image and its config drive to the disk, and answers Ironic's
//! queries about it.
//!
//! The command `standby.prepare_image` does the same.

use super::context::{Commander, StepContext};
use super::machine::{Machine, WholeFor, Written};
use super::spec::{ArgSpec, Offer, Phase, StepSpec};
use crate::error::{AgentError, ErrorClass, chain};
use crate::imaging::configdrive::{self, Drive};
use crate::imaging::{self, ConfiguredAuth, ImageInfo};
use crate::params::ParamReader;
use crate::progress::Cancel;
use crate::redact::redact;
use crate::secret::Secret;
use crate::storage;
use crate::storage::chosen::Chosen;
use crate::storage::disk::{Access, Disk};
use crate::storage::partition::{self, Partition};
use serde_json::{Map, Value, json};
use url::Url;

/// As in IPA, the offer lists no arguments: Ironic's own step of the same name passes any that it
/// knows.
pub(super) static STEPS: &[StepSpec] = &[StepSpec {
    name: "write_image",
    interface: "deploy",
    offers: &[
        Offer::on_request(Phase::Deploy),
        Offer::on_request(Phase::Service),
    ],
    reboot_requested: false,
    args: &[IMAGE_INFO, CONFIG_DRIVE],
    lists_args: false,
    run: write_image,
}];

const IMAGE_INFO: ArgSpec = ArgSpec {
    name: "image_info",
    description: "The image: an object with its URLs, checksum and format, as Ironic makes it for a deployment.",
    required: true,
};
const CONFIG_DRIVE: ArgSpec = ArgSpec {
    name: "configdrive",
    description: "The config drive (base64 of gzip, or a URL), instead of the one that image_info has.",
    required: false,
};

fn write_image(
    machine: &Machine,
    mut arguments: ParamReader<'_>,
    context: StepContext<'_>,
) -> Result<Value, AgentError> {
    let image = machine.image(&arguments.object(IMAGE_INFO.name)?)?;
    let config_drive = arguments.text(CONFIG_DRIVE.name)?.map(Secret::new);
    let text = machine.prepare_image(image, config_drive, context)?;
    Ok(json!({"result": format!("prepare_image: {text}")}))
}

impl Machine {
    /// Writes an image and its config drive to the root device. Returns Ironic's sentence about it.
    ///
    /// # Errors
    /// See [`imaging::write_image`] and [`configdrive::install`]. Also if there is no disk, or no
    /// partition table after writing.
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
            // The image servers are the user's: the configured credentials must not go there.
            image.configured_auth = ConfiguredAuth::Withheld;
        }
        self.permit()?;
        self.refresh_node()?;
        let disk = self.install_device()?;
        let config_drive = config_drive.as_ref().or(image.config_drive.as_ref());
        // Checked before the disk is touched: an invalid config drive must not cost the disk's
        // content.
        let drive = config_drive
            .map(|text| {
                Drive::from_text(text.expose(), &self.node_uuid(), &|url| {
                    self.fetch(url, cancel)
                })
            })
            .transpose()?;
        let mut written = match self.already_written(&image, &disk, commander, cancel)? {
            Some(written) => {
                tracing::info!(
                    image = image.id,
                    device = disk.name(),
                    "the image is on the disk already"
                );
                written
            }
            None => self.write(&image, &disk, context)?,
        };
        if let Some(drive) = drive {
            progress.phase("writing config drive", Some(drive.bytes()));
            {
                let mut state = self.state();
                written.whole_for = written.whole_for.with_own_of(state.instance());
                // A partly written config drive belongs to no instance.
                state.written = None;
            }
            configdrive::install(
                &self.root,
                &disk,
                &drive,
                self.settings.config_drive,
                cancel,
            )?;
        }
        let root_uuid = written.root_uuid.clone();
        self.state().written = Some(written);
        Ok(format!(
            "image ({}) written to device {} root_uuid={root_uuid}",
            // Ironic uses a URL as image ID, possibly with its signature.
            redact(&image.id),
            disk.name()
        ))
    }

    /// Returns the identifiers that Ironic queries after writing; names with spaces are the
    /// protocol's. Empty before, and for Ironic if a user had the last image written.
    #[must_use]
    pub fn partition_uuids(&self, asker: Commander) -> Map<String, Value> {
        let written = self.state().written.clone();
        written
            .filter(|written| asker == Commander::User || written.by == Commander::Ironic)
            .map(|w| ("root uuid".to_owned(), Value::from(w.root_uuid)))
            .into_iter()
            .collect()
    }

    /// Returns the written image, if the disk holds the requested one: the same bytes in the same
    /// format. The image's name does not suffice: it is the end of a URL, whose content may change.
    /// An image is written again if a user wrote or changed it, or if it got another instance's
    /// data.
    fn already_written(
        &self,
        image: &ImageInfo,
        disk: &Chosen,
        commander: Commander,
        cancel: &Cancel,
    ) -> Result<Option<Written>, AgentError> {
        let written = {
            let state = self.state();
            let instance = state.instance();
            let is_there = |written: &&Written| {
                (commander, written.by) == (Commander::Ironic, Commander::Ironic)
                    && written.whole_for.is_for(instance)
                    && written.image == image.id
                    && written.disk == *disk
                    && written.format == image.disk_format
            };
            state.written.as_ref().filter(is_there).cloned()
        };
        let Some(written) = written else {
            return Ok(None);
        };
        let expected = imaging::expected_checksum(image, &self.settings.imaging, cancel)?;
        Ok((written.checksum == expected).then_some(written))
    }

    fn write(
        &self,
        image: &ImageInfo,
        disk: &Chosen,
        context: StepContext<'_>,
    ) -> Result<Written, AgentError> {
        let StepContext {
            cancel, progress, ..
        } = context;
        // Whatever happens now, the previous image is gone.
        self.state().written = None;
        let written = imaging::write_image(image, disk, &self.settings.imaging, cancel, progress)?;
        let open = disk.open(Access::Write)?;
        let partitions = settle_table(&open, cancel).map_err(no_table)?;
        if partitions.is_empty() {
            return Err(AgentError::new(
                ErrorClass::DeploymentError,
                format!(
                    "No partitions found on the device {} after writing the image.",
                    disk.path().display()
                ),
            ));
        }
        Ok(Written {
            image: image.id.clone(),
            format: image.disk_format.clone(),
            checksum: written.checksum,
            disk: disk.clone(),
            root_uuid: partition::disk_identifier(&open)?,
            by: context.commander,
            whole_for: WholeFor::Anyone,
        })
    }

    fn fetch(
        &self,
        url: &Url,
        cancel: &Cancel,
    ) -> Result<Secret<Vec<u8>>, configdrive::FetchError> {
        let limit = usize::try_from(configdrive::MAX_ENCODED_BYTES)?;
        let network = &self.settings.imaging.network;
        Ok(Secret::new(imaging::download::fetch_bytes(
            url.as_str(),
            limit,
            network,
            cancel,
        )?))
    }

    fn node_uuid(&self) -> String {
        let state = self.state();
        let uuid = state.node().map(|node| node.uuid.clone());
        uuid.unwrap_or_default()
    }
}

/// Adapts the image's partition table to the disk and lets the kernel read it. Returns the
/// partitions.
fn settle_table(disk: &Disk, cancel: &Cancel) -> Result<Vec<Partition>, storage::Error> {
    let fixed = partition::repair_gpt(disk)?;
    tracing::debug!(device = %disk.path().display(), ?fixed, "the GUID partition table was looked at");
    partition::rescan(disk, cancel)?;
    Ok(partition::layout(disk)?.partitions)
}

/// Operators search for IPA's sentence. With a wrong sector size, a table is not found.
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{
        Lab, MIB, NODE, all_bytes, divided, image, info_of, served, served_after, served_and_heard,
        served_once,
    };
    use super::*;
    use crate::formats::safe_name::fixture::{FAT, unpacked};
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

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

        // The URL is no longer served: the image on the disk stays, and gets the config drive of
        // this request.
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
        lab.remember_node(json!({"uuid": NODE}));
        let url = "http://127.0.0.1:9/drive";
        let mut info = info_of(image(7));
        info["configdrive"] = Value::from(url);
        let error = lab
            .run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::DeploymentError);
        let told =
            format!("Config drive for node {NODE} could not be downloaded: requesting {url}: ");
        assert!(error.details.starts_with(&told), "{error}");
        lab.assert_untouched();
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
    fn disks_that_exchange_names_while_the_config_drive_comes_are_not_written_to() {
        let lab = Lab::new();
        let kept = lab.kept_disk();
        let before = [all_bytes(&lab.disk), all_bytes(&kept)];
        let drive = BASE64_STANDARD.encode(FAT).into_bytes();
        let mut info = info_of(image(7));
        info["configdrive"] = Value::from(served_after(drive, lab.exchange_of_names()));
        let error = lab
            .run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .unwrap_err();
        assert_eq!(error.details, lab.node_of_another("sdx"));
        assert_eq!(error.class, ErrorClass::BlockDeviceError);
        assert!([all_bytes(&lab.disk), all_bytes(&kept)] == before);
    }

    #[test]
    fn disks_that_exchange_names_while_the_checksum_comes_are_not_written_to() {
        let lab = Lab::new();
        let kept = lab.kept_disk();
        let before = [all_bytes(&lab.disk), all_bytes(&kept)];
        let mut info = info_of(image(7));
        let sum = info["os_hash_value"].as_str().unwrap().to_owned();
        let sums = served_after(sum.into_bytes(), lab.exchange_of_names());
        info["os_hash_value"] = Value::from(sums);
        let error = lab
            .run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .unwrap_err();
        assert_eq!(error.details, lab.node_of_another("sdx"));
        assert!([all_bytes(&lab.disk), all_bytes(&kept)] == before);
    }

    #[test]
    fn an_image_and_what_follows_it_leave_alone_a_disk_that_gets_the_name_meanwhile() {
        let lab = Lab::new();
        let kept = lab.kept_disk();
        let before = all_bytes(&kept);
        let mut info = info_of(image(7));
        let url = served_after(image(7), lab.exchange_of_names());
        info["urls"] = json!([url]);
        info["configdrive"] = Value::from(BASE64_STANDARD.encode(FAT));
        let error = lab
            .run(Phase::Deploy, "write_image", json!({"image_info": info}))
            .unwrap_err();
        assert_eq!(error.details, lab.node_of_another("sdx"));
        assert!(all_bytes(&kept) == before);
        assert_eq!(lab.disk.bytes(1 << 20, 4 * MIB), vec![7; 4 * MIB]);
        assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
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

        // The same bytes announced as another format do not match the disk.
        let mut info = info_of(image(8));
        info["disk_format"] = "qcow2".into();
        assert_eq!(
            write(&info),
            Err("Security: Expected format was qcow2, but image was actually gpt".into())
        );
        // After an error, the disk's content is unknown.
        assert_eq!(lab.machine.partition_uuids(Commander::Ironic), Map::new());
    }

    #[test]
    fn the_content_of_a_checksum_file_tells_whether_the_image_is_on_the_disk() {
        let lab = Lab::new();
        let write = |byte| {
            let mut info = info_of(image(byte));
            let sum = info["os_hash_value"].as_str().unwrap().to_owned();
            // The URL of the checksum file is not the content: a server may change it.
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

        // The same image by its announcement, but a user's command wrote the disk's content.
        lab.disk.write(1 << 20, &[9; 512]);
        lab.commander = Commander::Ironic;
        lab.run(Phase::Deploy, "write_image", info()).unwrap();
        assert_eq!(lab.disk.bytes(1 << 20, 512), [7; 512]);
        assert_eq!(told(&lab), [uuids.clone(), uuids.clone()]);

        // Nor is it reused for a user.
        lab.disk.write(1 << 20, &[9; 512]);
        lab.commander = Commander::User;
        lab.run(Phase::Deploy, "write_image", info()).unwrap();
        assert_eq!(lab.disk.bytes(1 << 20, 512), [7; 512]);
        assert_eq!(told(&lab), [Map::new(), uuids]);
    }

    #[test]
    fn an_image_that_a_user_changed_is_written_again() {
        let mut lab = Lab::new();
        lab.remember_node(json!({"uuid": NODE, "instance_uuid": "one"}));
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
            // What the step could have written.
            lab.disk.write(1 << 20, &[9; 512]);
        };
        let uuids = Map::from_iter([("root uuid".to_owned(), json!("0x47d04a15"))]);
        assert_eq!(write(&lab), [7; 512]);
        inject(&lab);
        assert_eq!(write(&lab), [9; 512], "Ironic's own change stays");
        lab.remember_node(json!({"uuid": NODE, "instance_uuid": "another"}));
        assert_eq!(write(&lab), [7; 512], "but not for another instance");
        lab.commander = Commander::User;
        inject(&lab);
        assert_eq!(lab.machine.partition_uuids(Commander::Ironic), uuids);
        lab.commander = Commander::Ironic;
        assert_eq!(write(&lab), [7; 512]);
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
    fn servers_that_a_user_names_are_not_shown_the_configured_password() {
        let mut lab = Lab::new();
        lab.machine.settings.imaging.basic_auth = Some(imaging::BasicAuth {
            user: Some("site".into()),
            password: Some(Secret::new("hush".into())),
        });
        lab.remember_node(json!({"uuid": NODE}));
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
}
