//! Writes one download to the disk in four threads: network → hash → decode → write.
//!
//! All data in flight is in ten buffers that circulate. So memory use does not depend on the image,
//! and a slow disk slows the network down. A stage that fails drops its channels, which ends the
//! others. The reported error is that of a stage that failed by itself.

use super::buffer::{Buffer, Pool, Return};
use super::checksum::Hasher;
use super::download::{self, Download};
use super::target;
use super::writer::{Writer, ZERO_STEP};
use crate::formats::qcow2::{self, Pass, Sink, SinkClosed};
use crate::progress::Cancel;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

/// Decoder from the file's bytes to the guest's.
#[derive(Debug)]
pub(super) enum Decoder {
    Qcow2(Box<qcow2::Decoder>),
    Raw { position: u64 },
}

/// Outcome of a pass over the whole file.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whether another pass over the file is needed.
    pub(super) pass: Pass,
    /// Bytes of the file.
    pub(super) received: u64,
    /// Hash of the file, as hex digits.
    pub(super) digits: String,
}

/// Runs one pass. `first` has the first bytes of the download, which were inspected before.
pub(super) fn run(
    first: Buffer,
    download: &mut Download<'_>,
    hasher: Hasher,
    decoder: &mut Decoder,
    writer: &mut Writer,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let (blocks, used_blocks) = Pool::new(BLOCKS, BLOCK);
    let (pieces, used_pieces) = Pool::new(PIECES, PIECE);
    let (to_hash, received) = sync_channel(BLOCKS);
    let (to_decode, hashed) = sync_channel(BLOCKS);
    let (to_write, decoded) = sync_channel(PIECES);
    let assembler = WriteCoalescer {
        pool: pieces,
        out: to_write,
        current: None,
    };
    scope(|scope| {
        let hashing = spawn(scope, "image-hash", move || {
            hash(hasher, &received, &to_decode)
        })?;
        let decoding = spawn(scope, "image-decode", move || {
            decode(decoder, &hashed, &used_blocks, assembler)
        })?;
        let writing = spawn(scope, "image-write", move || {
            write(writer, &decoded, &used_pieces, cancel)
        })?;
        let read = read(first, download, &blocks, &to_hash);
        drop((to_hash, blocks));
        let hashed = finish(hashing);
        let decoded = finish(decoding);
        // The disk's errors take precedence, then the decoder's, then the network's: each stage
        // stops the ones before it.
        finish(writing)?;
        let pass = match (decoded, read) {
            (Err(Error::Decode(qcow2::Error::SinkClosed(_))), Err(error)) => return Err(error),
            (decoded, read) => {
                let pass = decoded?;
                read?;
                pass
            }
        };
        let (received, digits) = hashed.map_err(qcow2::Error::from)?;
        Ok(Outcome {
            pass,
            received,
            digits,
        })
    })
}

/// A message to the next stage: it distinguishes the end from a stage that failed.
enum Message {
    Block(Buffer),
    End,
}

/// Output of the decoder.
enum WriteOp {
    Data { offset: u64, buffer: Buffer },
    Zero { offset: u64, length: u64 },
}

/// Reads from the network, in the caller's own thread.
fn read(
    first: Buffer,
    download: &mut Download<'_>,
    blocks: &Pool,
    to_hash: &SyncSender<Message>,
) -> Result<(), Error> {
    let mut block = first;
    while block.is_full() {
        to_hash.send(Message::Block(block)).map_err(stopped)?;
        block = blocks.take().map_err(qcow2::Error::from)?;
        block
            .refill(|room| download.fill(room))
            .map_err(Error::Fetch)?;
    }
    // A partly filled block is the last one.
    to_hash.send(Message::Block(block)).map_err(stopped)?;
    to_hash.send(Message::End).map_err(stopped)
}

fn hash(
    mut hasher: Hasher,
    received: &Receiver<Message>,
    to_decode: &SyncSender<Message>,
) -> Result<(u64, String), SinkClosed> {
    let mut bytes = 0;
    for message in received {
        if let Message::Block(block) = &message {
            hasher.update(block.bytes());
            bytes += length(block.bytes());
        }
        let end = matches!(message, Message::End);
        to_decode.send(message).map_err(|_| SinkClosed)?;
        if end {
            return Ok((bytes, hasher.finish()));
        }
    }
    Err(SinkClosed)
}

