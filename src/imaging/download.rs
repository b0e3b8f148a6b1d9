//! HTTP downloads as blocking code: the one place below the command layer that speaks HTTP.
//!
//! Redirects are followed here and not by the library, because three rules are ours: only `http` and `https`; an image
//! server's credentials go to no other server, and what one left behind stays there; those in a URL go along to the same server.
//! One call makes one attempt; trying again is `attempts`'.

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

/// How servers are reached.
#[derive(Clone, Debug)]
pub struct Network {
    /// TLS towards image servers.
    pub tls: ClientOptions,
    /// Where the system's authorities lie.
    pub root: Root,
    /// Runs the sockets. It must be a multi-threaded runtime, and the caller none of its tasks.
    pub runtime: Handle,
    /// The longest silence while connecting or reading.
    pub timeout: Duration,
}

/// Downloads a small thing whole: a config drive, a checksum file. No credentials, no proxies of a node.
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

/// The same, tried again after troubles that may pass: so often, after such a pause.
///
/// # Errors
/// The last one.
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

/// One image's client: its proxies, its credentials, its time limit.
pub(super) struct Fetcher {
    client: Client,
    runtime: Handle,
    timeout: Duration,
    authorization: Option<Authorization>,
    time_limit: Option<TimeLimit>,
    cancel: Cancel,
}

/// What is downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// It has a checksum, which tells whether it is right, also when a redirect from https led to http. The checksum is of what is
    /// sent, so that it must not be encoded.
    Image,
    /// It has none: https must not lead to http. It may be encoded.
    Small,
}

/// How long all downloads for an image may wait for the network, pauses between attempts among that. Time in which nothing is
/// read, because the disk is slower, is not theirs: IPA counts none either when it downloads to a file first.
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

    /// Spends time. `Err` when there is none left.
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

    /// Sends one request and reads the answer's head.
    pub(super) fn open(&self, source: &Source) -> Result<Download<'_>, Error> {
        self.follow(source, Content::Image)
    }

    /// Follows redirects to the place that has the content.
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
            // At each of them: what is in clear between two places over TLS can be changed like anything else.
            let is_downgrade = here.url().scheme() == "https" && next.url().scheme() != "https";
            if is_downgrade && content == Content::Small {
                return Err(Error::Downgrade(source.to_string()));
            }
            // Where the next place leads is its own doing, even if that is back.
            authorization = authorization.filter(|_| here.shares_credentials_with(&next));
            let from = place.to_string();
            place = place.redirected(next, self.authorization.as_ref());
            tracing::debug!(from, to = %place, "image server redirects");
        }
        Err(Error::Redirects(source.to_string()))
    }

    /// Downloads a small thing whole, decoded; the limit is for either form.
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
            // The header is the stronger: the library must not add another from the URL.
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
                // What the library says may name the host.
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

    /// Waits for the network, but not after the wish to stop, nor beyond the limits.
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

    /// Waits between two attempts.
    pub(super) fn pause(&self, length: Duration) -> Result<(), Error> {
        let left = self.time_limit.as_ref().map_or(length, TimeLimit::left);
        let begun = Instant::now();
        let _ = self.cancel.wait(left.min(length));
        self.spend(begun.elapsed())
    }
}

/// An answer that is coming in.
pub(super) struct Download<'a> {
    fetcher: &'a Fetcher,
    encoding: Encoding,
    /// Bytes the server announced.
    pub(super) length: Option<u64>,
    /// Where the bytes come from, after redirects.
    pub(super) place: Place,
    response: Response,
    rest: Bytes,
}

impl Download<'_> {
    /// Fills a buffer as far as the answer goes; fewer bytes than it holds are the end.
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

/// How long a small download of so many bytes may take.
fn time_of(bytes: usize) -> Duration {
    Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / MIN_RATE)
}

/// The beginning of an answer's body, fit to be shown.
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
/// Bytes a second of a small download: a server that drips holds a command up for ever.
const MIN_RATE: u64 = 64 << 10;
/// How long a wish to stop may go unseen.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Why a download failed. URLs are shown without credentials and query, and redirects without what their servers were shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection ended before the content did.
    #[error("the transfer from {url} broke off")]
    Interrupted {
        /// From where.
        url: String,
        /// What the library says.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody wished it to stop.
    #[error("the download was cancelled")]
    Cancelled,
    /// The HTTP client could not be made.
    #[error("preparing the HTTP client")]
    Client(#[source] reqwest::Error),
    /// No connection, or no answer.
    #[error("requesting {url}")]
    Connect {
        /// From where.
        url: String,
        /// What the library says.
        #[source]
        source: tls::client::RequestError,
    },
    /// Credentials or proxies that cannot be used.
    #[error(transparent)]
    Credentials(credentials::Error),
    /// A redirect from https to http, of content that nothing else protects.
    #[error("{0} redirects from https to http")]
    Downgrade(String),
    /// The operator's limit for all downloads of an image.
    #[error("the download took longer than image_download_max_duration ({0} s)")]
    Duration(u64),
    /// An encoding nobody asked for.
    #[error("{0} answers with a Content-Encoding that was not asked for")]
    Encoded(String),
    /// A small thing whose encoding is not what its head says.
    #[error("{url} does not send the gzip that it announces")]
    Gzip {
        /// From where.
        url: String,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// A chain of redirects without end.
    #[error("{0} redirects more than {MAX_REDIRECTS} times")]
    Redirects(String),
    /// The server said nothing for too long.
    #[error("{url} was silent for {seconds} s")]
    ReadTimeout {
        /// From where.
        url: String,
        /// For how long.
        seconds: u64,
    },
    /// A small download that never ends.
    #[error(
        "{url} did not send its content within {seconds} s: that is slower than {MIN_RATE} bytes a second"
    )]
    Slow {
        /// From where.
        url: String,
        /// In which time.
        seconds: u64,
    },
    /// Another answer than 200.
    #[error("Received status code {status} from {url}, expected 200. Response body: {body}")]
    Status {
        /// The answer.
        status: u16,
        /// From where.
        url: String,
        /// The beginning of what the server says.
        body: String,
    },
    /// TLS could not be set up.
    #[error("preparing TLS for the image server")]
    Tls(#[source] tls::Error),
    /// More than is sensible.
    #[error("{url} has more than {limit} bytes")]
    TooLarge {
        /// From where.
        url: String,
        /// The most that is taken.
        limit: usize,
    },
    /// No connection to a place that cannot be told.
    #[error("requesting {0}")]
    Unreachable(String),
    /// A place that nothing is fetched from.
    #[error("the place cannot be fetched from")]
    Url(#[source] source::Error),
}

/// What is to be done after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same URL may work later.
    Again,
    /// Only another URL may work.
    Elsewhere,
    /// Nothing.
    None,
}

impl Error {
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Interrupted { .. }
            | Self::Connect { .. }
            | Self::ReadTimeout { .. }
            | Self::Unreachable(_) => Remedy::Again,
            // IPA means to stop at a 4xx and does not (it asks the truth value of the answer). These two are no verdicts.
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
        // The disk's turn: however long it takes.
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
