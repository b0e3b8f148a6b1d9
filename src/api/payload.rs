//! Response body: passed to the connection in pieces, so that it copies no more than it can send.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of a response, and the permit to hold them.
#[derive(Debug, Default)]
pub(super) struct Payload {
    rest: Bytes,
    /// Released when the body was sent or its connection has ended.
    permit: Option<OwnedSemaphorePermit>,
}

impl Payload {
    /// Holds a permit for as long as the bytes.
    pub(super) fn with(self, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { permit, ..self }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            rest: bytes.into(),
            permit: None,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            self.permit = None;
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

/// Plaintext of one TLS record.
const PIECE: usize = 16 * 1024;
