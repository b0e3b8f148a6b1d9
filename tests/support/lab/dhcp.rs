//! DHCP and TFTP by dnsmasq: an address for every machine, and the loader it asks for when it boots from the network.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Boot;
use super::grub;
use super::parts::Parts;
use super::process::{Service, program};
use super::sandbox::{ADDRESS, BRIDGE};
use super::web;

/// dnsmasq on the lab's bridge.
#[derive(Debug)]
pub struct Dhcp {
    _service: Service,
    hosts: PathBuf,
    leases: PathBuf,
}

impl Dhcp {
    pub(crate) fn start(parts: &Parts, work: &Path, logs: &Path) -> Result<Self> {
        let (tftp, hosts) = (work.join("tftp"), work.join("dhcp-hosts"));
        fs::create_dir_all(&tftp)?;
        fs::create_dir_all(&hosts)?;
        for (from, to) in LOADERS {
            fs::copy(parts.unpacked(from), tftp.join(to))
                .with_context(|| format!("no loader {from}"))?;
        }
        grub::build(parts, work, &tftp.join("http.efi"))?;
        let leases = work.join("dnsmasq.leases");
        let config = work.join("dnsmasq.conf");
        fs::write(&config, configuration(&tftp, &hosts, &leases, logs))?;
        let mut dnsmasq = program("dnsmasq");
        dnsmasq
            .arg("--keep-in-foreground")
            .arg(format!("--conf-file={}", config.display()));
        let mut service = Service::start("dnsmasq", logs, &dnsmasq)?;
        let log = logs.join("dnsmasq.log");
        service.wait_ready(Duration::from_secs(10), || log.exists())?;
        Ok(Self {
            _service: service,
            hosts,
            leases,
        })
    }

    /// From now on the machine with this address is told to boot in this way. dnsmasq watches the folder.
    pub(crate) fn boot(&self, mac: &str, boot: Boot) -> Result<()> {
        let tag = match boot {
            Boot::Http => "http",
            Boot::Pxe => "grub",
            Boot::Ipxe | Boot::VirtualMedia => return Ok(()),
        };
        let file = self.hosts.join(mac.replace(':', "-"));
        fs::write(&file, format!("{mac},set:{tag}\n"))
            .with_context(|| format!("could not write {}", file.display()))
    }

    /// The address that was given to a machine.
    pub fn address(&self, mac: &str) -> Result<Ipv4Addr> {
        let leases = fs::read_to_string(&self.leases)?;
        let lease = leases
            .lines()
            .rev()
            .find(|line| line.contains(mac))
            .with_context(|| format!("{mac} was given no address"))?;
        let address = lease.split(' ').nth(2).unwrap_or_default();
        address
            .parse()
            .with_context(|| format!("a strange lease: {lease}"))
    }
}

/// Architecture 7 and 9 are UEFI by TFTP, 16 is UEFI by HTTP (RFC 4578, and IANA's list for what came after it).
fn configuration(tftp: &Path, hosts: &Path, leases: &Path, logs: &Path) -> String {
    format!(
        "interface={BRIDGE}\nbind-interfaces\nport=0\nuser=root\n\
         dhcp-range=172.30.77.50,172.30.77.150,12h\ndhcp-leasefile={leases}\ndhcp-hostsdir={hosts}\n\
         dhcp-option=option:router,{ADDRESS}\ndhcp-option=option:dns-server,{ADDRESS}\ndhcp-authoritative\n\
         log-dhcp\nlog-facility={log}\n\
         enable-tftp\ntftp-root={tftp}\n\
         dhcp-match=set:ipxe,175\n\
         dhcp-boot=tag:ipxe,{web}/boot.ipxe\n\
         dhcp-match=set:efi64,option:client-arch,7\ndhcp-match=set:efi64,option:client-arch,9\n\
         dhcp-match=set:efihttp,option:client-arch,16\n\
         dhcp-boot=tag:!ipxe,tag:efi64,tag:!grub,tag:!http,snponly.efi\n\
         dhcp-boot=tag:efi64,tag:grub,bootx64.efi\n\
         dhcp-boot=tag:efihttp,tag:http,http://{ADDRESS}/http.efi\n\
         dhcp-option-force=tag:efihttp,tag:http,60,HTTPClient\n",
        leases = leases.display(),
        hosts = hosts.display(),
        log = logs.join("dnsmasq.log").display(),
        tftp = tftp.display(),
        web = web::base_url(),
    )
}

/// iPXE; and Debian's signed shim and GRUB, the latter under the name that the former asks for.
const LOADERS: [(&str, &str); 3] = [
    ("usr/lib/ipxe/snponly.efi", "snponly.efi"),
    ("usr/lib/shim/shimx64.efi.signed", "bootx64.efi"),
    (
        "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        "grubx64.efi",
    ),
];
