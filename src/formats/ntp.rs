//! SNTP requests and replies of 48 bytes (RFC 4330, in the format of RFC 5905).

use super::le_bytes::{array, put};
use core::time::Duration;

/// Timestamps of a server's reply, as times since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Time at which the request reached the server.
    pub received: Duration,
    /// Time at which the reply left the server.
    pub sent: Duration,
}

/// Reason why a reply gives no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The reply was sent before the request was received.
    #[error("the answer left before the question came")]
    Backwards,
    /// The server refuses requests from this client, with this code.
    #[error("the server refuses to tell the time ({0})")]
    Refused(String),
    /// The reply belongs to another request, or is forged.
    #[error("the answer is not to our question")]
    NotOurs,
    /// The packet is not from a server, but for example from a client.
    #[error("the answer is no server's (version {version}, mode {mode})")]
    NoServer {
        /// NTP version.
        version: u8,
        /// NTP mode.
        mode: u8,
    },
    /// The reply has fewer than 48 bytes; their number.
    #[error("the answer has only {0} bytes")]
    Short(usize),
    /// The server's own clock is not synchronised.
    #[error("the server does not know the time itself")]
    Unsynchronised,
}

/// Encodes a request. The reply repeats the mark. A random mark is hard to forge, and reveals
/// nothing of the local clock.
#[must_use]
pub fn request(mark: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    put(&mut bytes, 0, &[VERSION << 3 | CLIENT]);
    put(&mut bytes, SENT, &mark.to_be_bytes());
    bytes
}

/// Parses the reply to the request with this mark (RFC 4330, section 5, and the sanity checks of
/// RFC 5905).
///
/// # Errors
/// [`Error`] if the reply gives no time.
pub fn reply(bytes: &[u8], mark: u64) -> Result<Reply, Error> {
    let short = || Error::Short(bytes.len());
    let number = |at| array(bytes, at).map(u64::from_be_bytes).ok_or_else(short);
    let [head, stratum] = array(bytes, 0).ok_or_else(short)?;
    let (asked, received, sent) = (number(ASKED)?, number(RECEIVED)?, number(SENT)?);
    let (leap, version, mode) = (head >> 6, head >> 3 & 7, head & 7);
    if mode != SERVER || !(1..=VERSION).contains(&version) {
        return Err(Error::NoServer { version, mode });
    }
    if asked != mark {
        return Err(Error::NotOurs);
    }
    if stratum == KISS_OF_DEATH {
        let code: [u8; 4] = array(bytes, REFERENCE).unwrap_or_default();
        let code = code.into_iter().filter(u8::is_ascii_graphic);
        return Err(Error::Refused(code.map(char::from).collect()));
    }
    if leap == ALARM || stratum > MAX_STRATUM || received == 0 || sent == 0 {
        return Err(Error::Unsynchronised);
    }
    let (received, sent) = (since_1970(received), since_1970(sent));
    if sent < received {
        return Err(Error::Backwards);
    }
    Ok(Reply { received, sent })
}

/// Converts seconds and their 2^32nd parts since 1900. The seconds wrap in 2036: small numbers are
/// later times (RFC 4330, section 3).
fn since_1970(timestamp: u64) -> Duration {
    let (seconds, fraction) = (timestamp >> 32, timestamp & 0xFFFF_FFFF);
    let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
    let since_1900 = seconds + era;
    let nanoseconds = (fraction * 1_000_000_000) >> 32;
    // The earliest timestamp is in 1968, and a time before 1970 has no duration here. Its seconds
    // become zero.
    Duration::from_secs(since_1900.saturating_sub(FROM_1900_TO_1970))
        + Duration::from_nanos(nanoseconds)
}

/// Bytes of a request, and minimum bytes of a reply.
pub const LENGTH: usize = 48;

const VERSION: u8 = 4;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// Leap indicator of an unsynchronised clock.
const ALARM: u8 = 3;
const KISS_OF_DEATH: u8 = 0;
/// Maximum stratum: 16 means unsynchronised.
const MAX_STRATUM: u8 = 15;
const FROM_1900_TO_1970: u64 = 2_208_988_800;

