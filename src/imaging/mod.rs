//! Images: fetch, verify, decode, write; config drives.

pub mod configdrive;
