//! What the fake conductor says: right answers as Ironic words them, and every kind of wrong one.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A token as Ironic makes them.
pub const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// The node of [`lookup`].
pub const NODE: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";

/// An answer to give.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) manner: Manner,
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Said,
}

/// Whether there is an answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It waits until so many requests have come.
    After(usize),
    /// The connection is closed instead.
    HangsUp,
    /// The connection stays open, and nothing comes.
    Silent,
    Spoken,
}

impl Answer {
    /// A status with bytes as its body.
    pub fn bytes(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            manner: Manner::Spoken,
            status,
            headers: Vec::new(),
            body: Said {
                bytes: Some(body.into()),
                then: Then::End,
            },
        }
    }

    /// A status with a document as its body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string())
    }

    /// A refusal as Ironic words it.
    pub fn fault(status: u16, faultstring: &str) -> Self {
        let inner = json!({ "faultcode": "Client", "faultstring": faultstring });
        Self::json(status, &json!({ "error_message": inner.to_string() }))
    }

    /// The root document of an API.
    pub fn version(version: &str) -> Self {
        let body = json!({ "default_version": { "id": "v1", "version": version } });
        Self::json(200, &body)
    }

    /// A redirection.
    pub fn redirect(location: String) -> Self {
        Self {
            headers: vec![("location", location)],
            ..Self::bytes(307, "")
        }
    }

    /// No answer: the connection is closed.
    pub fn hang_up() -> Self {
        Self {
            manner: Manner::HangsUp,
            ..Self::bytes(200, "")
        }
    }

    /// No answer: the connection stays open for ever.
    pub fn silence() -> Self {
        Self {
            manner: Manner::Silent,
            ..Self::bytes(200, "")
        }
    }

    /// The same with this header, in the place of one of that name.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same, as soon as so many requests have come.
    pub fn after(mut self, requests: usize) -> Self {
        self.manner = Manner::After(requests);
        self
    }

    /// The same without telling its length before.
    pub fn chunked(mut self) -> Self {
        self.headers.push(("transfer-encoding", "chunked".into()));
        self
    }

    /// The same, but the connection breaks where the rest should come.
    pub fn broken(mut self) -> Self {
        self.body.then = Then::Break;
        self
    }

    /// The same, but nothing comes where the rest should.
    pub fn stalled(mut self) -> Self {
        self.body.then = Then::Stall;
        self
    }

    /// The same bytes again and again, for ever.
    pub fn endless(mut self) -> Self {
        self.body.then = Then::Again;
        self
    }
}

/// The lookup's answer of Ironic 39, with this in the token's place.
pub fn lookup(token: Value) -> Answer {
    lookup_with(json!({
        "metrics": {"backend": "noop", "prepend_host": false},
        "heartbeat_timeout": 300,
        "agent_containers": {"allow_arbitrary_containers": false},
        "agent_token": token,
        "agent_token_required": true,
        "agent_md5_checksum_enable": false,
        "disable_deep_image_inspection": false,
        "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
        "agent_skip_bmc_detect": false,
        "enable_bios_bootloader_install": false,
        "tls_min_version": "1.3",
        "tls_cipher_suites": null,
    }))
}

/// A lookup's answer with this `config`.
pub fn lookup_with(config: Value) -> Answer {
    Answer::json(
        200,
        &json!({
            "node": {"uuid": NODE, "properties": {}, "instance_info": {}, "driver_internal_info": {}, "links": []},
            "config": config,
        }),
    )
}

/// A body: its bytes, and what follows them.
#[derive(Clone, Debug)]
pub(super) struct Said {
    bytes: Option<Bytes>,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Again,
    Break,
    End,
    Stall,
}

impl Body for Said {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let bytes = match self.then {
            Then::Again => self.bytes.clone(),
            _ => self.bytes.take(),
        };
        match (bytes, self.then) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, Then::Break) => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
            (None, Then::Stall) => Poll::Pending,
            (None, Then::Again | Then::End) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && matches!(self.then, Then::End)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.bytes, self.then) {
            (Some(bytes), Then::End) => SizeHint::with_exact(bytes.len() as u64),
            (None, Then::End) => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
