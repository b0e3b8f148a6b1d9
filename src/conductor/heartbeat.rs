//! Sends heartbeats to Ironic: the callback URL, that the agent is alive, and that a command has
//! ended.

use super::client::{Client, Request, Standing, VERSION_VERIFY_CA};
use super::error::Error;
use super::retry::{RandomUnit, random_between};
use super::{AGENT_VERSION, wire};
use crate::error::chain;
use crate::secret::AgentToken;
use reqwest::{Method, StatusCode};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Contents of every heartbeat. They stay constant until the agent exits, or Ironic refuses them.
#[derive(Debug)]
pub struct Heartbeat {
    /// UUID of the node.
    pub node: Uuid,
    /// Callback URL of the agent's API.
    pub callback_url: String,
    /// Agent token, which authenticates the agent.
    pub token: Arc<AgentToken>,
    /// Certificate of the API in PEM, if the agent generated one.
    pub verify_ca: Option<String>,
    /// Ironic's heartbeat timeout: without a heartbeat for so long, it considers the agent lost.
    pub timeout: Duration,
    /// Source of random waits, each value from 0 up to 1.
    pub random: fn() -> f64,
}

/// Sends heartbeats until the agent shuts down: the first at once, the next well within the
/// timeout, earlier if `completions` counts another command that ended. Failures are logged and
/// retried without limit, because without heartbeats the machine is lost to Ironic.
pub async fn run(
    client: &Client,
    heartbeat: &Heartbeat,
    completions: watch::Receiver<u64>,
    cancel: &CancellationToken,
) {
    let pulse = Schedule::new(heartbeat.timeout, heartbeat.random, Instant::now());
    run_schedule(pulse, completions, cancel, || once(client, heartbeat)).await;
}

/// Sends one heartbeat.
///
/// # Errors
/// The [`Error`] of this heartbeat; only status 202 is success.
pub async fn once(client: &Client, heartbeat: &Heartbeat) -> Result<(), Error> {
    // If Ironic does not report its version, everything is sent: an Ironic that cannot read it
    // could not use this agent either.
    let version = client
        .version()
        .await?
        .map_or(VERSION_VERIFY_CA, |v| v.min(VERSION_VERIFY_CA));
    let verify_ca = heartbeat
        .verify_ca
        .as_deref()
        .filter(|_| version >= VERSION_VERIFY_CA);
    let body = wire::heartbeat(
        &heartbeat.callback_url,
        &heartbeat.token,
        AGENT_VERSION,
        verify_ca,
    );
    let request = Request {
        method: Method::POST,
        version: Some(version),
        body: Some(body),
        ..Request::get(&format!("/v1/heartbeat/{}", heartbeat.node))
    };
    client
        .send(&request, Standing::TakesHeartbeats, |answer| {
            match answer.status() {
                StatusCode::ACCEPTED => Ok(()),
                _ => Err(answer.into_error(Some(&heartbeat.token))),
            }
        })
        .await
}

async fn run_schedule<F>(
    mut pulse: Schedule,
    mut completions: watch::Receiver<u64>,
    cancel: &CancellationToken,
    mut beat: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), Error>>,
{
    let mut watching = true;
    let mut accepted = false;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = completions.changed(), if watching => {
                watching = changed.is_ok();
                if watching {
                    pulse.expedite();
                }
                continue;
            }
            () = tokio::time::sleep_until(pulse.due()) => {}
        }
        // This heartbeat does not cover commands that end from here on.
        completions.mark_unchanged();
        let outcome = tokio::select! {
            () = cancel.cancelled() => return,
            outcome = beat() => outcome,
        };
        let now = Instant::now();
        match &outcome {
            Ok(()) => pulse.succeeded(now),
            Err(_) => pulse.failed(now),
        }
        if outcome.is_ok() && !accepted {
            tracing::info!("Ironic accepts our heartbeats");
        }
        accepted = outcome.is_ok();
        log_outcome(&outcome, pulse.due().saturating_duration_since(now));
    }
}

