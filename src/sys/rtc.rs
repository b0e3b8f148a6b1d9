//! Clocks: the kernel's, and the machine's own that goes on without power (`linux/rtc.h`).

use nix::libc::c_int;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// A second of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarTime {
    /// Since the birth of Christ.
    pub year: i16,
    /// From 1 on.
    pub month: i8,
    /// From 1 on.
    pub day: i8,
    /// From 0 on.
    pub hour: i8,
    /// From 0 on.
    pub minute: i8,
    /// From 0 on.
    pub second: i8,
}

/// Sets the kernel's clock to a time since 1970-01-01 UTC.
///
/// # Errors
/// `EPERM` without the right to; `EINVAL` for what no clock can show.
pub fn set_clock(now: Duration) -> io::Result<()> {
    let seconds = i64::try_from(now.as_secs()).map_err(io::Error::other)?;
    let time = TimeSpec::new(seconds, now.subsec_nanos().into());
    Ok(clock_settime(ClockId::CLOCK_REALTIME, time)?)
}

/// Sets a hardware clock (`RTC_SET_TIME`).
///
/// # Errors
/// The file is no such clock, the caller may not set it, or the clock cannot show the moment.
pub fn set_hardware_clock(clock: BorrowedFd<'_>, moment: CalendarTime) -> io::Result<()> {
    let time = RtcTime {
        second: moment.second.into(),
        minute: moment.minute.into(),
        hour: moment.hour.into(),
        day: moment.day.into(),
        month: c_int::from(moment.month) - 1,
        year: c_int::from(moment.year) - 1900,
        // The kernel works these out itself (drivers/rtc/interface.c).
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
