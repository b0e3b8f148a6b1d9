//! Waits for hardware that appears late: disks behind slow controllers, network drivers.
//!
//! Polls often at first and then with growing pauses, so that hardware that is nearly ready costs
//! no full pause.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::inventory::network;
use crate::node::root_device::{self, DiskSelection};
use crate::progress::Cancel;
use crate::root::Root;
use crate::storage::device::{self, BlockDevice};

/// Wait for disks: IPA's `disk_wait_attempts` and `disk_wait_delay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitPolicy {
    /// Number of IPA's attempts; zero polls once, like one.
    pub attempts: u32,
    /// IPA's delay between attempts.
    pub delay: Duration,
}

/// Waits for the root device and returns it. On timeout or cancellation, returns the last error.
///
/// # Errors
/// [`Error`] if the disks cannot be listed, or none matches.
pub fn root_device(
    root: &Root,
    wishes: &DiskSelection,
    patience: WaitPolicy,
    cancel: &Cancel,
) -> Result<BlockDevice, Error> {
    let limit = patience
        .delay
        .saturating_mul(patience.attempts.saturating_sub(1));
    let began = Instant::now();
    let look = || Ok(wishes.root_device(device::list(root)?)?);
    let found = poll(pauses(limit, patience.delay), cancel, look);
    let seconds = began.elapsed().as_secs();
    match &found {
        Ok(device) => tracing::info!(device = device.name, seconds, "found the root device"),
        Err(error) => tracing::warn!(%error, seconds, "no root device was found"),
    }
    found
}

/// Waits for a network interface with a MAC address. Returns `false` if none appears within a
/// minute or the wait is cancelled.
pub fn interface(root: &Root, cancel: &Cancel) -> bool {
    let look = || {
        let addresses = network::mac_addresses(root);
        addresses.first().map(|_| ()).ok_or(())
    };
    let found = poll(pauses(INTERFACE_LIMIT, INTERFACE_PAUSE), cancel, look).is_ok();
    if !found {
        tracing::warn!(
            "no network interface with an address was found: the conductor will not know this machine"
        );
    }
    found
}

/// Reason for a missing root device.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No disk matches.
    #[error(transparent)]
    Choice(#[from] root_device::Error),
    /// The disks cannot be listed.
    #[error(transparent)]
    Devices(#[from] device::Error),
}

impl From<Error> for crate::error::AgentError {
    fn from(error: Error) -> Self {
        match error {
            Error::Choice(error) => error.into(),
            Error::Devices(error) => error.into(),
        }
    }
}

/// Polls until a result is found, the pauses are used up, or the wait is cancelled.
fn poll<T, E>(
    pauses: impl Iterator<Item = Duration>,
    cancel: &Cancel,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut seen = look();
    for pause in pauses {
        if seen.is_ok() || cancel.wait(pause) {
            break;
        }
        seen = look();
    }
    seen
}

/// Returns pauses that double from [`FIRST_PAUSE`] up to `longest`, with `limit` as their sum.
fn pauses(limit: Duration, longest: Duration) -> impl Iterator<Item = Duration> {
    let backoff = Backoff {
        first: FIRST_PAUSE,
        max: longest,
    };
    backoff.within(limit)
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// IPA's `NETWORK_WAIT_TIMEOUT` and `NETWORK_WAIT_RETRY`.
const INTERFACE_LIMIT: Duration = Duration::from_secs(60);
const INTERFACE_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{AgentError, ErrorClass};
    use crate::storage::device::fixture::{GIB, Machine};

    const ONCE: WaitPolicy = WaitPolicy {
        attempts: 1,
        delay: Duration::from_secs(3),
    };

    #[test]
    fn looking_ends_with_what_is_found() {
        let mut looks = 0;
        let found = poll(
            std::iter::repeat(Duration::from_millis(1)),
            &Cancel::default(),
            || {
                looks += 1;
                if looks == 3 { Ok("found") } else { Err(()) }
            },
        );
        assert_eq!((found, looks), (Ok("found"), 3));
    }

    #[test]
    fn a_cancelled_wait_ends_at_once() {
        let cancel = Cancel::default();
        cancel.cancel();
        let machine = Machine::new_with_no_disks();
        assert!(!interface(&machine.root(), &cancel));
        let patience = WaitPolicy {
            attempts: 10,
            delay: Duration::from_secs(3600),
        };
        assert!(
            root_device(
                &machine.root(),
                &DiskSelection::default(),
                patience,
                &cancel
            )
            .is_err()
        );
    }

    #[test]
    fn what_is_there_is_not_waited_for() {
        let machine = Machine::new();
        machine.plain_disk("sda", 8 * GIB);
        machine.nic("eth0", 2, "52:54:00:12:34:56");
        let cancel = Cancel::default();
        assert!(interface(&machine.root(), &cancel));
        let found = root_device(&machine.root(), &DiskSelection::default(), ONCE, &cancel).unwrap();
        assert_eq!(found.name, "/dev/sda");
    }

    #[test]
    fn a_machine_without_disks_and_one_without_a_list_fail_differently() {
        let cancel = Cancel::default();
        let class = |machine: &Machine| {
            let error =
                root_device(&machine.root(), &DiskSelection::default(), ONCE, &cancel).unwrap_err();
            AgentError::from(error).class
        };
        assert_eq!(
            class(&Machine::new_with_no_disks()),
            ErrorClass::DeviceNotFound
        );
        assert_eq!(class(&Machine::new()), ErrorClass::BlockDeviceError);
    }
}
