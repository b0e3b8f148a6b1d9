//! Addresses of the management controller, queried over IPMI from the controller itself.

use crate::formats::ipmi::{self, Parameter, Response};
use crate::root::Root;
use crate::sys;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Address of the controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address<T> {
    /// The address.
    Found(T),
    /// The controller responded, and has no address on any channel.
    NotConfigured,
    /// The controller did not respond in time.
    #[default]
    Unknown,
}

/// Network of the management controller (IPA's `get_bmc_address`, `get_bmc_v6address`,
/// `get_bmc_mac`): that of the first channel with an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bmc {
    /// IPv4 address.
    pub address: Address<Ipv4Addr>,
    /// IPv6 address.
    pub v6_address: Address<Ipv6Addr>,
    /// MAC address.
    pub mac: Address<String>,
}

impl Bmc {
    /// Returns whether the controller responded to all required queries.
    fn is_complete(&self) -> bool {
        self.address != Address::Unknown
            && self.v6_address != Address::Unknown
            && self.mac != Address::Unknown
    }
}

/// Queries the controller once; `None` if the machine has none, or it may not be queried.
#[must_use]
pub fn find(root: &Root) -> Option<Bmc> {
    Detection::default().bmc(root)
}

/// Queries of a slow controller over several inventories: responses are cached, and missing ones
/// are queried again later.
#[derive(Debug, Default)]
pub struct Detection {
    responses: BTreeMap<Request, Vec<u8>>,
    latest: Option<Detected>,
    /// Whether a missing controller was logged already: it is looked for at each inventory.
    is_logged: bool,
}

#[derive(Debug)]
struct Detected {
    bmc: Bmc,
    at: Instant,
}

impl Detection {
    /// Returns the known addresses of the controller. Returns `None` without a controller, which
    /// may still appear.
    pub fn bmc(&mut self, root: &Root) -> Option<Bmc> {
        if let Some(bmc) = self.cached(Instant::now()) {
            return Some(bmc);
        }
        let is_logged = std::mem::replace(&mut self.is_logged, true);
        let device = DEVICES.iter().find_map(|path| {
            File::options()
                .read(true)
                .write(true)
                .open(root.path(path))
                .inspect_err(|error| {
                    if !is_logged {
                        tracing::debug!(%error, path, "no management controller here");
                    }
                })
                .ok()
        })?;
        let (mut number, begin) = (0_u16, Instant::now());
        let bmc = self.detect(&mut |request| {
            number = number.wrapping_add(1);
            let left = TOTAL_TIMEOUT
                .checked_sub(begin.elapsed())
                .ok_or(io::ErrorKind::TimedOut)?;
            let (function, command) = (ipmi::NETWORK_FUNCTION, ipmi::COMMAND);
            let timeout = left.min(RESPONSE_TIMEOUT);
            sys::ipmi::ask(device.as_fd(), number, function, command, request, timeout)
        });
        Some(bmc)
    }

    /// Returns the latest result while it is complete or recent.
    fn cached(&self, now: Instant) -> Option<Bmc> {
        let latest = self.latest.as_ref()?;
        let is_new = now.saturating_duration_since(latest.at) < RETRY_INTERVAL;
        (latest.bmc.is_complete() || is_new).then(|| latest.bmc.clone())
    }

    fn detect(&mut self, ask: Ask<'_>) -> Bmc {
        let responses = &mut self.responses;
        let bmc = Questions { ask, responses }.bmc();
        if !bmc.is_complete() {
            tracing::warn!(
                address = ?bmc.address,
                v6_address = ?bmc.v6_address,
                again_after = ?RETRY_INTERVAL,
                "the management controller did not respond in time: an unknown address is reported as null"
            );
        }
        self.latest = Some(Detected {
            bmc: bmc.clone(),
            at: Instant::now(),
        });
        bmc
    }
}

/// One round of queries.
struct Questions<'a> {
    ask: Ask<'a>,
    responses: &'a mut BTreeMap<Request, Vec<u8>>,
}

