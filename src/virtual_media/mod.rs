//! The configuration that Ironic puts on virtual media: `parameters.txt` on a small FAT volume, files on the boot ISO.
//!
//! Looked for only after `boot_method=vmedia`, only on a CD or a small USB disk (IPA: `utils._check_vmedia_device`). An ISO is
//! believed when its publisher is the `ir_pub_id` of the kernel command line. For any other medium nothing vouches: a former
//! user may have left it in the machine. Of several volumes that claim to be the same none is believed, nor is an ISO beside them; a
//! lone one, to which no other has come for a few seconds, adds what is missing (`config::Known`) and replaces nothing.

mod devices;
mod files;
mod logged;
mod watch;

use crate::backoff::Backoff;
use crate::config::{KernelArgs, Known};
use crate::error::chain;
use crate::formats::probe::Volume;
use crate::root::Root;
use crate::secret::MAX_MEDIA_BYTES;
use devices::{Device, Unread, devices};
use files::{Copied, Existing, Medium};
use logged::Logged;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use watch::{Clock, Steady, Watch};
use zeroize::Zeroizing;

/// What the media gave.
#[derive(Debug, Default)]
pub struct Media {
    /// The text of `parameters.txt`, in the form of a kernel command line; it may hold the agent token.
    pub parameters: Option<KernelArgs>,
    /// The configuration files that were copied to their place below `/etc`.
    pub copied: Vec<PathBuf>,
    /// Whether the media of this boot were there at all.
    pub were_found: bool,
}

impl Media {
    /// Whether they gave anything.
    const fn is_something(&self) -> bool {
        self.parameters.is_some() || !self.copied.is_empty()
    }
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

/// Reads the virtual media, if the kernel arguments say that there are some. Where nothing else says where Ironic is, waits until
/// some are there; else a bounded time.
///
/// # Errors
/// [`Error`] when the ISO of this boot is there and cannot be used.
pub fn read(root: &Root, arguments: &KernelArgs, known: Known) -> Result<Media, Error> {
    if !arguments.booted_from_media() {
        return Ok(Media::default());
    }
    let boot = Boot::new(arguments, known);
    boot.until_enough(root, &Clock::start(), &|device| attach(root, device))
}

/// Reads `parameters.txt` alone, as [`read`] does in a bounded time, and copies nothing.
///
/// # Errors
/// [`Error`] as of [`read`].
pub fn parameters(
    root: &Root,
    arguments: &KernelArgs,
    known: Known,
) -> Result<Option<KernelArgs>, Error> {
    if !arguments.booted_from_media() {
        return Ok(None);
    }
    let boot = Boot::new(arguments, known);
    let mut found = boot.find(root, &Clock::start());
    found.isos.clear();
    let media = boot.take(root, &found, &|device| attach(root, device));
    media.map(|media| media.parameters)
}

/// What is known of this boot before its media are read.
struct Boot<'a> {
    arguments: &'a KernelArgs,
    known: Known,
    /// What was told while media are waited for.
    said: RefCell<Logged>,
    /// The devices that could be read from, at the last look.
    candidates: RefCell<Steady<Vec<Device>>>,
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
    /// ISOs of another publisher than this boot's.
    others: Vec<Device>,
    /// Devices that cannot be read, with the reason.
    unread: Vec<Unread>,
}

impl<'a> Boot<'a> {
    fn new(arguments: &'a KernelArgs, known: Known) -> Self {
        Self {
            arguments,
            known,
            said: RefCell::default(),
            candidates: RefCell::new(Steady::new()),
        }
    }

    /// Looks again and again until media gave what the agent can start with, or it is told to stop.
    fn until_enough(
        &self,
        root: &Root,
        watch: &dyn Watch,
        attach: &dyn Fn(&Device) -> Result<Attached, Error>,
    ) -> Result<Media, Error> {
        let (mut seen, mut rounds) = (None, 0);
        loop {
            let found = self.find(root, watch);
            if seen.as_ref() != Some(&found) {
                self.said.borrow_mut().forget();
                rounds = 0;
            }
            let media = self.take(root, &found, attach)?;
            seen = Some(found);
            if self.is_enough(&media) {
                return Ok(media);
            }
            if self.is_new("no other source names Ironic") {
                tracing::warn!(
                    parameters = PARAMETERS_LABEL,
                    iso = ?ISO_LABELS,
                    "no other source names Ironic: waiting on for virtual media with one of these labels"
                );
            }
            if watch.wait(BACKOFF.pause(rounds)) {
                return Ok(media);
            }
            rounds = rounds.saturating_add(1);
        }
    }

    /// Whether this is to be told: it was not since other devices came or went.
    fn is_new(&self, words: impl Into<String>) -> bool {
        self.said.borrow_mut().is_new(words.into())
    }

