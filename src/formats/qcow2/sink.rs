//! Destination of decoded bytes.

/// Receiver of the guest's bytes, in the order in which the decoder finds them.
pub trait Sink {
    /// Writes bytes of the guest at an offset.
    ///
    /// # Errors
    /// [`SinkClosed`] if the sink takes no more bytes.
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkClosed>;

    /// Writes a range of the guest that reads as zeroes.
    ///
    /// # Errors
    /// [`SinkClosed`] if the sink takes no more bytes.
    fn zero(&mut self, offset: u64, length: u64) -> Result<(), SinkClosed>;
}

/// Error of a closed sink. The receiver reports the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the decoded bytes stopped")]
pub struct SinkClosed;
