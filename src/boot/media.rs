//! The configuration that Ironic puts on virtual media: `parameters.txt` on a small FAT volume, files on the boot ISO.
//!
//! Believed only after `boot_method=vmedia`, only from a CD or a small USB disk (IPA: `utils._check_vmedia_device`), and an
//! ISO only when its publisher is the `ir_pub_id` that this boot was given, where it was given one. Of several volumes that
//! claim to be the same none is believed: all but one are a stranger's. No udev: devices come from sysfs, labels from their
//! first bytes.

use crate::config::KernelArgs;
use crate::formats::volume::{VOLUME_HEAD, Volume};
use crate::progress::Cancel;
use crate::root::Root;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What the media gave.
#[derive(Debug, Default)]
pub struct Media {
    /// The text of `parameters.txt`, in the form of a kernel command line; it may hold the agent token.
    pub parameters: Option<KernelArgs>,
    /// The configuration files that were copied to their place below `/etc`.
    pub copied: Vec<PathBuf>,
}

/// Why media that should be there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the media, or its copy.
    #[error("cannot copy {path} of the virtual media")]
    Copy {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file system of the media.
    #[error("cannot mount {device}, the virtual media")]
    Mount {
        /// Which device.
        device: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `parameters.txt`.
    #[error("cannot read {path} of the virtual media")]
    Parameters {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Reads the virtual media, if the kernel arguments say that there are some. Waits a bounded time for a device.
///
/// # Errors
/// [`Error`] when media are there and cannot be used. No media at all is no error.
pub fn read(root: &Root, arguments: &KernelArgs) -> Result<Media, Error> {
    if !arguments.booted_from_media() {
        return Ok(Media::default());
    }
    let found = find(root, arguments, &Cancel::default());
    take(root, &found, &|device| attach(root, device))
}

/// Reads `parameters.txt` alone, as [`read`] does, and copies nothing.
///
/// # Errors
/// [`Error`] when media are there and cannot be used.
pub fn parameters(root: &Root, arguments: &KernelArgs) -> Result<Option<KernelArgs>, Error> {
    if !arguments.booted_from_media() {
        return Ok(None);
    }
    let mut found = find(root, arguments, &Cancel::default());
    found.isos.clear();
    take(root, &found, &|device| attach(root, device)).map(|media| media.parameters)
}

/// The devices to read from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// The boot ISO, with configuration files.
    isos: Vec<Device>,
    /// Whether it is known who published it: two such are one that is there twice.
    published: bool,
    /// The volume that was made for `parameters.txt`.
    parameters: Vec<Device>,
    /// Devices that only look like it: their name says "virtual media". Looked at where no volume has the label.
    perhaps: Vec<Device>,
}

/// A block device that may be virtual media.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    path: PathBuf,
    volume: Volume,
    model: String,
}

/// Looks until everything expected is there or the time is over. Without a token and the API's address among the kernel
/// arguments there must be a `parameters.txt`; a BMC's USB device takes its time to appear.
fn find(root: &Root, arguments: &KernelArgs, cancel: &Cancel) -> Found {
    let has = |name| arguments.value(name).is_some();
    let complete = has("ipa-api-url") && has("ipa-agent-token");
    let patience = if complete { PATIENCE } else { LONG_PATIENCE };
    let start = Instant::now();
    loop {
        let found = Found::among(devices(root), arguments.value("ir_pub_id"));
        let enough = !found.parameters.is_empty() || (complete && !found.isos.is_empty());
        if enough || start.elapsed() > patience || cancel.wait(PAUSE) {
            return found;
        }
    }
}

impl Found {
    fn among(devices: Vec<Device>, publisher: Option<&str>) -> Self {
        let mut found = Self {
            published: publisher.is_some(),
            ..Self::default()
        };
        for device in devices {
            let label = device.volume.label().to_lowercase();
            let iso = ISO_LABELS.contains(&label.as_str());
            if label == PARAMETERS_LABEL {
                found.parameters.push(device);
            } else if iso && device.is_published_by(publisher) {
                found.isos.push(device);
            } else if !iso && device.model.to_lowercase().contains("virtual media") {
                found.perhaps.push(device);
            }
        }
        found
    }

    fn iso(&self) -> Option<&Device> {
        match self.isos.as_slice() {
            [first, _, ..] if self.published => Some(first),
            isos => the_only_one(isos, "boot ISO"),
        }
    }
}

/// One of several would be a stranger's, and nothing says which.
fn the_only_one<'a>(devices: &'a [Device], what: &str) -> Option<&'a Device> {
    match devices {
        [] => None,
        [device] => Some(device),
        several => {
            let paths: Vec<_> = several.iter().map(|device| device.path.display()).collect();
            tracing::error!(
                devices = ?paths,
                "more than one volume claims to be this boot's {what}: NONE OF THEM IS BELIEVED. Take the others away"
            );
            None
        }
    }
}

