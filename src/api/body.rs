//! A request's body: read on demand, up to a size and with a limit on its pauses.

use super::fault::Fault;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// A body that nobody has asked for yet, or that was read whole.
pub(super) struct Body {
    incoming: Incoming,
    left: bool,
}

impl Body {
    pub(super) fn new(incoming: Incoming) -> Self {
        let left = !incoming.is_end_stream();
        Self { incoming, left }
    }

    /// Whether something is left that nobody will read: the connection cannot be used again.
    pub(super) fn is_left(&self) -> bool {
        self.left
    }

    /// The whole body; wiped when dropped, for a command may bring passwords. `look` is shown its beginning as it comes, until it has
    /// seen what it wants.
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
                    // Anything but data is a trailer, which nobody asked for.
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

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// Its size.
    pub(super) bytes: usize,
    /// The longest pause within it.
    pub(super) pause: Duration,
    /// The time for all of it, where that is bounded.
    pub(super) whole: Option<Duration>,
}

/// Whether a body's beginning was enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Enough,
    TooLittle,
}

/// Bytes that are looked at as a beginning.
const BEGINNING: usize = 1024;