    /// Looks until what is expected is there or the time is over; a BMC's USB device takes its time to appear.
    fn find(&self, root: &Root, watch: &dyn Watch) -> Found {
        let patience = match self.is_complete() {
            true => TIMEOUT,
            false => LONG_TIMEOUT,
        };
        let start = watch.elapsed();
        loop {
            let found = Found::among(devices(root), self.arguments.publisher());
            self.log_others(&found);
            let now = watch.elapsed();
            let is_settled = self.is_settled(&found, now);
            let late = (now - start).saturating_sub(patience);
            let is_expected = self.is_expected(&found);
            if is_settled && is_expected {
                return found;
            }
            if late > Duration::ZERO && is_settled {
                let seconds = patience.as_secs();
                if self.is_new("did not appear") {
                    tracing::info!(seconds, "the expected virtual media did not appear");
                }
                return found;
            }
            if late > SETTLING {
                if self.is_new("no rest") {
                    tracing::warn!(
                        "devices that may be virtual media come and go: NONE OF THEM IS BELIEVED"
                    );
                }
                return Found::default();
            }
            if watch.wait(PAUSE) {
                return Found::default();
            }
        }
    }

    /// Whether what was found can be believed by now. What the kernel command line vouches for is believed at once, and beside a
    /// command line that is complete nothing else decides anything.
    fn is_settled(&self, found: &Found, now: Duration) -> bool {
        let candidates = [&found.isos, &found.parameters, &found.perhaps];
        let candidates = candidates.into_iter().flatten().cloned().collect();
        let same = self.candidates.borrow_mut().look(now, candidates);
        self.is_complete() || self.arguments.publisher().is_some() || same >= SETTLING
    }

    /// Tells of devices that cannot be read, and of ISOs that are not this boot's, of each once.
    fn log_others(&self, found: &Found) -> usize {
        let unread = found.unread.iter().filter(|unread| {
            let mut said = self.said.borrow_mut();
            said.is_first_of(format!("{unread:?}"))
        });
        let unread = unread.map(|Unread { path, reason }| {
            tracing::warn!(
                device = %path.display(),
                reason,
                "a device that may be virtual media cannot be read: it is passed over"
            );
        });
        let is_first = |device: &&Device| self.said.borrow_mut().is_first_of(format!("{device:?}"));
        let others = found.others.iter().filter(is_first);
        let told = others.map(|device| {
            let publisher = match &device.volume {
                Volume::Iso9660 { publisher, .. } => publisher.as_str(),
                Volume::Ext { .. } | Volume::Fat { .. } => "",
            };
            tracing::warn!(
                device = %device.path.display(),
                publisher,
                wanted = self.arguments.publisher(),
                "Not the ISO of this boot: its publisher differs"
            );
        });
        unread.count() + told.count()
    }

    /// Whether the command line has what the agent needs to begin.
    fn is_complete(&self) -> bool {
        // Templates write an empty value for what they do not know.
        let has = |name| {
            let value = self.arguments.value(name);
            value.is_some_and(|value| !value.is_empty())
        };
        has("ipa-api-url") && has("ipa-agent-token")
    }

    /// Whether these are the media that this boot is made with. Ironic's own command line comes with an ISO, and a volume of
    /// parameters beside it says nothing new.
    fn is_expected(&self, found: &Found) -> bool {
        match self.is_complete() || self.arguments.publisher().is_some() {
            true => !found.isos.is_empty(),
            false => !found.parameters.is_empty(),
        }
    }

    /// Whether the agent can start with what the media gave.
    fn is_enough(&self, media: &Media) -> bool {
        media.is_something() || self.known.conductor || self.arguments.publisher().is_some()
    }
}

impl Found {
    fn among(devices: Vec<Result<Device, Unread>>, publisher: Option<&str>) -> Self {
        let mut found = Self {
            published: publisher.is_some(),
            ..Self::default()
        };
        for device in devices {
            let device = match device {
                Ok(device) => device,
                Err(unread) => {
                    found.unread.push(unread);
                    continue;
                }
            };
            let label = device.volume.label().to_lowercase();
            let iso = ISO_LABELS.contains(&label.as_str());
            if label == PARAMETERS_LABEL {
                found.parameters.push(device);
            } else if iso {
                match device.is_published_by(publisher) {
                    true => found.isos.push(device),
                    false => found.others.push(device),
                }
            } else if device.model.to_lowercase().contains("virtual media") {
                found.perhaps.push(device);
            }
        }
        found
    }
}

