//! Whose token counts, and what an agent without one does.

use super::caller::Caller;
use super::rescue::etc;
use super::session::{HEARTBEAT, LOOKUP, Session, start_agent, willing_conductor};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use support::conductor::{Answer, NODE, TOKEN};
use support::process::{Program, free_port, within};
use tokio::task::yield_now;

const OF_FILE: &str = "canary-of-the-file-0123456789abcdefghijklmn";
const OF_ENVIRONMENT: &str = "canary-of-the-environment-0123456789abcdefg";
const OF_COMMAND_LINE: &str = "canary-of-the-command-line-0123456789abcdef";

/// A file of options that everybody may read.
pub(crate) fn config_file(folder: &Path, options: &str) -> PathBuf {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.join("agent.conf");
    fs::write(&path, format!("[DEFAULT]\n{options}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

/// The token of a session with these sources, strongest last, which the API takes too.
async fn token_of(lookup: Value, sources: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = config_file(folder.path(), &format!("agent_token = {OF_FILE}"));
    let of_file = ["--config-file", file.to_str().unwrap()];
    let of_command_line = [of_file[0], of_file[1], "--agent_token", OF_COMMAND_LINE];
    let environment = [("OS_DEFAULT__AGENT_TOKEN", OF_ENVIRONMENT)];
    let (options, environment) = match sources {
        1 => (&of_file[..], &[][..]),
        2 => (&of_file[..], &environment[..]),
        _ => (&of_command_line[..], &environment[..]),
    };
    let session = Session::start_with(lookup, options, environment).await;
    assert_eq!(session.caller.list().await, Vec::<Value>::new());
    session.heartbeat["agent_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_masked_lookup_leaves_the_agents_own_token_by_its_strongest_source() {
    let masked = || json!("******");
    assert_eq!(token_of(masked(), 1).await, OF_FILE);
    assert_eq!(token_of(masked(), 2).await, OF_ENVIRONMENT);
    assert_eq!(token_of(masked(), 3).await, OF_COMMAND_LINE);
}

#[tokio::test]
async fn the_lookups_token_beats_the_agents_own() {
    assert_eq!(token_of(json!(TOKEN), 3).await, TOKEN);
}

#[tokio::test]
async fn an_agent_without_a_token_stays_alive_silent_and_says_why() {
    for (lookup, reason) in [
        (
            json!("******"),
            "the agent stays silent, no API, no heartbeat: this node was already looked up since its last power-on",
        ),
        (
            json!(null),
            "neither the boot nor the lookup gave an agent token",
        ),
        (json!("short"), "the lookup's agent token cannot be used"),
    ] {
        let conductor = willing_conductor(lookup).await;
        let port = free_port();
        let mut agent = start_agent(&conductor, port, &[], &[]);
        agent.until_told("the agent stays silent").await;
        let caller = Caller::new(&format!("http://127.0.0.1:{port}"), None, None);
        assert!(!caller.is_answered().await);
        // It lives: it can still be told to end, and does so as one that is well.
        agent.signal(Signal::SIGTERM);
        let ended = agent.end().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert!(ended.err.contains(reason), "{}", ended.err);
        let remedy = format!("baremetal node reboot {NODE}");
        assert!(ended.err.contains(&remedy), "{}", ended.err);
        assert_eq!(conductor.asked(LOOKUP).len(), 1);
        assert_eq!(conductor.asked(HEARTBEAT).len(), 0);
    }
}

#[tokio::test]
async fn a_list_of_commands_that_is_open_is_told_of_loudly() {
    let opened = [("OS_DEFAULT__OPEN_COMMAND_LIST", "true")];
    let mut session = Session::start_with(json!(TOKEN), &[], &opened).await;
    let warning = "WARN  agent::policy: open_command_list: WHOEVER REACHES THIS AGENT READS";
    session.agent.until_told(warning).await;
    session.caller.run("standby.sync", json!({})).await;
    let stranger = session.caller.with_token(None);
    let record = json!({
        "command_name": "sync",
        "command_status": "SUCCEEDED",
        "command_error": null,
        "command_result": null,
    });
    assert_eq!(
        stranger.get("/v1/commands/").await,
        (200, json!({ "commands": [record] }))
    );
    let wrong = session.caller.with_token(Some("wrong"));
    assert_eq!(wrong.get("/v1/commands/").await.0, 401);
}

#[tokio::test]
async fn a_token_among_arguments_and_variables_is_seen_by_nobody_once_it_was_read() {
    let environment = [("OS_DEFAULT__AGENT_TOKEN", OF_ENVIRONMENT)];
    let options = ["--agent_token", OF_COMMAND_LINE];
    let session = Session::start_with(json!("******"), &options, &environment).await;
    assert_eq!(session.heartbeat["agent_token"], OF_COMMAND_LINE);
    let arguments = shown(&session.agent, "cmdline");
    let (_, value) = arguments.split_once("--agent_token\0").unwrap();
    assert_eq!(value, format!("{}\0", "*".repeat(OF_COMMAND_LINE.len())));
    assert_eq!(
        shown(&session.agent, "environ"),
        format!(
            "OS_DEFAULT__AGENT_TOKEN={}\0",
            "*".repeat(OF_ENVIRONMENT.len())
        )
    );
}

/// What the kernel shows of a program.
fn shown(program: &Program, file: &str) -> String {
    String::from_utf8(fs::read(format!("/proc/{}/{file}", program.pid())).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_among_arguments_and_variables_is_covered_before_media_are_waited_for() {
    let etc = etc(&[]);
    fs::write(etc.path().join("cmdline"), "boot_method=vmedia\n").unwrap();
    // There are no media, and nothing else names Ironic: it waits for ever.
    let mut agent = Program::start_in_ramdisk(
        etc.path(),
        &["agent", "--agent_token", OF_COMMAND_LINE],
        &[("OS_DEFAULT__AGENT_TOKEN", OF_ENVIRONMENT)],
    );
    let arguments = format!(
        "ferrite\0agent\0--agent_token\0{}\0",
        "*".repeat(OF_COMMAND_LINE.len())
    );
    let variable = format!(
        "OS_DEFAULT__AGENT_TOKEN={}\0",
        "*".repeat(OF_ENVIRONMENT.len())
    );
    // A shell becomes the program, which covers arguments first and variables next.
    let covered = async {
        while shown(&agent, "cmdline") != arguments || !shown(&agent, "environ").contains(&variable)
        {
            yield_now().await;
        }
    };
    within("what covers the token", covered).await;
    assert!(!shown(&agent, "environ").contains(OF_ENVIRONMENT));
    let waiting = "no other source names Ironic: waiting on for virtual media";
    assert!(!agent.told().contains(waiting));
    agent.until_told(waiting).await;
}

#[tokio::test]
async fn the_agent_is_closed_to_others_of_its_user() {
    let session = Session::start(&[]).await;
    let of_agent = |file: &str| PathBuf::from(format!("/proc/{}/{file}", session.agent.pid()));
    let limits = fs::read_to_string(of_agent("limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().collect::<Vec<_>>(),
        ["Max", "core", "file", "size", "0", "0", "bytes"]
    );
    // Of a process that cannot be dumped root owns what others of its user could look into.
    assert_eq!(fs::metadata(of_agent("mem")).unwrap().uid(), 0);
}

#[tokio::test]
async fn a_token_that_somebody_else_has_is_told_with_causes_and_a_remedy() {
    let conductor = willing_conductor(json!("******")).await;
    let mut agent = start_agent(&conductor, free_port(), &[], &[]);
    agent.until_told("the agent stays silent").await;
    agent.signal(Signal::SIGTERM);
    let told = agent.end().await.err;
    let line = told
        .lines()
        .find(|line| line.contains("the agent stays silent"));
    let (_, line) = line.unwrap().split_once("That was before ").unwrap();
    let (asked_at, line) = line.split_once(", when this agent was ").unwrap();
    assert!(
        asked_at.starts_with("20") && asked_at.ends_with('Z'),
        "{asked_at}"
    );
    let (age, rest) = line.split_once(' ').unwrap();
    assert!(age.parse::<u64>().is_ok(), "{age}");
    for part in [
        "seconds old and asked for the first time",
        "ANOTHER MACHINE asked in this one's name (one with a MAC address of this machine)",
        "an agent was started here before and its memory is gone",
        &format!("baremetal node reboot {NODE}"),
    ] {
        assert!(rest.contains(part), "{part}: {rest}");
    }
}

#[tokio::test]
async fn trust_in_strangers_and_a_token_in_clear_are_told_loudly() {
    let insecure = [("OS_DEFAULT__INSECURE", "true")];
    let mut session = Session::start_with(json!(TOKEN), &[], &insecure).await;
    let accepted = "Ironic accepts our heartbeats";
    session.agent.until_told(accepted).await;
    let told = session.agent.told();
    for warning in [
        "WARN  agent::startup: insecure is set: NEITHER IRONIC'S API NOR IMAGE SERVERS ARE VERIFIED",
        "WARN  tls::client: TLS servers, Ironic's API or of images, are NOT verified (insecure is set)",
        "WARN  conductor::client: NO TLS TO IRONIC (http:// in api_url): THE AGENT TOKEN TRAVELS IN CLEAR",
    ] {
        assert_eq!(told.matches(warning).count(), 1, "{warning}: {told}");
    }
    let conductor = willing_conductor(json!(TOKEN)).await;
    let in_clear = ["--noenable_auto_tls"];
    let mut agent = start_agent(&conductor, free_port(), &in_clear, &[]);
    agent.until_told(accepted).await;
    let warning = "WARN  agent::serving: NO TLS ON THIS AGENT'S API";
    assert_eq!(agent.told().matches(warning).count(), 1, "{}", agent.told());
    // With none of them, nothing of the kind is said.
    let mut careful = Session::start(&[]).await;
    careful.agent.until_told(accepted).await;
    let careful = careful.agent.told();
    for word in ["VERIFIED", "NO TLS ON"] {
        assert!(!careful.contains(word), "{careful}");
    }
}

#[tokio::test]
async fn a_refused_token_is_told_with_ironics_words() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let refused = Answer::fault(400, "Invalid or missing agent token received.");
    conductor.on(HEARTBEAT, [refused]);
    let mut agent = start_agent(&conductor, free_port(), &[], &[]);
    let told = "Ironic REFUSES this agent's heartbeat: what it knows of the node's agent (token, URL, certificate) is another one's";
    agent.until_told(told).await;
    let line = agent.told();
    let line = line.lines().find(|line| line.contains(told)).unwrap();
    let reason = "error 400: Invalid or missing agent token received.";
    assert!(line.contains(reason) && line.contains("ERROR"), "{line}");
    assert!(!line.contains(TOKEN), "{line}");
}

#[tokio::test]
async fn an_ironic_without_agent_tokens_is_told_in_one_sentence_and_asked_for_nothing() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    conductor.on("GET /", [Answer::version("1.61")]);
    let ended = start_agent(&conductor, free_port(), &[], &[]).end().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    let told = "Ironic's API speaks version 1.61 at most, and agents need 1.62 for their token: upgrade Ironic";
    assert_eq!(ended.err.matches(told).count(), 1, "{}", ended.err);
    assert_eq!(conductor.asked(LOOKUP).len(), 0);
    assert_eq!(conductor.asked(HEARTBEAT).len(), 0);
}