impl Questions<'_> {
    /// Queries channel by channel, until one has an address.
    fn bmc(&mut self) -> Bmc {
        let mut bmc = Bmc {
            address: Address::NotConfigured,
            v6_address: Address::NotConfigured,
            mac: Address::NotConfigured,
        };
        for channel in ipmi::CHANNELS {
            let address = match self.ask(channel, Parameter::Address) {
                Answer::Missing => {
                    bmc = Bmc::default();
                    continue;
                }
                // The channel is no LAN: skip its other queries.
                Answer::Refused => continue,
                Answer::Value(value) => ipmi::address(&value),
            };
            let v6_address = self.v6_address(channel);
            if address.is_some() || matches!(v6_address, Address::Found(_)) {
                return Bmc {
                    address: address.map_or(Address::NotConfigured, Address::Found),
                    v6_address,
                    mac: self.mac(channel),
                };
            }
            if v6_address == Address::Unknown {
                bmc.v6_address = Address::Unknown;
            }
        }
        bmc
    }

    fn mac(&mut self, channel: u8) -> Address<String> {
        match self.ask(channel, Parameter::Mac) {
            Answer::Missing => Address::Unknown,
            Answer::Refused => Address::NotConfigured,
            Answer::Value(value) => {
                ipmi::mac(&value).map_or(Address::NotConfigured, Address::Found)
            }
        }
    }

    /// Returns the IPv6 address of a channel. Autoconfigured addresses take precedence over static
    /// ones.
    fn v6_address(&mut self, channel: u8) -> Address<Ipv6Addr> {
        match self.ask(channel, Parameter::Ipv6Enables) {
            Answer::Missing => return Address::Unknown,
            Answer::Value(value) if ipmi::speaks_ipv6(&value) => {}
            Answer::Refused | Answer::Value(_) => return Address::NotConfigured,
        }
        let (set, found) = match self.ask(channel, Parameter::Ipv6Status) {
            Answer::Missing => return Address::Unknown,
            Answer::Refused => (0, 0),
            Answer::Value(value) => ipmi::ipv6_rooms(&value),
        };
        let dynamic = (0..found).map(Parameter::Ipv6Dynamic);
        for parameter in dynamic.chain((0..set).map(Parameter::Ipv6Static)) {
            let address = match (self.ask(channel, parameter), parameter) {
                (Answer::Missing, _) => return Address::Unknown,
                (Answer::Refused, _) => None,
                (Answer::Value(value), Parameter::Ipv6Dynamic(_)) => ipmi::ipv6_dynamic(&value),
                (Answer::Value(value), _) => ipmi::ipv6_static(&value),
            };
            if let Some(address) = address {
                return Address::Found(address);
            }
        }
        Address::NotConfigured
    }

    /// Queries the controller, unless the response is cached.
    fn ask(&mut self, channel: u8, parameter: Parameter) -> Answer {
        let request = parameter.request(channel);
        let response = match self.responses.get(&request) {
            Some(response) => Ok(response.clone()),
            None => (self.ask)(&request),
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(%error, channel, ?parameter, "the management controller did not respond");
                return Answer::Missing;
            }
        };
        let answer = match ipmi::response(&response) {
            Response::Busy => return Answer::Missing,
            Response::Refused => Answer::Refused,
            Response::Value(value) => Answer::Value(value.to_vec()),
        };
        self.responses.insert(request, response);
        answer
    }
}

/// Response of the controller to a query.
enum Answer {
    /// The controller did not respond in time.
    Missing,
    Refused,
    Value(Vec<u8>),
}

type Request = [u8; 4];
type Ask<'a> = &'a mut dyn FnMut(&Request) -> io::Result<Vec<u8>>;

