//! Blocking HTTP downloads: the only module below the command layer that uses HTTP.
//!
//! Redirects are followed here and not by the library, because three rules differ. Only `http` and
//! `https` are allowed. An image server's credentials go to no other server, and are not restored
//! when a later redirect returns. Credentials in a URL also apply to redirects to the same server.
//! One call makes one attempt; `failover` retries.

use super::credentials::{self, Authorization, Proxies, with_proxies};
use super::encoding::{Encoding, gunzip};
use super::place::Place;
use super::source::{self, Source};
use crate::error::chain;
use crate::progress::Cancel;
use crate::redact::visible;
use crate::root::Root;
use crate::tls::{self, client::ClientOptions};
use bytes::{Buf, Bytes};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode, redirect};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Network settings for downloads from servers.
#[derive(Clone, Debug)]
pub struct Network {
    /// TLS options for image servers.
    pub tls: ClientOptions,
    /// Root of the file system with the system's certificate authorities.
    pub root: Root,
    /// Runtime of the sockets. It must be multi-threaded, and the caller must not be one of its
    /// tasks.
    pub runtime: Handle,
    /// Timeout without data while connecting or reading.
    pub timeout: Duration,
}

/// Downloads a small file as a whole: a config drive or a checksum file. Sends no credentials and
/// uses no proxies of a node.
///
/// # Errors
/// [`Error`], also when there are more than `limit` bytes.
pub fn fetch_bytes(
    url: &str,
    limit: usize,
    network: &Network,
    cancel: &Cancel,
) -> Result<Vec<u8>, Error> {
    let source = url.parse().map_err(Error::Url)?;
    Fetcher::new(network, &Proxies::default(), None, None, cancel)?.small(&source, limit)
}

/// Downloads like [`fetch_bytes`] and retries after transient failures: at most `retries` times,
/// after a pause of `interval`.
///
/// # Errors
/// The error of the last attempt.
pub fn fetch_bytes_with_retry(
    url: &str,
    limit: usize,
    network: &Network,
    (retries, interval): (u32, Duration),
    cancel: &Cancel,
) -> Result<Vec<u8>, Error> {
    let mut failed = 0;
    loop {
        match fetch_bytes(url, limit, network, cancel) {
            Err(error) if error.remedy() == Remedy::Again && failed < retries => {
                failed += 1;
                tracing::warn!(attempt = failed, error = %chain(&error), "a download failed");
                if cancel.wait(interval) {
                    return Err(Error::Cancelled);
                }
            }
            end => return end,
        }
    }
}

/// Client for one image, with its proxies, credentials and time limit.
pub(super) struct Fetcher {
    client: Client,
    runtime: Handle,
    timeout: Duration,
    authorization: Option<Authorization>,
    time_limit: Option<TimeLimit>,
    cancel: Cancel,
}

/// Kind of downloaded content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// An image, which its checksum protects, also after a redirect from https to http. The
    /// checksum covers the bytes as sent, so they must not be encoded.
    Image,
    /// A small file without a checksum: https must not redirect to http. It may be encoded.
    Small,
}

/// Limit of the total network time of all downloads for an image, with the pauses between attempts.
/// Time without reads, because the disk is slower, does not count. IPA does not count it either
/// when it downloads to a file first.
#[derive(Debug)]
pub(super) struct TimeLimit {
    limit: Duration,
    used: Cell<Duration>,
}

impl TimeLimit {
    pub(super) fn new(limit: Duration) -> Self {
        let used = Cell::default();
        Self { limit, used }
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.used.get())
    }

    /// Adds to the used time. Returns an error when none is left.
    fn spend(&self, time: Duration) -> Result<(), Error> {
        self.used.set(self.used.get().saturating_add(time));
        match self.left() {
            Duration::ZERO => Err(Error::Duration(self.limit.as_secs())),
            _ => Ok(()),
        }
    }
}

impl Fetcher {
    pub(super) fn new(
        network: &Network,
        proxies: &Proxies,
        authorization: Option<Authorization>,
        time_limit: Option<TimeLimit>,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let builder = network
            .tls
            .builder(&network.root)
            .map_err(Error::Tls)?
            .redirect(redirect::Policy::none())
            .connect_timeout(network.timeout);
        let client = with_proxies(builder, proxies)
            .map_err(Error::Credentials)?
            .build()
            .map_err(Error::Client)?;
        Ok(Self {
            client,
            runtime: network.runtime.clone(),
            timeout: network.timeout,
            authorization,
            time_limit,
            cancel: cancel.clone(),
        })
    }

