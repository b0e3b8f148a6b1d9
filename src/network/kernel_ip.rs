//! What the kernel arguments say about the network: `BOOTIF` and static addresses by `ip=`.

use crate::config::KernelArgs;
use crate::formats::dhcp4::{class_prefix_length, prefix_length};
use std::net::{IpAddr, Ipv4Addr};

/// The arguments, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The MAC of the interface that the firmware booted from.
    pub(super) boot_mac: Option<[u8; 6]>,
    /// The addresses of the API, where the kernel arguments give each of its URLs without a name; else none.
    pub(super) apis: Vec<IpAddr>,
    /// Addresses that are not to be asked for, one at most for each interface.
    pub(super) fixed: Vec<StaticAddress>,
}

/// A static address (the kernel's Documentation/admin-guide/nfs/nfsroot.rst, `ip=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StaticAddress {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) host_name: Option<String>,
    /// `None`: the interface booted from, or the first one.
    pub(super) device: Option<String>,
    pub(super) name_servers: Vec<Ipv4Addr>,
}

/// What one `ip=` is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ip {
    /// What is done anyway where there is no static address.
    Dhcp,
    /// A static address; and fields that could not be read.
    Static(StaticAddress, Vec<Field>),
}

/// A field of `ip=` that cannot be read or is not used, by its name and its value.
type Field = (&'static str, String);

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
        let apis = arguments.value("ipa-api-url").and_then(api_addresses);
        Self {
            boot_mac,
            apis: apis.unwrap_or_default(),
            fixed: arguments.values("ip").fold(Vec::new(), with_ip),
        }
    }

    /// Whether such an address leads to one of the APIs, as far as their URLs tell: each of them may be the one that answers. A
    /// name may have addresses of both versions, but it needs a name server, which usually comes by DHCPv4.
    pub(super) fn wants(&self, address: IpAddr) -> bool {
        let is_same_version = |api: &IpAddr| api.is_ipv4() == address.is_ipv4();
        self.apis.is_empty() || self.apis.iter().any(is_same_version)
    }
}

/// Takes over one `ip=`. For the same interface the last one wins, as of all equal arguments.
fn with_ip(mut all: Vec<StaticAddress>, value: &str) -> Vec<StaticAddress> {
    match Ip::parse(value) {
        Ok(Ip::Dhcp) => {}
        Ok(Ip::Static(fixed, unread)) => {
            for (field, text) in unread {
                tracing::warn!(
                    argument = "ip",
                    value,
                    field,
                    text,
                    "ignored a field of a kernel argument"
                );
            }
            all.retain(|earlier| {
                let replaced = earlier.device == fixed.device;
                if replaced {
                    tracing::warn!(
                        argument = "ip",
                        address = %earlier.address,
                        "ignored a kernel argument: a later one is for the same interface"
                    );
                }
                !replaced
            });
            all.push(fixed);
        }
        Err(reason) => {
            tracing::warn!(
                argument = "ip",
                value,
                "ignored a kernel argument: {reason}"
            );
        }
    }
    all
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

impl Ip {
    /// Parses `client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1`, `autoconf` alone, and
    /// dracut's `device:autoconf`. The error is the reason why it is ignored.
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('[') {
            return Err("static IPv6 addresses are not used; routers and DHCPv6 give them");
        }
        let fields: Vec<&str> = text.split(':').collect();
        let field = |at: usize| fields.get(at).copied().filter(|field| !field.is_empty());
        let client = field(0).map(|field| (field, field.parse::<Ipv4Addr>().ok()));
        let autoconf = match client {
            Some((_, Some(address))) => {
                return StaticAddress::parse(address, field)
                    .map(|(fixed, unread)| Self::Static(fixed, unread));
            }
            Some((word, None)) if fields.len() == 1 => Some(word),
            Some(_)
                if field(1).is_some_and(|word| AUTOCONF.contains(&word) || OFF.contains(&word)) =>
            {
                field(1)
            }
            Some(_) => return Err("its address cannot be read"),
            None => field(6),
        };
        match autoconf {
            None => Ok(Self::Dhcp),
            Some(word) if AUTOCONF.contains(&word) => Ok(Self::Dhcp),
            Some(word) if OFF.contains(&word) => {
                Err("every interface without a static address asks for one")
            }
            Some(_) => Err("no such way to get an address is known"),
        }
    }
}

