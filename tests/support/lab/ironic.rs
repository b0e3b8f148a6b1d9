//! The real Ironic: one process with API and conductor, on SQLite.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::api::Client;
use super::authority::Authority;
use super::grub;
use super::keystone::Keystone;
use super::parts::Parts;
use super::process::{Service, program, run};
use super::sandbox::ADDRESS;
use super::web;

/// A running Ironic.
#[derive(Debug)]
pub struct Ironic {
    _service: Service,
    /// Its API, as an operator uses it.
    pub api: Client,
}

impl Ironic {
    /// Starts Ironic with its state in `work` and its log in `logs`.
    ///
    /// With an authority its API speaks TLS with a certificate of it. With a Keystone it asks that who its callers are, and lets
    /// nobody but agents in without a token.
    pub fn start(
        parts: &Parts,
        work: &Path,
        logs: &Path,
        hardware: Hardware,
        authority: Option<&Authority>,
        keystone: Option<&Keystone>,
    ) -> Result<Self> {
        let state = work.join("ironic");
        for folder in [
            "tmp",
            "state",
            "lock",
            "images",
            "instance_master",
            "tftp_master",
            "master_iso_images",
        ] {
            fs::create_dir_all(state.join(folder))?;
        }
        let database = state.join("ironic.sqlite");
        let config = state.join("ironic.conf");
        let mut text = configuration(parts, work, logs, hardware)?;
        text.push_str(&api_configuration(authority));
        text.push_str(&callers_configuration(keystone));
        if hardware == Hardware::Redfish {
            let menu = grub::menu(&only_site_package(parts)?, work)?;
            let _ = write!(
                text,
                "[pxe]\nuefi_pxe_config_template = {}\n",
                menu.display()
            );
        }
        fs::write(&config, text)?;
        run(ironic(parts, "ironic-dbsync", &config).arg("create_schema"))?;
        let mut service = Service::start("ironic", logs, &ironic(parts, "ironic", &config))?;
        let api = Client::new(
            &url(authority),
            authority.map(|authority| authority.pem.as_str()),
            keystone.map(|keystone| keystone.identity.administrator().clone()),
            parts,
            &database,
        )?;
        service.wait_ready(Duration::from_secs(120), || api.has_conductor())?;
        Ok(Self {
            _service: service,
            api,
        })
    }
}

/// What Ironic's nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// Machines that only Ironic believes in.
    Fake,
    /// Machines with a Redfish controller.
    Redfish,
}

impl Hardware {
    /// The drivers' interfaces, and further settings of the group `agent`.
    fn settings(self) -> (&'static str, &'static str) {
        match self {
            Self::Fake => (FAKE, FAKE_AGENT),
            Self::Redfish => (REDFISH, ""),
        }
    }
}

/// Where its API is.
pub fn url(authority: Option<&Authority>) -> String {
    address(authority, PORT)
}

fn ironic(parts: &Parts, name: &str, config: &Path) -> std::process::Command {
    let mut command = program(parts.ironic(name));
    command
        .env("NO_PROXY", "*")
        .arg("--config-file")
        .arg(config);
    command
}

/// The ESP of the virtual media that Ironic builds: Debian's signed loaders. Made once.
fn boot_media(parts: &Parts) -> Result<PathBuf> {
    let image = parts.lab.join("esp.img");
    if image.exists() {
        return Ok(image);
    }
    let fresh = parts.lab.join(format!("esp.img.{}", std::process::id()));
    fs::File::create(&fresh)?.set_len(8 << 20)?;
    run(program("mkfs.vfat")
        .args(["-F", "12", "-n", "ESP"])
        .arg(&fresh))?;
    run(program("mmd")
        .arg("-i")
        .arg(&fresh)
        .args(["::EFI", "::EFI/BOOT"]))?;
    for (from, to) in [
        ("usr/lib/shim/shimx64.efi.signed", "BOOTX64.EFI"),
        (
            "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
            "grubx64.efi",
        ),
    ] {
        run(program("mcopy")
            .arg("-i")
            .arg(&fresh)
            .arg(parts.unpacked(from))
            .arg(format!("::EFI/BOOT/{to}")))?;
    }
    fs::rename(&fresh, &image).context("could not put the boot media's ESP in place")?;
    Ok(image)
}

