//! What was told already: media are looked at again and again, and the log is not to repeat itself.

use std::collections::HashSet;

#[derive(Debug, Default)]
pub(super) struct Logged {
    /// Since other devices came or went.
    words: HashSet<String>,
    /// Devices that were told of, for good.
    devices: HashSet<String>,
}

impl Logged {
    pub(super) fn is_new(&mut self, words: String) -> bool {
        self.words.insert(words)
    }

    pub(super) fn is_first_of(&mut self, device: String) -> bool {
        self.devices.insert(device)
    }

    /// What is seen is no longer the same: all but the devices is worth telling once more.
    pub(super) fn forget(&mut self) {
        self.words.clear();
    }
}
