//! Block devices: listing, partition tables, erasing, mounting.
