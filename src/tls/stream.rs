//! Server side of a TLS connection, with buffers that retain no plaintext.
//!
//! The library's own stream decrypts in a buffer that lives as long as the connection. The last
//! request, with its token, would remain there while the connection is idle. Here a record is
//! zeroed as soon as its content is passed on, and the content as soon as it is read.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError};
use rustls::{Error, ServerConfig};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::{Zeroize, Zeroizing};

/// TLS connection after its handshake.
pub struct ServerStream<S> {
    stream: S,
    records: Box<Records>,
}

/// TLS state between the encrypted bytes and the caller's plaintext.
struct Records {
    tls: UnbufferedServerConnection,
    /// Received bytes that are not processed; all bytes from `filled` on are zero.
    incoming: Zeroizing<Vec<u8>>,
    filled: usize,
    /// Encrypted bytes to send.
    outgoing: Vec<u8>,
    sent: usize,
    /// Decrypted bytes that are not read.
    content: Zeroizing<Vec<u8>>,
    read: usize,
    /// Whether the peer closed its side of the connection.
    ended: bool,
    /// Whether this side closed the connection.
    closing: bool,
    /// Whether the library reported an error. It must not process the same bytes again.
    broken: bool,
}

/// What the connection needs to continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Another step: there may be more to process.
    Again,
    /// The peer's next handshake bytes.
    Handshake,
    /// Data to send or receive: the handshake is complete, and all received bytes are processed.
    Traffic,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServerStream<S> {
    /// Performs the handshake.
    ///
    /// # Errors
    /// The peer does not speak TLS, supports no suitable parameters, or closed the connection. It
    /// receives an alert if possible.
    pub async fn accept(config: Arc<ServerConfig>, stream: S) -> io::Result<Self> {
        let mut handshake = Handshake::new(config, stream)?;
        loop {
            handshake.receive().await?;
            if handshake.process()? == Progress::Done {
                return handshake.finish().await;
            }
        }
    }

    fn new(config: Arc<ServerConfig>, stream: S) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self {
            stream,
            records: Box::new(Records {
                tls,
                incoming: Zeroizing::new(Vec::new()),
                filled: 0,
                outgoing: Vec::new(),
                sent: 0,
                content: Zeroizing::new(Vec::new()),
                read: 0,
                ended: false,
                closing: false,
                broken: false,
            }),
        })
    }

    /// Performs one step. After an error it sends the alert, as far as the peer accepts it at once.
    fn advance(&mut self, cx: &mut Context<'_>) -> io::Result<Want> {
        self.records.usable()?;
        self.records.advance().map_err(|error| {
            let _as_far_as_it_goes = self.poll_send(cx);
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let records = &mut *self.records;
        while let Some(rest @ [_, ..]) = records.outgoing.get(records.sent..) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => records.sent += sent,
            }
        }
        records.outgoing.clear();
        records.sent = 0;
        if records.outgoing.capacity() > KEPT {
            records.outgoing.shrink_to(KEPT);
        }
        Poll::Ready(Ok(()))
    }

    /// Receives the peer's next bytes. The end of the stream is an error; callers handle an
    /// announced end first.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let records = &mut *self.records;
        let mut room = ReadBuf::new(records.room()?);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        match room.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            length => {
                records.filled += length;
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// Handshake in steps, so that the server controls when it spends CPU time on which client.
pub struct Handshake<S>(ServerStream<S>);

/// State of a handshake after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The peer's message has a response; the peer's next message is needed.
    Answered,
    /// The handshake is complete.
    Done,
    /// The peer's message is incomplete.
    NeedsRest,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshake<S> {
    /// Creates a handshake.
    ///
    /// # Errors
    /// The library rejects the configuration.
    pub fn new(config: Arc<ServerConfig>, stream: S) -> io::Result<Self> {
        ServerStream::new(config, stream).map(Self)
    }

    /// Sends the queued bytes, then waits for the peer's next ones: a peer that waits for ours
    /// sends none.
    ///
    /// # Errors
    /// The peer closed the connection, or sent more than any handshake needs.
    pub async fn receive(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.0.poll_send(cx)).await?;
        poll_fn(|cx| self.0.poll_receive(cx)).await
    }

    /// Processes the received bytes without waiting. This step is the one that costs CPU time.
    ///
    /// # Errors
    /// The peer does not speak TLS, or supports no suitable parameters. It receives an alert if
    /// possible.
    pub fn process(&mut self) -> io::Result<Progress> {
        // The rest of an alert needs no wake-up: the connection ends after the error.
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.0.advance(&mut cx)? {
                Want::Again => {}
                Want::Traffic => return Ok(Progress::Done),
                Want::Handshake if self.0.records.ended => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Want::Handshake if self.0.records.outgoing.is_empty() => {
                    return Ok(Progress::NeedsRest);
                }
                Want::Handshake => return Ok(Progress::Answered),
            }
        }
    }

    /// Sends the queued bytes and returns the connection.
    ///
    /// # Errors
    /// The peer closed the connection.
    pub async fn finish(mut self) -> io::Result<ServerStream<S>> {
        poll_fn(|cx| self.0.poll_send(cx)).await?;
        Ok(self.0)
    }
}

