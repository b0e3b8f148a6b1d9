//! A request's body with a secret in it.

use bytes::Bytes;
use serde::Serialize;
use std::io;
use zeroize::Zeroizing;

/// The JSON of a body in memory of its exact size, which is wiped when the request is done.
pub fn document(body: &impl Serialize) -> Bytes {
    // Measured first, so that the buffer does not grow and leave pieces of the secret behind.
    let mut length = Length(0);
    let mut buffer = Zeroizing::new(Vec::new());
    if serde_json::to_writer(&mut length, body).is_ok() {
        buffer.reserve_exact(length.0);
    }
    match serde_json::to_writer(&mut *buffer, body) {
        Ok(()) => Bytes::from_owner(buffer),
        // Texts always are JSON, and memory takes them.
        Err(_) => Bytes::new(),
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
