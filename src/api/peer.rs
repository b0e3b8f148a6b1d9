//! The other end of a connection, as its answers and the list of connections see it.

use super::places::{Crowd, Stage};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// What the answers learn and tell about a connection.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) local: SocketAddr,
    /// The connections of its network.
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

    /// The caller showed the token: its connection is not given up for another.
    pub(super) fn mark_authenticated(&self) {
        self.enter(Stage::Trusted);
    }

    /// Whether it ever did.
    pub(super) fn is_trusted(&self) -> bool {
        self.stage() == Stage::Trusted
    }

    /// A body was answered unread.
    pub(super) fn mark_unread_body(&self) {
        self.left_body.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_left_body(&self) -> bool {
        self.left_body.load(Ordering::Relaxed)
    }

    /// The buffer of its requests grew, and would keep them while the connection idles.
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

/// An IPv4 caller of a `::` listener as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
