//! Images: download, verification, decoding and writing; config drives.
//!
//! ```text
//! failover ─► download ─► [hash] ─► [decode: raw, qcow2] ─► writer ─► target (the disk)
//!                └─ the first 34 KiB ─► formats::image_format: refused before a byte is written
//! ```
//!
//! An image is never stored in between: a fixed number of buffers carries it from the network to
//! the disk. [`write_image`] is the entry point. A failed download is retried by the rules of
//! `failover`. A complete download with a wrong checksum is repeated once, from the next URL if
//! there is one. This repairs a damaged transfer, but no wrong image. (IPA writes it ten times.)

pub mod checksum;
pub mod configdrive;
pub mod credentials;
pub mod download;
pub mod info;
pub mod source;

mod buffer;
mod encoding;
mod error;
mod failover;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gunzip;
mod pipeline;
mod place;
mod sums;
mod target;
mod writer;
mod zeroes;

pub use crate::formats::image_format::{Format, Rules};
pub use checksum::Expected;
pub use credentials::BasicAuth;
pub use download::Network;
pub use error::Error;
pub use info::{ConfiguredAuth, ImageInfo, ImageKind, Md5};

use crate::formats::image_format::{self, Decoding, Finding};
use crate::formats::qcow2::{self, Pass};
use crate::progress::{Cancel, Reporter};
use crate::storage::chosen::Chosen;
use buffer::Buffer;
use checksum::Hasher;
use download::{Download, Fetcher, Remedy, TimeLimit};
use failover::Attempts;
use pipeline::{BLOCK, Decoder, Outcome};
use source::Source;
use std::time::Duration;
use target::Target;
use writer::Writer;

/// Operator settings for images.
#[derive(Debug)]
pub struct Settings {
    /// Network settings for image servers.
    pub network: Network,
    /// Number of retries of a URL (`image_download_connection_retries`).
    pub retries: u32,
    /// Pause before a retry (`image_download_connection_retry_interval`).
    pub interval: Duration,
    /// Limit of all downloads of an image, without the time of the disk
    /// (`image_download_max_duration`); `None` means no limit.
    pub max_duration: Option<Duration>,
    /// User and password for images without their own (`image_server_*`), if the strategy is
    /// `http_basic`.
    pub basic_auth: Option<BasicAuth>,
    /// Whether MD5 is permitted.
    pub md5: Md5,
    /// Rules for permitted images.
    pub rules: Rules,
}

/// Description of a written image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the image file.
    pub bytes: u64,
    /// Bytes of the disk that the image describes.
    pub virtual_size: u64,
    /// Format of the image.
    pub format: Format,
    /// Verified hash and its algorithm.
    pub checksum: Expected,
}

/// Writes a whole-disk image to a disk and returns after it is verified and on the medium.
///
/// Blocks; the caller must not be a task of the network's runtime. After an error the disk is
/// unchanged, or has no partition table. If clearing the table fails too, the error is
/// [`Error::NotCleared`].
///
/// # Errors
/// [`Error`], with the failed step, its source and the state of the disk.
pub fn write_image(
    info: &ImageInfo,
    device: &Chosen,
    settings: &Settings,
    cancel: &Cancel,
    reporter: &Reporter,
) -> Result<Written, Error> {
    if info.kind == ImageKind::Partition {
        return Err(Error::PartitionImage(info.id.clone()));
    }
    let fetcher = fetcher(info, settings, cancel)?;
    let expected = expected(info, settings, &fetcher)?;
    let path = device.path();
    let target = Target::open(&path)?;
    device.check(&path, target.file())?;
    let mut job = Job {
        info,
        settings,
        fetcher: &fetcher,
        expected: &expected,
        cancel,
        reporter,
        writer: Writer::new(target, reporter),
    };
    let attempt = job
        .attempt_all()
        .and_then(|written| job.zero_rest().map(|()| written));
    let written = conclude(job.writer, attempt, reporter)?;
    tracing::info!(
        device = %path.display(), image = %info.id, bytes = written.bytes,
        "the image is verified and written"
    );
    Ok(written)
}

/// Commits the verified image to the disk, or leaves no partition table on it.
fn conclude(
    mut writer: Writer,
    attempt: Result<Written, Error>,
    reporter: &Reporter,
) -> Result<Written, Error> {
    let outcome = attempt.and_then(|written| {
        reporter.phase("finishing", None);
        writer.commit()?;
        Ok(written)
    });
    outcome.map_err(|error| abandon(writer, error))
}

/// Determines the expected hash of an image, and downloads it where Ironic sends its URL.
///
/// # Errors
/// [`Error::Checksum`], [`Error::Fetch`].
pub fn expected_checksum(
    info: &ImageInfo,
    settings: &Settings,
    cancel: &Cancel,
) -> Result<Expected, Error> {
    expected(info, settings, &fetcher(info, settings, cancel)?)
}

