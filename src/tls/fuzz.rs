//! Fuzzes the TLS server with arbitrary bytes or a damaged session, and the PEM parser.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fuzzing finds is a panic"
)]

use super::certificate::{Curve, SelfSigned, Subject};
use super::client::{Bundle, ClientOptions};
use super::stream::ServerStream;
use super::{Identity, MinVersion, server};
use crate::root::Root;
use rustls::{ClientConfig, ClientConnection, ServerConfig};
use rustls_pki_types::ServerName;
use std::future::Future;
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use url::Host;

/// The first byte selects the input: 0 for bytes of a client, 1 for PEM. Other values damage a
/// valid session, in groups of three bytes: a position (two bytes) and a mask to XOR there. An even
/// value damages what the client sends, an odd one what the server sends. The remainders 0 and 1 of
/// division by 4 select TLS 1.2.
pub(crate) fn tls_stream(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind {
        0 => serve(Wire::of_bytes(rest)),
        1 => read_pem(rest),
        _ => serve(Wire::damaged(kind % 2 == 0, kind % 4 < 2, rest)),
    }
}

fn read_pem(pem: &[u8]) {
    let _ = Identity::from_pem(pem, pem);
    let options = ClientOptions {
        authorities: Some(Bundle::new("fuzz.pem", pem.to_vec())),
        ..ClientOptions::default()
    };
    let _ = options.config(&Root::at("/nonexistent"));
}

/// Serves one connection to its end. It never waits, because a wire without bytes is at its end.
fn serve(wire: Wire) {
    let conversation = pin!(async {
        let mut stream = ServerStream::accept(Arc::clone(&ENDS.server), wire).await?;
        let mut request = Vec::new();
        let mut bounded = (&mut stream).take(MAX_BYTES);
        let read = bounded.read_to_end(&mut request).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        stream.shutdown().await?;
        read.map(|_| request)
    });
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(outcome) = conversation.poll(&mut cx) else {
        panic!("the connection waits for nothing");
    };
    // Damage may cut the request short, but never change it.
    if let Ok(request) = outcome {
        assert!(REQUEST.starts_with(&request), "{request:?}");
    }
}

/// Client side of a connection, in memory.
struct Wire {
    client: Option<ClientConnection>,
    is_asked: bool,
    /// Bytes that the client sent.
    sent: io::Cursor<Vec<u8>>,
    /// Positions, and the masks to XOR there.
    to_server: Vec<(usize, u8)>,
    to_client: Vec<(usize, u8)>,
    received: usize,
}

impl Wire {
    fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            client: None,
            is_asked: false,
            sent: io::Cursor::new(bytes.to_vec()),
            to_server: Vec::new(),
            to_client: Vec::new(),
            received: 0,
        }
    }

    fn damaged(at_server: bool, is_old: bool, damage: &[u8]) -> Self {
        let config = if is_old { &ENDS.old } else { &ENDS.new };
        let name = ServerName::from(std::net::Ipv4Addr::LOCALHOST);
        let client = ClientConnection::new(Arc::clone(config), name);
        let damage = damage.chunks_exact(3);
        let damage = damage.map(|change| {
            let place = u16::from_be_bytes([change[0], change[1]]);
            (usize::from(place) % MAX_DAMAGED, change[2])
        });
        let mut wire = Self::of_bytes(&[]);
        let end = if at_server {
            &mut wire.to_server
        } else {
            &mut wire.to_client
        };
        end.extend(damage);
        wire.client = Some(client.expect("a client"));
        wire
    }

    /// Lets the client write its pending bytes.
    fn advance(&mut self) -> io::Result<()> {
        let Some(client) = &mut self.client else {
            return Ok(());
        };
        if !client.is_handshaking() && !std::mem::replace(&mut self.is_asked, true) {
            client.writer().write_all(REQUEST)?;
            // After `close_notify` the library asserts that it finds no error.
            if self.to_client.is_empty() {
                client.send_close_notify();
            }
        }
        while client.wants_write() {
            client.write_tls(self.sent.get_mut())?;
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.advance()?;
        let begin = usize::try_from(self.sent.position()).unwrap_or(usize::MAX);
        let filled = into.filled().len();
        let mut some = [0; 700];
        let most = some.len().min(into.remaining());
        let read = io::Read::read(&mut self.sent, &mut some[..most])?;
        into.put_slice(&some[..read]);
        damage(&mut into.filled_mut()[filled..], begin, &self.to_server);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = bytes.to_vec();
        damage(&mut bytes, self.received, &self.to_client);
        self.received += bytes.len();
        let wire = &mut *self;
        if let Some(client) = &mut wire.client
            && let Err(error) = take(client, &bytes)
        {
            // A client that found an error is not used again; its alert is its last output.
            let alert = client.write_tls(wire.sent.get_mut());
            wire.client = None;
            alert?;
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn take(client: &mut ClientConnection, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes)?;
        client.process_new_packets().map_err(io::Error::other)?;
    }
    Ok(())
}

fn damage(bytes: &mut [u8], begin: usize, damage: &[(usize, u8)]) {
    for (place, change) in damage {
        let at = place.checked_sub(begin);
        if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
            *byte ^= change;
        }
    }
}

/// Matching settings of both ends.
struct Ends {
    server: Arc<ServerConfig>,
    old: Arc<ClientConfig>,
    new: Arc<ClientConfig>,
}

static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let made = SelfSigned::generate(&Subject {
        address: Host::Ipv4([127, 0, 0, 1].into()),
        host_name: "node-1".into(),
        curve: Curve::P256,
        allowed_clock_skew: Duration::ZERO,
        now: crate::clock::since_epoch(),
    });
    let made = made.expect("a certificate");
    let server = server::server_config(&made.identity, MinVersion::Tls12, None);
    let options = ClientOptions {
        authorities: Some(Bundle::new("own.pem", made.pem.into_bytes())),
        ..ClientOptions::default()
    };
    let new = options.config(&Root::at("/nonexistent"));
    let new = new.expect("a client's settings");
    let provider = Arc::clone(new.crypto_provider());
    let verifier = options.verifier(&Root::at("/nonexistent"), Arc::clone(&provider));
    let old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("TLS 1.2")
        .dangerous()
        .with_custom_certificate_verifier(verifier.expect("a verifier"))
        .with_no_client_auth();
    Ends {
        server: server.expect("a server's settings"),
        old: Arc::new(old),
        new: Arc::new(new),
    }
});

const REQUEST: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: h\r\n\r\n";
const MAX_BYTES: u64 = 1 << 20;
/// Length of a session.
const MAX_DAMAGED: usize = 2500;
