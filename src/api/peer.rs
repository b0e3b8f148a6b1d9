//! Peer of a connection, as the request handler and the list of connections use it.

use super::places::{Crowd, Stage};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// State that the request handler and the connection share.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) local: SocketAddr,
    /// Counts of the connections of its network and of its address.
    pub(super) crowd: Crowd,
    stage: Mutex<Stage>,
    left_body: AtomicBool,
    outgrew_buffer: AtomicBool,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, local: SocketAddr, crowd: Crowd) -> Self {
        Self {
            address: canonical(address),
            local: canonical(local),
            crowd,
            stage: Mutex::new(Stage::Since(Instant::now())),
            left_body: AtomicBool::new(false),
            outgrew_buffer: AtomicBool::new(false),
        }
    }

    /// Records that the client showed the token: its connection is never evicted.
    pub(super) fn mark_authenticated(&self) {
        self.enter(Stage::Trusted);
    }

    /// Returns whether the client ever showed the token.
    pub(super) fn is_trusted(&self) -> bool {
        self.stage() == Stage::Trusted
    }

    /// Records that a response left a body unread.
    pub(super) fn mark_unread_body(&self) {
        self.left_body.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_left_body(&self) -> bool {
        self.left_body.load(Ordering::Relaxed)
    }

    /// Records that hyper's read buffer grew. It would hold requests while the connection idles.
    pub(super) fn outgrow_buffer(&self) {
        self.outgrew_buffer.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_outgrown_buffer(&self) -> bool {
        self.outgrew_buffer.load(Ordering::Relaxed)
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

/// Converts an IPv4-mapped address of a `::` listener to IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
