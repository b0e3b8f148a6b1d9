//! Decompression of clusters: compressed bytes in, one whole cluster out.

use super::{Compression, Error};
use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{DParameter, Decoder as Zstandard, Operation};

/// Decompressor for the clusters of one image, with its own buffer.
pub(super) struct Unpacker {
    method: Method,
    cluster: Vec<u8>,
}

enum Method {
    Deflate(Decompress),
    Zstandard(Box<Zstandard<'static>>),
}

impl Unpacker {
    pub(super) fn new(compression: Compression, cluster_size: usize) -> Result<Self, Error> {
        let method = match compression {
            Compression::Deflate => Method::Deflate(Decompress::new(false)),
            Compression::Zstandard => Method::Zstandard(Box::new(zstandard()?)),
        };
        Ok(Self {
            method,
            cluster: vec![0; cluster_size],
        })
    }

    /// Decompresses one cluster. Returns it with the number of compressed bytes. `packed` may be
    /// longer than that, because tables count in sectors of 512 bytes.
    pub(super) fn unpack(&mut self, packed: &[u8], guest: u64) -> Result<(&[u8], u64), Error> {
        let used = match &mut self.method {
            Method::Deflate(inflate) => {
                inflate.reset(false);
                let outcome =
                    inflate.decompress(packed, &mut self.cluster, FlushDecompress::Finish);
                let whole = usize::try_from(inflate.total_out()) == Ok(self.cluster.len());
                (outcome.is_ok() && whole).then(|| inflate.total_in())
            }
            Method::Zstandard(decoder) => unpack_zstandard(decoder, packed, &mut self.cluster),
        };
        let used = used.ok_or(Error::Compressed { guest })?;
        Ok((&self.cluster, used))
    }
}

/// Returns the number of compressed bytes; `None` if they do not give a whole cluster.
fn unpack_zstandard(decoder: &mut Zstandard<'_>, packed: &[u8], cluster: &mut [u8]) -> Option<u64> {
    decoder.reinit().ok()?;
    let (mut read, mut written) = (0, 0);
    // QEMU writes one frame per cluster but reads several (`qcow2_zstd_decompress`).
    while written < cluster.len() {
        let (input, output) = (packed.get(read..)?, cluster.get_mut(written..)?);
        let status = decoder.run_on_buffers(input, output).ok()?;
        if status.bytes_read == 0 && status.bytes_written == 0 {
            return None;
        }
        read += status.bytes_read;
        written += status.bytes_written;
    }
    u64::try_from(read).ok()
}

fn zstandard() -> Result<Zstandard<'static>, Error> {
    let mut decoder = Zstandard::new().map_err(Error::Zstandard)?;
    decoder
        .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
        .map_err(Error::Zstandard)?;
    Ok(decoder)
}

/// Maximum window as a power of two: 8 MiB, four times the largest cluster, and more than QEMU's
/// encoder needs.
const MAX_WINDOW_LOG: u32 = 23;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cluster_that_unpacks_too_short_is_refused() {
        let mut unpacker = Unpacker::new(Compression::Zstandard, 1024).unwrap();
        let packed = zstd::bulk::compress(&[7; 1000], 1).unwrap();
        assert!(matches!(
            unpacker.unpack(&packed, 5),
            Err(Error::Compressed { guest: 5 })
        ));
        let packed = zstd::bulk::compress(&[7; 1024], 1).unwrap();
        let (cluster, _) = unpacker.unpack(&packed, 5).unwrap();
        assert_eq!(cluster, [7; 1024]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(packed in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for compression in [Compression::Deflate, Compression::Zstandard] {
                let mut unpacker = Unpacker::new(compression, 512).unwrap();
                let _ = unpacker.unpack(&packed, 0);
            }
        }
    }
}