fn log_outcome(outcome: &Result<(), Error>, wait: Duration) {
    let seconds = wait.as_secs();
    match outcome {
        Ok(()) => tracing::debug!(seconds, "heartbeat accepted: next one follows"),
        Err(error @ Error::Answer { code: 409, .. }) => tracing::warn!(
            error = chain(error),
            seconds,
            "heartbeat in conflict with other work on the node: trying again"
        ),
        // Ironic's own message is in the error.
        Err(error @ Error::Answer { code: 400, .. }) => tracing::error!(
            error = chain(error),
            seconds,
            "Ironic REFUSES this agent's heartbeat: what it knows of the node's agent (token, URL, certificate) is another one's, \
             or of another boot. Trying again; if it stays so, let Ironic restart the machine"
        ),
        Err(error) => {
            tracing::warn!(
                error = chain(error),
                seconds,
                "heartbeat failed: trying again"
            );
        }
    }
}

/// Time of the next heartbeat. It uses neither network nor clock (IPA:
/// `agent.IronicPythonAgentHeartbeater`).
struct Schedule {
    period: Duration,
    chance: RandomUnit,
    next: Instant,
    last: Option<Instant>,
    /// A command ended that no heartbeat has reported yet.
    forced: bool,
}

impl Schedule {
    fn new(period: Duration, chance: RandomUnit, now: Instant) -> Self {
        Self {
            period,
            chance,
            next: now,
            last: None,
            forced: false,
        }
    }

    fn due(&self) -> Instant {
        match self.last {
            Some(last) if self.forced => self.next.min(last + MIN_FORCED_INTERVAL),
            _ => self.next,
        }
    }

    fn expedite(&mut self) {
        self.forced = true;
    }

    fn succeeded(&mut self, now: Instant) {
        let wait = random_between(
            self.chance,
            self.period.mul_f64(0.3),
            self.period.mul_f64(0.6),
        );
        self.beaten(now, wait.max(MIN_INTERVAL));
        self.forced = false;
    }

    fn failed(&mut self, now: Instant) {
        self.beaten(now, random_between(self.chance, RETRY, RETRY * 2));
    }

    fn beaten(&mut self, now: Instant, wait: Duration) {
        self.last = Some(now);
        self.next = now + wait;
    }
}

