//! Request body: read on demand, with limits on its size and its pauses.

use super::fault::Fault;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// A body that is still unread, or was read completely.
pub(super) struct Body {
    incoming: Incoming,
    left: bool,
}

impl Body {
    pub(super) fn new(incoming: Incoming) -> Self {
        let left = !incoming.is_end_stream();
        Self { incoming, left }
    }

    /// Returns whether part of the body is unread: the connection cannot be reused then.
    pub(super) fn is_left(&self) -> bool {
        self.left
    }

    /// Reads the whole body. It is wiped when dropped, because a command may contain passwords.
    /// `look` receives the beginning as it arrives, until it returns [`Seen::Enough`] or an error.
    ///
    /// # Errors
    /// [`Fault::TooLarge`], [`Fault::SlowBody`] after a timeout, [`Fault::BadRequest`] if the body
    /// is broken, or the error of `look`.
    pub(super) async fn read(
        &mut self,
        limits: &BodyLimits,
        mut look: impl FnMut(&[u8]) -> Result<Seen, Fault>,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let most = limits.bytes;
        let announced = self.incoming.size_hint().lower();
        let announced = usize::try_from(announced).map_err(|_| Fault::TooLarge(most))?;
        if announced > most {
            return Err(Fault::TooLarge(most));
        }
        let end = limits.whole.map(|whole| Instant::now() + whole);
        let mut bytes = Zeroizing::new(Vec::with_capacity(announced));
        let mut seen = Seen::TooLittle;
        loop {
            let pause = Instant::now() + limits.pause;
            let until = end.map_or(pause, |end| end.min(pause));
            let frame = timeout_at(until, self.incoming.frame()).await;
            match frame.map_err(|_elapsed| Fault::SlowBody)? {
                None => break,
                Some(Err(_)) => {
                    return Err(Fault::BadRequest("The request body is broken.".to_owned()));
                }
                Some(Ok(frame)) => {
                    // Anything but data is a trailer, which is ignored.
                    let data = frame.into_data().unwrap_or_default();
                    if data.len() > most - bytes.len() {
                        return Err(Fault::TooLarge(most));
                    }
                    let is_beginning = bytes.len() < BEGINNING;
                    bytes.extend_from_slice(&data);
                    if seen == Seen::TooLittle && is_beginning {
                        seen = look(bytes.get(..BEGINNING).unwrap_or(&bytes))?;
                    }
                }
            }
        }
        self.left = false;
        Ok(bytes)
    }
}

/// Limits of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// Maximum size in bytes.
    pub(super) bytes: usize,
    /// Timeout of a pause within it.
    pub(super) pause: Duration,
    /// Timeout of the whole body, if there is one.
    pub(super) whole: Option<Duration>,
}

/// Whether the beginning of a body was sufficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Enough,
    TooLittle,
}

/// Maximum number of bytes that are inspected as a beginning.
const BEGINNING: usize = 1024;
