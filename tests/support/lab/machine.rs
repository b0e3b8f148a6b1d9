//! Virtual machines with a BMC: libvirt keeps them, sushy-tools' emulator speaks Redfish for them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;

use super::Boot;
use super::accelerator::Accelerator;
use super::api::http;
use super::parts::Parts;
use super::process::{Service, last_lines, program, run, wait_until};
use super::sandbox::{ADDRESS, BRIDGE};
use super::watchdog::Watchdog;

/// libvirt and the Redfish emulator.
#[derive(Debug)]
pub(crate) struct Hypervisor {
    // Dropped in this order: the emulator needs libvirt.
    _redfish: Service,
    _libvirt: Service,
    work: PathBuf,
    logs: PathBuf,
    accelerator: Accelerator,
}

/// What a machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
}

impl Firmware {
    /// Ironic's name for it, as a node's capability.
    pub(super) fn capability(self) -> &'static str {
        match self {
            Self::Bios => "boot_mode:bios",
            Self::Uefi => "boot_mode:uefi",
        }
    }
}

/// A virtual machine: 512 MiB, one disk of 5 GiB, one network card; one CPU in software emulation, two in KVM.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What libvirt calls it.
    pub name: String,
    /// libvirt's identifier, which is the BMC's too.
    pub uuid: String,
    /// Of its first network card.
    pub mac: String,
    /// The file that is its disk.
    pub disk: PathBuf,
    /// The file with all that its serial console printed.
    pub console: PathBuf,
    /// Whether it is stuck.
    pub watchdog: Arc<Watchdog>,
}

impl Hypervisor {
    pub(crate) fn start(parts: &Parts, work: &Path, logs: &Path) -> Result<Self> {
        let libvirt = start_libvirt(work, logs)?;
        let redfish = start_redfish(parts, work, logs)?;
        Ok(Self {
            _redfish: redfish,
            _libvirt: libvirt,
            work: work.into(),
            logs: logs.into(),
            accelerator: Accelerator::choose(parts, logs)?,
        })
    }

    /// Defines a machine that is switched off and has an empty disk. `number` tells machines of a lab apart, `devices` are more
    /// of them, as libvirt writes them.
    pub(crate) fn define(
        &self,
        name: &str,
        number: u8,
        boot: Boot,
        firmware: Firmware,
        devices: &str,
    ) -> Result<Machine> {
        let console = self.logs.join(format!("{name}.console"));
        let restarts = self.logs.with_file_name(RESTARTS);
        let machine = Machine {
            name: name.into(),
            uuid: format!("5f2a6e7c-0000-4000-8000-0000000000{number:02x}"),
            mac: format!("52:54:00:fe:00:{number:02x}"),
            disk: self.work.join(format!("{name}.disk")),
            watchdog: Arc::new(Watchdog::new(name, &console, restarts)),
            console,
        };
        File::create(&machine.disk)?.set_len(DISK)?;
        let xml = self.work.join(format!("{name}.xml"));
        fs::write(&xml, self.definition(&machine, boot, firmware, devices))?;
        run(virsh().arg("define").arg(&xml))?;
        Ok(machine)
    }

    fn definition(
        &self,
        machine: &Machine,
        boot: Boot,
        firmware: Firmware,
        devices: &str,
    ) -> String {
        let loader = match firmware {
            Firmware::Bios => String::new(),
            Firmware::Uefi => format!(
                "<loader readonly='yes' type='pflash'>{FIRMWARE}</loader>
    <nvram template='{FIRMWARE_VARIABLES}'>{}/{}.nvram</nvram>",
                self.work.display(),
                machine.name
            ),
        };
        // The card's own program is iPXE, which asks for its script; without it the firmware's PXE and HTTP boot are used.
        let (rom, network) = match boot {
            Boot::Ipxe | Boot::VirtualMedia => ("", String::new()),
            Boot::Pxe => ("<rom enabled='no'/>", without(&["IPv6PXESupport"])),
            Boot::Http => (
                "<rom enabled='no'/>",
                without(&["IPv4PXESupport", "IPv6PXESupport"]),
            ),
        };
        let domain_type = self.accelerator.domain_type();
        let cpus = self.accelerator.cpus();
        let Machine {
            name,
            uuid,
            mac,
            disk,
            console,
            watchdog: _,
        } = machine;
        // la57: five levels of page tables only make software emulation slower.
        format!(
            "<domain type='{domain_type}'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    {loader}
    <boot dev='hd'/>
  </os>
  {network}
  <features><acpi/><apic/></features>
  <cpu mode='maximum'><feature policy='disable' name='la57'/></cpu>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe' discard='unmap'/>
      <source file='{disk}'/>
      <target dev='sda' bus='scsi'/>
      <serial>{serial}</serial>
    </disk>
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='{BRIDGE}'/>
      <model type='virtio'/>{rom}
    </interface>
    <serial type='file'>
      <source path='{console}' append='on'/>
      <target port='0'/>
    </serial>
    <memballoon model='none'/>
    {devices}
  </devices>
</domain>
",
            disk = disk.display(),
            serial = machine.disk_serial(),
            console = console.display(),
        )
    }
}