    /// Sends a request, follows redirects and reads the response headers.
    pub(super) fn open(&self, source: &Source) -> Result<Download<'_>, Error> {
        self.follow(source, Content::Image)
    }

    /// Follows redirects to the place of the content.
    fn follow(&self, source: &Source, content: Content) -> Result<Download<'_>, Error> {
        let mut place = Place::first(source);
        let mut authorization = self
            .authorization
            .as_ref()
            .and_then(|authorization| authorization.towards(source));
        for _ in 0..MAX_REDIRECTS {
            let response = self.request(&place, authorization)?;
            let location = response.headers().get(LOCATION);
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                return self.accept(place, response, content);
            };
            let here = place.source();
            let next = here.join(location.as_bytes()).map_err(Error::Url)?;
            // Checked at every redirect: an attacker can modify a cleartext hop between two TLS
            // hops.
            let is_downgrade = here.url().scheme() == "https" && next.url().scheme() != "https";
            if is_downgrade && content == Content::Small {
                return Err(Error::Downgrade(source.to_string()));
            }
            // Credentials stay dropped: the other server chooses the next redirect, even if that
            // leads back.
            authorization = authorization.filter(|_| here.shares_credentials_with(&next));
            let from = place.to_string();
            place = place.redirected(next, self.authorization.as_ref());
            tracing::debug!(from, to = %place, "image server redirects");
        }
        Err(Error::Redirects(source.to_string()))
    }

    /// Downloads a small file as a whole and decodes it; the limit applies to both the encoded and
    /// the decoded size.
    pub(super) fn small(&self, source: &Source, limit: usize) -> Result<Vec<u8>, Error> {
        let begun = Instant::now();
        let longest = self.timeout.saturating_add(time_of(limit));
        let mut download = self.follow(source, Content::Small)?;
        let too_large = || Error::TooLarge {
            url: source.to_string(),
            limit,
        };
        let mut content = Vec::new();
        while let Some(bytes) = download.next()? {
            if content.len() + bytes.len() > limit {
                return Err(too_large());
            }
            content.extend_from_slice(&bytes);
            if begun.elapsed() > longest {
                return Err(Error::Slow {
                    url: source.to_string(),
                    seconds: longest.as_secs(),
                });
            }
        }
        match download.encoding {
            Encoding::Identity => Ok(content),
            Encoding::Gzip => gunzip(&content, limit)
                .map_err(|error| Error::Gzip {
                    url: source.to_string(),
                    source: error,
                })?
                .ok_or_else(too_large),
        }
    }

    fn request(
        &self,
        place: &Place,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let source = match authorization {
            // The header takes precedence: the library must not add another from the URL.
            Some(_) => place.source().without_credentials(),
            None => place.source().clone(),
        };
        let mut request = self
            .client
            .get(source.url().clone())
            .header(ACCEPT_ENCODING, "identity");
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let url = place.to_string();
        self.wait(place, request.send())?
            .map_err(|error| match place.has_secret_host() {
                // The library's error may name the host.
                true => Error::Unreachable(url),
                false => Error::Connect {
                    url,
                    source: error.into(),
                },
            })
    }

    fn accept(
        &self,
        place: Place,
        response: Response,
        content: Content,
    ) -> Result<Download<'_>, Error> {
        if response.status() != StatusCode::OK {
            return Err(self.refusal(&place, response));
        }
        let encoding = match (Encoding::of(response.headers()), content) {
            (Some(Encoding::Identity), _) => Encoding::Identity,
            (Some(Encoding::Gzip), Content::Small) => Encoding::Gzip,
            _ => return Err(Error::Encoded(place.to_string())),
        };
        Ok(Download {
            fetcher: self,
            encoding,
            length: response.content_length(),
            place,
            response,
            rest: Bytes::new(),
        })
    }

    fn refusal(&self, place: &Place, mut response: Response) -> Error {
        let status = response.status().as_u16();
        let body = match self.wait(place, response.chunk()) {
            Ok(Ok(Some(bytes))) => {
                let text = String::from_utf8_lossy(&bytes);
                printable(&place.without_credentials(&text, self.authorization.as_ref()))
            }
            _ => String::new(),
        };
        Error::Status {
            status,
            url: place.to_string(),
            body,
        }
    }

    /// Waits for the network until cancellation, the read timeout or the time limit.
    fn wait<T>(&self, place: &Place, what: impl Future<Output = T>) -> Result<T, Error> {
        let silent = Instant::now() + self.timeout;
        self.runtime.block_on(async {
            let mut what = pin!(what);
            loop {
                let begun = Instant::now();
                let outcome = tokio::time::timeout(POLL_INTERVAL, &mut what).await;
                self.spend(begun.elapsed())?;
                if let Ok(outcome) = outcome {
                    return Ok(outcome);
                }
                if Instant::now() >= silent {
                    return Err(Error::ReadTimeout {
                        url: place.to_string(),
                        seconds: self.timeout.as_secs(),
                    });
                }
            }
        })
    }

    fn spend(&self, time: Duration) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.time_limit
            .as_ref()
            .map_or(Ok(()), |limit| limit.spend(time))
    }

    /// Pauses between two attempts.
    pub(super) fn pause(&self, length: Duration) -> Result<(), Error> {
        let left = self.time_limit.as_ref().map_or(length, TimeLimit::left);
        let begun = Instant::now();
        let _ = self.cancel.wait(left.min(length));
        self.spend(begun.elapsed())
    }
}

