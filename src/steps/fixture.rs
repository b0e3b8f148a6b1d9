//! Test fixture: a machine that runs steps.

use super::context::{Commander, StepContext};
use super::machine::{Machine, Priorities, Settings};
use super::spec::Phase;
use crate::error::AgentError;
use crate::formats::gpt;
use crate::formats::guid::Guid;
use crate::imaging::{self, configdrive};
use crate::machine::wait::WaitPolicy;
use crate::machine::{InstalledSystem, clock};
use crate::node::Node;
use crate::progress::{Cancel, Reporter};
use crate::storage::device::fixture::{GIB, Machine as Files};
use crate::storage::disk::kernel_name;
use crate::storage::fixture::TestDisk;
use crate::storage::partition;
use crate::tls::client::ClientOptions;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::runtime::Runtime;

pub(super) const NODE: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
pub(super) const MIB: usize = 1 << 20;

/// A machine of files with one disk: `/dev/sdx`, backed by a loop device.
pub(super) struct Lab {
    pub(super) machine: Machine,
    /// Commander of the steps.
    pub(super) commander: Commander,
    pub(super) files: Files,
    pub(super) disk: TestDisk,
    _runtime: Runtime,
}

impl Lab {
    /// Returns a machine that booted a ramdisk.
    pub(super) fn new() -> Self {
        Self::on("1 1 0:2 / / rw - rootfs rootfs rw\n")
    }

    /// Returns a machine with these mounts.
    pub(super) fn on(mounts: &str) -> Self {
        let disk = test_disk();
        let files = Files::new();
        files.file("proc/self/mountinfo", mounts);
        files.link("sys/class", "/sys/class");
        show(&files, "sdx", &disk);
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
            config_drive: configdrive::Form::Verbatim,
            guard_shared_file_systems: true,
            disk_wait: WaitPolicy {
                attempts: 0,
                delay: Duration::ZERO,
            },
            installed_system: InstalledSystem::Protected,
            clock: clock::ClockSettings::default(),
            priorities: Priorities::new(),
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

    /// Stores a node as the lookup does.
    pub(super) fn remember_node(&self, node: Value) {
        self.machine.remember_node(parsed(node));
    }

    /// Adds a second disk, `/dev/sdy`, like the first one, and puts it in the node's skip list.
    pub(super) fn kept_disk(&self) -> TestDisk {
        let kept = test_disk();
        show(&self.files, "sdy", &kept);
        self.remember_node(json!({
            "uuid": NODE,
            "properties": {"skip_block_devices": [{"name": "/dev/sdy"}]},
        }));
        kept
    }

    /// Returns a function that swaps the names of the disks `/dev/sdx` and `/dev/sdy` and their
    /// partitions.
    pub(super) fn exchange_of_names(&self) -> impl FnMut() + Send + 'static {
        let root = self.files.root();
        move || {
            for folder in ["dev", "sys/block"] {
                for partition in ["", "1", "2"] {
                    let of = |disk| root.path(folder).join(format!("{disk}{partition}"));
                    if !of("sdx").exists() {
                        continue;
                    }
                    std::fs::rename(of("sdx"), of("sdz")).unwrap();
                    std::fs::rename(of("sdy"), of("sdx")).unwrap();
                    std::fs::rename(of("sdz"), of("sdy")).unwrap();
                }
            }
        }
    }

    /// Returns the error for a device that is no longer the chosen one.
    pub(super) fn node_of_another(&self, node: &str) -> String {
        format!(
            "{} is another disk now than when it was chosen; nothing was written to it",
            self.files.root().path("dev").join(node).display()
        )
    }

    pub(super) fn run(
        &self,
        phase: Phase,
        step: &str,
        arguments: Value,
    ) -> Result<Value, AgentError> {
        self.run_until(&Cancel::default(), phase, step, arguments)
    }