fn decode(
    decoder: &mut Decoder,
    hashed: &Receiver<Message>,
    used: &Return,
    mut assembler: WriteCoalescer,
) -> Result<Pass, Error> {
    for message in hashed {
        let Message::Block(block) = message else {
            let pass = decoder.end(&mut assembler)?;
            assembler.flush().map_err(qcow2::Error::from)?;
            return Ok(pass);
        };
        decoder.push(block.bytes(), &mut assembler)?;
        used.recycle(block);
    }
    Err(Error::Decode(SinkClosed.into()))
}

fn write(
    writer: &mut Writer,
    decoded: &Receiver<WriteOp>,
    used: &Return,
    cancel: &Cancel,
) -> Result<(), Error> {
    for piece in decoded {
        if cancel.is_cancelled() {
            return Err(Error::Fetch(download::Error::Cancelled));
        }
        match piece {
            WriteOp::Data { offset, buffer } => {
                writer.data(offset, buffer.bytes())?;
                used.recycle(buffer);
            }
            WriteOp::Zero { offset, length } => writer.zero(offset, length)?,
        }
    }
    Ok(())
}

impl Decoder {
    fn push(&mut self, bytes: &[u8], sink: &mut WriteCoalescer) -> Result<(), qcow2::Error> {
        match self {
            Self::Qcow2(decoder) => decoder.push(bytes, sink),
            Self::Raw { position } => {
                sink.data(*position, bytes)?;
                *position += length(bytes);
                Ok(())
            }
        }
    }

    fn end(&mut self, sink: &mut WriteCoalescer) -> Result<Pass, qcow2::Error> {
        match self {
            Self::Qcow2(decoder) => decoder.end(sink),
            Self::Raw { .. } => Ok(Pass::Complete),
        }
    }
}

/// Coalesces adjacent data into large writes.
struct WriteCoalescer {
    pool: Pool,
    out: SyncSender<WriteOp>,
    current: Option<(u64, Buffer)>,
}

impl WriteCoalescer {
    fn flush(&mut self) -> Result<(), SinkClosed> {
        let Some((offset, buffer)) = self.current.take() else {
            return Ok(());
        };
        self.out
            .send(WriteOp::Data { offset, buffer })
            .map_err(|_| SinkClosed)
    }
}

impl Sink for WriteCoalescer {
    fn data(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<(), SinkClosed> {
        while !bytes.is_empty() {
            let (from, mut buffer) = match self.current.take() {
                Some((from, buffer)) if from + length(buffer.bytes()) == offset => (from, buffer),
                other => {
                    self.current = other;
                    self.flush()?;
                    (offset, self.pool.take()?)
                }
            };
            // A write ends where the next aligned one can begin.
            let room = PIECE_BYTES - offset % PIECE_BYTES;
            let now = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
            let (head, tail) = bytes.split_at(now);
            let rest = buffer.append(head);
            let taken = head.len() - rest.len();
            let border = taken == now && length(head) == room;
            offset += length(head) - length(rest);
            bytes = bytes.get(taken..).unwrap_or(tail);
            let full = buffer.is_full();
            self.current = Some((from, buffer));
            if border || full {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn zero(&mut self, offset: u64, length: u64) -> Result<(), SinkClosed> {
        let mut done = 0;
        while done < length {
            let now = (length - done).min(ZERO_STEP);
            let piece = WriteOp::Zero {
                offset: offset + done,
                length: now,
            };
            self.out.send(piece).map_err(|_| SinkClosed)?;
            done += now;
        }
        Ok(())
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Error> {
    let builder = Builder::new().name(name.into());
    builder.spawn_scoped(scope, work).map_err(Error::Thread)
}

/// Returns a stage's result. A panic of a stage is propagated, which fails only the command.
fn finish<T>(stage: ScopedJoinHandle<'_, T>) -> T {
    match stage.join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn stopped<T>(_: T) -> Error {
    Error::Decode(SinkClosed.into())
}

/// Errors that end a pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("decoding the image")]
    Decode(#[from] qcow2::Error),
    #[error("downloading the image")]
    Fetch(#[source] download::Error),
    #[error("writing the image")]
    Target(#[from] target::Error),
    #[error("starting a thread")]
    Thread(#[source] io::Error),
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Bytes read from the network before they are passed on.
pub(super) const BLOCK: usize = 1 << 20;
/// Number of blocks in flight, beside the first.
const BLOCKS: usize = 6;
/// Bytes of a write.
const PIECE: usize = 1 << 20;
const PIECE_BYTES: u64 = 1 << 20;
/// Number of writes in flight.
const PIECES: usize = 4;