impl Boot<'_> {
    /// Reads the devices found. `attach` makes a device's files visible.
    fn take(
        &self,
        root: &Root,
        found: &Found,
        attach: &dyn Fn(&Device) -> Result<Attached, Error>,
    ) -> Result<Media, Error> {
        let parameters = match found.parameters.is_empty() {
            true => self.guessed(&found.perhaps, attach),
            false => self.parameters_of(&found.parameters, attach),
        };
        let copied = match self.iso(found) {
            Some(device) => self.files_of(root, device, found.published, &parameters, attach)?,
            None => Vec::new(),
        };
        let parameters = match parameters {
            Parameters::Read(parameters) => Some(parameters),
            Parameters::Missing | Parameters::Unclear => None,
        };
        let (has_parameters, files) = (parameters.is_some(), copied.len());
        if self.is_new(format!("read {has_parameters} {files}")) {
            tracing::info!(parameters = has_parameters, files, "Read the virtual media");
        }
        let were_found = !found.isos.is_empty() || !found.parameters.is_empty();
        Ok(Media {
            parameters,
            copied,
            were_found,
        })
    }

    /// The parameters on the volume that was made for them.
    fn parameters_of(
        &self,
        devices: &[Device],
        attach: &dyn Fn(&Device) -> Result<Attached, Error>,
    ) -> Parameters {
        let Some(device) = self.unambiguous(devices, PARAMETERS) else {
            return Parameters::Unclear;
        };
        let parameters = attach(device).and_then(|attached| parameters_in(&attached));
        self.read_or_warn(parameters)
            .map_or(Parameters::Unclear, Parameters::Read)
    }

    /// Copies the configuration files of an ISO. Ironic's own volume says more than an ISO that nothing vouches for: where there is one
    /// and what it says is not known, such an ISO says nothing.
    fn files_of(
        &self,
        root: &Root,
        iso: &Device,
        published: bool,
        parameters: &Parameters,
        attach: &dyn Fn(&Device) -> Result<Attached, Error>,
    ) -> Result<Vec<PathBuf>, Error> {
        let known = match parameters {
            Parameters::Read(parameters) => self.known.and(parameters),
            Parameters::Missing => self.known,
            Parameters::Unclear if published => self.known,
            Parameters::Unclear => {
                if self.is_new(format!("not read {}", iso.path.display())) {
                    tracing::warn!(
                        iso = %iso.path.display(),
                        "the files of this ISO are not read: no ir_pub_id names its publisher, and what the volume of parameters says is not known"
                    );
                }
                return Ok(Vec::new());
            }
        };
        let existing = match (published, known.configured) {
            (true, _) => Existing::Replaced,
            (false, true) => Existing::Final,
            (false, false) => Existing::Kept,
        };
        let copied = attach(iso).and_then(|attached| self.copy(root, existing, &attached));
        match published {
            true => copied,
            false => Ok(self.read_or_warn(copied).unwrap_or_default()),
        }
    }

    fn iso<'f>(&self, found: &'f Found) -> Option<&'f Device> {
        match found.isos.as_slice() {
            [first, _, ..] if found.published => Some(first),
            isos => self.unambiguous(isos, "boot ISO"),
        }
    }

    /// One of several would be a stranger's, and nothing says which.
    fn unambiguous<'d>(&self, devices: &'d [Device], what: &str) -> Option<&'d Device> {
        match devices {
            [] => None,
            [device] => Some(device),
            several => {
                let paths: Vec<_> = several.iter().map(|device| device.path.display()).collect();
                if self.is_new(format!("{what} {paths:?}")) {
                    tracing::error!(
                        devices = ?paths,
                        "more than one volume claims to be this boot's {what}: NONE OF THEM IS BELIEVED. Take the others away"
                    );
                }
                None
            }
        }
    }

    /// Something of a medium that nothing vouches for must not stop a boot: that may do without, or wait for another.
    fn read_or_warn<T>(&self, read: Result<T, Error>) -> Option<T> {
        read.inspect_err(|error| {
            let error = chain(error);
            if self.is_new(error.as_str()) {
                tracing::warn!(error, "a medium cannot be read: going on without");
            }
        })
        .ok()
    }

    fn copy(
        &self,
        root: &Root,
        existing: Existing,
        attached: &Attached,
    ) -> Result<Vec<PathBuf>, Error> {
        let failed = |(path, source)| Error::Copy { path, source };
        let medium = Medium::open(&attached.path);
        let medium = medium.map_err(|source| failed((attached.path.clone(), source)))?;
        let mut copied = Copied::default();
        for folder in FOLDERS {
            let done = medium.copy(Path::new(folder), &root.path(folder), existing, &mut copied);
            if let Err(error) = done {
                if existing != Existing::Replaced {
                    // The next start must not take a part of them for the ramdisk's own.
                    copied.undo();
                }
                return Err(failed(error));
            }
        }
        for (file, reason) in &copied.left_out {
            if self.is_new(format!("{} {reason}", file.display())) {
                tracing::warn!(file = %file.display(), %reason, "left a file of the virtual media out");
            }
        }
        Ok(copied.files)
    }

    /// The parameters on a device that only its name speaks for: without the file, or not even a file system, it is something else.
    fn guessed(
        &self,
        perhaps: &[Device],
        attach: &dyn Fn(&Device) -> Result<Attached, Error>,
    ) -> Parameters {
        let (mut devices, mut parameters) = (Vec::new(), None);
        for device in perhaps {
            let Ok(attached) = attach(device) else {
                continue;
            };
            let read = parameters_in(&attached);
            let is_missing = matches!(&read, Err(Error::Parameters { source, .. }) if source.kind() == io::ErrorKind::NotFound);
            if !is_missing {
                devices.push(device.clone());
                parameters = Some(read);
            }
        }
        let Some(parameters) = parameters else {
            return Parameters::Missing;
        };
        match self.unambiguous(&devices, PARAMETERS) {
            Some(_) => self
                .read_or_warn(parameters)
                .map_or(Parameters::Unclear, Parameters::Read),
            None => Parameters::Unclear,
        }
    }
}

