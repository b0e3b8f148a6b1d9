//! The machine's clocks. The kernel's clock is set from a time server (SNTP) at the start and
//! before shutdown; the hardware clock is set before shutdown, too.
//!
//! IPA runs chrony or ntpdate and hwclock. Here the agent sends the queries itself; hardware clocks
//! are set to UTC.

use super::permit::{Permit, PermitDenied};
use crate::clock::since_epoch;
use crate::dns::{self, Resolver};
use crate::formats::ntp;
use crate::root::Root;
use crate::sys::rtc::{self, CalendarTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Clock settings of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockSettings {
    /// Time server, as configured.
    pub server: Option<String>,
    /// Whether failing to set a clock is an error.
    pub needed: bool,
}

/// Error of setting a clock.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's time is before `EARLIEST`.
    #[error("the time server {0} tells a time that is long past")]
    ImplausibleTime(SocketAddr),
    /// The hardware clock cannot be set.
    #[error("cannot set the hardware clock {0}")]
    Hardware(PathBuf, #[source] io::Error),
    /// The machine runs an installed system, and there is no permit.
    #[error(transparent)]
    Installed(PermitDenied),
    /// The server's name contains invalid characters.
    #[error("Invalid NTP server address: {0:?}")]
    Name(String),
    /// The name has no address, or no name server responds.
    #[error(transparent)]
    Resolve(dns::Error),
    /// The kernel's clock cannot be set.
    #[error("cannot set the clock")]
    Set(#[source] io::Error),
    /// The server sent no valid reply.
    #[error("the time server {address} does not tell the time")]
    NoReply {
        /// Address of the server.
        address: SocketAddr,
        /// Cause of the failure.
        #[source]
        cause: Cause,
    },
}

/// Cause of a missing reply.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The query could not be sent, or timed out.
    #[error(transparent)]
    Io(io::Error),
    /// The reply is invalid.
    #[error(transparent)]
    Reply(ntp::Error),
}

/// Sets the kernel's clock from a time server.
///
/// # Errors
/// See [`Error`]; the clock is as before.
pub fn set(root: &Root, server: &str, _: Permit) -> Result<(), Error> {
    let addresses = addresses(root, server)?;
    let told = ask_all(&addresses, TIMEOUT)?;
    let before = since_epoch();
    let now = told.now();
    rtc::set_clock(now).map_err(Error::Set)?;
    let forward = now.saturating_sub(before).as_secs_f64();
    let back = before.saturating_sub(now).as_secs_f64();
    tracing::info!(server, forward, back, "the clock was set");
    Ok(())
}

/// Sets the hardware clock from the kernel's clock.
///
/// # Errors
/// [`Error::Hardware`] if there is no hardware clock, or it cannot be set.
pub fn set_hardware(root: &Root, _: Permit) -> Result<(), Error> {
    let path = root.path("dev/rtc0");
    let set = || -> io::Result<()> {
        let clock = File::open(&path)?;
        rtc::set_hardware_clock(clock.as_fd(), moment(since_epoch())?)
    };
    set().map_err(|error| Error::Hardware(path.clone(), error))
}

fn moment(since_epoch: Duration) -> io::Result<CalendarTime> {
    let time = Timestamp::from_second(since_epoch.as_secs().cast_signed())
        .map_err(io::Error::other)?
        .to_zoned(TimeZone::UTC);
    Ok(CalendarTime {
        year: time.year(),
        month: time.month(),
        day: time.day(),
        hour: time.hour(),
        minute: time.minute(),
        second: time.second(),
    })
}

/// Returns the server's addresses: validates the name as IPA does, then resolves it.
fn addresses(root: &Root, server: &str) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(address) = server.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, NTP_PORT)]);
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    if server.is_empty() || server.len() > MAX_NAME_LEN || !server.bytes().all(fits) {
        return Err(Error::Name(server.to_owned()));
    }
    let mut found = Resolver::new(root)
        .lookup_blocking(server)
        .map_err(Error::Resolve)?;
    found.truncate(MAX_ADDRESSES);
    found
        .iter_mut()
        .for_each(|address| address.set_port(NTP_PORT));
    Ok(found)
}