/// A response whose body is being read.
pub(super) struct Download<'a> {
    fetcher: &'a Fetcher,
    encoding: Encoding,
    /// Length of the body according to the server.
    pub(super) length: Option<u64>,
    /// Origin of the bytes, after redirects.
    pub(super) place: Place,
    response: Response,
    rest: Bytes,
}

impl Download<'_> {
    /// Fills a buffer from the body; a partly filled buffer means the end of the body.
    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while !buffer.is_empty() {
            if self.rest.is_empty() {
                let Some(bytes) = self.next()? else { break };
                self.rest = bytes;
            }
            let now = self.rest.len().min(buffer.len());
            let (head, tail) = buffer.split_at_mut(now);
            self.rest.copy_to_slice(head);
            buffer = tail;
            filled += now;
        }
        Ok(filled)
    }

    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.fetcher
            .wait(&self.place, self.response.chunk())?
            .map_err(|error| Error::Interrupted {
                url: self.place.to_string(),
                source: error.without_url(),
            })
    }
}

/// Returns the time allowed for a small download of `bytes` bytes.
fn time_of(bytes: usize) -> Duration {
    Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / MIN_RATE)
}

/// Returns the beginning of a response body with printable characters only.
fn printable(text: &str) -> String {
    text.chars().map(visible).take(MAX_SHOWN).collect()
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetcher")
    }
}

const MAX_REDIRECTS: usize = 10;
const MAX_SHOWN: usize = 200;
/// Minimum rate of a small download in bytes per second: a slower server would block a command
/// indefinitely.
const MIN_RATE: u64 = 64 << 10;
/// Interval of checks for cancellation.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Errors of downloads. URLs are shown without credentials and query, and redirects without the
/// credentials that their servers received.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection ended before the content did.
    #[error("the transfer from {url} broke off")]
    Interrupted {
        /// URL of the download.
        url: String,
        /// Error from the HTTP library.
        #[source]
        source: reqwest::Error,
    },
    /// The download was cancelled.
    #[error("the download was cancelled")]
    Cancelled,
    /// The HTTP client could not be created.
    #[error("preparing the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The connection or the response failed.
    #[error("requesting {url}")]
    Connect {
        /// URL of the request.
        url: String,
        /// Error from the HTTP library.
        #[source]
        source: tls::client::RequestError,
    },
    /// Credentials or proxies are invalid.
    #[error(transparent)]
    Credentials(credentials::Error),
    /// A redirect from https to http, for content without other protection.
    #[error("{0} redirects from https to http")]
    Downgrade(String),
    /// The operator's limit in seconds for all downloads of an image was exceeded.
    #[error("the download took longer than image_download_max_duration ({0} s)")]
    Duration(u64),
    /// The server used an encoding that was not requested.
    #[error("{0} answers with a Content-Encoding that was not asked for")]
    Encoded(String),
    /// A small file is not valid gzip, contrary to its headers.
    #[error("{url} does not send the gzip that it announces")]
    Gzip {
        /// URL of the file.
        url: String,
        /// Error from the decoder.
        #[source]
        source: io::Error,
    },
    /// Too many redirects.
    #[error("{0} redirects more than {MAX_REDIRECTS} times")]
    Redirects(String),
    /// The server sent no data within the timeout.
    #[error("{url} was silent for {seconds} s")]
    ReadTimeout {
        /// URL of the download.
        url: String,
        /// Timeout in seconds.
        seconds: u64,
    },
    /// A small download did not finish within the time limit.
    #[error(
        "{url} did not send its content within {seconds} s: that is slower than {MIN_RATE} bytes a second"
    )]
    Slow {
        /// URL of the download.
        url: String,
        /// Time limit in seconds.
        seconds: u64,
    },
    /// The response status is not 200.
    #[error("Received status code {status} from {url}, expected 200. Response body: {body}")]
    Status {
        /// Status code of the response.
        status: u16,
        /// URL of the request.
        url: String,
        /// Beginning of the response body.
        body: String,
    },
    /// TLS could not be set up.
    #[error("preparing TLS for the image server")]
    Tls(#[source] tls::Error),
    /// The content exceeds the size limit.
    #[error("{url} has more than {limit} bytes")]
    TooLarge {
        /// URL of the content.
        url: String,
        /// Size limit in bytes.
        limit: usize,
    },
    /// A connection failed to a place whose host is secret.
    #[error("requesting {0}")]
    Unreachable(String),
    /// The URL is invalid or unsupported.
    #[error("the place cannot be fetched from")]
    Url(#[source] source::Error),
}

/// Action after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Retry the same URL: it may work later.
    Again,
    /// Use the next URL: only another one may work.
    Elsewhere,
    /// Fail: no action can help.
    None,
}

