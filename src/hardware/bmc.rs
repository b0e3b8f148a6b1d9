//! The management controller's addresses, asked of the controller itself.

use crate::formats::ipmi::{self, Parameter};
use crate::root::Root;
use crate::sys;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What a management controller says of its network (IPA's `get_bmc_address`, `get_bmc_v6address`, `get_bmc_mac`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bmc {
    /// Of the first channel that has one.
    pub address: Option<Ipv4Addr>,
    /// Of the first channel that has one.
    pub v6_address: Option<Ipv6Addr>,
    /// Of the first channel with an address.
    pub mac: Option<String>,
}

/// Asks the controller; `None` on a machine without one, or where it may not be asked.
#[must_use]
pub fn find(root: &Root) -> Option<Bmc> {
    let device = DEVICES.iter().find_map(|path| {
        File::options()
            .read(true)
            .write(true)
            .open(root.path(path))
            .inspect_err(|error| tracing::debug!(%error, path, "no management controller here"))
            .ok()
    })?;
    let (mut number, begin) = (0_u16, Instant::now());
    Some(addresses(&mut |request| {
        number = number.wrapping_add(1);
        let left = PATIENCE
            .checked_sub(begin.elapsed())
            .ok_or(io::ErrorKind::TimedOut)?;
        let (function, command) = (ipmi::NETWORK_FUNCTION, ipmi::COMMAND);
        let patience = left.min(ANSWER_PATIENCE);
        sys::ipmi::ask(device.as_fd(), number, function, command, request, patience)
    }))
}

/// The addresses of the first channels that have any.
fn addresses(ask: Ask<'_>) -> Bmc {
    let mut found = Bmc::default();
    for channel in ipmi::CHANNELS {
        let address = setting(ask, channel, Parameter::Address).and_then(|s| ipmi::address(&s));
        let v6_address = v6_address(ask, channel);
        if found.mac.is_none() && (address.is_some() || v6_address.is_some()) {
            found.mac = setting(ask, channel, Parameter::Mac).and_then(|s| ipmi::mac(&s));
        }
        found.address = found.address.or(address);
        found.v6_address = found.v6_address.or(v6_address);
        if found.address.is_some() && found.v6_address.is_some() {
            break;
        }
    }
    found
}

/// What the channel found by itself comes before what somebody set.
fn v6_address(ask: Ask<'_>, channel: u8) -> Option<Ipv6Addr> {
    if !ipmi::speaks_ipv6(&setting(ask, channel, Parameter::Ipv6Enables)?) {
        return None;
    }
    let (set, found) = ipmi::ipv6_rooms(&setting(ask, channel, Parameter::Ipv6Status)?);
    let found = (0..found).find_map(|number| {
        setting(ask, channel, Parameter::Ipv6Dynamic(number)).and_then(|s| ipmi::ipv6_dynamic(&s))
    });
    found.or_else(|| {
        (0..set).find_map(|number| {
            setting(ask, channel, Parameter::Ipv6Static(number)).and_then(|s| ipmi::ipv6_static(&s))
        })
    })
}

fn setting(ask: Ask<'_>, channel: u8, parameter: Parameter) -> Option<Vec<u8>> {
    let answer = ask(&parameter.request(channel))
        .inspect_err(|error| {
            tracing::debug!(%error, channel, ?parameter, "the management controller does not answer");
        })
        .ok()?;
    ipmi::setting(&answer).map(<[u8]>::to_vec)
}

type Ask<'a> = &'a mut dyn FnMut(&[u8; 4]) -> io::Result<Vec<u8>>;

const DEVICES: &[&str] = &["dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"];
/// For all questions together.
const PATIENCE: Duration = Duration::from_secs(10);
/// Controllers are slow; those that hang must not hold the inventory.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &[u8] = &[0xcc];

    fn completed(setting: &[u8]) -> Vec<u8> {
        [&[0, 0x11][..], setting].concat()
    }

    #[test]
    fn the_first_channels_with_addresses_are_told() {
        let v6: Ipv6Addr = "2001:db8::5".parse().unwrap();
        let mut ask = |request: &[u8; 4]| {
            Ok(match request {
                [1, 3, ..] => completed(&[0, 0, 0, 0]),
                [8, 3, ..] => completed(&[10, 0, 0, 5]),
                [8, 5, ..] => completed(&[0x52, 0x54, 0, 1, 2, 3]),
                [8, 51, ..] => completed(&[2]),
                [8, 55, ..] => completed(&[1, 2, 0]),
                [8, 59, 1, ..] => completed(&[&[1, 2][..], &v6.octets(), &[64, 0]].concat()),
                _ => REFUSED.to_vec(),
            })
        };
        assert_eq!(
            addresses(&mut ask),
            Bmc {
                address: Some(Ipv4Addr::new(10, 0, 0, 5)),
                v6_address: Some(v6),
                mac: Some("52:54:00:01:02:03".into()),
            }
        );
    }

    #[test]
    fn a_set_ipv6_address_counts_where_none_was_found() {
        let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let mut ask = |request: &[u8; 4]| {
            Ok(match request {
                [1, 5, ..] => completed(&[0x52, 0x54, 0, 1, 2, 3]),
                [1, 51, ..] => completed(&[1]),
                [1, 55, ..] => completed(&[1, 1, 0]),
                [1, 56, 0, ..] => completed(&[&[0, 0x80][..], &v6.octets(), &[64, 0]].concat()),
                _ => REFUSED.to_vec(),
            })
        };
        assert_eq!(
            addresses(&mut ask),
            Bmc {
                address: None,
                v6_address: Some(v6),
                mac: Some("52:54:00:01:02:03".into()),
            }
        );
    }

    #[test]
    fn a_controller_that_never_answers_has_no_addresses() {
        let mut ask = |_: &[u8; 4]| Err(io::ErrorKind::TimedOut.into());
        assert_eq!(addresses(&mut ask), Bmc::default());
    }

    #[test]
    fn a_machine_without_a_controller_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(&Root::at(folder.path())), None);
    }
}