fn fetcher(info: &ImageInfo, settings: &Settings, cancel: &Cancel) -> Result<Fetcher, Error> {
    let authorization = credentials::authorization(
        info.authorization.as_ref(),
        info.basic_auth.as_ref(),
        match info.configured_auth {
            ConfiguredAuth::Shown => settings.basic_auth.as_ref(),
            ConfiguredAuth::Withheld => None,
        },
        &info.urls,
    );
    let limit = settings.max_duration.map(TimeLimit::new);
    authorization
        .map_err(download::Error::Credentials)
        .and_then(|value| Fetcher::new(&settings.network, &info.proxies, value, limit, cancel))
        .map_err(Error::Fetch)
}

fn expected(info: &ImageInfo, settings: &Settings, fetcher: &Fetcher) -> Result<Expected, Error> {
    let name = info.urls.first().map(Source::file_name).unwrap_or_default();
    let download = |source: &Source| {
        let urls = [source.clone()];
        let mut attempts = Attempts::new(&urls, settings.retries, settings.interval);
        loop {
            match fetcher.small(source, MAX_CHECKSUM_FILE) {
                Err(error) if error.remedy() == Remedy::Again => {
                    let pause = attempts.fail(&error);
                    if attempts.current().is_none() {
                        return Err(error);
                    }
                    fetcher.pause(pause)?;
                }
                outcome => return outcome,
            }
        }
    };
    checksum::expected(&info.checksums, name, settings.md5, download).map_err(|source| {
        Error::Checksum {
            image: info.id.clone(),
            source,
        }
    })
}

fn abandon(writer: Writer, cause: Error) -> Error {
    let device = writer.path().to_owned();
    match writer.abandon() {
        Ok(false) => cause,
        Ok(true) => Error::Abandoned {
            device,
            cause: Box::new(cause),
        },
        Err(second) => {
            tracing::error!(
                device = %device.display(), error = %crate::error::chain(&second),
                "the disk could not be cleared after the image failed: it may hold parts of the image"
            );
            Error::NotCleared {
                device,
                cause: Box::new(cause),
            }
        }
    }
}

/// The write of one image to one disk.
struct Job<'a> {
    info: &'a ImageInfo,
    settings: &'a Settings,
    fetcher: &'a Fetcher,
    expected: &'a Expected,
    cancel: &'a Cancel,
    reporter: &'a Reporter,
    writer: Writer,
}

impl Job<'_> {
    /// Retries until the image is on the disk and verified, or all attempts failed.
    fn attempt_all(&mut self) -> Result<Written, Error> {
        let (retries, interval) = (self.settings.retries, self.settings.interval);
        let mut attempts = Attempts::new(&self.info.urls, retries, interval);
        let mut mismatched = false;
        while let Some(source) = attempts.current() {
            match self.attempt(source) {
                Err(Error::Fetch(error)) if error.remedy() != Remedy::None => {
                    let pause = attempts.fail(&error);
                    if attempts.current().is_some() {
                        self.fetcher.pause(pause).map_err(Error::Fetch)?;
                    }
                }
                Err(error @ Error::Mismatch { .. }) if !mismatched => {
                    tracing::warn!(%error, "downloading the image once more");
                    mismatched = true;
                    attempts.prefer_another();
                }
                outcome => return outcome,
            }
        }
        Err(Error::Download {
            image: self.info.id.clone(),
            attempts: attempts.summary(),
        })
    }

    /// Zeroes the empty areas of the image. The download is complete, so no server waits for the
    /// next read.
    fn zero_rest(&mut self) -> Result<(), Error> {
        self.writer.begin_zeroing();
        while self.writer.zero_next()? {
            if self.cancel.is_cancelled() {
                return Err(Error::Fetch(download::Error::Cancelled));
            }
        }
        Ok(())
    }

    fn attempt(&mut self, source: &Source) -> Result<Written, Error> {
        let mut download = self.fetcher.open(source).map_err(Error::Fetch)?;
        let mut first = first_block(&mut download)?;
        let announced = self.info.disk_format.as_deref();
        let found = image_format::inspect(first.bytes(), announced, &self.settings.rules)?;
        let size = size(&found, &download);
        if size == Some(0) || first.bytes().is_empty() {
            return Err(Error::Empty(source.to_string()));
        }
        tracing::info!(
            image = %self.info.id, url = %source, format = %found.format, bytes = download.length, virtual_size = size,
            "writing the image"
        );
        self.writer.begin(size)?;
        let mut decoder = decoder(&found)?;
        loop {
            let outcome = self.pass(first, &mut download, &mut decoder)?;
            if outcome.pass == Pass::Complete {
                return Ok(Written {
                    bytes: outcome.received,
                    virtual_size: size.unwrap_or(outcome.received),
                    format: found.format,
                    checksum: self.expected.clone(),
                });
            }
            tracing::info!(image = %self.info.id, "the image's tables lie behind its data: one more pass");
            download = self.fetcher.open(source).map_err(Error::Fetch)?;
            first = first_block(&mut download)?;
        }
    }

    /// Runs one pass over the file and verifies it.
    fn pass(
        &mut self,
        first: Buffer,
        download: &mut Download<'_>,
        decoder: &mut Decoder,
    ) -> Result<Outcome, Error> {
        let hasher = Hasher::new(self.expected.algorithm);
        let outcome = pipeline::run(
            first,
            download,
            hasher,
            decoder,
            &mut self.writer,
            self.cancel,
        )?;
        self.reporter.phase("verifying", None);
        if outcome.digits == self.expected.digits {
            return Ok(outcome);
        }
        Err(Error::Mismatch {
            url: download.place.to_string(),
            image: self.info.id.clone(),
            algorithm: self.expected.algorithm.name(),
            expected: self.expected.digits.clone(),
            actual: outcome.digits,
        })
    }
}