impl Machine {
    /// The system's address at the Redfish emulator, split as Ironic wants it.
    pub(crate) fn redfish(&self) -> (String, String) {
        (
            format!("http://{ADDRESS}:{REDFISH_PORT}"),
            format!("/redfish/v1/Systems/{}", self.uuid),
        )
    }

    /// The serial number of the disk.
    pub fn disk_serial(&self) -> String {
        format!("ferrite-{}", self.name)
    }

    /// How much the console has said so far: a mark for `wait_console`.
    pub fn console_mark(&self) -> u64 {
        fs::metadata(&self.console).map_or(0, |file| file.len())
    }

    /// Everything the console said after a mark.
    pub fn console_since(&self, mark: u64) -> Result<String> {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.console) {
            file.seek(SeekFrom::Start(mark))?;
            file.read_to_end(&mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits for a line that starts with `wanted` on the console after a mark, and returns it; a machine that cannot come up ends the
    /// wait at once.
    pub fn wait_console(&self, mark: u64, wanted: &str, limit: Duration) -> Result<String> {
        let what = format!("\"{wanted}\" on the console of {}", self.name);
        let found = wait_until(&what, limit, || {
            let said = self.console_since(mark)?;
            if let Some(line) = whole_line(&said, wanted) {
                return Ok(Some(line));
            }
            self.watchdog.check()?;
            Ok(None)
        });
        match found {
            Ok(line) => Ok(line),
            Err(error) => bail!(
                "{error}; its last lines were:\n{}",
                last_lines(&self.console_since(mark)?, 20)
            ),
        }
    }

    /// Stops its processors, and has the console tell what a stalled kernel does.
    pub fn stall(&self, report: &str) -> Result<()> {
        run(virsh().args(["suspend", &self.name]))?;
        let mut console = OpenOptions::new().append(true).open(&self.console)?;
        Ok(console.write_all(report.as_bytes())?)
    }

    /// Whether the disk carries any partition table: a GPT at either end, or an MBR.
    pub fn has_partition_table(&self) -> Result<bool> {
        let mut disk = File::open(&self.disk)?;
        let mut sector = [0; 512];
        for (offset, signature) in [
            (510, &b"\x55\xAA"[..]),
            (512, b"EFI PART"),
            (DISK - 512, b"EFI PART"),
        ] {
            let (start, within) = (offset - offset % 512, offset % 512);
            disk.seek(SeekFrom::Start(start))?;
            disk.read_exact(&mut sector)?;
            let found = sector.get(usize::try_from(within)?..).unwrap_or_default();
            if found.starts_with(signature) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a file of the ext4 file system that begins at this byte of the disk holds.
    pub fn read_ext4(&self, at: u64, path: &str) -> Result<String> {
        let device = format!("{}?offset={at}", self.disk.display());
        run(program("debugfs").args(["-R", &format!("cat {path}"), &device]))
    }

    /// Has the BMC press the power button, past Ironic: the reset that Redfish calls graceful.
    pub fn press_power_button(&self) -> Result<()> {
        let (address, system) = self.redfish();
        let url = format!("{address}{system}/Actions/ComputerSystem.Reset");
        let reset = json!({"ResetType": "GracefulShutdown"});
        let answer = http(None)?.post(url).json(&reset).send()?;
        ensure!(answer.status().is_success(), "{answer:?}");
        Ok(())
    }

    /// Waits until the machine is off.
    pub fn wait_off(&self, limit: Duration) -> Result<()> {
        wait_until("the machine to be off", limit, || {
            let state = run(virsh().args(["domstate", &self.name]))?;
            Ok((state.trim() == "shut off").then_some(()))
        })
    }

    /// Freezes the machine for a moment and writes all of its memory into a file.
    pub fn save_memory(&self, file: &Path) -> Result<()> {
        run(virsh().args(["suspend", &self.name]))?;
        let bytes = u64::from(MEMORY_MIB) << 20;
        let line = format!("pmemsave 0 {bytes} \"{}\"", file.display());
        let saved = run(virsh().args(["qemu-monitor-command", &self.name, "--hmp", &line]));
        run(virsh().args(["resume", &self.name]))?;
        ensure!(
            fs::metadata(file).is_ok_and(|file| file.len() == bytes),
            "the machine's memory was not written: {saved:?}"
        );
        Ok(())
    }
}

/// Tells the firmware to leave these ways to boot alone, and so to come to the wanted one at once.
fn without(ways: &[&str]) -> String {
    let entries: String = ways
        .iter()
        .map(|way| format!("<entry name='opt/org.tianocore/{way}'>n</entry>"))
        .collect();
    format!("<sysinfo type='fwcfg'>{entries}</sysinfo>")
}

/// The first complete line that holds `wanted`, from there on.
fn whole_line(text: &str, wanted: &str) -> Option<String> {
    let (_, rest) = text.split_once(wanted)?;
    let (line, _) = rest.split_once('\n')?;
    Some(format!("{wanted}{}", line.trim_end()))
}

fn start_libvirt(work: &Path, logs: &Path) -> Result<Service> {
    fs::write(
        "/etc/libvirt/libvirtd.conf",
        "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\nunix_sock_group = \"root\"\n",
    )?;
    fs::write(
        "/etc/libvirt/qemu.conf",
        "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\nset_process_name = 0\n\
         cgroup_controllers = []\nnamespaces = []\nsecurity_driver = \"none\"\nstdio_handler = \"file\"\n",
    )?;
    let mut libvirtd = program("libvirtd");
    libvirtd.arg("--pid-file").arg(work.join("libvirtd.pid"));
    let mut service = Service::start("libvirtd", logs, &libvirtd)?;
    service.wait_ready(Duration::from_secs(30), || {
        virsh()
            .arg("version")
            .output()
            .is_ok_and(|out| out.status.success())
    })?;
    // The Redfish emulator keeps inserted media in a pool of this name.
    let pool = work.join("pool");
    fs::create_dir_all(&pool)?;
    run(virsh()
        .args(["pool-define-as", "default", "dir", "--target"])
        .arg(&pool))?;
    run(virsh().args(["pool-start", "default"]))?;
    Ok(service)
}

fn start_redfish(parts: &Parts, work: &Path, logs: &Path) -> Result<Service> {
    let config = work.join("sushy.conf");
    fs::write(
        &config,
        format!(
            "SUSHY_EMULATOR_LISTEN_IP = '{ADDRESS}'\nSUSHY_EMULATOR_LISTEN_PORT = {REDFISH_PORT}\n\
             SUSHY_EMULATOR_LIBVIRT_URI = '{URI}'\nSUSHY_EMULATOR_STATE_DIR = '{state}'\n\
             SUSHY_EMULATOR_VMEDIA_VERIFY_SSL = False\n\
             SUSHY_EMULATOR_BOOT_LOADER_MAP = {{'UEFI': {{'x86_64': '{FIRMWARE}'}}, 'Legacy': {{'x86_64': None}}}}\n\
             SUSHY_EMULATOR_SECURE_BOOT_DISABLED_NVRAM = '{FIRMWARE_VARIABLES}'\n\
             SUSHY_EMULATOR_SECURE_BOOT_ENABLED_NVRAM = '{FIRMWARE_VARIABLES}'\n",
            state = work.display(),
        ),
    )?;
    let mut emulator = program(parts.sushy("sushy-emulator"));
    emulator.env("TMPDIR", work).arg("--config").arg(&config);
    let mut service = Service::start("sushy-emulator", logs, &emulator)?;
    service.wait_ready(Duration::from_secs(60), || {
        std::net::TcpStream::connect((ADDRESS, REDFISH_PORT)).is_ok()
    })?;
    Ok(service)
}

pub(super) fn virsh() -> std::process::Command {
    let mut command = program("virsh");
    command.args(["--connect", URI]);
    command
}

/// The file of a run that counts its machines' restarts.
pub(super) const RESTARTS: &str = "restarts";
const URI: &str = "qemu:///system";
const REDFISH_PORT: u16 = 8000;
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const FIRMWARE_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const MEMORY_MIB: u32 = 512;
const DISK: u64 = 5 << 30;
