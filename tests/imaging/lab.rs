//! Disks, settings and images for the tests.

use aws_lc_rs::digest::{SHA256, digest};
use ferrite::error::AgentError;
use ferrite::imaging::{self, ImageInfo, Md5, Network, Rules, Settings, Written};
use ferrite::progress::{Cancel, Reporter};
use ferrite::root::Root;
use ferrite::storage::chosen::Chosen;
use ferrite::tls::client::ClientOptions;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const MIB: usize = 1 << 20;

/// A disk, and everything that is needed to write on it.
pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) disk: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) cancel: Cancel,
    pub(crate) reporter: Reporter,
    _runtime: Runtime,
}

impl Lab {
    /// A disk of so many bytes, full of what was on it before.
    pub(crate) fn new(size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        fs::write(&disk, vec![OLD; size]).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let settings = Settings {
            network: Network {
                tls: ClientOptions::default(),
                root: Root::at(folder.path()),
                runtime: runtime.handle().clone(),
                timeout: Duration::from_secs(20),
            },
            retries: 2,
            interval: Duration::ZERO,
            max_duration: None,
            basic_auth: None,
            md5: Md5::Refused,
            rules: Rules {
                deep_inspection: true,
                permitted: vec!["raw".into(), "gpt".into(), "qcow2".into()],
            },
        };
        Self {
            folder,
            disk,
            settings,
            cancel: Cancel::default(),
            reporter: Reporter::default(),
            _runtime: runtime,
        }
    }

    pub(crate) fn write(&self, info: &Map<String, Value>) -> Result<Written, AgentError> {
        let info = ImageInfo::parse(info, self.settings.md5)?;
        let (cancel, reporter) = (&self.cancel, &self.reporter);
        let disk = Chosen::at(&self.disk).unwrap();
        let written = imaging::write_image(&info, &disk, &self.settings, cancel, reporter)?;
        Ok(written)
    }

    /// Waits until so many bytes are written.
    pub(crate) fn wait_for_bytes(&self, bytes: usize) {
        let written = || {
            self.reporter
                .latest()
                .is_some_and(|progress| progress.bytes >= bytes as u64)
        };
        while !written() {
            thread::yield_now();
        }
    }

    pub(crate) fn disk_bytes(&self) -> Vec<u8> {
        fs::read(&self.disk).unwrap()
    }

    /// Asserts that the disk is as it was before anything was done.
    pub(crate) fn assert_untouched(&self) {
        assert!(
            is_full_of(&self.disk_bytes(), OLD),
            "the disk was written to"
        );
    }

    /// Asserts that nobody finds a partition table: neither the image's nor what was there before.
    pub(crate) fn assert_no_table(&self, image: &[u8]) {
        let disk = self.disk_bytes();
        assert!(is_full_of(&disk[..MIB], 0), "the beginning is not clear");
        assert!(
            is_full_of(&disk[disk.len() - MIB..], 0),
            "the end is not clear"
        );
        let end = image.len().min(disk.len());
        assert!(
            is_full_of(&disk[end - MIB.min(end)..end], 0),
            "the image's end is not clear"
        );
    }
}

/// What is on a disk before.
pub(crate) const OLD: u8 = 0xd1;

/// `image_info` of bytes at a URL, with their checksum.
pub(crate) fn info(url: &str, format: Option<&str>, file: &[u8]) -> Map<String, Value> {
    fields(json!({
        "id": "image-1",
        "urls": [url],
        "disk_format": format,
        "os_hash_algo": "sha256",
        "os_hash_value": sha256(file),
        "node_uuid": "n",
    }))
}

pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("not an object: {other}"),
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A disk with a GPT's marks at both ends, and something between them.
pub(crate) fn gpt_image(size: usize) -> Vec<u8> {
    let mut image = noise(size);
    image[..MIB].fill(0);
    image[size / 2..(size / 2 + 3 * MIB).min(size)].fill(0);
    image[446..458].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image[512..520].copy_from_slice(b"EFI PART");
    image[size - 512..size - 504].copy_from_slice(b"EFI PART");
    image
}

/// Whether all bytes are this one. A comparison of memory: loops over it are slow in test builds.
pub(crate) fn is_full_of(bytes: &[u8], byte: u8) -> bool {
    bytes == vec![byte; bytes.len()]
}

/// Bytes that do not repeat.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