impl<S> std::fmt::Debug for Handshake<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handshake")
    }
}

impl Records {
    /// Fails after an earlier error.
    fn usable(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the TLS connection failed before",
            )),
            false => Ok(()),
        }
    }

    /// Performs one step of the protocol. Must not be called again after an error.
    fn advance(&mut self) -> Result<Want, Error> {
        let want = self.step();
        if want.is_err() {
            self.broken = true;
            self.say_what_failed();
        }
        want
    }

    fn step(&mut self) -> Result<Want, Error> {
        let came = self.incoming.get_mut(..self.filled).unwrap_or_default();
        let status = self.tls.process_tls_records(came);
        let discard = status.discard;
        let want = match status.state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    self.content.extend_from_slice(record?.payload);
                }
                Ok(Want::Again)
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(&mut self.outgoing, |room| encoded(&mut data, room)).map(|()| Want::Again)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It is sent before any later data.
                data.done();
                Ok(Want::Again)
            }
            Ok(ConnectionState::PeerClosed) => {
                self.ended = true;
                Ok(Want::Again)
            }
            Ok(ConnectionState::WriteTraffic(_) | ConnectionState::Closed) => Ok(Want::Traffic),
            Ok(ConnectionState::BlockedHandshake) => Ok(Want::Handshake),
            // The server accepts no data before the handshake is complete.
            Ok(_) => Err(Error::General("early data".into())),
            Err(error) => Err(error),
        };
        self.discard(discard);
        want
    }

    /// Removes the first received bytes, and zeroes the space that becomes free behind the others.
    fn discard(&mut self, length: usize) {
        let filled = self.filled.saturating_sub(length);
        if let Some(came) = self.incoming.get_mut(..self.filled)
            && length <= came.len()
        {
            came.copy_within(length.., 0);
            if let Some(behind) = came.get_mut(filled..) {
                behind.zeroize();
            }
        }
        self.filled = filled;
    }

    /// Returns the free part of the receive buffer, which grows up to [`MAX_LEN`].
    fn room(&mut self) -> io::Result<&mut [u8]> {
        let full = self.filled == self.incoming.len();
        if full {
            let larger = (self.incoming.len() * 2).clamp(KEPT, MAX_LEN);
            if larger <= self.filled {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a TLS message is larger than any honest one",
                ));
            }
            let mut incoming = Zeroizing::new(vec![0; larger]);
            if let Some(place) = incoming.get_mut(..self.filled) {
                place.copy_from_slice(self.incoming.get(..self.filled).unwrap_or_default());
            }
            self.incoming = incoming;
        }
        Ok(self.incoming.get_mut(self.filled..).unwrap_or_default())
    }

    /// Encrypts as many bytes as fit into one record.
    fn encrypt(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let bytes = bytes.get(..FRAGMENT).unwrap_or(bytes);
        self.with_traffic(|traffic, room| traffic.encrypt(bytes, room))?;
        Ok(bytes.len())
    }

    /// Queues `close_notify`, once.
    fn close(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.closing, true) || self.broken {
            return Ok(());
        }
        self.with_traffic(|traffic, room| traffic.queue_close_notify(room))
    }

    fn with_traffic(
        &mut self,
        mut write: impl FnMut(&mut WriteTraffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Error> {
        // Received records may change the keys, so they must be processed first.
        while self.advance()? == Want::Again {}
        let came = self.incoming.get_mut(..self.filled).unwrap_or_default();
        let status = self.tls.process_tls_records(came);
        let discard = status.discard;
        let written = match status.state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => append(&mut self.outgoing, |room| {
                write(&mut traffic, room).map_err(|error| match error {
                    EncryptError::InsufficientSize(size) => Some(size.required_size),
                    EncryptError::EncryptExhausted => None,
                })
            }),
            Ok(_) => Err(Error::General("nothing can be sent any more".into())),
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        };
        self.discard(discard);
        written
    }

    /// Queues the alert for an error, if the library has one.
    ///
    /// The library is called only once: it would process the invalid bytes again at the next call.
    fn say_what_failed(&mut self) {
        // The library remembers its position in these bytes.
        let came = self.incoming.get_mut(..self.filled).unwrap_or_default();
        let status = self.tls.process_tls_records(came);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
            let _said = append(&mut self.outgoing, |room| encoded(&mut data, room));
        }
    }
}

type WriteTraffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

type EncodeData<'c> = rustls::unbuffered::EncodeTlsData<'c, rustls::server::ServerConnectionData>;

fn encoded(data: &mut EncodeData<'_>, room: &mut [u8]) -> Result<usize, Option<usize>> {
    data.encode(room).map_err(|error| match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    })
}

/// Appends the output of `write` to a buffer, with as much space as it requests; `Err(None)` means
/// failure.
fn append(
    buffer: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let begin = buffer.len();
    let mut needed = 0;
    loop {
        buffer.resize(begin + needed, 0);
        match write(buffer.get_mut(begin..).unwrap_or_default()) {
            Ok(written) => {
                buffer.truncate(begin + written);
                return Ok(());
            }
            Err(Some(required)) if required > needed => needed = required,
            Err(_) => {
                buffer.truncate(begin);
                return Err(Error::EncryptError);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let records = &mut *this.records;
            if let Some(unread @ [_, ..]) = records.content.get(records.read..) {
                let length = unread.len().min(buffer.remaining());
                buffer.put_slice(unread.get(..length).unwrap_or_default());
                records.read += length;
                if records.read == records.content.len() {
                    records.content.zeroize();
                    records.read = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if records.ended {
                return Poll::Ready(Ok(()));
            }
            if this.advance(cx)? != Want::Again {
                // A response to received records, such as new keys, is sent before waiting for
                // more.
                if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                    return Poll::Ready(Err(error));
                }
                ready!(this.poll_receive(cx))?;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Small writes are buffered until a flush; large ones wait for the peer.
        self.records.usable()?;
        if self.records.outgoing.len() >= FRAGMENT {
            ready!(self.poll_send(cx))?;
        }
        Poll::Ready(self.records.encrypt(bytes).map_err(io::Error::other))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A broken connection is closed without `close_notify`.
        let _broken = self.records.close();
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> std::fmt::Debug for ServerStream<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerStream")
    }
}

/// Maximum length of a record's content (RFC 8446, section 5.1).
const FRAGMENT: usize = 16 * 1024;
/// Capacity of buffers while nothing larger arrives.
const KEPT: usize = 4 * 1024;
/// Limit of the receive buffer: a handshake message has at most 64 KiB here (the library's own
/// limit), in records with their headers.
const MAX_LEN: usize = 80 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::tls::certificate::{Curve, SelfSigned, Subject};
    use crate::tls::client::{Bundle, ClientOptions};
    use crate::tls::{MinVersion, server};
    use proptest::prelude::*;
    use rustls_pki_types::ServerName;
    use std::sync::LazyLock;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_rustls::{TlsConnector, client::TlsStream};
    use url::Host;

    fn made() -> SelfSigned {
        SelfSigned::generate(&Subject {
            address: Host::Ipv4([127, 0, 0, 1].into()),
            host_name: "node-1".into(),
            curve: Curve::P256,
            allowed_clock_skew: Duration::ZERO,
            now: Duration::ZERO,
        })
        .unwrap()
    }

    /// Returns both ends of a connection over a stream that buffers `wire` bytes.
    async fn connected(
        wire: usize,
        version: MinVersion,
    ) -> (ServerStream<DuplexStream>, TlsStream<DuplexStream>) {
        let made = made();
        let server = server::server_config(&made.identity, version, None).unwrap();
        let client = ClientOptions {
            authorities: Some(Bundle::new("own.pem", made.pem.into_bytes())),
            ..ClientOptions::default()
        };
        let client = client.config(&Root::at("/nonexistent")).unwrap();
        let (ours, theirs) = duplex(wire);
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let (ours, theirs) = tokio::join!(
            ServerStream::accept(server, ours),
            connector.connect(name, theirs)
        );
        (ours.unwrap(), theirs.unwrap())
    }

    #[tokio::test]
    async fn nothing_of_what_was_read_stays_in_an_idle_connection() {
        let (mut server, mut client) = connected(1 << 16, MinVersion::Tls12).await;
        for length in [20, 5000, 20] {
            let said = "canary!".repeat(length);
            client.write_all(said.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
            let mut heard = vec![0; said.len()];
            server.read_exact(&mut heard).await.unwrap();
            assert!(heard == said.as_bytes());
            let records = &server.records;
            for buffer in [&*records.incoming, &*records.content, &records.outgoing] {
                assert!(!buffer.windows(7).any(|window| window == b"canary!"));
            }
        }
    }

    #[tokio::test]
    async fn much_goes_both_ways_at_once_over_a_narrow_wire() {
        for version in [MinVersion::Tls12, MinVersion::Tls13] {
            let (server, client) = connected(700, version).await;
            let said: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            let (mut server_reads, mut server_writes) = tokio::io::split(server);
            let (mut client_reads, mut client_writes) = tokio::io::split(client);
            let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
            let (a, b, c, d) = tokio::join!(
                async {
                    server_writes.write_all(&said).await?;
                    server_writes.shutdown().await
                },
                async {
                    client_writes.write_all(&said).await?;
                    client_writes.shutdown().await
                },
                server_reads.read_to_end(&mut at_server),
                client_reads.read_to_end(&mut at_client),
            );
            assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
            assert!(at_server == said && at_client == said);
        }
    }

    #[tokio::test]
    async fn a_peer_that_goes_without_a_word_is_an_error() {
        let (mut server, client) = connected(1 << 16, MinVersion::Tls12).await;
        drop(client.into_inner());
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_broken_record_ends_the_connection_and_the_peer_is_told() {
        let (mut server, client) = connected(1 << 16, MinVersion::Tls12).await;
        let (mut wire, _) = client.into_inner();
        // Application data that is not encrypted.
        wire.write_all(b"\x17\x03\x03\x00\x20ABCDEFGHIJKLMNOPQRSTUVWXYZ012345")
            .await
            .unwrap();
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(server);
        let mut told = Vec::new();
        wire.read_to_end(&mut told).await.unwrap();
        assert!(!told.is_empty(), "no alert came");
    }

    #[tokio::test]
    async fn after_a_fault_no_byte_reaches_the_tls_library_again() {
        let forged: &[u8] = b"\x17\x03\x03\x00\x20ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        // A record of an unknown content type, and one of an unknown protocol version.
        for broken in [forged, b"\x63\x03\x03\x00\x01A", b"\x17\x09\x09\x00\x01A"] {
            for version in [MinVersion::Tls12, MinVersion::Tls13] {
                let (mut server, client) = connected(1 << 16, version).await;
                let (mut wire, _) = client.into_inner();
                wire.write_all(broken).await.unwrap();
                let error = server.read_u8().await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                let incoming = server.records.incoming.to_vec();
                for _ in 0..3 {
                    let error = server.read_u8().await.unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
                    let error = server.write(b"x").await.unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
                }
                server.flush().await.unwrap();
                server.shutdown().await.unwrap();
                assert_eq!(server.records.incoming.to_vec(), incoming);
                let mut sent = Vec::new();
                wire.read_to_end(&mut sent).await.unwrap();
                // The alert is the last record, after at most the tickets of TLS 1.3.
                let kinds = record_kinds(&sent);
                assert_eq!(
                    kinds
                        .iter()
                        .filter(|kind| **kind == kinds[kinds.len() - 1])
                        .count(),
                    1,
                    "{kinds:?}"
                );
            }
        }
    }

    /// Returns the content type and length of each TLS record.
    fn record_kinds(mut bytes: &[u8]) -> Vec<(u8, usize)> {
        let mut kinds = Vec::new();
        while let [kind, _, _, high, low, rest @ ..] = bytes {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            kinds.push((*kind, length));
            bytes = &rest[length..];
        }
        kinds
    }

    #[tokio::test]
    async fn what_is_no_tls_and_never_ends_is_refused() {
        let (ours, mut theirs) = duplex(1 << 20);
        let config = server::server_config(&made().identity, MinVersion::Tls12, None).unwrap();
        // Handshake records of a message with a declared length of 16 MiB.
        let record = [&b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"[..], &[0; 16380]].concat();
        theirs.write_all(&record.repeat(10)).await.unwrap();
        assert!(ServerStream::accept(config, ours).await.is_err());
    }

    /// Generates something like a record, or arbitrary bytes.
    fn record() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![20_u8..25, any::<u8>()];
        let payload = prop::collection::vec(any::<u8>(), 0..80);
        let message = (prop_oneof![Just(1_u8), any::<u8>()], 0_u8..3, payload);
        (kind, message, any::<bool>()).prop_map(|(kind, (first, length, rest), honest)| {
            let payload = [&[first, 0, 0, length][..], &rest].concat();
            let length = if honest { payload.len() } else { 40 };
            let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
            [&[kind, 3, 3, high, low], payload.as_slice()].concat()
        })
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_says_instead_of_a_handshake_is_refused(records in prop::collection::vec(record(), 1..6)) {
            static CONFIG: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
                server::server_config(&made().identity, MinVersion::Tls12, None).unwrap()
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (ours, mut theirs) = duplex(1 << 16);
                theirs.write_all(&records.concat()).await.unwrap();
                theirs.shutdown().await.unwrap();
                assert!(ServerStream::accept(Arc::clone(&CONFIG), ours).await.is_err());
            });
        }
    }
}
