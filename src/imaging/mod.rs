//! Images: fetch, verify, decode, write; config drives.