impl Device {
    /// Whether the ISO is the one that this boot was made from.
    fn is_published_by(&self, wanted: Option<&str>) -> bool {
        let (Some(wanted), Volume::Iso9660 { publisher, .. }) = (wanted, &self.volume) else {
            return wanted.is_none();
        };
        let ours = publisher.eq_ignore_ascii_case(wanted);
        if !ours {
            tracing::warn!(device = %self.path.display(), publisher, wanted, "Not the ISO of this boot: its publisher differs");
        }
        ours
    }
}

/// All volumes that a BMC may have attached.
fn devices(root: &Root) -> Vec<Device> {
    let Ok(entries) = fs::read_dir(root.path("sys/class/block")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
        .iter()
        .filter(|name| may_be_media(&root.path("sys/class/block").join(name)))
        .filter_map(|name| device(root, name))
        .collect()
}

/// A CD, or a USB disk below 4 GiB; never a partition.
fn may_be_media(sysfs: &Path) -> bool {
    if sysfs.join("partition").exists() {
        return false;
    }
    // SCSI peripheral device types: 5 is a CD, 0 a disk.
    match attribute(&sysfs.join("device/type")).as_str() {
        "5" => true,
        "0" => {
            let sectors = attribute(&sysfs.join("size")).parse().unwrap_or(u64::MAX);
            let usb = fs::canonicalize(sysfs).is_ok_and(|path| {
                path.components()
                    .any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"usb"))
            });
            usb && sectors > 0 && sectors < LARGEST_SECTORS
        }
        _ => false,
    }
}

fn device(root: &Root, name: &str) -> Option<Device> {
    let path = root.path("dev").join(name);
    let mut head = Vec::with_capacity(VOLUME_HEAD);
    // A drive without a medium cannot be opened.
    let mut file = File::open(&path)
        .ok()?
        .take(u64::try_from(VOLUME_HEAD).ok()?);
    file.read_to_end(&mut head).ok()?;
    Some(Device {
        volume: Volume::parse(&head)?,
        model: attribute(&root.path("sys/class/block").join(name).join("device/model")),
        path,
    })
}

fn attribute(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Reads the devices found. `attach` makes a device's files visible.
fn take(
    root: &Root,
    found: &Found,
    attach: &dyn Fn(&Device) -> Result<Attached, Error>,
) -> Result<Media, Error> {
    let mut media = Media::default();
    if found.parameters.is_empty() {
        media.parameters = guessed(&found.perhaps, attach);
    } else if let Some(device) = the_only_one(&found.parameters, PARAMETERS) {
        media.parameters = Some(parameters_in(&attach(device)?)?);
    }
    if let Some(device) = found.iso() {
        let attached = attach(device)?;
        for folder in FOLDERS {
            copy_folder(
                &attached.path.join(folder),
                &root.path(folder),
                &mut media.copied,
            )?;
        }
    }
    tracing::info!(
        parameters = media.parameters.is_some(),
        files = media.copied.len(),
        "Read the virtual media"
    );
    Ok(media)
}

/// The parameters on a device that only its name speaks for: without the file, or not even a file system, it is something else.
fn guessed(
    perhaps: &[Device],
    attach: &dyn Fn(&Device) -> Result<Attached, Error>,
) -> Option<KernelArgs> {
    let (mut devices, mut parameters) = (Vec::new(), None);
    for device in perhaps {
        if let Ok(attached) = attach(device)
            && let Ok(found) = parameters_in(&attached)
        {
            devices.push(device.clone());
            parameters = Some(found);
        }
    }
    the_only_one(&devices, PARAMETERS).and(parameters)
}

fn parameters_in(attached: &Attached) -> Result<KernelArgs, Error> {
    let path = attached.path.join("parameters.txt");
    let bytes = bounded(&path).map_err(|source| Error::Parameters {
        path: "parameters.txt".into(),
        source,
    })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(KernelArgs::parse(Zeroizing::new(text.into()))),
        Err(error) => Err(Error::Parameters {
            path: "parameters.txt".into(),
            source: io::Error::new(io::ErrorKind::InvalidData, error),
        }),
    }
}

