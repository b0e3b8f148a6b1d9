//! Records of the kernel log, as read from and written to `/dev/kmsg`
//! (Documentation/ABI/testing/dev-kmsg).

use std::fmt;

/// Record of the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Log level: 0 (most severe) to 7; `None` if the record has none.
    pub level: Option<u8>,
    /// Timestamp in microseconds since the kernel started.
    pub micros: Option<u64>,
    /// Message text.
    pub text: String,
}

impl Record {
    /// Parses `6,339,5140900,-;NET: Registered`, without the following lines about the device.
    #[must_use]
    pub fn parse(record: &[u8]) -> Self {
        let record = String::from_utf8_lossy(record);
        let (prefix, message) = record.split_once(';').unwrap_or(("", &record));
        let mut numbers = prefix.split(',');
        // The bits above the three of the level are the facility.
        let level = numbers
            .next()
            .and_then(|number| number.parse::<u32>().ok())
            .and_then(|number| u8::try_from(number & 7).ok());
        Self {
            level,
            micros: numbers.nth(1).and_then(|number| number.parse().ok()),
            text: message.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

/// Formats the record as `dmesg` does: `[    5.140900] NET: Registered`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.micros {
            Some(micros) => write!(
                f,
                "[{:5}.{:06}] {}",
                micros / 1_000_000,
                micros % 1_000_000,
                self.text
            ),
            None => f.write_str(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_reads_like_dmesg() {
        let record = Record::parse(b"14,339,5140900,-;NET: Registered PF_INET\n SUBSYSTEM=x\n");
        assert_eq!(
            record,
            Record {
                level: Some(6),
                micros: Some(5_140_900),
                text: "NET: Registered PF_INET".into()
            }
        );
        assert_eq!(record.to_string(), "[    5.140900] NET: Registered PF_INET");
    }

    #[test]
    fn a_record_without_numbers_is_its_text() {
        let record = Record::parse(b"no prefix");
        assert_eq!((record.level, record.micros), (None, None));
        assert_eq!(record.to_string(), "no prefix");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = Record::parse(&bytes).to_string();
        }
    }
}