/// What volumes of parameters say.
enum Parameters {
    /// There is none.
    Missing,
    /// There is one that cannot be read, or more than one.
    Unclear,
    Read(KernelArgs),
}

fn parameters_in(attached: &Attached) -> Result<KernelArgs, Error> {
    let failed = |source| Error::Parameters {
        path: PARAMETERS_FILE.into(),
        source,
    };
    let bytes = Medium::open(&attached.path)
        .and_then(|medium| medium.read(Path::new(PARAMETERS_FILE), MAX_MEDIA_BYTES))
        .map_err(failed)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(KernelArgs::parse(Zeroizing::new(text.into()))),
        Err(error) => Err(failed(io::Error::new(io::ErrorKind::InvalidData, error))),
    }
}

/// A device whose files are below `path`, until this is dropped.
#[derive(Debug)]
struct Attached {
    path: PathBuf,
    mounted: bool,
}

fn attach(root: &Root, device: &Device) -> Result<Attached, Error> {
    let failed = |source| Error::Mount {
        device: device.path.clone(),
        source,
    };
    let path = root.path("run/ferrite/media");
    fs::create_dir_all(&path).map_err(failed)?;
    detach_all(&path).map_err(failed)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some(&device.path),
        &path,
        Some(device.file_system),
        flags,
        None::<&str>,
    )
    .map_err(|error| failed(error.into()))?;
    Ok(Attached {
        path,
        mounted: true,
    })
}

