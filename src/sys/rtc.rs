//! Sets the system clock and the battery-backed hardware clock (`linux/rtc.h`).

use nix::libc::c_int;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Calendar date and time, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarTime {
    /// Year AD.
    pub year: i16,
    /// Month, from 1.
    pub month: i8,
    /// Day of the month, from 1.
    pub day: i8,
    /// Hour, from 0.
    pub hour: i8,
    /// Minute, from 0.
    pub minute: i8,
    /// Second, from 0.
    pub second: i8,
}

/// Sets the system clock to a time since 1970-01-01 UTC.
///
/// # Errors
/// `EPERM` if the process lacks permission; `EINVAL` for a time out of range.
pub fn set_clock(now: Duration) -> io::Result<()> {
    let seconds = i64::try_from(now.as_secs()).map_err(io::Error::other)?;
    let time = TimeSpec::new(seconds, now.subsec_nanos().into());
    Ok(clock_settime(ClockId::CLOCK_REALTIME, time)?)
}

/// Sets a hardware clock (`RTC_SET_TIME`).
///
/// # Errors
/// The file is not a hardware clock, the process lacks permission, or the clock cannot represent
/// the time.
pub fn set_hardware_clock(clock: BorrowedFd<'_>, moment: CalendarTime) -> io::Result<()> {
    let time = RtcTime {
        second: moment.second.into(),
        minute: moment.minute.into(),
        hour: moment.hour.into(),
        day: moment.day.into(),
        month: c_int::from(moment.month) - 1,
        year: c_int::from(moment.year) - 1900,
        // The kernel computes these itself (drivers/rtc/interface.c).
        ..RtcTime::default()
    };
    // SAFETY: the kernel reads one `struct rtc_time` from the pointer, which outlives the call.
    unsafe { ioctl::set_time(clock.as_raw_fd(), &raw const time) }?;
    Ok(())
}

/// `struct rtc_time`.
#[derive(Default)]
#[repr(C)]
struct RtcTime {
    second: c_int,
    minute: c_int,
    hour: c_int,
    day: c_int,
    month: c_int,
    year: c_int,
    week_day: c_int,
    year_day: c_int,
    daylight_saving: c_int,
}

const _: () = assert!(size_of::<RtcTime>() == 36);

mod ioctl {
    use super::RtcTime;
    nix::ioctl_write_ptr!(set_time, b'p', 0x0A, RtcTime);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_clock_is_not_set() {
        let file = File::open("/dev/null").unwrap();
        let moment = CalendarTime {
            year: 2026,
            month: 11,
            day: 23,
            hour: 8,
            minute: 0,
            second: 0,
        };
        let error = set_hardware_clock(file.as_fd(), moment).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENOTTY));
    }
}
