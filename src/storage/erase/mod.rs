//! Making what was on disks unreadable.