/// Minimum interval of heartbeats, however short Ironic's timeout is.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Minimum interval before a heartbeat that reports the end of a command.
const MIN_FORCED_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum wait after a failure.
const RETRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::tests::captured;
    use std::cell::RefCell;

    const PERIOD: Duration = Duration::from_secs(300);

    /// Runs a schedule for some seconds of paused time. `completed` lists the seconds at which a
    /// command ends, `answer` returns the result of the heartbeat at a second. Returns the seconds
    /// of all heartbeats.
    async fn beats(
        seconds: u64,
        chance: RandomUnit,
        completed: &[u64],
        answer: impl Fn(u64) -> Result<(), Error>,
    ) -> Vec<u64> {
        let begin = Instant::now();
        let cancel = CancellationToken::new();
        let (completions, receiver) = watch::channel(0);
        let at = RefCell::new(Vec::new());
        let driven = run_schedule(
            Schedule::new(PERIOD, chance, begin),
            receiver,
            &cancel,
            || {
                let second = begin.elapsed().as_secs();
                at.borrow_mut().push(second);
                let answer = answer(second);
                async { answer }
            },
        );
        let script = async {
            for second in completed {
                tokio::time::sleep_until(begin + Duration::from_secs(*second)).await;
                completions.send_modify(|count| *count += 1);
            }
            tokio::time::sleep_until(begin + Duration::from_secs(seconds)).await;
            cancel.cancel();
        };
        tokio::join!(driven, script);
        at.into_inner()
    }

    fn refused(code: u16) -> Result<(), Error> {
        Err(Error::Answer {
            code,
            text: "no".into(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_beat_is_at_once_and_the_others_well_within_the_timeout() {
        assert_eq!(
            beats(400, || 0.0, &[], |_| Ok(())).await,
            [0, 90, 180, 270, 360]
        );
        assert_eq!(beats(400, || 1.0, &[], |_| Ok(())).await, [0, 180, 360]);
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_tried_again_after_five_to_ten_seconds() {
        for code in [400, 404, 409, 503] {
            assert_eq!(
                beats(22, || 0.0, &[], |_| refused(code)).await,
                [0, 5, 10, 15, 20]
            );
            assert_eq!(beats(25, || 1.0, &[], |_| refused(code)).await, [0, 10, 20]);
        }
        let recovers = |second| if second < 10 { refused(503) } else { Ok(()) };
        assert_eq!(beats(110, || 0.0, &[], recovers).await, [0, 5, 10, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_commands_end_asks_for_a_beat_five_seconds_after_the_last() {
        assert_eq!(beats(50, || 0.0, &[2], |_| Ok(())).await, [0, 5]);
        assert_eq!(beats(50, || 0.0, &[30], |_| Ok(())).await, [0, 30]);
        assert_eq!(
            beats(50, || 0.0, &[1, 2, 3, 6], |_| Ok(())).await,
            [0, 5, 10]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_commands_end_is_told_again_until_ironic_has_heard_it() {
        let deaf = |second| {
            if (1..20).contains(&second) {
                refused(409)
            } else {
                Ok(())
            }
        };
        assert_eq!(beats(60, || 1.0, &[10], deaf).await, [0, 10, 15, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_beat_goes_on_when_nobody_counts_commands_any_more() {
        let (completions, receiver) = watch::channel(0);
        drop(completions);
        let cancel = CancellationToken::new();
        let count = RefCell::new(0);
        let pulse = Schedule::new(PERIOD, || 0.0, Instant::now());
        run_schedule(pulse, receiver, &cancel, || {
            *count.borrow_mut() += 1;
            if *count.borrow() == 3 {
                cancel.cancel();
            }
            async { Ok(()) }
        })
        .await;
        assert_eq!(count.into_inner(), 3);
    }

    /// Runs a schedule for some seconds of paused time. Returns the log's lines without their
    /// times.
    fn logged(seconds: u64, answer: impl Fn(u64) -> Result<(), Error>) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let log = captured(Verbosity::Debug, || {
            runtime.block_on(beats(seconds, || 0.0, &[], answer));
        });
        log.lines()
            .map(|line| line.split_once(' ').unwrap().1.trim_start().to_owned())
            .collect()
    }

    #[test]
    fn the_log_says_once_that_heartbeats_are_accepted_again() {
        // 0, 90, 180 (refused), 185, 275.
        let accepted = |second| if second == 180 { refused(503) } else { Ok(()) };
        let lines = logged(300, accepted);
        let levels = lines.iter().filter_map(|line| line.split(' ').next());
        assert_eq!(
            levels.collect::<Vec<_>>(),
            ["INFO", "DEBUG", "DEBUG", "WARN", "INFO", "DEBUG", "DEBUG"],
            "{lines:#?}"
        );
    }

    #[test]
    fn each_kind_of_failure_has_its_line_with_its_reason_and_wait() {
        let lines = [400, 409, 404, 503].map(|code| {
            let [line] = &logged(1, |_| refused(code))[..] else {
                panic!("one line for {code}");
            };
            let fields = format!(" error=\"error {code}: no\" seconds=5");
            let level = if code == 400 { "ERROR" } else { "WARN" };
            assert!(line.starts_with(level) && line.ends_with(&fields), "{line}");
            line.replace(&code.to_string(), "")
        });
        let [refusal, conflict, missing, trouble] = &lines;
        assert_eq!(missing, trouble);
        assert!(conflict != trouble && refusal != conflict, "{lines:#?}");
    }

    #[test]
    fn a_timeout_of_nothing_does_not_make_it_spin() {
        let now = Instant::now();
        let mut pulse = Schedule::new(Duration::ZERO, || 0.0, now);
        pulse.succeeded(now);
        assert_eq!(pulse.due(), now + MIN_INTERVAL);
    }
}
