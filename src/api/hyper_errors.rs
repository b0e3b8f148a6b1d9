//! Replaces hyper's own error responses by responses with the error envelope. hyper responds to
//! bytes that are not HTTP, and to a head that is too large, with a status and no body. It offers
//! no way to change that, so the response is replaced as it is written.
//!
//! hyper's responses are recognised by the missing `Server` header, which each of ours has.
//!
//! The read buffer is wiped before hyper reads. hyper (`proto/h1/io.rs`) reads to the beginning of
//! its buffer, over the previous request and its token, only while the buffer has its initial size.
//! Reads are therefore limited so that it does not grow. A head that arrives in pieces can still
//! grow it; that connection is closed after the response.

use super::fault::Fault;
use super::peer::Peer;
use hyper::StatusCode;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Stream between hyper and a connection.
pub(super) struct ErrorBodyStream<S> {
    stream: S,
    peer: Arc<Peer>,
    /// Bytes that replace those which hyper counts as written.
    replacement: Vec<u8>,
    written: usize,
}

impl<S: AsyncWrite + Unpin> ErrorBodyStream<S> {
    pub(super) fn new(stream: S, peer: Arc<Peer>) -> Self {
        Self {
            stream,
            peer,
            replacement: Vec::new(),
            written: 0,
        }
    }

    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.replacement.get(self.written..) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.replacement.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ErrorBodyStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(cx))?;
        match parse_hyper_error(bytes) {
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
            Some((before, status)) => {
                self.replacement = [before, &answer(status)].concat();
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    /// Writes several pieces unchanged: hyper's own response has no body, and so is always one
    /// piece.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [piece] = pieces {
            return self.poll_write(cx, piece);
        }
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ErrorBodyStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper reads into the memory of the previous request, with its token. An idle connection
        // must not hold it.
        buffer.initialize_unfilled();
        if buffer.remaining() > FIRST_BUFFER {
            self.peer.outgrow_buffer();
        }
        let mut part = buffer.take(FIRST_BUFFER - 1);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// Returns the bytes before hyper's own response at the end of a write, and its status.
fn parse_hyper_error(bytes: &[u8]) -> Option<(&[u8], StatusCode)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let near = bytes.len().saturating_sub(MAX_HEAD_LEN);
    let at = near
        + bytes
            .get(near..)?
            .windows(BEGIN.len())
            .rposition(|window| window == BEGIN)?;
    let (before, head) = bytes.split_at_checked(at)?;
    let head = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let ours = head.contains("\r\nserver:") || !head.contains("\r\ncontent-length: 0\r\n");
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (!ours).then_some((before, status))
}

/// Fuzzes [`parse_hyper_error`]: the bytes before the response are a proper prefix of the input.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(bytes: &[u8]) {
    if let Some((before, status)) = parse_hyper_error(bytes) {
        assert!(bytes.starts_with(before) && before.len() < bytes.len());
        assert!(parse_hyper_error(&answer(status)).is_none());
    }
}

fn answer(status: StatusCode) -> Vec<u8> {
    let fault = Fault::Malformed(status);
    let body = fault.body();
    let name = status.canonical_reason().unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {name}\r\nserver: ironic-python-agent\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        status.as_u16(),
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// hyper's initial buffer size (`INIT_BUFFER_SIZE`), in bytes. A read that fills the buffer
/// enlarges the next one.
const FIRST_BUFFER: usize = 8 * 1024;
const BEGIN: &[u8] = b"HTTP/1.1 4";
/// hyper's own head has about 100 bytes.
const MAX_HEAD_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: Mon, 23 Nov 2026 08:00:00 GMT\r\n\r\n";

    #[test]
    fn hypers_answers_are_told_from_ours() {
        let before = "HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 2\r\n\r\n{}";
        for (written, expected) in [
            (OWN.to_owned(), Some(("", 400))),
            (OWN.replace("400 Bad Request", "431 X"), Some(("", 431))),
            (format!("{before}{OWN}"), Some((before, 400))),
            (OWN.replace("date: ", "server: "), None),
            (OWN.replace(": 0", ": 10"), None),
            (OWN.replace("400 Bad Request", "200 OK"), None),
            ("HTTP/1.1 100 Continue\r\n\r\n".to_owned(), None),
            (format!("{OWN}{{}}"), None),
            ("{}".to_owned(), None),
        ] {
            let found = parse_hyper_error(written.as_bytes());
            let expected =
                expected.map(|(before, status)| (before.as_bytes(), status.try_into().unwrap()));
            assert_eq!(found, expected, "{written}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_be_written(before: Vec<u8>, cut in 0..OWN.len()) {
            let bytes = [&before, OWN.as_bytes().get(cut..).unwrap()].concat();
            let _ = parse_hyper_error(&bytes);
        }
    }
}
