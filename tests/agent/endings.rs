//! How the agent ends: by a signal at any moment, or because nobody knows it.

use super::session::{LOOKUP, Session, start_agent};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use support::conductor::{Answer, Conductor, TOKEN};
use support::process::{free_port, within};

/// Less than what it grants work that does not stop.
const QUICKLY: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_signal_ends_a_serving_agent_quickly_and_well() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let session = Session::start(&[]).await;
        // A connection that stays open must not hold it.
        session.caller.list().await;
        let told = Instant::now();
        session.agent.signal(signal);
        let ended = session.agent.end().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert!(
            told.elapsed() < QUICKLY,
            "{:?}: {}",
            told.elapsed(),
            ended.err
        );
        assert!(ended.err.contains(signal.as_str()), "{}", ended.err);
        assert!(!ended.err.contains(TOKEN));
    }
}

#[tokio::test]
async fn a_signal_ends_an_agent_that_looks_itself_up() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [Answer::fault(404, "Resource could not be found.")]);
    let agent = start_agent(&conductor, free_port(), &[], &[]);
    within("a lookup", conductor.until_asked(LOOKUP, 1)).await;
    let told = Instant::now();
    agent.signal(Signal::SIGTERM);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(
        told.elapsed() < QUICKLY,
        "{:?}: {}",
        told.elapsed(),
        ended.err
    );
}

#[tokio::test]
async fn an_agent_that_nobody_knows_ends_with_the_last_answer() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [Answer::fault(404, "Resource could not be found.")]);
    let agent = start_agent(&conductor, free_port(), &["--lookup_timeout", "0"], &[]);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(last.starts_with("ferrite: talking to Ironic: "), "{last}");
    assert!(last.contains("Resource could not be found."), "{last}");
}