/// Offsets of the fields.
const REFERENCE: usize = 12;
const ASKED: usize = 24;
const RECEIVED: usize = 32;
const SENT: usize = 40;

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// Returns the reply of a server of stratum 2 to a request's bytes, at this time since 1970.
    pub(crate) fn answer(question: &[u8], now: Duration) -> [u8; LENGTH] {
        let mark: [u8; 8] = array(question, SENT).unwrap();
        let fraction = (u64::from(now.subsec_nanos()) << 32).div_ceil(1_000_000_000);
        let since_1900 = (now.as_secs() + FROM_1900_TO_1970) & 0xFFFF_FFFF;
        let time = (since_1900 << 32 | fraction).to_be_bytes();
        let mut bytes = [0; LENGTH];
        put(&mut bytes, 0, &[VERSION << 3 | SERVER, 2]);
        put(&mut bytes, ASKED, &mark);
        put(&mut bytes, RECEIVED, &time);
        put(&mut bytes, SENT, &time);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::answer;
    use super::*;
    use proptest::prelude::*;

    const MARK: u64 = 0x0123_4567_89AB_CDEF;
    /// 2026-11-23 08:00:00.5 UTC.
    const NOW: Duration = Duration::new(1_795_420_800, 500_000_000);

    fn answered() -> [u8; LENGTH] {
        answer(&request(MARK), NOW)
    }

    #[test]
    fn a_question_says_who_asks_and_its_mark() {
        let bytes = request(MARK);
        assert_eq!(bytes[0], 0b00_100_011);
        assert_eq!(bytes[1..40], [0; 39]);
        assert_eq!(bytes[40..], MARK.to_be_bytes());
    }

    #[test]
    fn an_answer_tells_the_time() {
        let time = Reply {
            received: NOW,
            sent: NOW,
        };
        assert_eq!(reply(&answered(), MARK), Ok(time));
        let mut longer = answered().to_vec();
        longer.extend([7; 20]);
        assert_eq!(reply(&longer, MARK), Ok(time));
    }

    #[test]
    fn the_time_goes_on_after_the_count_began_anew() {
        // 2036-02-07 06:28:16 UTC is second 0, and 2100-01-01 is later.
        for seconds in [2_085_978_495, 2_085_978_496, 4_102_444_800] {
            let now = Duration::from_secs(seconds);
            let sent = reply(&answer(&request(MARK), now), MARK).map(|reply| reply.sent);
            // Second 0 without a fraction marks an unsynchronised clock.
            if seconds == 2_085_978_496 {
                assert_eq!(sent, Err(Error::Unsynchronised));
            } else {
                assert_eq!(sent, Ok(now));
            }
        }
    }

    #[test]
    fn whatever_is_no_answer_tells_nothing() {
        let with = |at: usize, bytes: &[u8]| {
            let mut answer = answered();
            put(&mut answer, at, bytes);
            reply(&answer, MARK).unwrap_err()
        };
        assert_eq!(reply(&answered()[..47], MARK), Err(Error::Short(47)));
        assert_eq!(reply(&answered(), MARK ^ 1), Err(Error::NotOurs));
        assert_eq!(
            with(0, &request(MARK)[..1]),
            Error::NoServer {
                version: 4,
                mode: 3
            }
        );
        assert_eq!(
            with(0, &[0b00_101_100]),
            Error::NoServer {
                version: 5,
                mode: 4
            }
        );
        assert_eq!(with(0, &[0b11_100_100]), Error::Unsynchronised);
        assert_eq!(with(1, &[16]), Error::Unsynchronised);
        assert_eq!(with(SENT, &[0; 8]), Error::Unsynchronised);
        assert_eq!(with(RECEIVED, &[0xFF; 8]), Error::Backwards);
        let mut kiss = answered();
        put(&mut kiss, 1, &[0]);
        put(&mut kiss, REFERENCE, b"RA\nE");
        assert_eq!(reply(&kiss, MARK), Err(Error::Refused("RAE".into())));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), mark: u64) {
            let _ = reply(&bytes, mark);
        }

        #[test]
        fn every_time_survives(seconds in 0_u64..4_000_000_000, nanoseconds in 1_u32..1_000_000_000) {
            let now = Duration::new(seconds, nanoseconds);
            let told = reply(&answer(&request(MARK), now), MARK).unwrap().sent;
            prop_assert!(told.abs_diff(now) <= Duration::from_nanos(1), "{told:?} {now:?}");
        }
    }
}
