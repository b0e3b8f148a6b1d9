//! Byte formats: bytes in, values out; no files, clocks or logging.