    pub(super) fn run_until(
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
            ports: &json!([]).into(),
            cancel,
            progress: &Reporter::default(),
        };
        self.machine.run_step(phase, step, arguments, context)
    }

    /// Returns number, first byte and length in bytes of each partition.
    pub(super) fn partitions(&self) -> Vec<(u32, u64, u64)> {
        let layout = partition::list(&self.files.root().path("dev/sdx")).unwrap();
        let partitions = layout.partitions.into_iter();
        partitions.map(|p| (p.number, p.start, p.bytes)).collect()
    }

    /// Asserts that the test's disk is unchanged.
    pub(super) fn assert_untouched(&self) {
        let mib = 1 << 20;
        assert_eq!(
            self.partitions(),
            [(1, mib, 10 * mib), (2, 20 * mib, 5 * mib)]
        );
    }
}

pub(super) fn parsed(node: Value) -> Node {
    Node::parse(node.into()).unwrap()
}

fn test_disk() -> TestDisk {
    TestDisk::gpt(
        200,
        512,
        &[(Guid::LINUX_DATA, 1, 10), (Guid::LINUX_DATA, 20, 5)],
    )
}

/// Adds a disk under a name to the files of a machine, with the kernel's sequence number of it.
pub(super) fn show(files: &Files, name: &str, disk: &TestDisk) {
    files.plain_disk(name, 8 * GIB);
    let node = disk.path();
    let sequence = Path::new("/sys/block").join(kernel_name(node));
    let sequence = std::fs::read_to_string(sequence.join("diskseq")).unwrap();
    files.file(&format!("sys/block/{name}/diskseq"), &sequence);
    let node = node.display();
    files.link(&format!("dev/{name}"), &node.to_string());
    for partition in [1, 2] {
        files.link(
            &format!("dev/{name}{partition}"),
            &format!("{node}p{partition}"),
        );
    }
}

/// Returns all bytes of a disk.
pub(super) fn all_bytes(disk: &TestDisk) -> Vec<u8> {
    disk.bytes(0, 200 * MIB)
}

/// Returns the bytes of a disk with one partition, filled with a byte.
pub(super) fn image(byte: u8) -> Vec<u8> {
    let mut bytes = divided(&[(Guid::LINUX_DATA, 1, 4)]);
    bytes[MIB..5 * MIB].fill(byte);
    bytes
}

/// Returns the bytes of a disk of 8 MiB with these partitions.
pub(super) fn divided(partitions: &[(Guid, u64, u64)]) -> Vec<u8> {
    let file = tempfile::tempfile().unwrap();
    file.set_len(8 << 20).unwrap();
    gpt::fixture::write(&file, 512, partitions);
    let mut bytes = vec![0; 8 * MIB];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Serves bytes a number of times, at the URL that is returned.
pub(super) fn served(bytes: Vec<u8>, times: usize) -> String {
    served_and_heard(bytes, times).0
}

/// Serves bytes once, and calls a function before the response.
pub(super) fn served_after(bytes: Vec<u8>, before: impl FnMut() + Send + 'static) -> String {
    serve(bytes, 1, before).0
}

/// Serves bytes like [`served`], and returns a receiver of each request's `Authorization` header.
pub(super) fn served_and_heard(bytes: Vec<u8>, times: usize) -> (String, Receiver<Option<String>>) {
    serve(bytes, times, || ())
}

fn serve(
    bytes: Vec<u8>,
    times: usize,
    mut before: impl FnMut() + Send + 'static,
) -> (String, Receiver<Option<String>>) {
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
            // Not every test receives.
            let _ = heard.send(shown);
            before();
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

pub(super) fn served_once(bytes: Vec<u8>) -> String {
    served(bytes, 1)
}

/// Returns an `image_info` whose bytes are served once.
pub(super) fn info_of(bytes: Vec<u8>) -> Value {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    json!({"id": "image-1", "urls": [served_once(bytes)], "os_hash_algo": "sha256", "os_hash_value": sum, "disk_format": "raw"})
}
