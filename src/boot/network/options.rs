//! What the kernel arguments say about the network: `BOOTIF` and a static `ip=`.

use crate::config::KernelArgs;
use std::net::{IpAddr, Ipv4Addr};

/// The arguments, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The MAC of the interface that the firmware booted from.
    pub(super) boot_mac: Option<[u8; 6]>,
    /// The addresses of the API, where the kernel arguments give each of its URLs without a name; else none.
    pub(super) apis: Vec<IpAddr>,
    /// An address that is not to be asked for.
    pub(super) fixed: Option<Fixed>,
}

/// A static address (the kernel's Documentation/admin-guide/nfs/nfsroot.rst, `ip=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) host_name: Option<String>,
    /// `None`: the interface booted from, or the first one.
    pub(super) device: Option<String>,
    pub(super) name_servers: Vec<Ipv4Addr>,
}

impl Options {
    /// Reads the kernel's command line; what cannot be understood is told and left out.
    pub(super) fn parse(arguments: &KernelArgs) -> Self {
        let boot_mac = arguments.value("BOOTIF").and_then(|text| {
            let mac = boot_mac(text);
            if mac.is_none() {
                tracing::warn!(text, "BOOTIF is no MAC");
            }
            mac
        });
        // Words such as `ip=dhcp` ask for what is done anyway.
        let fixed = arguments
            .value("ip")
            .filter(|text| text.contains(':'))
            .and_then(Fixed::parse);
        let apis = arguments.value("ipa-api-url").and_then(api_addresses);
        Self {
            boot_mac,
            apis: apis.unwrap_or_default(),
            fixed,
        }
    }

    /// Whether such an address leads to one of the APIs, as far as their URLs tell: each of them may be the one that answers. A
    /// name may have addresses of both versions, but it needs a name server, which usually comes by DHCPv4.
    pub(super) fn wants(&self, address: IpAddr) -> bool {
        let is_same_version = |api: &IpAddr| api.is_ipv4() == address.is_ipv4();
        self.apis.is_empty() || self.apis.iter().any(is_same_version)
    }
}

/// `aa:bb:cc:dd:ee:ff` (iPXE), or with `-` and the hardware type in front (pxelinux: `01-aa-bb-…`).
fn boot_mac(text: &str) -> Option<[u8; 6]> {
    let mut parts: Vec<&str> = text.split([':', '-']).collect();
    if parts.len() == 7 {
        parts.remove(0);
    }
    let byte = |part: &&str| {
        let digits = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(part, 16).ok().filter(|_| digits)
    };
    let bytes: Vec<u8> = parts.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

/// The hosts of all URLs, when each is an address.
fn api_addresses(urls: &str) -> Option<Vec<IpAddr>> {
    let urls = urls.split(',').filter(|url| !url.is_empty());
    urls.map(api_address).collect()
}

fn api_address(url: &str) -> Option<IpAddr> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next()?.parse().ok();
    }
    authority.split(':').next()?.parse().ok()
}

impl Fixed {
    /// `client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1`
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let field = |at: usize| fields.get(at).copied().filter(|field| !field.is_empty());
        let address = |at: usize| field(at).and_then(|field| field.parse().ok());
        Some(Self {
            address: address(0)?,
            prefix: address(3)
                .and_then(|mask| u8::try_from(u32::from(mask).leading_ones()).ok())
                .unwrap_or(24),
            gateway: address(2),
            host_name: field(4).map(Into::into),
            device: field(5).map(Into::into),
            name_servers: [address(7), address(8)].into_iter().flatten().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Options {
        Options::parse(&KernelArgs::parse(line.to_owned()))
    }
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_bootif_are_the_same_mac() {
        let mac = Some([0x52, 0x54, 0, 0xA1, 2, 3]);
        for text in [
            "52:54:00:a1:02:03",
            "01-52-54-00-a1-02-03",
            "01-52-54-00-A1-02-03",
            "52-54-00-a1-02-03",
        ] {
            assert_eq!(parse(&format!("a=b BOOTIF={text}")).boot_mac, mac);
        }
        for text in [
            "",
            "52:54:00:a1:02",
            "52:54:00:a1:02:+3",
            "52:54:00:a1:02:0x",
        ] {
            assert_eq!(boot_mac(text), None, "{text}");
        }
    }

    #[test]
    fn a_static_address_is_read() {
        let line = "ip=192.0.2.5::192.0.2.1:255.255.255.128:node:eth1:off:192.0.2.2:192.0.2.3";
        assert_eq!(
            parse(line).fixed,
            Some(Fixed {
                address: [192, 0, 2, 5].into(),
                prefix: 25,
                gateway: Some([192, 0, 2, 1].into()),
                host_name: Some("node".into()),
                device: Some("eth1".into()),
                name_servers: vec![[192, 0, 2, 2].into(), [192, 0, 2, 3].into()],
            })
        );
    }

    #[test]
    fn an_address_is_waited_for_that_leads_to_any_of_the_apis() {
        for (urls, v4, v6) in [
            ("http://192.0.2.1:6385", true, false),
            ("https://[2001:db8::1]:6385/x", false, true),
            // Of several each may be the one that answers.
            (
                "http://[2001:db8::1]:6385,http://192.0.2.1:6385",
                true,
                true,
            ),
            ("http://192.0.2.1,,https://[2001:db8::1]/", true, true),
            ("http://192.0.2.1,http://192.0.2.2", true, false),
            // A name may have addresses of both versions.
            ("https://ironic.example.org", true, true),
            ("http://192.0.2.1,https://ironic.example.org", true, true),
            ("mdns", true, true),
            ("", true, true),
        ] {
            let options = parse(&format!("ipa-api-url={urls}"));
            let wants = |address: &str| options.wants(address.parse().unwrap());
            assert_eq!(
                (wants("192.0.2.9"), wants("2001:db8::9")),
                (v4, v6),
                "{urls}"
            );
        }
    }

    #[test]
    fn words_for_dhcp_are_no_address() {
        for line in ["ip=dhcp", "ip=:::::eth0:dhcp", "ip=eth0:dhcp", ""] {
            assert_eq!(parse(line), Options::default());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _options = parse(&format!("BOOTIF={text} ip={text}"));
            let _fixed = Fixed::parse(&text);
            let _apis = api_addresses(&text);
        }
    }
}
