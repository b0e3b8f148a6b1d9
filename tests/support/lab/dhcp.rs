//! DHCP and TFTP by dnsmasq: an address for every machine, and iPXE for those that boot from the network.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::parts::Parts;
use super::process::{Service, program};
use super::sandbox::{ADDRESS, BRIDGE};
use super::web;

/// Starts dnsmasq on the lab's bridge.
pub(crate) fn start(parts: &Parts, work: &Path, logs: &Path) -> Result<Service> {
    let tftp = work.join("tftp");
    fs::create_dir_all(&tftp)?;
    fs::copy(
        parts.unpacked("usr/lib/ipxe/snponly.efi"),
        tftp.join("snponly.efi"),
    )?;
    let config = work.join("dnsmasq.conf");
    fs::write(
        &config,
        format!(
            "interface={BRIDGE}\nbind-interfaces\nport=0\nuser=root\n\
             dhcp-range=172.30.77.50,172.30.77.150,12h\ndhcp-leasefile={leases}\n\
             dhcp-option=option:router,{ADDRESS}\ndhcp-option=option:dns-server,{ADDRESS}\ndhcp-authoritative\n\
             log-dhcp\nlog-facility={log}\n\
             enable-tftp\ntftp-root={tftp}\n\
             dhcp-match=set:ipxe,175\n\
             dhcp-boot=tag:ipxe,{http}/boot.ipxe\n\
             dhcp-match=set:efi64,option:client-arch,7\ndhcp-match=set:efi64,option:client-arch,9\n\
             dhcp-boot=tag:!ipxe,tag:efi64,snponly.efi\n",
            leases = work.join("dnsmasq.leases").display(),
            log = logs.join("dnsmasq.log").display(),
            tftp = tftp.display(),
            http = web::base_url(),
        ),
    )?;
    let mut dnsmasq = program("dnsmasq");
    dnsmasq
        .arg("--keep-in-foreground")
        .arg(format!("--conf-file={}", config.display()));
    let mut service = Service::start("dnsmasq", logs, &dnsmasq)?;
    let log = logs.join("dnsmasq.log");
    service.wait_ready(Duration::from_secs(10), || log.exists())?;
    Ok(service)
}