impl StaticAddress {
    fn parse<'a>(
        address: Ipv4Addr,
        field: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<(Self, Vec<Field>), &'static str> {
        let mut unread = Vec::new();
        let mut read = |at: usize, name| {
            let text = field(at)?;
            let address: Option<Ipv4Addr> = text.parse().ok();
            // dracut's interface may have its MTU and its MAC where the kernel has name servers.
            if address.is_none() {
                unread.push((name, text.to_owned()));
            }
            address
        };
        let gateway = read(2, "gateway");
        let name_servers = [read(7, "dns0"), read(8, "dns1")];
        let prefix = field(3).and_then(|text| {
            let prefix = netmask(text);
            if prefix.is_none() {
                unread.push(("netmask", text.to_owned()));
            }
            prefix
        });
        if !super::lease4::is_host(address) {
            return Err("its address cannot be a host's");
        }
        let fixed = Self {
            address,
            // As the kernel does it.
            prefix: prefix.unwrap_or_else(|| class_prefix_length(address)),
            gateway,
            host_name: field(4).map(Into::into),
            device: field(5).map(Into::into),
            name_servers: name_servers.into_iter().flatten().collect(),
        };
        unread.extend(field(9).map(|text| ("ntp0", text.to_owned())));
        Ok((fixed, unread))
    }
}

/// Parses a netmask, or the length of a prefix, which dracut takes and the kernel does not.
fn netmask(text: &str) -> Option<u8> {
    match text.parse::<u8>() {
        Ok(length) => Some(length).filter(|length| (1..=32).contains(length)),
        Err(_) => prefix_length(text.parse().ok()?),
    }
}