fn configuration(parts: &Parts, work: &Path, logs: &Path, hardware: Hardware) -> Result<String> {
    let package = only_site_package(parts)?;
    let esp = boot_media(parts)?;
    let (interfaces, agent) = hardware.settings();
    let url = web::base_url();
    Ok(format!(
        "[DEFAULT]
debug = true
# One process: API and conductor together, no message bus.
rpc_transport = none
host = lab-conductor
my_ip = {ADDRESS}
state_path = {work}/ironic/state
pybasedir = {package}
tempdir = {work}/ironic/tmp
log_file = {logs}/ironic.log
{interfaces}
default_network_interface = noop
default_deploy_interface = direct
# The virtual media that Ironic builds; Debian's GRUB looks for its configuration there.
esp_image = {esp}
grub_config_path = EFI/debian/grub.cfg
isolinux_bin = {isolinux}
ldlinux_c32 = {ldlinux}
# A small machine: warn when memory is short, do not wait.
minimum_memory_warning_only = true

[database]
connection = sqlite:///{work}/ironic/ironic.sqlite

[conductor]
# A node asks for cleaning where a scenario wants it.
automated_clean = false
bootloader =
deploy_callback_timeout = 600
clean_callback_timeout = 600
rescue_callback_timeout = 600
sync_power_state_interval = 60
# Otherwise Ironic switches a machine on again that a test switched off.
force_power_state_during_sync = false
file_url_allowed_paths = {work}/http,{ramdisk}

[deploy]
http_url = {url}
http_root = {work}/http
default_boot_mode = uefi
iso_master_path = {work}/ironic/master_iso_images
# Overwriting whole disks is no part of these scenarios; their metadata is.
erase_devices_priority = 0
erase_devices_metadata_priority = 10
fast_track = false

[agent]
image_download_source = http
deploy_logs_collect = always
certificates_path = {work}/ironic/certificates
deploy_logs_local_path = {logs}/deploy
{agent}

[pxe]
tftp_server = {ADDRESS}
tftp_root = {work}/tftp
tftp_master_path = {work}/ironic/tftp_master
images_path = {work}/ironic/images
instance_master_path = {work}/ironic/instance_master
kernel_append_params = {KERNEL}
uefi_ipxe_bootfile_name = snponly.efi
uefi_pxe_bootfile_name = bootx64.efi

[redfish]
kernel_append_params = {KERNEL}
use_swift = false

[dhcp]
dhcp_provider = none

[inventory]
data_backend = database

[oslo_concurrency]
lock_path = {work}/ironic/lock
",
        work = work.display(),
        logs = logs.display(),
        package = package.display(),
        esp = esp.display(),
        isolinux = parts.unpacked("usr/lib/ISOLINUX/isolinux.bin").display(),
        ldlinux = parts
            .unpacked("usr/lib/syslinux/modules/bios/ldlinux.c32")
            .display(),
        ramdisk = parts.ramdisk.display(),
    ))
}

/// How the API is served, and what agents are told of it.
fn api_configuration(authority: Option<&Authority>) -> String {
    let mut text = format!("\n[api]\nhost_ip = {ADDRESS}\nport = {PORT}\n");
    let mut told = url(authority);
    if let Some(authority) = authority {
        let _ = write!(
            text,
            "enable_ssl_api = true\ncert_file = {}\nkey_file = {}\n[agent]\napi_ca_file = {}\n",
            authority.certificate.display(),
            authority.key.display(),
            authority.authority.display(),
        );
        told = format!("{},{told}", address(Some(authority), DEAD_PORT));
    }
    let _ = write!(text, "[service_catalog]\nendpoint_override = {told}\n");
    text
}

/// Who may call the API.
fn callers_configuration(keystone: Option<&Keystone>) -> String {
    let Some(keystone) = keystone else {
        return "[DEFAULT]\nauth_strategy = noauth\n".into();
    };
    format!(
        "[DEFAULT]
auth_strategy = keystone
{authtoken}service_type = baremetal
# A token that is revoked is refused from the next request on.
token_cache_time = -1
[service_catalog]
# What agents are told is an override: no catalog is asked, and nobody logs in for it.
auth_type = none
",
        authtoken = keystone.authtoken(&keystone.ironic),
    )
}

fn address(authority: Option<&Authority>, port: u16) -> String {
    let scheme = if authority.is_some() { "https" } else { "http" };
    format!("{scheme}://{ADDRESS}:{port}")
}

/// The folder of the `ironic` Python package, whose templates Ironic looks for.
fn only_site_package(parts: &Parts) -> Result<PathBuf> {
    let code = "import os, importlib.util; print(os.path.dirname(importlib.util.find_spec('ironic').origin))";
    let folder = run(program(parts.ironic("python")).args(["-c", code]))?;
    Ok(PathBuf::from(folder.trim()))
}

const REDFISH: &str = "enabled_hardware_types = redfish
enabled_bios_interfaces = no-bios,redfish
enabled_boot_interfaces = http,ipxe,pxe,redfish-virtual-media
enabled_console_interfaces = no-console
enabled_deploy_interfaces = direct
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = agent,no-inspect
enabled_management_interfaces = redfish
enabled_network_interfaces = noop
enabled_power_interfaces = redfish
enabled_raid_interfaces = no-raid,agent
enabled_rescue_interfaces = no-rescue,agent
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor,redfish
default_bios_interface = no-bios";
const FAKE: &str = "enabled_hardware_types = fake-hardware
enabled_bios_interfaces = no-bios
enabled_boot_interfaces = fake
enabled_console_interfaces = no-console
enabled_deploy_interfaces = direct
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = no-inspect
enabled_management_interfaces = fake,noop
enabled_network_interfaces = noop
enabled_power_interfaces = fake
enabled_raid_interfaces = no-raid
enabled_rescue_interfaces = no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor";
/// A fake power switch never reports "off": ask it twice, not for half a minute.
const FAKE_AGENT: &str = "post_deploy_get_power_state_retries = 2
post_deploy_get_power_state_retry_interval = 2";
const PORT: u16 = 6385;
/// Nobody listens there.
const DEAD_PORT: u16 = 6399;
const KERNEL: &str = "console=ttyS0 ipa-debug=1";