const DEVICES: &[&str] = &["dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"];
/// Timeout of all queries of one inventory: Ironic waits a minute for it.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout of one query. Controllers are slow; one that hangs must not delay the inventory.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval until a controller that did not respond is queried again: one that hangs must not slow
/// down every inventory.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
impl Detection {
    /// Returns a detection with the responses of a controller.
    pub(crate) fn finished(bmc: Bmc) -> Self {
        Self {
            latest: Some(Detected {
                bmc,
                at: Instant::now(),
            }),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &[u8] = &[0xcc];
    const BUSY: &[u8] = &[0xc0];

    fn completed(setting: &[u8]) -> Vec<u8> {
        [&[0, 0x11][..], setting].concat()
    }

    fn timed_out() -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Responses of a controller with an IPv4 LAN on this channel alone.
    fn lan_on(channel: u8, request: &Request) -> Vec<u8> {
        match *request {
            [c, 3, ..] if c == channel => completed(&[10, 0, 0, 5]),
            [c, 5, ..] if c == channel => completed(&[0x52, 0x54, 0, 1, 2, 3]),
            [c, 51, ..] if c == channel => completed(&[0]),
            _ => REFUSED.to_vec(),
        }
    }

    fn lan() -> Bmc {
        Bmc {
            address: Address::Found(Ipv4Addr::new(10, 0, 0, 5)),
            v6_address: Address::NotConfigured,
            mac: Address::Found("52:54:00:01:02:03".into()),
        }
    }

    #[test]
    fn the_first_channel_with_an_address_is_reported() {
        let v6: Ipv6Addr = "2001:db8::5".parse().unwrap();
        let mut ask = |request: &Request| {
            Ok(match request {
                [1, 3, ..] => completed(&[0, 0, 0, 0]),
                [8, 3, ..] => completed(&[10, 0, 0, 5]),
                [8, 5, ..] => completed(&[0x52, 0x54, 0, 1, 2, 3]),
                [8, 51, ..] => completed(&[2]),
                [8, 55, ..] => completed(&[1, 2, 0]),
                [8, 59, 1, ..] => completed(&[&[1, 2][..], &v6.octets(), &[64, 0]].concat()),
                [9, ..] => panic!("a channel after the first good one was asked"),
                _ => REFUSED.to_vec(),
            })
        };
        assert_eq!(
            Detection::default().detect(&mut ask),
            Bmc {
                v6_address: Address::Found(v6),
                ..lan()
            }
        );
    }

    #[test]
    fn a_set_ipv6_address_counts_where_none_was_found() {
        let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let mut ask = |request: &Request| {
            Ok(match request {
                [1, 3, ..] => completed(&[0, 0, 0, 0]),
                [1, 5, ..] => completed(&[0x52, 0x54, 0, 1, 2, 3]),
                [1, 51, ..] => completed(&[1]),
                [1, 55, ..] => completed(&[1, 1, 0]),
                [1, 56, 0, ..] => completed(&[&[0, 0x80][..], &v6.octets(), &[64, 0]].concat()),
                _ => REFUSED.to_vec(),
            })
        };
        assert_eq!(
            Detection::default().detect(&mut ask),
            Bmc {
                address: Address::NotConfigured,
                v6_address: Address::Found(v6),
                ..lan()
            }
        );
    }

    #[test]
    fn a_slow_controller_is_asked_no_more_than_it_takes_to_find_its_lan() {
        let mut asked = Vec::new();
        let mut ask = |request: &Request| {
            asked.push(*request);
            Ok(lan_on(8, request))
        };
        assert_eq!(Detection::default().detect(&mut ask), lan());
        // Ten messages at 0.8 s each: 8 s.
        let addresses = (1..=8).map(|channel| Parameter::Address.request(channel));
        let of_the_lan = [Parameter::Ipv6Enables, Parameter::Mac];
        let expected: Vec<_> = addresses
            .chain(of_the_lan.map(|parameter| parameter.request(8)))
            .collect();
        assert_eq!(asked, expected);
    }

    #[test]
    fn a_controller_that_refuses_every_channel_has_no_address() {
        let mut asked = 0;
        let mut ask = |_: &Request| {
            asked += 1;
            Ok(REFUSED.to_vec())
        };
        let none = Bmc {
            address: Address::NotConfigured,
            v6_address: Address::NotConfigured,
            mac: Address::NotConfigured,
        };
        let mut detection = Detection::default();
        assert_eq!(detection.detect(&mut ask), none);
        assert_eq!(asked, ipmi::CHANNELS.count());
        let later = Instant::now() + RETRY_INTERVAL;
        assert_eq!(detection.cached(later), Some(none), "it is asked again");
    }

    #[test]
    fn a_controller_that_never_responds_is_unknown_and_asked_again_later() {
        let mut detection = Detection::default();
        assert_eq!(detection.cached(Instant::now()), None);
        for mut silence in [|_: &Request| timed_out(), |_: &Request| Ok(BUSY.to_vec())] {
            assert_eq!(detection.detect(&mut silence), Bmc::default());
        }
        let now = Instant::now();
        assert_eq!(detection.cached(now), Some(Bmc::default()));
        assert_eq!(detection.cached(now + RETRY_INTERVAL), None);
        assert_eq!(
            detection.detect(&mut |request| Ok(lan_on(1, request))),
            lan()
        );
        assert_eq!(detection.cached(now + RETRY_INTERVAL), Some(lan()));
    }

    #[test]
    fn what_a_controller_answered_is_not_asked_again() {
        let mut detection = Detection::default();
        for round in 0..3 {
            let mut left = 1;
            let mut ask = |request: &Request| {
                if left == 0 {
                    return timed_out();
                }
                left -= 1;
                Ok(lan_on(1, request))
            };
            let bmc = detection.detect(&mut ask);
            let expected = match round {
                0 => Bmc {
                    v6_address: Address::Unknown,
                    mac: Address::Unknown,
                    ..lan()
                },
                1 => Bmc {
                    mac: Address::Unknown,
                    ..lan()
                },
                _ => lan(),
            };
            assert_eq!(bmc, expected, "after {} messages", round + 1);
        }
    }

    #[test]
    fn a_machine_without_a_controller_has_none_and_is_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut detection = Detection::default();
        assert_eq!(detection.bmc(&Root::at(folder.path())), None);
        assert_eq!(detection.cached(Instant::now()), None);
    }
}