fn first_block(download: &mut Download<'_>) -> Result<Buffer, Error> {
    let mut first = Buffer::new(BLOCK);
    first
        .refill(|room| download.fill(room))
        .map_err(Error::Fetch)?;
    Ok(first)
}

/// Returns the size in bytes of the disk that the image describes, if it is known beforehand.
fn size(found: &Finding, download: &Download<'_>) -> Option<u64> {
    match &found.decoding {
        Decoding::Raw => download.length,
        Decoding::Qcow2(header) => Some(header.virtual_size),
    }
}

fn decoder(found: &Finding) -> Result<Decoder, Error> {
    match &found.decoding {
        Decoding::Raw => Ok(Decoder::Raw { position: 0 }),
        Decoding::Qcow2(header) => {
            if header.unclean {
                tracing::warn!(
                    "the qcow2 image was not closed properly; its tables are read as they are"
                );
            }
            let decoder = qcow2::Decoder::new(header).map_err(Error::Decode)?;
            Ok(Decoder::Qcow2(Box::new(decoder)))
        }
    }
}

const MAX_CHECKSUM_FILE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{AgentError, ErrorClass};
    use std::fs;
    use std::path::Path;

    const MIB: usize = 1 << 20;

    /// Creates a disk of 16 MiB with a verified image of 12 MiB, without the regions that are
    /// written last.
    fn written(file: &Path) -> (Writer, Written) {
        fs::write(file, vec![0xD1; 16 * MIB]).unwrap();
        let image = vec![0xA5; 12 * MIB];
        let mut writer = Writer::new(Target::open(file).unwrap(), &Reporter::default());
        writer.begin(Some(12 << 20)).unwrap();
        writer.data(0, &image).unwrap();
        let written = Written {
            bytes: 12 << 20,
            virtual_size: 12 << 20,
            format: Format::Raw,
            checksum: Expected {
                algorithm: checksum::Algorithm::by_name("md5").unwrap(),
                digits: String::new(),
            },
        };
        (writer, written)
    }

    /// Returns the byte of which each MiB consists.
    fn mebibytes(file: &Path) -> Vec<u8> {
        let disk = fs::read(file).unwrap();
        let plain = |mib: &[u8]| mib.iter().all(|byte| *byte == mib[0]);
        assert!(disk.chunks(MIB).all(plain));
        disk.chunks(MIB).map(|mib| mib[0]).collect()
    }

    #[test]
    fn a_disk_that_fails_a_flush_in_the_end_gets_no_partition_table() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cleared = [&[0][..], &[0xA5; 10], &[0], &[0xD1; 3], &[0]].concat();
        for failing in [
            &[true][..],
            &[false, true],
            &[false, false, true],
            &[false, false, true, true],
        ] {
            let (mut writer, written) = written(file.path());
            writer.fail_flushes(failing);
            let error = conclude(writer, Ok(written), &Reporter::default()).unwrap_err();
            assert_eq!(mebibytes(file.path()), cleared, "{failing:?}");
            let error = AgentError::from(error);
            assert_eq!(error.class, ErrorClass::ImageWriteError);
            let disk = file.path().display();
            let what = match failing.len() {
                4 => format!(
                    "writing the image was given up, and {disk} may still have a partition table"
                ),
                _ => format!(
                    "writing the image was given up, and {disk} was left without a partition table"
                ),
            };
            assert_eq!(
                error.details,
                format!("{what}: syncing {disk}: Input/output error (os error 5)")
            );
        }
        let (mut writer, written) = written(file.path());
        writer.fail_flushes(&[false; 3]);
        conclude(writer, Ok(written), &Reporter::default()).unwrap();
        let whole = [&[0xA5; 12][..], &[0xD1; 3], &[0]].concat();
        assert_eq!(mebibytes(file.path()), whole);
    }
}
