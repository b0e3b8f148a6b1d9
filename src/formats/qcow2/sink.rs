//! Where decoded bytes go.

/// Takes the guest's bytes that a decoder finds, in whatever order it finds them.
pub trait Sink {
    /// Bytes of the guest at an offset.
    ///
    /// # Errors
    /// [`SinkClosed`] when nobody takes bytes any more.
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkClosed>;

    /// A range of the guest that reads as zeroes.
    ///
    /// # Errors
    /// [`SinkClosed`] when nobody takes bytes any more.
    fn zero(&mut self, offset: u64, length: u64) -> Result<(), SinkClosed>;
}

/// Whoever takes the bytes has gone; the reason is his to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the decoded bytes stopped")]
pub struct SinkClosed;
