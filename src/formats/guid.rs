//! GUIDs as in partition tables and EFI device paths: the first three groups are little-endian.

use std::fmt;
use std::str::FromStr;

/// GUID in its stored byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Physical volume of the Linux logical volume manager (LVM).
    pub const LINUX_LVM: Self = Self::from_text_order(0xE6D6_D379_F507_44C2_A23C_238F_2A3D_F928);
    /// EFI system partition.
    pub const EFI_SYSTEM: Self = Self::from_text_order(0xC12A_7328_F81F_11D2_BA4B_00A0_C93E_C93B);
    /// Linux file-system data (sgdisk's `8300`).
    pub const LINUX_DATA: Self = Self::from_text_order(0x0FC6_3DAF_8483_4772_8E79_3D69_D847_7DE4);
    /// IBM GPFS, one of the shared file systems that erasing spares.
    pub const GPFS: Self = Self::from_text_order(0x37AF_FC90_EF7D_4E96_91C3_2D7A_E055_B174);
    /// VMware VMFS, one of the shared file systems that erasing spares.
    pub const VMFS: Self = Self::from_text_order(0xAA31_E02A_400F_11DB_9590_000C_2911_D1B8);

    /// Creates the GUID whose digits in text order are this number.
    #[must_use]
    pub const fn from_text_order(digits: u128) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = digits.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = rest;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// Returns whether all bytes are zero, as in an unused entry.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0 == [0; 16]
    }

    fn text_order(self) -> u128 {
        let [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p] = self.0;
        u128::from_be_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.text_order();
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            (n >> 80) & 0xFFFF,
            (n >> 64) & 0xFFFF,
            (n >> 48) & 0xFFFF,
            n & 0xFFFF_FFFF_FFFF
        )
    }
}

/// Error for a text that is not a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a GUID")]
pub struct NotAGuid;

impl FromStr for Guid {
    type Err = NotAGuid;

    fn from_str(text: &str) -> Result<Self, NotAGuid> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || text.contains('+') {
            return Err(NotAGuid);
        }
        let digits = u128::from_str_radix(&groups.concat(), 16).map_err(|_| NotAGuid)?;
        Ok(Self::from_text_order(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_stored_order_of_the_efi_system_partition_is_the_standards() {
        let stored = [
            0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E,
            0xC9, 0x3B,
        ];
        assert_eq!(Guid::EFI_SYSTEM, Guid(stored));
        assert_eq!(
            Guid::EFI_SYSTEM.to_string(),
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
        );
    }

    #[test]
    fn texts_that_are_no_guid_are_refused() {
        for text in [
            "",
            "0x12345678",
            "c12a7328f81f11d2ba4b00a0c93ec93b",
            "+12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(NotAGuid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_convert_both_ways(bytes: [u8; 16]) {
            prop_assert_eq!(Guid(bytes).to_string().to_uppercase().parse(), Ok(Guid(bytes)));
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = text.parse::<Guid>();
        }
    }
}