/// Detaches what an agent left mounted that was killed while it read: the same file system cannot be mounted twice at one place.
fn detach_all(path: &Path) -> io::Result<()> {
    loop {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {
                tracing::info!(path = %path.display(), "detached virtual media that an agent before this one left mounted");
            }
            // Nothing is mounted there; or nothing may be, which the mount tells better.
            Err(Errno::EINVAL | Errno::EPERM) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
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
const PARAMETERS_FILE: &str = "parameters.txt";
const PARAMETERS_LABEL: &str = "ir-vfd-dev";
const FOLDERS: &[&str] = &["etc/ironic-python-agent", "etc/ironic-python-agent.d"];
/// For the boot ISO, when the rest is known: it may also be that the firmware booted over HTTP and there is none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For parameters.
const LONG_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// For so long no other may have come or gone before what nothing vouches for is believed: USB devices appear within a second or two of
/// each other.
const SETTLING: Duration = Duration::from_secs(3);
/// Between two looks at media that are there and do not suffice.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    max: Duration::from_secs(8),
};

#[cfg(test)]
mod tests {
    use super::devices::MAX_SECTORS;
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::cell::Cell;
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
                .flatten()
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
        let at = 32768;
        let mut head = vec![b' '; at + 2048];
        head[at..at + 6].copy_from_slice(b"\x01CD001");
        head[at + 40..at + 40 + label.len()].copy_from_slice(label.as_bytes());
        head[at + 318..at + 318 + publisher.len()].copy_from_slice(publisher.as_bytes());
        head
    }

    fn fat(label: &str) -> Vec<u8> {
        let mut padded = [b' '; 11];
        padded[..label.len()].copy_from_slice(label.as_bytes());
        let mut image = io::Cursor::new(vec![0; 64 << 10]);
        let options = fatfs::FormatVolumeOptions::new().volume_label(padded);
        fatfs::format_volume(&mut image, options).unwrap();
        image.into_inner()
    }

    fn arguments(line: &str) -> KernelArgs {
        KernelArgs::parse(line.to_owned())
    }

    /// What one look at a machine's media gives, when all expected ones are there.
    fn look(machine: &Machine, line: &str, known: Known) -> Result<Media, Error> {
        let arguments = arguments(line);
        let boot = Boot::new(&arguments, known);
        let found = Found::among(devices(&machine.root()), arguments.publisher());
        boot.take(&machine.root(), &found, &machine.attach())
    }

    fn take(machine: &Machine) -> Result<Media, Error> {
        look(machine, "boot_method=vmedia", Known::default())
    }

    const CONFIGURED: Known = Known {
        configured: true,
        conductor: true,
    };

    /// What happens, and when.
    type Event<'a> = (Duration, &'a dyn Fn());

    /// Time that passes as it is waited for, up to an end; and what happens meanwhile.
    struct Time<'a> {
        now: Cell<Duration>,
        end: Duration,
        event: Cell<Option<Event<'a>>>,
    }

    impl<'a> Time<'a> {
        fn until(end: Duration) -> Self {
            Self {
                now: Cell::default(),
                end,
                event: Cell::default(),
            }
        }

        fn with(self, at: Duration, event: &'a dyn Fn()) -> Self {
            self.event.set(Some((at, event)));
            self
        }
    }

    impl Watch for Time<'_> {
        fn elapsed(&self) -> Duration {
            self.now.get()
        }

        fn wait(&self, pause: Duration) -> bool {
            self.now.set(self.now.get() + pause);
            match self.event.take() {
                Some((at, event)) if at <= self.now.get() => event(),
                other => self.event.set(other),
            }
            self.now.get() >= self.end
        }
    }

    /// What the media give in so much time, and when.
    fn wait(machine: &Machine, line: &str, known: Known, time: &Time<'_>) -> (Media, Duration) {
        let arguments = arguments(line);
        let boot = Boot::new(&arguments, known);
        let media = boot.until_enough(&machine.root(), time, &machine.attach());
        (media.unwrap(), time.elapsed())
    }

    #[test]
    fn cds_and_small_usb_disks_may_be_media_and_nothing_else() {
        let machine = Machine::new();
        let usb = "pci0000:00/usb1/1-1/host2";
        machine.block("pci0000:00/ata1/host1", "sr0", "5", 99, &iso("a", ""));
        machine.block(usb, "sda", "0", MAX_SECTORS - 1, &fat("b"));
        machine.block(usb, "sdb", "0", MAX_SECTORS, &fat("c"));
        machine.block(usb, "sdc", "0", 0, &fat("d"));
        machine.block("pci0000:00/ata2/host3", "sdd", "0", 99, &fat("e"));
        machine.block(usb, "sde1", "0", 99, &fat("f"));
        machine.file(&format!("sys/devices/{usb}/block/sde1/partition"), "1");
        machine.block(usb, "sdf", "0", 99, b"nothing to see");
        assert_eq!(machine.names(), ["sda", "sr0"]);
    }

    #[test]
    fn a_medium_that_a_killed_agent_left_mounted_is_attached_again() {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, private, none).unwrap();
        let machine = Machine::new();
        let place = machine.root().path("run/ferrite/media");
        // The kernel has one file system of this kind, as it has one of each device: it is not mounted twice at one place.
        let device = Device {
            path: "/dev/sr0".into(),
            volume: Volume::Fat {
                label: "ir-vfd-dev".into(),
            },
            file_system: "sysfs",
            model: String::new(),
        };
        for _ in 0..2 {
            let left = attach(&machine.root(), &device).unwrap();
            assert!(left.path.join("kernel").exists());
            // As an agent that is killed.
            std::mem::forget(left);
        }
        // One that another device's hides.
        mount(Some("none"), &place, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        let attached = attach(&machine.root(), &device).unwrap();
        assert!(attached.path.join("kernel").exists());
        drop(attached);
        assert_eq!(fs::read_dir(place).unwrap().count(), 0, "it stays mounted");
    }

    #[test]
    fn the_iso_must_be_the_one_of_this_boot() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "other"));
        machine.block("ata1", "sr1", "5", 9, &iso("VMEDIA_BOOT_ISO", "ours"));
        let were_found = |line| look(&machine, line, CONFIGURED).unwrap().were_found;
        assert!(!were_found("boot_method=vmedia ir_pub_id=nobody"));
        assert!(were_found("boot_method=vmedia"));
        let chosen = |publisher| {
            let found = Found::among(devices(&machine.root()), publisher);
            let arguments = arguments("");
            let boot = Boot::new(&arguments, Known::default());
            let iso = boot.iso(&found);
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
        assert!(take(&machine).unwrap().parameters.is_none());
        fs::remove_file(machine.0.path().join("dev/sdb")).unwrap();
        let media = take(&machine).unwrap();
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
        assert!(take(&machine).unwrap().parameters.is_none());
        fs::remove_file(machine.0.path().join("media/sdb/parameters.txt")).unwrap();
        assert!(take(&machine).unwrap().parameters.is_some());
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
        let media = take(&machine).unwrap();
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
    fn a_parameter_volume_that_cannot_be_read_is_waited_past_and_not_in_haste() {
        let machine = Machine::new();
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        for content in [None, Some(b"ipa-api-url=https://\xFF".as_slice())] {
            if let Some(content) = content {
                machine.file("media/sda/parameters.txt", content);
            }
            let media = look(&machine, "boot_method=vmedia", CONFIGURED).unwrap();
            assert!(media.parameters.is_none());
            let arguments = arguments("boot_method=vmedia");
            let boot = Boot::new(&arguments, Known::default());
            let rounds = Cell::new(0);
            let attach = machine.attach();
            let attach = |device: &Device| {
                rounds.set(rounds.get() + 1);
                attach(device)
            };
            let time = Time::until(Duration::from_secs(60));
            let media = boot.until_enough(&machine.root(), &time, &attach);
            assert!(media.unwrap().parameters.is_none());
            // After 3 seconds, 1, 2, 4, then each 8 seconds.
            assert_eq!(rounds.get(), 10);
        }
    }

    #[test]
    fn the_same_is_told_once_until_devices_change_and_of_an_iso_once_at_all() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "other"));
        let arguments = arguments("boot_method=vmedia ir_pub_id=ours");
        let boot = Boot::new(&arguments, Known::default());
        let found = Found::among(devices(&machine.root()), arguments.publisher());
        assert_eq!(found.isos, []);
        assert!(boot.is_new("two volumes") && !boot.is_new("two volumes"));
        assert_eq!(boot.log_others(&found), 1);
        // A folder opens and cannot be read, like a damaged CD.
        machine.block("ata2", "sr1", "5", 9, b"");
        fs::remove_file(machine.0.path().join("dev/sr1")).unwrap();
        fs::create_dir(machine.0.path().join("dev/sr1")).unwrap();
        let found = Found::among(devices(&machine.root()), arguments.publisher());
        assert_eq!((found.others.len(), found.unread.len()), (1, 1));
        assert_eq!(boot.log_others(&found), 1);
        boot.said.borrow_mut().forget();
        assert!(boot.is_new("two volumes"));
        assert_eq!(boot.log_others(&found), 0);
    }

    #[test]
    fn an_iso_that_nothing_vouches_for_configures_only_what_is_not_configured() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "1"));
        let (file, content) = (
            "etc/ironic-python-agent.d/x.conf",
            "[DEFAULT]\ninsecure=1\n",
        );
        machine.file(&format!("media/sr0/{file}"), content);
        let target = machine.root().path(file);
        let copied = [target.clone()];
        for line in ["ipa-api-url=https://i", "ir_pub_id= ipa-api-url=https://i"] {
            assert_eq!(
                look(&machine, line, CONFIGURED).unwrap().copied,
                Vec::<PathBuf>::new()
            );
            assert!(!target.exists());
        }
        let known = Known {
            configured: true,
            conductor: false,
        };
        assert_eq!(
            look(&machine, "ir_pub_id=2", known).unwrap().copied,
            Vec::<PathBuf>::new()
        );
        assert_eq!(look(&machine, "ir_pub_id=1", known).unwrap().copied, copied);
        fs::remove_file(&target).unwrap();
        assert_eq!(take(&machine).unwrap().copied, copied);
        // An agent that is started again finds them there.
        assert_eq!(look(&machine, "", CONFIGURED).unwrap().copied, copied);
    }

    #[test]
    fn parameters_that_configure_keep_the_files_of_an_iso_that_nothing_vouches_for_away() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("config-2", "anybody"));
        let file = "etc/ironic-python-agent.d/x.conf";
        let content = "[DEFAULT]\napi_url=https://evil\n";
        machine.file(&format!("media/sr0/{file}"), content);
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        let parameters = "ipa-api-url=https://i ipa-agent-token=t";
        machine.file("media/sda/parameters.txt", parameters);
        let media = take(&machine).unwrap();
        let url = media.parameters.as_ref().unwrap().value("ipa-api-url");
        assert_eq!(url, Some("https://i"));
        assert_eq!(media.copied, Vec::<PathBuf>::new());
        assert!(!machine.root().path(file).exists());
        // The one of this boot is another matter.
        let line = "boot_method=vmedia ir_pub_id=anybody";
        let media = look(&machine, line, Known::default()).unwrap();
        assert_eq!(media.copied, [machine.root().path(file)]);
    }

    #[test]
    fn an_iso_that_nothing_vouches_for_says_nothing_where_parameters_are_not_certain() {
        for label in ["ir-vfd-dev", "other"] {
            let machine = Machine::new();
            machine.block("ata1", "sr0", "5", 9, &iso("config-2", "anybody"));
            let file = "etc/ironic-python-agent.d/x.conf";
            let content = "[DEFAULT]\napi_url=https://evil\n";
            machine.file(&format!("media/sr0/{file}"), content);
            let volume = |name: &str| {
                machine.block("usb1", name, "0", 9, &fat(label));
                let model = format!("sys/devices/usb1/block/{name}/device/model");
                machine.file(&model, "Virtual Media FDD");
                let parameters = "ipa-api-url=https://i ipa-agent-token=t";
                machine.file(&format!("media/{name}/parameters.txt"), parameters);
            };
            let nothing = || {
                let time = Time::until(3 * LONG_TIMEOUT);
                let (media, waited) = wait(&machine, "boot_method=vmedia", Known::default(), &time);
                assert!(!media.is_something() && waited >= time.end);
                assert!(!machine.root().path(file).exists());
            };
            // Two of them.
            volume("sda");
            volume("sdb");
            nothing();
            // One that cannot be read.
            fs::remove_file(machine.0.path().join("dev/sdb")).unwrap();
            machine.file("media/sda/parameters.txt", [0xFF]);
            nothing();
            // The one of this boot is another matter.
            let line = "boot_method=vmedia ir_pub_id=anybody";
            let media = look(&machine, line, Known::default()).unwrap();
            assert_eq!(media.copied, [machine.root().path(file)]);
        }
    }

    #[test]
    fn what_nothing_vouches_for_is_believed_once_no_other_came_for_a_while() {
        let hour = Duration::from_secs(3600);
        let volume = |machine: &Machine, name: &str| {
            machine.block("usb1", name, "0", 9, &fat("ir-vfd-dev"));
            let parameters = format!("ipa-api-url=https://{name}");
            machine.file(&format!("media/{name}/parameters.txt"), parameters);
        };
        let url = |media: &Media| {
            let parameters = media.parameters.as_ref()?;
            parameters.value("ipa-api-url").map(str::to_owned)
        };
        for known in [Known::default(), CONFIGURED] {
            // A planted one is there first, and Ironic's comes a moment later.
            let machine = Machine::new();
            volume(&machine, "sda");
            let (at, event) = (Duration::from_millis(300), || volume(&machine, "sdb"));
            let time = Time::until(hour).with(at, &event);
            let (media, _) = wait(&machine, "boot_method=vmedia", known, &time);
            assert_eq!(url(&media), None);
            // A lone one.
            let machine = Machine::new();
            volume(&machine, "sda");
            let (media, waited) = wait(&machine, "boot_method=vmedia", known, &Time::until(hour));
            assert_eq!(
                (url(&media).as_deref(), waited),
                (Some("https://sda"), SETTLING)
            );
            // One that comes in the last moment.
            let machine = Machine::new();
            let event = || volume(&machine, "sda");
            let time = Time::until(hour).with(LONG_TIMEOUT, &event);
            let (media, waited) = wait(&machine, "boot_method=vmedia", known, &time);
            assert_eq!(url(&media).as_deref(), Some("https://sda"));
            assert_eq!(waited, LONG_TIMEOUT + SETTLING);
        }
    }

    #[test]
    fn what_the_command_line_vouches_for_or_completes_is_not_waited_for_longer() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "1"));
        machine.file("media/sr0/etc/ironic-python-agent/ironic.crt", "PEM");
        for (line, known, files) in [
            ("boot_method=vmedia ir_pub_id=1", Known::default(), 1),
            (
                "boot_method=vmedia ipa-api-url=https://i ipa-agent-token=t",
                CONFIGURED,
                1,
            ),
        ] {
            let time = Time::until(Duration::from_secs(3600));
            let (media, waited) = wait(&machine, line, known, &time);
            assert_eq!((media.copied.len(), waited), (files, Duration::ZERO));
        }
    }

    #[test]
    fn of_devices_that_come_and_go_none_is_believed_and_the_wait_has_an_end() {
        struct Flapping<'a>(Time<'a>, &'a Machine);
        impl Watch for Flapping<'_> {
            fn elapsed(&self) -> Duration {
                self.0.elapsed()
            }
            fn wait(&self, pause: Duration) -> bool {
                let name = self.1.0.path().join("dev/sda");
                let other = self.1.0.path().join("dev/gone");
                match name.exists() {
                    true => fs::rename(name, other).unwrap(),
                    false => fs::rename(other, name).unwrap(),
                }
                self.0.wait(pause)
            }
        }
        let machine = Machine::new();
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        machine.file("media/sda/parameters.txt", "ipa-agent-token=t");
        let arguments = arguments("boot_method=vmedia ipa-api-url=https://i");
        let boot = Boot::new(&arguments, CONFIGURED);
        let time = Flapping(Time::until(Duration::from_secs(3600)), &machine);
        let media = boot.until_enough(&machine.root(), &time, &machine.attach());
        assert!(media.unwrap().parameters.is_none());
        assert!(time.elapsed() < LONG_TIMEOUT + 2 * SETTLING);
    }

    #[test]
    fn parameters_for_which_the_next_agent_has_no_room_are_not_read() {
        let machine = Machine::new();
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        for (bytes, is_read) in [(MAX_MEDIA_BYTES, true), (40 << 10, false)] {
            let text = "ipa-debug=1 ".repeat(bytes)[..bytes].to_owned();
            machine.file("media/sda/parameters.txt", text);
            assert_eq!(take(&machine).unwrap().parameters.is_some(), is_read);
        }
        let device = &Found::among(devices(&machine.root()), None).parameters[0];
        let error = parameters_in(&machine.attach()(device).unwrap()).unwrap_err();
        assert_eq!(
            chain(&error),
            "cannot read parameters.txt of the virtual media: it has more than 32 KiB"
        );
    }

    #[test]
    fn an_iso_that_cannot_be_copied_whole_leaves_no_file_behind() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "1"));
        machine.file("media/sr0/etc/ironic-python-agent/ironic.crt", "PEM");
        machine.file("media/sr0/etc/ironic-python-agent.d/x.conf", "[DEFAULT]");
        // No folder can be made here.
        machine.file("etc/ironic-python-agent.d", "");
        let copied = machine.root().path("etc/ironic-python-agent/ironic.crt");
        assert_eq!(take(&machine).unwrap().copied, Vec::<PathBuf>::new());
        assert!(!copied.exists());
        // One that the kernel command line vouches for replaces files: there is nothing to undo.
        look(&machine, "ir_pub_id=1", Known::default()).unwrap_err();
        assert!(copied.exists());
    }

    #[test]
    fn a_machine_that_knows_no_ironic_waits_on_for_media() {
        let machine = Machine::new();
        let enough = |line: &str, known| {
            let arguments = arguments(line);
            let boot = Boot::new(&arguments, known);
            boot.is_enough(&look(&machine, line, known).unwrap())
        };
        let line = "boot_method=vmedia ipa-debug=1";
        assert!(!enough(line, Known::default()));
        // Others can do without.
        assert!(enough(line, CONFIGURED));
        assert!(enough("ir_pub_id=1", Known::default()));
        machine.block("ata1", "sr0", "5", 9, &iso("config-2", ""));
        machine.file("media/sr0/vmlinuz", "");
        assert!(!enough(line, Known::default()), "an ISO without files");
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        machine.file("media/sda/parameters.txt", "ipa-api-url=https://i");
        assert!(enough(line, Known::default()));
    }

    #[test]
    fn the_iso_is_waited_for_where_the_command_line_has_all_the_rest() {
        let machine = Machine::new();
        let all_there = |line: &str| {
            let arguments = arguments(line);
            let boot = Boot::new(&arguments, Known::default());
            boot.is_expected(&Found::among(
                devices(&machine.root()),
                boot.arguments.publisher(),
            ))
        };
        let (built, prepared) = (
            "ir_pub_id=1 ipa-api-url=x ipa-agent-token=x",
            "boot_method=vmedia",
        );
        assert_eq!((all_there(built), all_there(prepared)), (false, false));
        let of_template = "boot_method=vmedia ipa-api-url= ipa-agent-token=";
        machine.block("usb1", "sda", "0", 9, &fat("ir-vfd-dev"));
        assert_eq!((all_there(built), all_there(prepared)), (false, true));
        machine.block("ata1", "sr0", "5", 9, &iso("VMEDIA_BOOT_ISO", "1"));
        assert_eq!((all_there(built), all_there(prepared)), (true, true));
        fs::remove_file(machine.0.path().join("dev/sda")).unwrap();
        assert!(!all_there(of_template) && !all_there(prepared));
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
        assert!(take(&machine).unwrap().parameters.is_none());
        machine.file("media/sda/parameters.txt", "a=b");
        let media = take(&machine).unwrap();
        assert_eq!(media.parameters.unwrap().value("a"), Some("b"));
    }

    #[test]
    fn without_the_boot_method_nothing_is_read() {
        let machine = Machine::new();
        machine.block("ata1", "sr0", "5", 9, &iso("config-2", ""));
        let boot = arguments("boot_method=pxe");
        let media = read(&machine.root(), &boot, Known::default()).unwrap();
        assert!(media.parameters.is_none() && media.copied.is_empty());
    }
}
