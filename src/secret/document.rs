//! Request bodies that contain a secret.

use bytes::Bytes;
use serde::Serialize;
use std::io;
use zeroize::Zeroizing;

/// Serializes a body to JSON in memory of its exact size, which is wiped when the request is done.
pub fn json_body(body: &impl Serialize) -> Bytes {
    // These bodies are always serializable, and writes to memory succeed.
    written(body).map_or_else(Bytes::new, Bytes::from_owner)
}

fn written(body: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    // Measured first, so that the buffer does not grow and leave pieces of the secret behind.
    let mut length = Length(0);
    let mut buffer = Zeroizing::new(Vec::new());
    if serde_json::to_writer(&mut length, body).is_ok() {
        buffer.reserve_exact(length.0);
    }
    serde_json::to_writer(&mut *buffer, body).ok()?;
    Some(buffer)
}

/// Counts the bytes written.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_body_has_memory_of_its_exact_size() {
        // Longer than the buffer's capacity after its first growth.
        let body = BTreeMap::from([("agent_token", "x".repeat(100)), ("url", "y".repeat(7))]);
        let text = format!(
            "{{\"agent_token\":\"{}\",\"url\":\"{}\"}}",
            "x".repeat(100),
            "y".repeat(7)
        );
        let buffer = written(&body).unwrap();
        assert_eq!(buffer.as_slice(), text.as_bytes());
        assert_eq!(buffer.capacity(), text.len());
        assert_eq!(json_body(&body), text);
    }

    #[test]
    fn what_is_no_json_is_an_empty_body() {
        assert_eq!(json_body(&BTreeMap::from([([1, 2], 3)])), "");
    }
}
