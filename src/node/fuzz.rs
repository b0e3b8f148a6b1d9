//! Fuzzing entry point for root device hints.

use super::hints::Hints;
use crate::json::Json;
use crate::storage::device::{BlockDevice, Kind};

/// Parses any bytes as hints in JSON and matches a disk against them.
pub(crate) fn hints(bytes: &[u8]) {
    if let Some(hints) = Json::parse(bytes)
        && let Some(hints) = hints.field().members()
        && let Ok(hints) = Hints::parse(hints)
    {
        let _ = hints.matches(&disk());
    }
}

fn disk() -> BlockDevice {
    let text = |text: &str| Some(text.to_owned());
    BlockDevice {
        name: "/dev/sda".to_owned(),
        kind: Kind::Disk,
        model: text("ST2000"),
        size: 2 << 40,
        rotational: true,
        wwn: text("0x5000c500a1b2c3d4"),
        serial: text("Z1"),
        vendor: text("ATA"),
        wwn_with_extension: None,
        wwn_vendor_extension: None,
        hctl: text("0:0:0:0"),
        by_path: text("pci-0000:00:1f.2-ata-1"),
        logical_sectors: 512,
        physical_sectors: 4096,
        tran: text("sata"),
        read_only: false,
        removable: false,
        other_by_paths: Vec::new(),
        other_serials: vec!["Z2".to_owned()],
        other_wwns: Vec::new(),
        number: None,
        sequence: None,
        below: Vec::new(),
    }
}
