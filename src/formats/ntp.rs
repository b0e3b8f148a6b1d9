//! The 48 bytes with which a machine asks for the time and is answered (SNTP: RFC 4330, in the format of RFC 5905).

use super::le_bytes::{array, put};
use core::time::Duration;

/// What a server said, as times since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// When the request reached it.
    pub received: Duration,
    /// When the reply left it.
    pub sent: Duration,
}

/// Why an answer tells no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was received after it was sent.
    #[error("the answer left before the question came")]
    Backwards,
    /// It wants to be left alone, by this code.
    #[error("the server refuses to tell the time ({0})")]
    Refused(String),
    /// Somebody else's, or a forgery.
    #[error("the answer is not to our question")]
    NotOurs,
    /// From a client, say.
    #[error("the answer is no server's (version {version}, mode {mode})")]
    NoServer {
        /// Its version of NTP.
        version: u8,
        /// Its mode.
        mode: u8,
    },
    /// Bytes, not 48.
    #[error("the answer has only {0} bytes")]
    Short(usize),
    /// It does not know the time itself.
    #[error("the server does not know the time itself")]
    Unsynchronised,
}

/// A question. The mark comes back with its answer: a random one is hard to forge, and tells nothing of our clock.
#[must_use]
pub fn request(mark: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    put(&mut bytes, 0, &[VERSION << 3 | CLIENT]);
    put(&mut bytes, SENT, &mark.to_be_bytes());
    bytes
}

/// The answer to the question with this mark (RFC 4330, section 5, and the sanity checks of RFC 5905).
///
/// # Errors
/// See [`Error`]: then it tells nothing.
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

/// Seconds and their 2^32nd parts since 1900. The count begins anew in 2036: small numbers are of the time after (RFC 4330,
/// section 3).
fn since_1970(timestamp: u64) -> Duration {
    let (seconds, fraction) = (timestamp >> 32, timestamp & 0xFFFF_FFFF);
    let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
    let since_1900 = seconds + era;
    let nanoseconds = (fraction * 1_000_000_000) >> 32;
    // The earliest is of 1968: where there is no such duration, there is no such time either.
    Duration::from_secs(since_1900.saturating_sub(FROM_1900_TO_1970))
        + Duration::from_nanos(nanoseconds)
}

/// Bytes of a question and, at least, of an answer.
pub const LENGTH: usize = 48;

const VERSION: u8 = 4;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// Leap indicator of a clock that is not set.
const ALARM: u8 = 3;
const KISS_OF_DEATH: u8 = 0;
/// 16 means unsynchronised.
const MAX_STRATUM: u8 = 15;
const FROM_1900_TO_1970: u64 = 2_208_988_800;

/// Places of the fields.
const REFERENCE: usize = 12;
const ASKED: usize = 24;
const RECEIVED: usize = 32;
const SENT: usize = 40;

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// The answer of a server of stratum 2 to a question's bytes, at this time since 1970.
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
        // 2036-02-07 06:28:16 UTC is second 0, 2100-01-01 lies behind.
        for seconds in [2_085_978_495, 2_085_978_496, 4_102_444_800] {
            let now = Duration::from_secs(seconds);
            let sent = reply(&answer(&request(MARK), now), MARK).map(|reply| reply.sent);
            // Second 0 with no fraction is the sign of a clock that is not set.
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