/// Copies the files of a folder, which has no subfolders; a folder that is not there has no files.
fn copy_folder(from: &Path, to: &Path, copied: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::Copy {
        path: to.into(),
        source,
    };
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    fs::create_dir_all(to).map_err(failed)?;
    for (count, entry) in entries.enumerate() {
        if count == MOST_FILES {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        let name = entry.map_err(failed)?.file_name();
        let target = to.join(&name);
        let copy = || {
            let bytes = bounded(&from.join(&name))?;
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&target)?
                .write_all(&bytes)
        };
        copy().map_err(|source| Error::Copy {
            path: target.clone(),
            source,
        })?;
        copied.push(target);
    }
    Ok(())
}

/// A whole file of a reasonable size: not a folder, and no link that could lead away from the media.
fn bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > LARGEST_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Zeroizing::new(vec![0; size]);
    File::open(path)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A device whose files are below `path`, until this is dropped.
#[derive(Debug)]
struct Attached {
    path: PathBuf,
    mounted: bool,
}

fn attach(root: &Root, device: &Device) -> Result<Attached, Error> {
    let kind = match device.volume {
        Volume::Fat { .. } => "vfat",
        Volume::Iso9660 { .. } => "iso9660",
    };
    let failed = |source| Error::Mount {
        device: device.path.clone(),
        source,
    };
    let path = root.path("run/ferrite/media");
    fs::create_dir_all(&path).map_err(failed)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(&device.path), &path, Some(kind), flags, None::<&str>)
        .map_err(|error| failed(error.into()))?;
    Ok(Attached {
        path,
        mounted: true,
    })
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = umount2(&self.path, MntFlags::MNT_DETACH)
        {
            tracing::warn!(path = %self.path.display(), %error, "The virtual media stay mounted");
        }
    }
}