/// Time of a server, with the moment of its arrival.
#[derive(Clone, Copy, Debug)]
struct Sample {
    time: Duration,
    at: Instant,
}

impl Sample {
    fn now(self) -> Duration {
        self.time + self.at.elapsed()
    }
}

/// Queries the addresses in turn until one replies. Datagrams may be lost, so each address is tried
/// [`ATTEMPTS`] times.
fn ask_all(addresses: &[SocketAddr], patience: Duration) -> Result<Sample, Error> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        for address in addresses {
            match ask(*address, patience) {
                Ok(told) => return Ok(told),
                Err(error) => {
                    let text = crate::error::chain(&error);
                    tracing::debug!(%address, error = text, "a time server was no help");
                    last = Some(error);
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::Name(String::new())))
}

fn ask(address: SocketAddr, patience: Duration) -> Result<Sample, Error> {
    let told = exchange(address, patience).map_err(|cause| Error::NoReply { address, cause })?;
    if told.time < EARLIEST {
        return Err(Error::ImplausibleTime(address));
    }
    Ok(told)
}

/// Sends one query and waits for a valid reply; datagrams from other addresses are dropped.
fn exchange(address: SocketAddr, patience: Duration) -> Result<Sample, Cause> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).map_err(Cause::Io)?;
    // From now on the kernel drops datagrams from other addresses.
    socket.connect(address).map_err(Cause::Io)?;
    let mark = random_mark().map_err(Cause::Io)?;
    let asked = Instant::now();
    socket.send(&ntp::request(mark)).map_err(Cause::Io)?;
    let mut cause = Cause::Io(io::ErrorKind::TimedOut.into());
    loop {
        let left = patience.saturating_sub(asked.elapsed());
        if left.is_zero() {
            return Err(cause);
        }
        socket.set_read_timeout(Some(left)).map_err(Cause::Io)?;
        let mut bytes = [0; MAX_ANSWER_LEN];
        let length = match socket.recv(&mut bytes) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(cause),
            Err(error) => return Err(Cause::Io(error)),
        };
        let at = Instant::now();
        match ntp::reply(bytes.get(..length).unwrap_or_default(), mark) {
            Ok(reply) => {
                let inside = reply.sent.saturating_sub(reply.received);
                let under_way = at.duration_since(asked).saturating_sub(inside);
                let time = reply.sent + under_way / 2;
                return Ok(Sample { time, at });
            }
            Err(error) => cause = Cause::Reply(error),
        }
    }
}

fn random_mark() -> io::Result<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_ne_bytes(bytes))
}

