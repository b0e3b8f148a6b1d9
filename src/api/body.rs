//! A request's body: read on demand, up to a size and with a limit on its pauses.

use super::Limits;
use super::fault::Fault;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
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

    /// The whole body; wiped when dropped, for a command may bring passwords.
    pub(super) async fn read(&mut self, limits: &Limits) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let most = limits.body_bytes;
        let announced = self.incoming.size_hint().lower();
        let announced = usize::try_from(announced).map_err(|_| Fault::TooLarge(most))?;
        if announced > most {
            return Err(Fault::TooLarge(most));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(announced));
        loop {
            let frame = timeout(limits.body, self.incoming.frame()).await;
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
                    bytes.extend_from_slice(&data);
                }
            }
        }
        self.left = false;
        Ok(bytes)
    }
}
