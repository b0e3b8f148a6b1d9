//! Fuzz targets for byte formats, which `crate::fuzzing` lists.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fuzzing finds is a panic"
)]

mod file_systems;
mod firmware;
mod netlink;
mod packets;
mod partitions;
mod qcow2;

pub(crate) use file_systems::file_systems;
pub(crate) use firmware::firmware_tables;
pub(crate) use netlink::netlink_messages;
pub(crate) use packets::network_packets;
pub(crate) use partitions::partition_tables;
pub(crate) use qcow2::qcow2_image;