const NTP_PORT: u16 = 123;
/// Maximum length of a host name, as in IPA.
const MAX_NAME_LEN: usize = 253;
const MAX_ADDRESSES: usize = 4;
const ATTEMPTS: u32 = 3;
/// Timeout of one query.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Room for extensions and a signature that were not requested.
const MAX_ANSWER_LEN: usize = 512;
/// 2026-01-01 UTC. This file is younger, so no correct time is earlier.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;
    use crate::formats::ntp::fixture::answer;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(30);

    /// Datagrams in reply to a query.
    type Answers = fn(&[u8]) -> Vec<Vec<u8>>;

    /// Starts a server that replies to each query with the next of these functions.
    fn server(answers: Vec<Answers>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            for answers in answers {
                let mut question = [0; 64];
                let (length, from) = socket.recv_from(&mut question).unwrap();
                for bytes in answers(&question[..length]) {
                    socket.send_to(&bytes, from).unwrap();
                }
            }
        });
        address
    }

    fn good(question: &[u8]) -> Vec<Vec<u8>> {
        vec![answer(question, NOW).to_vec()]
    }

    fn is_now(told: Sample) -> bool {
        told.time >= NOW && told.time < NOW + LONG
    }

    #[test]
    fn the_time_is_what_the_server_tells() {
        let told = ask_all(&[server(vec![good])], LONG).unwrap();
        assert!(is_now(told), "{told:?}");
        assert!(told.now() >= told.time);
    }

    #[test]
    fn forged_answers_before_the_true_one_are_not_believed() {
        fn forged(question: &[u8]) -> Vec<Vec<u8>> {
            let past = Duration::from_secs(1_900_000_000);
            let mut not_ours = answer(question, past);
            not_ours[24] ^= 1;
            let question_itself = question.to_vec();
            vec![
                not_ours.to_vec(),
                question_itself,
                Vec::new(),
                vec![0xFF; 400],
                answer(question, NOW).to_vec(),
            ]
        }
        let told = ask_all(&[server(vec![forged])], LONG).unwrap();
        assert!(is_now(told), "{told:?}");
    }

    #[test]
    fn the_next_address_is_asked_when_one_is_no_help() {
        fn refusal(question: &[u8]) -> Vec<Vec<u8>> {
            let mut bytes = answer(question, NOW);
            bytes[1] = 0;
            bytes[12..16].copy_from_slice(b"DENY");
            vec![bytes.to_vec()]
        }
        let told = ask_all(
            &[server(vec![refusal]), server(vec![good])],
            LONG.min(SHORT * 10),
        );
        assert!(is_now(told.unwrap()));
    }

    #[test]
    fn a_server_that_tells_no_time_is_named_with_the_reason() {
        let told = |answers| {
            let address = server(answers);
            let error = ask(address, SHORT).unwrap_err();
            chain(&error).replace(&address.to_string(), "SERVER")
        };
        assert_eq!(
            told(vec![|question| vec![question.to_vec()]]),
            "the time server SERVER does not tell the time: the answer is no server's (version 4, mode 3)"
        );
        assert_eq!(
            told(vec![|question| vec![
                answer(question, Duration::from_secs(1)).to_vec()
            ]]),
            "the time server SERVER tells a time that is long past"
        );
        assert_eq!(
            told(vec![|_| Vec::new()]),
            "the time server SERVER does not tell the time: timed out"
        );
    }

    #[test]
    fn names_are_ipas() {
        let nowhere = Root::at("/nonexistent");
        let of = |server: &str| addresses(&nowhere, server).map_err(|error| error.to_string());
        assert_eq!(of("192.0.2.1"), Ok(vec!["192.0.2.1:123".parse().unwrap()]));
        assert_eq!(
            of("2001:db8::1"),
            Ok(vec!["[2001:db8::1]:123".parse().unwrap()])
        );
        assert!(
            of("localhost")
                .unwrap()
                .iter()
                .all(|a| a.ip().is_loopback())
        );
        assert_eq!(
            of("time.lab").unwrap_err(),
            "cannot resolve time.lab: no name server is known (/etc/resolv.conf): give one by DHCP, by router \
             advertisement or with ip= on the kernel command line"
        );
        for wrong in ["", "time server", "-p;reboot", &"a".repeat(254)] {
            let error = of(wrong).unwrap_err();
            assert_eq!(error, format!("Invalid NTP server address: {wrong:?}"));
        }
    }

    #[test]
    fn the_hardwares_clock_is_set_in_utc() {
        let expected = CalendarTime {
            year: 2027,
            month: 1,
            day: 15,
            hour: 8,
            minute: 0,
            second: 0,
        };
        assert_eq!(moment(NOW).unwrap(), expected);
    }

    #[test]
    fn a_machine_without_a_hardware_clock_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let permit = Permit::obtain(&root, crate::machine::InstalledSystem::Allowed).unwrap();
        let error = set_hardware(&root, permit).unwrap_err();
        assert!(
            chain(&error).starts_with(&format!(
                "cannot set the hardware clock {}: ",
                folder.path().join("dev/rtc0").display()
            )),
            "{error}"
        );
    }
}
