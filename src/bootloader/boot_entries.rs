//! Boot entries of the firmware (UEFI 2.10, section 3.1): `Boot####` and `BootOrder`.

use crate::formats::efi::{self, LoadOption};
use crate::sys::efivars::EfiVars;
use std::collections::BTreeSet;
use std::io;

/// Makes `record` the only boot entry with its label and the first in the boot order. An entry with
/// the same label is overwritten rather than deleted. So one exists at every moment, and the
/// variable store needs no more space. A new entry is removed again if the boot order cannot be
/// written. Unreadable variables are skipped, as efibootmgr does; their numbers stay taken.
pub(super) fn prepend_boot_order(
    variables: &EfiVars,
    label: &str,
    record: &[u8],
) -> Result<(), (String, io::Error)> {
    let named = |name: &str, error| (name.to_owned(), error);
    let names = variables.names().map_err(|e| named("Boot####", e))?;
    let (mut taken, mut same) = (BTreeSet::new(), Vec::new());
    for number in names.iter().filter_map(|name| boot_number(name)) {
        let name = variable(number);
        let bytes = match variables.read(&name) {
            Ok(None) => continue,
            Ok(Some(bytes)) => bytes,
            Err(error) => {
                tracing::warn!(variable = name, %error, "passed over a boot record that cannot be read");
                Vec::new()
            }
        };
        taken.insert(number);
        // The image chooses the label: the machine's own entries, such as network boot, never count
        // as duplicates.
        let is_same = |option: LoadOption| option.label == label && option.is_file_on_disk();
        if LoadOption::decode(&bytes).is_some_and(is_same) {
            same.push(number);
        }
    }
    let free = || (0..=u16::MAX).find(|number| !taken.contains(number));
    let full = || named("Boot####", io::ErrorKind::StorageFull.into());
    let number = same.first().copied().or_else(free).ok_or_else(full)?;
    let name = variable(number);
    let written = variables.write(&name, record);
    written.map_err(|e| named(&name, e))?;
    let order = variables.read(ORDER).unwrap_or_else(|error| {
        tracing::warn!(%error, "the boot order cannot be read: it begins anew");
        None
    });
    let old = efi::boot_order(&order.unwrap_or_default());
    let others = old
        .into_iter()
        .filter(|n| *n != number && !same.contains(n));
    let order: Vec<u16> = std::iter::once(number).chain(others).collect();
    if let Err(error) = variables.write(ORDER, &efi::encode_boot_order(&order)) {
        if same.is_empty() {
            remove(variables, number);
        }
        return Err(named(ORDER, error));
    }
    for duplicate in same.into_iter().skip(1) {
        remove(variables, duplicate);
    }
    Ok(())
}

/// Removes an entry that is in no boot order. A failure is harmless.
fn remove(variables: &EfiVars, number: u16) {
    let name = variable(number);
    if let Err(error) = variables.remove(&name) {
        tracing::warn!(variable = name, %error, "a boot record cannot be removed");
    }
}

pub(super) fn variable(number: u16) -> String {
    format!("Boot{number:04X}")
}

fn boot_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?;
    let number = u16::from_str_radix(digits, 16).ok()?;
    // Not `BootFFF` nor `Boot+001`.
    name.eq_ignore_ascii_case(&variable(number))
        .then_some(number)
}

pub(super) const ORDER: &str = "BootOrder";
