//! A time server that is none, and whether that matters.

use super::session::start_agent_in_ramdisk;
use super::session::{LOOKUP, Session, start_agent, willing_conductor};
use serde_json::json;
use support::process::free_port;

const NONE: &str = "time;reboot";

#[tokio::test]
async fn a_time_server_that_is_none_keeps_no_agent_from_its_work() {
    let etc = tempfile::tempdir().unwrap();
    let options = ["--ntp_server", NONE];
    let mut session = Session::start_in_ramdisk(etc.path(), &options).await;
    session
        .agent
        .until_told("Invalid NTP server address: ")
        .await;
}

#[tokio::test]
async fn a_clock_that_must_be_right_ends_the_agent_where_it_cannot_be_set() {
    let etc = tempfile::tempdir().unwrap();
    let conductor = willing_conductor(json!("never asked")).await;
    let options = ["--ntp_server", NONE, "--fail_if_clock_not_set"];
    let agent = start_agent_in_ramdisk(etc.path(), &conductor, &options);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    assert_eq!(
        last,
        "ferrite: setting the clock: Invalid NTP server address: \"time;reboot\""
    );
    assert_eq!(conductor.asked(LOOKUP).len(), 0);
}

#[tokio::test]
async fn an_installed_systems_clock_is_not_set() {
    let conductor = willing_conductor(json!("never asked")).await;
    let options = ["--ntp_server", "127.0.0.1", "--fail_if_clock_not_set"];
    let agent = start_agent(&conductor, free_port(), &options, &[]);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    let refusal = "ferrite: setting the clock: refused: this machine was not booted into a ramdisk";
    assert!(last.starts_with(refusal), "{last}");
}