impl Error {
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Interrupted { .. }
            | Self::Connect { .. }
            | Self::ReadTimeout { .. }
            | Self::Unreachable(_) => Remedy::Again,
            // IPA intends to stop at a 4xx and does not, because it tests the truth value of the
            // response. These two statuses are transient.
            Self::Status {
                status: 408 | 429, ..
            } => Remedy::Again,
            Self::Status { status, .. } if *status >= 500 => Remedy::Again,
            Self::Downgrade(_)
            | Self::Encoded(_)
            | Self::Gzip { .. }
            | Self::Redirects(_)
            | Self::Slow { .. }
            | Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::Url(_) => Remedy::Elsewhere,
            Self::Cancelled
            | Self::Client(_)
            | Self::Credentials(_)
            | Self::Duration(_)
            | Self::Tls(_) => Remedy::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn verdicts_are_final_and_troubles_are_not() {
        let status = |status| {
            let (url, body) = (String::new(), String::new());
            Error::Status { status, url, body }.remedy()
        };
        for code in [204, 206, 304, 400, 401, 403, 404, 410] {
            assert_eq!(status(code), Remedy::Elsewhere, "{code}");
        }
        for code in [408, 429, 500, 502, 503] {
            assert_eq!(status(code), Remedy::Again, "{code}");
        }
        assert_eq!(Error::Duration(1).remedy(), Remedy::None);
    }

    #[test]
    fn a_time_limit_counts_waiting_for_the_network_and_pauses_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).find(String::is_empty).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
                .unwrap();
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let network = Network {
            tls: ClientOptions::default(),
            root: Root::machine(),
            runtime: runtime.handle().clone(),
            timeout: Duration::from_secs(20),
        };
        let limit = TimeLimit::new(Duration::from_secs(3600));
        let (proxies, cancel) = (Proxies::default(), Cancel::default());
        let fetcher = Fetcher::new(&network, &proxies, None, Some(limit), &cancel).unwrap();
        let used = || fetcher.time_limit.as_ref().unwrap().used.get();

        let begun = Instant::now();
        let mut download = fetcher.open(&url.parse().unwrap()).unwrap();
        let mut half = [0];
        assert_eq!(download.fill(&mut half).unwrap(), 1);
        let network = used();
        assert!(Duration::ZERO < network && network <= begun.elapsed());
        // Simulates a slow disk: its time does not count.
        let disk = Instant::now();
        while disk.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let disk = disk.elapsed();
        assert_eq!(download.fill(&mut half).unwrap(), 1);
        assert_eq!(download.fill(&mut half).unwrap(), 0);
        assert!(used() + disk <= begun.elapsed(), "{:?}", used());

        let before = used();
        fetcher.pause(Duration::from_millis(5)).unwrap();
        assert!(used() >= before + Duration::from_millis(5));
        fetcher.time_limit.as_ref().unwrap().used.set(Duration::MAX);
        assert!(matches!(
            fetcher.pause(Duration::from_secs(3600)),
            Err(Error::Duration(3600))
        ));
    }
}