/// The kernel's words and dracut's for what is done anyway.
const AUTOCONF: [&str; 12] = [
    "any",
    "auto",
    "auto6",
    "both",
    "bootp",
    "dhcp",
    "dhcp6",
    "either6",
    "link6",
    "on",
    "rarp",
    "single-dhcp",
];
const OFF: [&str; 2] = ["none", "off"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::tests::captured;
    use proptest::prelude::*;

    fn parse(line: &str) -> Options {
        Options::parse(&KernelArgs::parse(line.to_owned()))
    }

    /// What the log says of a command line.
    fn logged(line: &str) -> String {
        captured(Verbosity::Info, || drop(parse(line)))
    }

    fn fixed(line: &str) -> StaticAddress {
        let mut all = parse(line).fixed;
        assert_eq!(all.len(), 1, "{line}");
        all.remove(0)
    }

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
            [StaticAddress {
                address: [192, 0, 2, 5].into(),
                prefix: 25,
                gateway: Some([192, 0, 2, 1].into()),
                host_name: Some("node".into()),
                device: Some("eth1".into()),
                name_servers: vec![[192, 0, 2, 2].into(), [192, 0, 2, 3].into()],
            }]
        );
        assert_eq!(logged(line), "");
    }

    #[test]
    fn the_netmask_may_be_a_prefix_length_and_without_one_the_class_decides() {
        for (line, prefix) in [
            ("ip=192.0.2.5:::28::eth0:off", 28),
            ("ip=192.0.2.5:::32::eth0:off", 32),
            ("ip=10.0.0.5:::255.255.240.0::eth0:off", 20),
            ("ip=10.0.0.5::10.0.0.1:::eth0:off", 8),
            ("ip=172.16.0.5:::::eth0:off", 16),
            ("ip=192.0.2.5", 24),
        ] {
            assert_eq!(fixed(line).prefix, prefix, "{line}");
            assert_eq!(logged(line), "", "{line}");
        }
    }

    #[test]
    fn fields_that_cannot_be_read_are_logged_and_the_rest_is_used() {
        for (line, prefix, field) in [
            ("ip=10.0.0.5:::33::eth0:off", 8, "field=netmask text=33\n"),
            ("ip=10.0.0.5:::0::eth0:off", 8, "field=netmask text=0\n"),
            (
                "ip=10.0.0.5:::255.0.255.0::eth0:off",
                8,
                "field=netmask text=255.0.255.0\n",
            ),
            (
                "ip=10.0.0.5::gw:24::eth0:off",
                24,
                "field=gateway text=gw\n",
            ),
            (
                "ip=10.0.0.5:::24::eth0:off:9000",
                24,
                "field=dns0 text=9000\n",
            ),
            (
                "ip=10.0.0.5:::24::eth0:off:::10.0.0.9",
                24,
                "field=ntp0 text=10.0.0.9\n",
            ),
        ] {
            let logged = logged(line);
            assert!(logged.contains(field), "{line}: {logged}");
            assert_eq!(logged.lines().count(), 1, "{line}: {logged}");
            let fixed = fixed(line);
            assert_eq!(fixed.prefix, prefix, "{line}");
            assert_eq!(
                (fixed.gateway, fixed.name_servers),
                (None, vec![]),
                "{line}"
            );
        }
    }

    #[test]
    fn each_interface_has_its_own_static_address_and_the_last_one_wins() {
        let line = "ip=10.0.0.1:::8::eth0:off ip=eth2:dhcp ip=10.0.0.2:::8::eth1:off \
                    ip=10.0.0.3:::8::eth0:off ip=dhcp";
        let addresses = parse(line).fixed.into_iter().map(|fixed| fixed.address);
        assert!(addresses.eq([[10, 0, 0, 2], [10, 0, 0, 3]].map(Ipv4Addr::from)));
        let logged = logged(line);
        assert!(logged.contains("address=10.0.0.1"), "{logged}");
        assert_eq!(logged.lines().count(), 1, "{logged}");
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
    fn words_for_dhcp_are_no_address_and_nothing_to_log() {
        for line in [
            "ip=dhcp",
            "ip=on",
            "ip=:::::eth0:dhcp",
            "ip=::::node:eth0",
            "ip=eth0:dhcp",
            "ip=eth0:auto6:9000",
            "ip=",
            "",
        ] {
            assert_eq!(parse(line), Options::default(), "{line}");
            assert_eq!(logged(line), "", "{line}");
        }
    }

    #[test]
    fn what_is_not_used_is_logged_with_the_reason() {
        for (value, reason) in [
            (
                "[2001:db8::5]::[2001:db8::1]:64::eth0:off",
                "static IPv6 addresses are not used; routers and DHCPv6 give them",
            ),
            (
                "off",
                "every interface without a static address asks for one",
            ),
            (
                "eth0:none",
                "every interface without a static address asks for one",
            ),
            (
                ":::::eth0:off",
                "every interface without a static address asks for one",
            ),
            ("ibft", "no such way to get an address is known"),
            ("192.0.2.300:::24::eth0:off", "its address cannot be read"),
            ("224.0.0.1:::24::eth0:off", "its address cannot be a host's"),
        ] {
            let line = format!("ip={value}");
            assert_eq!(parse(&line), Options::default(), "{line}");
            let expected =
                format!("ignored a kernel argument: {reason} argument=ip value={value}\n");
            let logged = logged(&line);
            assert!(logged.ends_with(&expected), "{logged}");
            assert_eq!(logged.lines().count(), 1, "{logged}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _options = parse(&format!("BOOTIF={text} ip={text}"));
            let _ip = Ip::parse(&text);
            let _ip = Ip::parse(&format!("192.0.2.1:{text}"));
            let _apis = api_addresses(&text);
        }
    }
}
