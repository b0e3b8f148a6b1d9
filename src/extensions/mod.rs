//! The command extensions, by their wire names.
