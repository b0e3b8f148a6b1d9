//! Retries of image downloads: choice of the next URL, pauses, and the end.
//!
//! A definitive response of a server (401, 404, …) excludes its URL immediately. Transient failures
//! (no connection, an interrupted transfer, 5xx) are retried after a pause, `retries` times; then
//! the next URL follows. IPA repeats all of this for ten more rounds. Here a server that was
//! unavailable during all pauses of the first round does not receive a hundred requests.

use super::download::{self, Remedy};
use super::source::Source;
use crate::error::chain;
use std::time::Duration;

/// State of the attempts on the URLs of one image.
pub(super) struct Attempts<'a> {
    urls: &'a [Source],
    retries: u32,
    interval: Duration,
    /// Number of failures of the current URL.
    failed: u32,
    /// Outcome of each excluded URL.
    given_up: Vec<String>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(urls: &'a [Source], retries: u32, interval: Duration) -> Self {
        Self {
            urls,
            retries,
            interval,
            failed: 0,
            given_up: Vec::new(),
        }
    }

    /// Returns the URL to try now; `None` when all are excluded.
    pub(super) fn current(&self) -> Option<&'a Source> {
        self.urls.first()
    }

    /// Records a failure and returns the pause before the next attempt.
    pub(super) fn fail(&mut self, error: &download::Error) -> Duration {
        let Some((url, others)) = self.urls.split_first() else {
            return Duration::ZERO;
        };
        self.failed += 1;
        tracing::warn!(%url, attempt = self.failed, error = %chain(error), "image download failed");
        if error.remedy() == Remedy::Again && self.failed <= self.retries {
            return self.interval;
        }
        self.given_up
            .push(format!("URL: {url}; Error: {}", chain(error)));
        self.urls = others;
        self.failed = 0;
        Duration::ZERO
    }

    /// Advances to the next URL, if there is one, because the content of this one was wrong.
    pub(super) fn prefer_another(&mut self) {
        if let [_, others @ ..] = self.urls
            && !others.is_empty()
        {
            self.urls = others;
            self.failed = 0;
        }
    }

    /// Returns the outcome of every URL, for the operator.
    pub(super) fn summary(&self) -> String {
        self.given_up.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn urls() -> Vec<Source> {
        vec!["http://a/x".parse().unwrap(), "http://b/x".parse().unwrap()]
    }

    fn status(status: u16) -> download::Error {
        download::Error::Status {
            status,
            url: "http://a/x".into(),
            body: "no".into(),
        }
    }

    #[test]
    fn a_verdict_ends_a_url_at_once() {
        let urls = urls();
        let mut attempts = Attempts::new(&urls, 9, INTERVAL);
        assert_eq!(attempts.fail(&status(404)), Duration::ZERO);
        assert_eq!(attempts.current(), Some(&urls[1]));
        assert_eq!(attempts.fail(&status(401)), Duration::ZERO);
        assert_eq!(attempts.current(), None);
        assert_eq!(
            attempts.summary(),
            "URL: http://a/x; Error: Received status code 404 from http://a/x, expected 200. Response body: no; \
             URL: http://b/x; Error: Received status code 401 from http://a/x, expected 200. Response body: no"
        );
    }

    #[test]
    fn trouble_is_tried_again_and_then_elsewhere() {
        let urls = urls();
        let mut attempts = Attempts::new(&urls, 2, INTERVAL);
        assert_eq!(attempts.fail(&status(503)), INTERVAL);
        assert_eq!(attempts.fail(&status(503)), INTERVAL);
        assert_eq!(attempts.current(), Some(&urls[0]));
        assert_eq!(attempts.fail(&status(503)), Duration::ZERO);
        assert_eq!(attempts.current(), Some(&urls[1]));
    }

    #[test]
    fn the_last_url_stays_when_its_content_was_wrong() {
        let urls = urls();
        let mut attempts = Attempts::new(&urls, 2, INTERVAL);
        attempts.prefer_another();
        attempts.prefer_another();
        assert_eq!(attempts.current(), Some(&urls[1]));
    }
}
