//! Input devices: reads key events (`linux/input.h`, `linux/input-event-codes.h`).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Input device with keys, open for non-blocking reads.
#[derive(Debug)]
pub struct Keys(File);

impl Keys {
    /// Opens an event device; returns `None` if it does not have the key.
    ///
    /// # Errors
    /// The file is not an event device, or is gone.
    pub fn open(path: &Path, key: u16) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let mut bits = [0_u8; KEY_BYTES];
        // SAFETY: the kernel writes at most as many bytes as the request number encodes, which is
        // the length of `bits`.
        unsafe { ioctl::key_bits(file.as_raw_fd(), &mut bits) }?;
        Ok(has_bit(&bits, key).then_some(Self(file)))
    }

    /// Returns the keys that were pressed since the last call.
    ///
    /// # Errors
    /// The device is gone.
    pub fn pressed(&mut self) -> io::Result<Vec<u16>> {
        let mut pressed = Vec::new();
        let mut events = [0_u8; EVENT * EVENTS];
        loop {
            match self.0.read(&mut events) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    let read = events.get(..length).unwrap_or_default();
                    pressed.extend(read.chunks_exact(EVENT).filter_map(pressed_key));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(pressed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Keys {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn has_bit(bits: &[u8], bit: u16) -> bool {
    let byte = bits.get(usize::from(bit / 8));
    byte.is_some_and(|byte| byte & 1 << (bit % 8) != 0)
}

/// Returns the key of a `struct input_event` for a press: value 1, where 0 is a release and 2 a
/// repeat.
fn pressed_key(event: &[u8]) -> Option<u16> {
    let (_time, event) = event.split_at_checked(size_of::<libc::timeval>())?;
    let [t0, t1, c0, c1, value @ ..] = event else {
        return None;
    };
    let kind = u16::from_ne_bytes([*t0, *t1]);
    let value = i32::from_ne_bytes(value.try_into().ok()?);
    (kind == EV_KEY && value == 1).then(|| u16::from_ne_bytes([*c0, *c1]))
}

mod ioctl {
    // `EVIOCGBIT(EV_KEY, length)`.
    nix::ioctl_read_buf!(key_bits, b'E', 0x20 + super::EV_KEY, u8);
}

/// Key code of the power button.
pub const KEY_POWER: u16 = 116;
const EV_KEY: u16 = 1;
/// `KEY_MAX` is 0x2ff.
const KEY_BYTES: usize = 0x300 / 8;
const EVENT: usize = size_of::<libc::input_event>();
/// Maximum number of events per read.
const EVENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut event = vec![7; size_of::<libc::timeval>()];
        event.extend(kind.to_ne_bytes());
        event.extend(code.to_ne_bytes());
        event.extend(value.to_ne_bytes());
        assert_eq!(event.len(), EVENT);
        event
    }

    #[test]
    fn a_key_that_goes_down_is_read_and_nothing_else() {
        assert_eq!(pressed_key(&event(EV_KEY, KEY_POWER, 1)), Some(KEY_POWER));
        for other in [
            event(EV_KEY, KEY_POWER, 0),
            event(EV_KEY, KEY_POWER, 2),
            event(0, 0, 0),
            event(4, KEY_POWER, 1),
            Vec::new(),
            vec![0; EVENT - 1],
        ] {
            assert_eq!(pressed_key(&other), None);
        }
    }

    #[test]
    fn keys_are_bits() {
        let mut bits = [0; KEY_BYTES];
        assert!(!has_bit(&bits, KEY_POWER));
        bits[14] = 1 << 4;
        assert!(has_bit(&bits, KEY_POWER) && !has_bit(&bits, KEY_POWER + 1));
        assert!(!has_bit(&bits, u16::MAX));
    }

    #[test]
    fn what_is_no_event_device_is_an_error() {
        let error = Keys::open(Path::new("/dev/null"), KEY_POWER).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