/// Labels of the ISO that Ironic builds, with network data and without.
const ISO_LABELS: &[&str] = &["config-2", "vmedia_boot_iso"];
/// What parameters are on, in words.
const PARAMETERS: &str = "volume of parameters";
const PARAMETERS_LABEL: &str = "ir-vfd-dev";
const FOLDERS: &[&str] = &["etc/ironic-python-agent", "etc/ironic-python-agent.d"];
/// 4 GiB in the 512-byte sectors of sysfs.
const LARGEST_SECTORS: u64 = 4 << 21;
const LARGEST_FILE: usize = 1 << 20;
const MOST_FILES: usize = 256;
/// For the boot ISO, when the rest is known: it may also be that the firmware booted over HTTP and there is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// For parameters without which nothing goes on.
const LONG_PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder that looks like a machine's `/`.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn root(&self) -> Root {
            Root::at(self.0.path())
        }

        fn file(&self, path: &str, content: impl AsRef<[u8]>) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn block(&self, bus: &str, name: &str, kind: &str, sectors: u64, head: &[u8]) {
            let device = format!("sys/devices/{bus}/block/{name}");
            self.file(&format!("{device}/device/type"), kind);
            self.file(&format!("{device}/device/model"), "DVD\n");
            self.file(&format!("{device}/size"), format!("{sectors}\n"));
            self.file(&format!("dev/{name}"), head);
            let class = self.0.path().join("sys/class/block");
            fs::create_dir_all(&class).unwrap();
            symlink(self.0.path().join(&device), class.join(name)).unwrap();
        }

        fn names(&self) -> Vec<String> {
            let names = devices(&self.root());
            names
                .iter()
                .map(|device| device.path.file_name().unwrap().to_str().unwrap().into())
                .collect()
        }

        fn attach(&self) -> impl Fn(&Device) -> Result<Attached, Error> {
            let folder = self.0.path().join("media");
            move |device| {
                Ok(Attached {
                    path: folder.join(device.path.file_name().unwrap()),
                    mounted: false,
                })
            }
        }
    }

    fn iso(label: &str, publisher: &str) -> Vec<u8> {
        let mut head = vec![b' '; VOLUME_HEAD];
        let at = 32768;
        head[at..at + 6].copy_from_slice(b"\x01CD001");
        head[at + 40..at + 40 + label.len()].copy_from_slice(label.as_bytes());
        head[at + 318..at + 318 + publisher.len()].copy_from_slice(publisher.as_bytes());
        head
    }

    fn fat(label: &str) -> Vec<u8> {
        let mut head = vec![0; 512];
        head[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
        head[22] = 9;
        head[38] = 0x29;
        head[43..54].fill(b' ');
        head[43..43 + label.len()].copy_from_slice(label.as_bytes());
        head[510..].copy_from_slice(&[0x55, 0xAA]);
        head
    }

    fn arguments(line: &str) -> KernelArgs {
        KernelArgs::parse(line.to_owned())
    }

    #[test]
    fn cds_and_small_usb_disks_may_be_media_and_nothing_else() {
        let machine = Machine::new();
        let usb = "pci0000:00/usb1/1-1/host2";
        machine.block("pci0000:00/ata1/host1", "sr0", "5", 99, &iso("a", ""));
        machine.block(usb, "sda", "0", LARGEST_SECTORS - 1, &fat("b"));
        machine.block(usb, "sdb", "0", LARGEST_SECTORS, &fat("c"));
        machine.block(usb, "sdc", "0", 0, &fat("d"));
        machine.block("pci0000:00/ata2/host3", "sdd", "0", 99, &fat("e"));
        machine.block(usb, "sde1", "0", 99, &fat("f"));
        machine.file(&format!("sys/devices/{usb}/block/sde1/partition"), "1");
        machine.block(usb, "sdf", "0", 99, b"nothing to see");
        assert_eq!(machine.names(), ["sda", "sr0"]);
    }

    #[test]
    fn the_iso_must_be_the_one_of_this_boot() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "other"));
        machine.block("ata1", "sr1", "5", 9, &iso("VMEDIA_BOOT_ISO", "ours"));
        let chosen = |publisher| {
            let found = Found::among(devices(&machine.root()), publisher);
            let iso = found.iso();
            iso.map(|device| device.path.file_name().unwrap().to_owned())
        };
        assert_eq!(chosen(Some("ours")), Some("sr1".into()));
        assert_eq!(chosen(Some("nobody")), None);
        // Who is not told which one it is believes none of two.
        assert_eq!(chosen(None), None);
        // A BMC may show the right one twice.
        machine.block("ata1", "sr2", "5", 9, &iso("VMEDIA_BOOT_ISO", "ours"));
        assert_eq!(chosen(Some("ours")), Some("sr1".into()));
        fs::remove_file(machine.0.path().join("dev/sr1")).unwrap();
        fs::remove_file(machine.0.path().join("dev/sr2")).unwrap();
        assert_eq!(chosen(None), Some("sr0".into()));
    }

    #[test]
    fn of_two_volumes_with_parameters_neither_is_believed_nor_a_guess() {
        let machine = Machine::new();
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        machine.file("media/sda/parameters.txt", "ipa-agent-token=one");
        machine.block("usb2", "sdb", "0", 9, &fat("IR-VFD-DEV"));
        machine.file("media/sdb/parameters.txt", "ipa-agent-token=other");
        machine.block("usb3", "sdc", "0", 9, &fat("other"));
        machine.file("media/sdc/parameters.txt", "ipa-agent-token=third");
        let model = "sys/devices/usb3/block/sdc/device/model";
        machine.file(model, "Virtual Media FDD");
        let root = machine.root();
        // Both are there: nothing more is waited for.
        let found = find(&root, &arguments("boot_method=vmedia"), &Cancel::default());
        let media = take(&root, &found, &machine.attach()).unwrap();
        assert!(media.parameters.is_none());
        fs::remove_file(machine.0.path().join("dev/sdb")).unwrap();
        let found = Found::among(devices(&root), None);
        let media = take(&root, &found, &machine.attach()).unwrap();
        assert_eq!(
            media.parameters.unwrap().value("ipa-agent-token"),
            Some("one")
        );
    }

    #[test]
    fn a_label_on_a_fixed_disk_or_a_partition_is_not_believed() {
        let machine = Machine::new();
        let head = fat("ir-vfd-dev");
        machine.block("pci0000:00/ata1/host1", "sda", "0", 99, &head);
        machine.block("pci0000:00/nvme/nvme0", "nvme0n1", "", 99, &head);
        machine.block("pci0000:00/usb1", "sdb1", "0", 99, &head);
        machine.file("sys/devices/pci0000:00/usb1/block/sdb1/partition", "1");
        machine.block("virtual", "loop0", "", 99, &head);
        let found = Found::among(devices(&machine.root()), None);
        assert_eq!(found, Found::default());
        // Ironic's own: a small disk, or a CD, of the BMC's.
        machine.block("pci0000:00/usb1/1-1/host2", "sdc", "0", 2880, &head);
        let found = Found::among(devices(&machine.root()), None);
        assert_eq!(found.parameters.len(), 1);
    }

    #[test]
    fn of_two_guesses_neither_is_believed() {
        let machine = Machine::new();
        for (bus, name) in [("usb1", "sda"), ("usb2", "sdb")] {
            machine.block(bus, name, "0", 9, &fat("other"));
            let model = format!("sys/devices/{bus}/block/{name}/device/model");
            machine.file(&model, "Virtual Media FDD");
            machine.file(&format!("media/{name}/parameters.txt"), name);
        }
        let found = Found::among(devices(&machine.root()), None);
        let media = take(&machine.root(), &found, &machine.attach()).unwrap();
        assert!(media.parameters.is_none());
        fs::remove_file(machine.0.path().join("media/sdb/parameters.txt")).unwrap();
        let media = take(&machine.root(), &found, &machine.attach()).unwrap();
        assert!(media.parameters.is_some());
    }

    #[test]
    fn parameters_and_files_are_taken_from_their_media() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("config-2", ""));
        machine.block("usb1", "sda", "0", 9, &fat("IR-VFD-DEV"));
        machine.file("media/sda/parameters.txt", "ipa-debug=1");
        machine.file("media/sr0/etc/ironic-python-agent/ironic.crt", "PEM");
        machine.file("media/sr0/etc/ironic-python-agent.d/x.conf", "[DEFAULT]");
        let root = machine.root();
        let found = find(&root, &arguments("boot_method=vmedia"), &Cancel::default());
        let media = take(&root, &found, &machine.attach()).unwrap();
        assert_eq!(media.parameters.unwrap().value("ipa-debug"), Some("1"));
        assert_eq!(
            media.copied,
            [
                root.path("etc/ironic-python-agent/ironic.crt"),
                root.path("etc/ironic-python-agent.d/x.conf")
            ]
        );
        assert_eq!(fs::read_to_string(&media.copied[0]).unwrap(), "PEM");
    }

    #[test]
    fn a_parameter_volume_without_its_file_is_an_error() {
        let machine = Machine::new();
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        let found = Found::among(devices(&machine.root()), None);
        let error = take(&machine.root(), &found, &machine.attach()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read parameters.txt of the virtual media"
        );
    }

    #[test]
    fn a_device_that_only_has_the_right_model_may_be_something_else() {
        let machine = Machine::new();
        machine.block("usb1", "sda", "0", 9, &fat("other"));
        machine.file(
            "sys/devices/usb1/block/sda/device/model",
            "Virtual Media FDD",
        );
        let found = Found::among(devices(&machine.root()), None);
        assert_eq!(found.perhaps.len(), 1);
        let media = take(&machine.root(), &found, &machine.attach()).unwrap();
        assert!(media.parameters.is_none());
        machine.file("media/sda/parameters.txt", "a=b");
        let media = take(&machine.root(), &found, &machine.attach()).unwrap();
        assert_eq!(media.parameters.unwrap().value("a"), Some("b"));
    }

    #[test]
    fn links_folders_and_huge_files_are_not_copied() {
        let machine = Machine::new();
        let folder = machine.0.path().join("folder");
        let copy = || copy_folder(&folder, &machine.0.path().join("to"), &mut Vec::new());
        machine.file("folder/a", vec![0; LARGEST_FILE]);
        copy().unwrap();
        machine.file("folder/a", vec![0; LARGEST_FILE + 1]);
        copy().unwrap_err();
        fs::remove_file(folder.join("a")).unwrap();
        symlink("/etc/hostname", folder.join("a")).unwrap();
        copy().unwrap_err();
        fs::remove_file(folder.join("a")).unwrap();
        fs::create_dir(folder.join("a")).unwrap();
        copy().unwrap_err();
    }

    #[test]
    fn without_the_boot_method_nothing_is_read() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("config-2", ""));
        let media = read(&machine.root(), &arguments("boot_method=pxe")).unwrap();
        assert!(media.parameters.is_none() && media.copied.is_empty());
    }
}
